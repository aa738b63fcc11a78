import { TYPED_RECORDS_OFFSET_MIN } from '../abi/field';
import { WakeGroup } from './wake';

/*
 * The own header of a typed store. docs/format.md, "Typed store, own header".
 *
 *     0  identity   written once, checksummed
 *   256  writer     written at open and close, checksummed
 *   320  count      live, atomic: records that are there; of a ring, all that ever were appended
 *   384  capacity   live, atomic: records that the file has room for
 *   448  wake       the futex word, and what is written to notify those who watch the file
 *   512  room       zero: for what later versions keep here
 *  1024  text       the schema as JSON, then the user's metadata, then zeros up to the records
 *
 * Writer, count, capacity and wake have a cache line each, because different threads write and wait on them. The
 * records begin at `recordsOffset`, a multiple of 4096.
 *
 * Identity
 *   0        4        8
 *   +--------+--------+
 *   |      magic      |   0
 *   +--------+--------+
 *   |  crc   |version |   8
 *   +--------+--------+
 *   |incompat|readonly|  16
 *   +--------+--------+
 *   | compat |store kd|  24
 *   +--------+--------+
 *   |    store id     |  32
 *   |    16 bytes     |  40
 *   +-----------------+
 *   |   created at    |  48
 *   +--------+--------+
 *   |schema v| stride |  56
 *   +--------+--------+
 *   |   schema hash   |  64
 *   |    32 bytes     |
 *   +-----------------+
 *   | records offset  |  96
 *   +--------+--------+
 *   | schema | metada.| 104   lengths in bytes
 *   +--------+--------+
 *   |text crc|   0    | 112
 *   +--------+--------+ 120
 */
@unmanaged
export class TypedHeader {
  /** "VARVETYP". */
  magic: u64;
  /** CRC-32C of bytes [12, 120). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read: bits, `TYPED_FEATURE_…`. */
  incompatible: u32;
  /** Features a writer must know to write. */
  readOnlyCompatible: u32;
  /** Features that may be ignored. */
  compatible: u32;
  /** Which face made the store: 2 typed store. */
  storeKind: u32;
  /** The store's random id, first half. */
  storeIdLow: u64;
  /** The store's random id, second half. */
  storeIdHigh: u64;
  /** When the store was made, milliseconds since 1970. */
  createdAt: u64;
  /** Version of the schema. */
  schemaVersion: u32;
  /** Bytes of a record, its stamp included. */
  stride: u32;
  /** SHA-256 of the fields in their order, first quarter. */
  schemaHash0: u64;
  /** Second quarter. */
  schemaHash1: u64;
  /** Third quarter. */
  schemaHash2: u64;
  /** Last quarter. */
  schemaHash3: u64;
  /** Where the records begin: also the length of the header. */
  recordsOffset: u64;
  /** Bytes of the schema's JSON, which begins at 1024. */
  schemaBytes: u32;
  /** Bytes of the user's metadata, which follow it. */
  metadataBytes: u32;
  /** CRC-32C of schema and metadata. */
  textCrc: u32;
  /** Zero. */
  reserved: u32;
}

/** The writer's group, at 256. */
@unmanaged
export class TypedWriter {
  /** CRC-32C of bytes [4, 32) of the group. */
  crc: u32;
  /** The writer's epoch: one higher whenever somebody has the store alone to write to it. */
  epoch: u32;
  /** 1 while a single writer has the store open, and after it died; 0 after a clean close. */
  open: u32;
  /** Process id of whoever had it alone last. */
  pid: u32;
  /** How it writes: a `WriteMode`. */
  mode: u32;
  /** Zero. */
  reserved: u32;
  /** When the group was written, milliseconds since 1970. */
  writtenAt: u64;
}

/** Where each group begins. */
export const TYPED_WRITER_OFFSET: u32 = 256;
export const TYPED_COUNT_OFFSET: u32 = 320;
export const TYPED_CAPACITY_OFFSET: u32 = 384;
export const TYPED_WAKE_OFFSET: u32 = 448;
export const TYPED_ROOM_OFFSET: u32 = 512;
export const TYPED_TEXT_OFFSET: u32 = 1024;
/** Little-endian ASCII "VARVETYP". */
export const TYPED_MAGIC: u64 = 0x5059544556524156;
/** `storeKind` of a typed store. */
export const STORE_KIND_TYPED: u32 = 2;
/** Bit of `incompatible`: the schema has enums, arrays, timestamps or fields that may be null. */
export const TYPED_FEATURE_KINDS: u32 = 1;
/** Bit of `incompatible`: each record ends with a checksum of its fields. */
export const TYPED_FEATURE_CHECKSUMS: u32 = 2;
/** Bit of `incompatible`: the oldest record makes room for the newest. */
export const TYPED_FEATURE_RING: u32 = 4;
/** All bits of `incompatible` that this version knows. */
export const TYPED_FEATURES: u32 = 7;

if (offsetof<TypedHeader>() != 120) ERROR('the identity has 120 bytes');
if (offsetof<TypedHeader>('version') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<TypedHeader>('schemaHash0') != 64) ERROR('the hash stands at 64');
if (offsetof<TypedWriter>() != 32) ERROR('the writer group has 32 bytes');
if (<usize>TYPED_WAKE_OFFSET + offsetof<WakeGroup>() > <usize>TYPED_ROOM_OFFSET) ERROR('the groups end below the room');
if (TYPED_TEXT_OFFSET >= TYPED_RECORDS_OFFSET_MIN) ERROR('the text begins on the first page');
