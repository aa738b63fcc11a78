import { STAMP_BYTES } from '../abi/limits';

/*
 * What stands in the payload of an entry of a write-ahead log group, behind the frame's header and the key. Aligned to
 * nothing. docs/format.md, "Write-ahead log group".
 *
 * Every payload begins with the time. In a put the value follows; in a delete, nothing; a mark of the user's, and the
 * end of an epoch, have one number; a commit has a watermark and offsets by the names of their sources:
 *
 *   0        4        8
 *   +--------+--------+
 *   |      time       |   0
 *   +--------+--------+
 *   |    watermark    |   8
 *   +--------+--------+
 *   | flags  | count  |  16
 *   +--------+--------+
 *   |     offset      |  24, and so on for each source
 *   +----+---+--------+
 *   |size| name       |
 *   +----+------------+
 */
/** The payload of a `Barrier`. */
@unmanaged
export class BarrierEntry {
  /** When it was appended, nanoseconds since 1970. For people, never for order. */
  time: u64;
  /** The epoch that ends here, and with it all before. */
  ended: u64;
}

/** The payload of a `Checkpoint`. */
@unmanaged
export class CheckpointEntry {
  /** When it was appended, nanoseconds since 1970. */
  time: u64;
  /** The user's number. */
  id: u64;
}

/** How the payload of a `Commit` begins. */
@unmanaged
export class CommitEntry {
  /** When it was appended, nanoseconds since 1970. */
  time: u64;
  /** Every event up to this time, in the user's own unit, was taken in; 0 where there is none. */
  watermark: i64;
  /** Bit 0: there is a watermark. The others are zero. */
  flags: u32;
  /** Offsets that follow. */
  count: u32;
}

/** One offset of a commit: a u64, the bytes of the source's name as a u16, and the name in UTF-8. */
export const COMMIT_OFFSET_BYTES: u32 = 10;
/** Most bytes of the name of a source. */
export const SOURCE_NAME_BYTES_MAX: u32 = 1024;
/** Bit 0 of a commit's flags: there is a watermark. */
export const COMMIT_HAS_WATERMARK: u32 = 1;

if (offsetof<BarrierEntry>('ended') != <usize>STAMP_BYTES) ERROR('every payload begins with the time');
if (offsetof<CheckpointEntry>('id') != <usize>STAMP_BYTES) ERROR('every payload begins with the time');
if (offsetof<CommitEntry>('watermark') != <usize>STAMP_BYTES) ERROR('every payload begins with the time');
if (offsetof<CommitEntry>() != 24) ERROR('the first offset of a commit stands at 24');
