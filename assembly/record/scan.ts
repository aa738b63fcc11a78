/**
 * The reader's side of a segment: find a record, check it, and check runs of records for the host to copy.
 *
 * Nothing at or behind `dataEnd` is touched, nothing is written but the scratch area. A result stands in the scratch
 * area until the next call.
 */
import { FRAMES_OFFSET, INDEX_SHIFT, Kind } from '../abi/limits';
import { SCRATCH_OFFSET } from '../abi/memory';
import { Status } from '../abi/status';
import { FRAME_HEADER_BYTES, Frame, INFO_KIND_SHIFT, frameStride } from '../layout/frame';
import { ScanResult, SegmentView } from '../layout/view';
import { indexFrame } from './append';
import { checkFrame } from './frame';

/**
 * Finds the `ordinal`-th frame of the segment by the LSN index and at most 2^indexShift - 1 steps.
 *
 * @returns its offset, or `OutOfRange`, or `BadIndex` where the index or a size on the way leads nowhere
 */
export function locate(view: SegmentView, ordinal: u32): i32 {
  if (ordinal >= view.records) return Status.OutOfRange;
  let offset = load<u32>(<usize>view.index + ((<usize>ordinal >> INDEX_SHIFT) << 2));
  let steps = ordinal & ((1 << INDEX_SHIFT) - 1);
  while (true) {
    const room = offset >= FRAMES_OFFSET && offset < view.dataEnd ? view.dataEnd - offset : 0;
    if (room < FRAME_HEADER_BYTES || (offset & 7) != 0) return Status.BadIndex;
    if (steps == 0) return offset;
    const size = changetype<Frame>(<usize>view.base + offset).size;
    if (size < FRAME_HEADER_BYTES || size > room) return Status.BadIndex;
    offset += frameStride(size);
    steps--;
  }
}

/**
 * Checks the frame at `offset`, which must be the `ordinal`-th of the segment.
 *
 * @returns the offset, or why the frame is not valid
 */
export function readAt(view: SegmentView, offset: u32, ordinal: u32): i32 {
  if (offset >= view.dataEnd || (offset & 7) != 0 || ordinal >= view.records) return Status.OutOfRange;
  const at = <usize>view.base + offset;
  const status = checkFrame(at, view.dataEnd - offset, <u32>view.baseLsn + ordinal, view.salt);
  return status == Status.Ok ? offset : status;
}

/** Finds and checks the `ordinal`-th record. Returns as `readAt` does, or as `locate` where that fails. */
export function read(view: SegmentView, ordinal: u32): i32 {
  const offset = locate(view, ordinal);
  return offset < 0 ? offset : readAt(view, <u32>offset, ordinal);
}

/**
 * Checks frames from `offset` on, which is the `ordinal`-th of the segment.
 *
 * @param recordsMax stops after so many
 * @param bytesMax stops before the frame that would take the run beyond so many bytes, but takes one at least
 * @returns how many are valid. In the scratch area: `offset` just past them, `lost` how many of them are placeholders
 *   of a repair, and `status`: `Ok` where a limit or the end
 *   of the data ended the run, else what is wrong with the frame at `offset`
 */
export function scan(view: SegmentView, offset: u32, ordinal: u32, recordsMax: u32, bytesMax: u32): u32 {
  const base = <usize>view.base;
  const end = view.dataEnd;
  const from = offset;
  const salt = view.salt;
  let lsn = <u32>view.baseLsn + ordinal;
  let records: u32 = 0;
  let lost: u32 = 0;
  let status = Status.Ok;
  while (records < recordsMax && offset < end) {
    const at = base + offset;
    const size = changetype<Frame>(at).size;
    if (records != 0 && offset - from + frameStride(size) > bytesMax) break;
    status = checkFrame(at, end - offset, lsn, salt);
    if (status != Status.Ok) break;
    lost += <u32>(changetype<Frame>(at).info >> INFO_KIND_SHIFT == Kind.Lost);
    records++;
    lsn++;
    offset += frameStride(size);
  }
  const result = changetype<ScanResult>(SCRATCH_OFFSET);
  result.status = status;
  result.lost = lost;
  result.records = records;
  result.offset = offset;
  return records;
}

/**
 * Finds the next record of a kind among the `ordinal`-th, whose frame is at `offset`, and those behind it, below the
 * `to`-th. Looks at nothing but the headers, unchecked: a frame that is found is to be checked by who reads it, and a
 * walk that was led astray by a damaged size does not end where the `to`-th record begins.
 *
 * @returns its offset; `Absent` where there is none; `BadSize` where a header leads out of the data. In the scratch
 *   area: `records` and `offset`, the ordinal at which the walk ended and where it was then
 */
export function findKind(view: SegmentView, offset: u32, ordinal: u32, to: u32, kind: u32): i32 {
  const base = <usize>view.base;
  const end = view.dataEnd;
  let found: i32 = Status.Absent;
  for (; ordinal < to && offset < end; ordinal++) {
    const room = end - offset;
    const frame = changetype<Frame>(base + offset);
    const size: u32 = room < FRAME_HEADER_BYTES ? 0 : frame.size;
    if (size < FRAME_HEADER_BYTES || size > room) {
      found = Status.BadSize;
      break;
    }
    if (frame.info >> INFO_KIND_SHIFT == kind) {
      found = <i32>offset;
      break;
    }
    offset += frameStride(size);
  }
  const result = changetype<ScanResult>(SCRATCH_OFFSET);
  result.records = ordinal;
  result.offset = offset;
  return found;
}

/**
 * Takes notice of the frames that another process has committed since: extends `records`, `dataEnd`, `epoch` and the
 * index of a reader's view until it holds `records` of them. The caller knows from the watermark that they are there.
 *
 * @returns `Ok`, or `BadSize` or `Truncated` where a frame is not what the watermark promised
 * Order: the watermark was loaded atomically before; the sizes are read after it.
 */
export function advance(view: SegmentView, records: u32): Status {
  while (view.records < records) {
    const offset = view.dataEnd;
    if (offset + FRAME_HEADER_BYTES > view.mapped) return Status.Truncated;
    const size = <u32>(atomic.load<u64>(<usize>view.base + offset) >> 32);
    if (size < FRAME_HEADER_BYTES) return Status.BadSize;
    if (size > view.mapped - offset) return Status.Truncated;
    indexFrame(view, view.records, offset);
    view.records++;
    view.epoch = changetype<Frame>(<usize>view.base + offset).epoch;
    view.dataEnd = offset + frameStride(size);
  }
  return Status.Ok;
}
