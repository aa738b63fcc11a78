import { SCRATCH_BYTES, SLOT_BYTES } from '../abi/memory';

/*
 * What the core and the host say to each other about one mapped segment. Private to a process, never on disk, free to
 * change between versions.
 *
 * A `SegmentView` lives in a slot of the static area for as long as the segment is mapped. The host fills `base`,
 * `salt`, `baseLsn`, `index` and the writer's half; `records` and `dataEnd` are the core's: they say up to where frames
 * are known to be whole, and nothing behind `dataEnd` is ever read as a frame by the reading functions.
 */
@unmanaged
export class SegmentView {
  /** Address of the mapped file's first byte. */
  base: u32;
  /** Offset just past the last known frame. */
  dataEnd: u32;
  /** LSN of the first record. */
  baseLsn: u64;
  /** Known records. */
  records: u32;
  /** The segment's salt. */
  salt: u32;
  /** Address of the LSN index: the offset of every 2^indexShift-th frame, 32 bits each. */
  index: u32;
  /** Mapped bytes of the file; no offset reaches beyond. */
  mapped: u32;
  /** Epoch of the last known record. */
  epoch: u32;
  /** Writer: offset up to which the segment is known to be on disk. */
  durable: u32;
  /** Writer: the epoch of new frames. */
  writerEpoch: u32;
  /** Writer: address of CONTROL. */
  control: u32;
  /** Position of the first frame. */
  basePosition: u64;
}

/** What a call that looks at many frames leaves at the start of the scratch area. */
@unmanaged
export class ScanResult {
  /** `Status.Ok`, or why the frame at `offset` was not taken. */
  status: i32;
  /** Frames taken. */
  records: u32;
  /** Offset of the first frame that was not taken. */
  offset: u32;
  /** Recovery: offset just past the last whole batch. */
  dataEnd: u32;
  /** Recovery: epoch of the last record taken. */
  epoch: u32;
  /** Highest `durable` offset that a frame carried. */
  durable: u32;
  /** Scan: how many of the frames are of kind Lost. */
  lost: u32;
}

if (offsetof<SegmentView>() > <usize>SLOT_BYTES) ERROR('a view fits into a slot');
if (offsetof<ScanResult>() > <usize>SCRATCH_BYTES) ERROR('a result fits into the scratch area');
