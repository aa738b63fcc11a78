/**
 * The writer's side of a segment: frames are sealed in place, published, indexed, and the watermark moved.
 *
 * The host has copied key and payload to where they belong - in place, or for a large batch on a stage from which one
 * write takes it - and has made sure that they fit, with room to spare for the
 * index and the footer; these functions do not check it again. What a crash can leave: bytes behind the last published
 * frame, which recovery cuts.
 */
import { FRAMES_OFFSET, Flag, INDEX_SHIFT } from '../abi/limits';
import { SCRATCH_OFFSET } from '../abi/memory';
import { CONTROL_COMMITTED_OFFSET, ControlCommitted } from '../layout/control';
import { FRAME_HEADER_BYTES, Frame, INFO_FLAGS_SHIFT, INFO_KEY_MASK, frameStride } from '../layout/frame';
import { ScanResult, SegmentView } from '../layout/view';
import { sealFrame } from './frame';

/** Enters the frame at `offset`, the `ordinal`-th of its segment, into the LSN index where it is due. */
@inline
export function indexFrame(view: SegmentView, ordinal: u32, offset: u32): void {
  if ((ordinal & ((1 << INDEX_SHIFT) - 1)) != 0) return;
  store<u32>(<usize>view.index + ((<usize>ordinal >> INDEX_SHIFT) << 2), offset);
}

/**
 * Moves the committed watermark to the end of the view.
 *
 * Order: `position` before `lsn`, which publishes it: a reader that loads `lsn` and then `position` finds one that
 * covers it. Swapped, a reader could take the last record as missing.
 * Writes: the committed group of CONTROL.
 */
@inline
export function commit(view: SegmentView): f64 {
  const committed = changetype<ControlCommitted>(<usize>view.control + CONTROL_COMMITTED_OFFSET);
  const lsn = view.baseLsn + view.records - 1;
  committed.position = view.basePosition + (view.dataEnd - FRAMES_OFFSET);
  atomic.store<u64>(changetype<usize>(committed), lsn);
  return <f64><i64>lsn;
}

/**
 * Appends the record whose key and payload stand behind the 24 bytes at the end of the view.
 *
 * @param info the info word: kind, flags, bytes of the key
 * @param payloadBytes bytes of the payload
 * @returns the LSN
 * Writes: [dataEnd, dataEnd + stride) of the segment, the index, the watermark. Order: header, then the frame word,
 * then the watermark.
 */
export function append(view: SegmentView, info: u32, payloadBytes: u32): f64 {
  const offset = view.dataEnd;
  const at = <usize>view.base + offset;
  const ordinal = view.records;
  const size = FRAME_HEADER_BYTES + (info & INFO_KEY_MASK) + payloadBytes;
  const word = sealFrame(
    at, size, info, <u32>view.baseLsn + ordinal, view.durable, view.writerEpoch, view.salt);
  atomic.store<u64>(at, word);
  indexFrame(view, ordinal, offset);
  view.records = ordinal + 1;
  view.dataEnd = offset + frameStride(size);
  view.epoch = view.writerEpoch;
  return commit(view);
}

/**
 * Seals the `count` frames of a batch, which stand one behind the other at `at` and will stand at the end of the view.
 * The host has put each one's key and payload where it belongs, and into its header `size` and `info` (without the
 * flags).
 *
 * @param whole whether the first frame's word is stored too, which publishes the batch
 * @returns the first frame's word. In the scratch area: `offset` just past the last frame
 * Writes: the frames, the index.
 */
@inline
function seal(view: SegmentView, at: usize, count: u32, whole: bool): u64 {
  let offset = view.dataEnd;
  let ordinal = view.records;
  let firstWord: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const frame = changetype<Frame>(at);
    const size = frame.size;
    const more = <u32>(i + 1 < count) << INFO_FLAGS_SHIFT;
    const word = sealFrame(
      at, size, frame.info | more, <u32>view.baseLsn + ordinal, view.durable, view.writerEpoch, view.salt);
    if (i == 0) firstWord = word;
    if (i != 0 || whole) store<u64>(at, word);
    indexFrame(view, ordinal, offset);
    ordinal++;
    const stride = frameStride(size);
    at += stride;
    offset += stride;
  }
  changetype<ScanResult>(SCRATCH_OFFSET).offset = offset;
  return firstWord;
}

/**
 * Appends the `count` records that stand, as `seal` wants them, at the end of the view as one atomic batch.
 *
 * @returns the LSN of the last one
 * Order: every frame but the first is whole before the first one's word is stored, and the watermark moves once, so
 * that readers see all or nothing; recovery cuts a batch whose last frame is missing.
 */
export function appendBatch(view: SegmentView, count: u32): f64 {
  const word = seal(view, <usize>view.base + view.dataEnd, count, false);
  atomic.store<u64>(<usize>view.base + view.dataEnd, word);
  return publishBatch(view, count, changetype<ScanResult>(SCRATCH_OFFSET).offset);
}

/**
 * Seals the `count` frames at `at`, outside of the segment, as one batch: the host writes them to the end of the view
 * and then calls `publishBatch`. Until then the view has not changed.
 */
export function sealBatch(view: SegmentView, at: usize, count: u32): void {
  seal(view, at, count, true);
}

/**
 * Commits the sealed batch of `count` records that stands at the end of the view by now.
 *
 * @param dataEnd offset just past its last frame
 * @returns the LSN of the last one
 * Writes: the view, the watermark.
 */
export function publishBatch(view: SegmentView, count: u32, dataEnd: u32): f64 {
  view.records += count;
  view.dataEnd = dataEnd;
  view.epoch = view.writerEpoch;
  return commit(view);
}

if (<u32>Flag.More != 1) ERROR('appendBatch writes the flag More as bit 0 of the flags');
