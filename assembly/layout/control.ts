import { CONTROL_BYTES } from '../abi/limits';
import { WakeGroup } from './wake';

/*
 * CONTROL: one page, mapped by the writer and by every reader. docs/format.md, "CONTROL".
 *
 * Six groups, each on a cache line of its own, because different threads write and wait on them:
 *
 *     0  identity   written once, checksummed
 *   128  writer     written at open and close, checksummed
 *   192  marks A    written in turn at each sync, truncation and retention, checksummed:
 *   256  marks B    the valid one of the higher sequence counts, so a torn update leaves the other
 *   320  committed  written at each append, atomic, evidence for nobody but readers
 *   384  wake       the futex word, and what is written to notify those who watch the file
 *
 * Recovery takes what it finds here as evidence, never as truth: a group whose checksum fails counts as absent.
 */
@unmanaged
export class Control {
  /** "VARVECTL". */
  magic: u64;
  /** CRC-32C of bytes [12, 64). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read. */
  incompatible: u32;
  /** Features a writer must know to write. */
  readOnlyCompatible: u32;
  /** Features that may be ignored. */
  compatible: u32;
  /** Which face made the store: 1 record log, 2 core of a group, 3 key-value store. */
  storeKind: u32;
  /** The store's random id, first half. */
  storeIdLow: u64;
  /** The store's random id, second half. */
  storeIdHigh: u64;
  /** When the store was made, milliseconds since 1970. */
  createdAt: u64;
  /** Zero. */
  reserved0: u64;
}

/** The writer's group, at 128. */
@unmanaged
export class ControlWriter {
  /** CRC-32C of bytes [4, 32) of the group. */
  crc: u32;
  /** The writer's epoch: one higher at every open for writing. */
  epoch: u32;
  /** 1 while a writer has the store open, 0 after a clean close. */
  open: u32;
  /** Process id of the last writer. */
  pid: u32;
  /** Bytes that new segments are preallocated to. */
  segmentBytes: u64;
  /** When the group was written, milliseconds since 1970. */
  writtenAt: u64;
}

/** The marks, at 192 and again at 256. */
@unmanaged
export class ControlMarks {
  /** CRC-32C of bytes [4, 48) of the group. */
  crc: u32;
  /** 1 while a truncation is under way: recovery finishes it. */
  truncating: u32;
  /** Rises by one with each update of the marks; its lowest bit says which of the two is written. */
  sequence: u64;
  /** Every record up to this LSN was synced to disk. */
  durableLsn: u64;
  /** Position just past the record of `durableLsn`. */
  durablePosition: u64;
  /** LSN of the oldest record that is retained. */
  firstLsn: u64;
  /** While `truncating`: the last LSN that stays. */
  truncateLsn: u64;
}

/** The committed watermark, at 320: what readers may see. */
@unmanaged
export class ControlCommitted {
  /** LSN of the last committed record. Stored last, atomically: it publishes `position` and `segment`. */
  lsn: u64;
  /** Position just past that record. */
  position: u64;
  /** Base LSN of the active segment. */
  segment: u64;
  /** Twice the number of truncations of the suffix; odd while one is under way. */
  generation: u64;
  /** LSN of the last record known to be on disk, for readers; recovery looks at the marks instead. */
  durableLsn: u64;
  /** LSN of the oldest record that is retained, for readers. */
  firstLsn: u64;
}

/** Where each group begins. */
export const CONTROL_WRITER_OFFSET: u32 = 128;
export const CONTROL_MARKS_OFFSET: u32 = 192;
export const CONTROL_MARKS_STRIDE: u32 = 64;
export const CONTROL_COMMITTED_OFFSET: u32 = 320;
export const CONTROL_WAKE_OFFSET: u32 = 384;
/** Little-endian ASCII "VARVECTL". */
export const CONTROL_MAGIC: u64 = 0x4c54434556524156;
/** `storeKind` of a RecordLog. */
export const STORE_KIND_RECORD_LOG: u32 = 1;
/** `storeKind` of the log of one writer of a WalGroup. */
export const STORE_KIND_GROUP_CORE: u32 = 2;
/** `storeKind` of a KeyValueStore. */
export const STORE_KIND_KEY_VALUE: u32 = 3;

if (offsetof<Control>() != 64) ERROR('the identity has 64 bytes');
if (offsetof<Control>('version') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<ControlWriter>() != 32) ERROR('the writer group has 32 bytes');
if (offsetof<ControlMarks>() != 48) ERROR('the marks have 48 bytes');
if (offsetof<ControlCommitted>() != 48) ERROR('the committed group has 48 bytes');
if (<usize>CONTROL_WAKE_OFFSET + offsetof<WakeGroup>() > <usize>CONTROL_BYTES) ERROR('CONTROL is one page');
