/**
 * Reading a segment whose end is unknown: the longest valid prefix, and the evidence of what lies behind it.
 *
 * Nothing is changed here. The host decides with the evidence (host/log/recovery-table.ts) whether what follows the
 * prefix is a torn tail or corruption. docs/format.md, "Recovery".
 */
import { FRAMES_OFFSET, Flag, Kind, PAYLOAD_BYTES_MAX } from '../abi/limits';
import { SCRATCH_OFFSET } from '../abi/memory';
import { Status } from '../abi/status';
import {
  FRAME_HEADER_BYTES, FRAME_SIZE_MAX, Frame, INFO_KIND_SHIFT, flagsOf, frameStride,
} from '../layout/frame';
import { ScanResult, SegmentView } from '../layout/view';
import { indexFrame } from './append';
import { checkFrame, sealFrame } from './frame';

/**
 * Scans from the first frame and takes the longest prefix of valid frames that ends with a whole batch and has at most
 * `recordsMax` records. Leaves `records`, `dataEnd`, `epoch` and the index of the view at the end of that prefix.
 *
 * @param limit bytes of the segment in which frames may stand
 * @returns `Ok` where the prefix ended at `limit` or `recordsMax`, else why the next frame is not valid. The result in
 *   the scratch area: `records` and `offset` of the last *valid* frame's end (an unfinished batch may lie between it
 *   and `dataEnd`), `dataEnd` and `epoch` of the prefix, `durable` the highest mark that a frame of the prefix carries
 * Reads: [base + FRAMES_OFFSET, base + limit). Writes: the view, the index.
 */
export function recover(view: SegmentView, limit: u32, recordsMax: u32): Status {
  const result = changetype<ScanResult>(SCRATCH_OFFSET);
  let offset = FRAMES_OFFSET;
  let records: u32 = 0;
  let epoch = view.epoch;
  let durable: u32 = 0;
  let status = Status.Ok;
  view.records = 0;
  view.dataEnd = FRAMES_OFFSET;
  while (offset < limit && records < recordsMax) {
    const at = <usize>view.base + offset;
    status = checkFrame(at, limit - offset, <u32>view.baseLsn + records, view.salt);
    if (status != Status.Ok) break;
    const frame = changetype<Frame>(at);
    if (frame.epoch < epoch) {
      status = Status.BadEpoch;
      break;
    }
    epoch = frame.epoch;
    durable = max(durable, frame.durable);
    indexFrame(view, records, offset);
    records++;
    offset += frameStride(frame.size);
    if (isDefined(CANARY_BATCH) || (flagsOf(frame.info) & Flag.More) == 0) {
      view.records = records;
      view.dataEnd = offset;
      view.epoch = epoch;
    }
  }
  result.status = status;
  result.records = records;
  result.offset = offset;
  result.dataEnd = view.dataEnd;
  result.epoch = view.epoch;
  result.durable = durable;
  return status;
}

/**
 * Searches for valid frames of this segment behind a place where none is.
 *
 * @param from offset where the search begins, a multiple of 8
 * @param limit bytes of the segment in which frames may stand
 * @param ordinal the record that should have stood at `from`: frames of earlier records do not count
 * @returns the offset of the first frame found, or 0. The result in the scratch area: `records` the ordinal of that
 *   frame, `durable` the highest mark that any of the frames found carries
 *
 * A candidate must have a plausible size and LSN before its checksum is computed, so that the search stays linear.
 */
export function findLater(view: SegmentView, from: u32, limit: u32, ordinal: u32): u32 {
  const result = changetype<ScanResult>(SCRATCH_OFFSET);
  const base = <usize>view.base;
  const expected = <u32>view.baseLsn + ordinal;
  let found: u32 = 0;
  result.durable = 0;
  result.records = 0;
  let offset = from;
  while (offset + FRAME_HEADER_BYTES <= limit) {
    const at = base + offset;
    const frame = changetype<Frame>(at);
    const size = frame.size;
    const ahead = frame.lsn - expected;
    if (
      size < FRAME_HEADER_BYTES || size > limit - offset || size > FRAME_SIZE_MAX
      || ahead > (limit - from) / FRAME_HEADER_BYTES
      || checkFrame(at, limit - offset, frame.lsn, view.salt) != Status.Ok
    ) {
      offset += 8;
      continue;
    }
    if (found == 0) {
      found = offset;
      result.records = ordinal + ahead;
    }
    result.durable = max(result.durable, frame.durable);
    offset += frameStride(size);
  }
  return found;
}

/**
 * Replaces the bytes [offset, end), in which `count` records were damaged, by `count` frames of kind Lost, so that
 * every later record keeps its offset and its LSN. The host has saved the bytes.
 *
 * @param ordinal the first damaged record
 * @param epoch the epoch of the record before
 * @returns `Ok`, or `OutOfRange` where the gap is too small or too large for so many frames
 * Writes: [base + offset, base + end).
 */
export function fillLost(view: SegmentView, offset: u32, end: u32, ordinal: u32, count: u32, epoch: u32): Status {
  if (count == 0 || ((offset | end) & 7) != 0 || end <= offset || end > view.mapped) return Status.OutOfRange;
  const room = end - offset;
  // Both limits come before the first store: what is refused stays as it was.
  if (count > room / FRAME_HEADER_BYTES || <u64>count * (FRAME_SIZE_MAX & ~7) < room) return Status.OutOfRange;
  memory.fill(<usize>view.base + offset, 0, room);
  let left = room;
  for (let i: u32 = 0; i < count; i++) {
    const rest = (count - i - 1) * FRAME_HEADER_BYTES;
    const size = min(left - rest, FRAME_SIZE_MAX & ~7);
    const at = <usize>view.base + (end - left);
    const info = <u32>Kind.Lost << INFO_KIND_SHIFT;
    const lsn = <u32>view.baseLsn + ordinal + i;
    store<u64>(at, sealFrame(at, size, info | lostKeyBytes(size), lsn, 0, epoch, view.salt));
    left -= size;
  }
  return left == 0 ? Status.Ok : Status.OutOfRange;
}

/** Returns the key bytes that keep a Lost frame's payload within its limit. */
@inline
function lostKeyBytes(size: u32): u32 {
  const body = size - FRAME_HEADER_BYTES;
  return body > PAYLOAD_BYTES_MAX ? body - PAYLOAD_BYTES_MAX : 0;
}
