import { GROUP_CORES_MAX } from '../abi/limits';

/*
 * The file of a checkpoint of a write-ahead log group. docs/format.md, "Checkpoint".
 *
 *   [ header | cores … | commit | state … | footer ]   one behind the other, aligned to nothing
 *
 * The header is written first and the footer last; who has both, and a file of just that length, has a whole one.
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
 *   | compat | cores  |  24
 *   +--------+--------+
 *   |    group id     |  32
 *   |                 |
 *   +-----------------+
 *   |       id        |  48
 *   +-----------------+
 *   |      epoch      |  56
 *   +-----------------+
 *   |   created at    |  64
 *   +--------+--------+
 *   | commit | cores  |  72
 *   | bytes  |  crc   |
 *   +--------+--------+
 */
@unmanaged
export class CheckpointHeader {
  /** "VARVECHK". */
  magic: u64;
  /** CRC-32C of bytes [12, 80). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read. */
  incompatible: u32;
  /** Features a writer must know to write. */
  readOnlyCompatible: u32;
  /** Features that may be ignored. */
  compatible: u32;
  /** Writers of the group. */
  cores: u32;
  /** The group's random id, first half. */
  groupIdLow: u64;
  /** The group's random id, second half. */
  groupIdHigh: u64;
  /** Number of the checkpoint; also the file's name. */
  id: u64;
  /** The last epoch that the state covers, which has ended on every core. */
  epoch: u64;
  /** When it was made, milliseconds since 1970. For people, never for order. */
  createdAt: u64;
  /** Bytes of the commit. */
  commitBytes: u32;
  /** CRC-32C of the cores and the commit. */
  partsCrc: u32;
}

/** Where the epoch of a checkpoint ends on one core, 16 bytes. */
@unmanaged
export class CheckpointCore {
  /** LSN of the barrier that ends it; 0 where the core was never written to. */
  lsn: u64;
  /** Position just past the barrier. */
  position: u64;
}

/*
 * Footer, the last 40 bytes
 *   0        4        8
 *   +--------+--------+
 *   |      magic      |   0
 *   +--------+--------+
 *   |  crc   | state  |   8
 *   |        |  crc   |
 *   +--------+--------+
 *   |   state bytes   |  16
 *   +-----------------+
 *   |       id        |  24
 *   +--------+--------+
 *   | header |   0    |  32
 *   |  crc   |        |
 *   +--------+--------+
 */
@unmanaged
export class CheckpointFooter {
  /** "VARVECKF". */
  magic: u64;
  /** CRC-32C of bytes [12, 40). */
  crc: u32;
  /** CRC-32C of the state. */
  stateCrc: u32;
  /** Bytes of the state. */
  stateBytes: u64;
  /** The id of the header. */
  id: u64;
  /** The checksum of the header. */
  headerCrc: u32;
  /** Zero. */
  reserved: u32;
}

/** Little-endian ASCII "VARVECHK". */
export const CHECKPOINT_MAGIC: u64 = 0x4b48434556524156;
/** Little-endian ASCII "VARVECKF". */
export const CHECKPOINT_FOOTER_MAGIC: u64 = 0x464b434556524156;

if (offsetof<CheckpointHeader>() != 80) ERROR('a checkpoint header has 80 bytes');
if (offsetof<CheckpointHeader>('version') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<CheckpointCore>() != 16) ERROR('a core takes 16 bytes');
if (offsetof<CheckpointCore>() * <usize>GROUP_CORES_MAX > 65536) ERROR('the cores of every group are few');
if (offsetof<CheckpointFooter>() != 40) ERROR('a checkpoint footer has 40 bytes');
if (offsetof<CheckpointFooter>('stateCrc') != 12) ERROR('the checksum covers everything behind it');
