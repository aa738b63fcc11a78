import { FRAMES_OFFSET } from '../abi/limits';

/*
 * The two fixed structures of a segment file. docs/format.md, "Segment".
 *
 *   [ header page | frames … | LSN index | footer ]   sealed: the file ends with the footer
 *   [ header page | frames … | zeros              ]   active: preallocated to its capacity
 *
 * Header, at 0
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
 *   |    base LSN     |  48
 *   +-----------------+
 *   |  base position  |  56
 *   +--------+--------+
 *   |capacity| salt   |  64
 *   +--------+--------+
 *   | epoch  |   0    |  72
 *   +--------+--------+
 *   |   created at    |  80
 *   +-----------------+  88; the rest of the page is zero
 */
@unmanaged
export class SegmentHeader {
  /** "VARVESEG". */
  magic: u64;
  /** CRC-32C of bytes [12, 88). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read. */
  incompatible: u32;
  /** Features a writer must know to write. */
  readOnlyCompatible: u32;
  /** Features that may be ignored. */
  compatible: u32;
  /** Which face made the store. */
  storeKind: u32;
  /** The store's random id, first half. */
  storeIdLow: u64;
  /** The store's random id, second half. */
  storeIdHigh: u64;
  /** LSN of the segment's first record; also the file's name. */
  baseLsn: u64;
  /** Position of the first frame: bytes of all frames before it since the log began. */
  basePosition: u64;
  /** Bytes that the file was preallocated to. */
  capacity: u32;
  /** Random; every frame's checksum begins with it. */
  salt: u32;
  /** The writer's epoch when the segment was made. */
  epoch: u32;
  /** Zero. */
  reserved: u32;
  /** When the segment was made, milliseconds since 1970. For people, never for order. */
  createdAt: u64;
}

/*
 * Footer, the last 64 bytes of a sealed segment
 *   0        4        8
 *   +--------+--------+
 *   |      magic      |   0
 *   +--------+--------+
 *   |  crc   |  salt  |   8
 *   +--------+--------+
 *   |    base LSN     |  16
 *   +--------+--------+
 *   |records |data end|  24
 *   +--------+--------+
 *   |idx crc |idx len |  32
 *   +--------+--------+
 *   | epoch  |idx shft|  40
 *   +--------+--------+
 *   |    sealed at    |  48
 *   +-----------------+
 *   |     synced      |  56
 *   +-----------------+
 */
@unmanaged
export class SegmentFooter {
  /** "VARVEFTR". */
  magic: u64;
  /** CRC-32C of bytes [12, 56). */
  crc: u32;
  /** The salt of the segment's header. */
  salt: u32;
  /** The base LSN of the segment's header. */
  baseLsn: u64;
  /** Number of records. */
  records: u32;
  /** Offset just past the last frame, where the LSN index begins. */
  dataEnd: u32;
  /** CRC-32C of the LSN index. */
  indexCrc: u32;
  /** Bytes of the LSN index, a multiple of 8. */
  indexBytes: u32;
  /** Epoch of the last record, or of the segment where it has none. */
  epoch: u32;
  /** Every 2^shift-th record has an index entry. */
  indexShift: u32;
  /** When the segment was sealed, milliseconds since 1970. */
  sealedAt: u64;
  /** "VARVESYN" once everything before it is known to be on disk, else zero. Outside the checksum. */
  synced: u64;
}

/** Little-endian ASCII "VARVESEG". */
export const SEGMENT_MAGIC: u64 = 0x4745534556524156;
/** Little-endian ASCII "VARVEFTR". */
export const FOOTER_MAGIC: u64 = 0x5254464556524156;
/** Little-endian ASCII "VARVESYN". */
export const SYNCED_MAGIC: u64 = 0x4e59534556524156;

if (offsetof<SegmentHeader>() != 88) ERROR('a segment header has 88 bytes');
if (offsetof<SegmentHeader>() > <usize>FRAMES_OFFSET) ERROR('the header ends before the first frame');
if (offsetof<SegmentHeader>('version') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<SegmentFooter>() != 64) ERROR('a segment footer has 64 bytes');
if (offsetof<SegmentFooter>('salt') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<SegmentFooter>('synced') != 56) ERROR('the synced word is the last');
