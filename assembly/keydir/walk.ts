/**
 * Walking the records of a segment with the table at hand: which of them are their keys' newest, for a snapshot's
 * iteration; and copying those to the stage, for compaction. Every frame is checked before anything is said of it.
 */
import { Kind, PUT_META_BYTES } from '../abi/limits';
import { KEY_OFFSET, STAGE_OFFSET, VALUES_BYTES, VALUES_OFFSET } from '../abi/memory';
import { Status } from '../abi/status';
import { FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, INFO_KIND_SHIFT, frameStride } from '../layout/frame';
import {
  KEYDIR_FLAGS_SHIFT, KEYDIR_MOVE_BYTES, KEYDIR_STRIDE_MASK, Keydir, KeydirMove, PutMeta,
} from '../layout/keydir';
import { SegmentView } from '../layout/view';
import { checkFrame, checkShape, frameCrc } from '../record/frame';
import { hashOfFrame, isPut, resultOf, segmentAt, slotOf, touchFrames } from './find';
import { entryAt } from './table';

@inline
function hasPrefix(at: usize, keyBytes: u32, prefixBytes: u32): bool {
  if (keyBytes < prefixBytes) return false;
  for (let i: u32 = 0; i < prefixBytes; i++) if (load<u8>(at + i) != load<u8>(KEY_OFFSET + i)) return false;
  return true;
}

/**
 * Lists the puts among the frames of [offset, end) of a mapped segment, at `VALUES_OFFSET`: the offset of each, plus 1
 * where the table points at it.
 *
 * @param ordinal of the first frame in its segment
 * @param bytesMax ends before the frame that would take the run beyond so many bytes, but takes one at least
 * @param prefixBytes of a prefix at `KEY_OFFSET` that the keys must have
 * @returns `Ok`, or what is wrong with the frame at `offset`. In the scratch area: `slot` how many are listed,
 *   `records` looked at, `offset` of the first that was not
 */
export function keydirWalk(
  dir: Keydir, number: u32, offset: u32, end: u32, ordinal: u32, bytesMax: u32, prefixBytes: u32,
): Status {
  const view = changetype<SegmentView>(segmentAt(dir, number).view);
  const from = offset;
  const most = VALUES_BYTES >> 2;
  let count: u32 = 0;
  let records: u32 = 0;
  let near = offset;
  let status = Status.Ok;
  while (offset < end && count < most) {
    if (offset >= near) near = touchFrames(dir, view.base, offset, end);
    const at = <usize>view.base + offset;
    const frame = changetype<Frame>(at);
    if (records != 0 && offset - from + frameStride(frame.size) > bytesMax) break;
    status = checkFrame(at, end - offset, <u32>view.baseLsn + ordinal + records, view.salt);
    if (status != Status.Ok) break;
    const info = frame.info;
    if (isPut(at) && hasPrefix(at + FRAME_HEADER_BYTES, info & INFO_KEY_MASK, prefixBytes)) {
      const live = slotOf(dir, hashOfFrame(dir, at, info), number, offset >> 3) >= 0;
      store<u32>(<usize>VALUES_OFFSET + (<usize>count << 2), offset | <u32>live);
      count++;
    }
    records++;
    offset += frameStride(frame.size);
  }
  const result = resultOf();
  result.slot = count;
  result.records = records;
  result.offset = offset;
  return status;
}

/**
 * Copies the live records among the frames of [offset, end) of a mapped segment to the stage, as unsealed frames of
 * kind `PutMeta` that keep their version, and lists them as `KeydirMove`s at `VALUES_OFFSET`. The table stays as it is,
 * and must until `keydirMoved`. Only what is copied has its checksum computed; a live frame whose key is damaged cannot
 * be told from a dead one, and stays in its segment's account.
 *
 * @param ordinal of the first frame in its segment
 * @param room bytes of the stage that may be filled
 * @param bytesMax ends when so many bytes of frames were looked at
 * @returns `Ok`; `Full` where the frame at `offset` is live and too large for an empty stage; or what is wrong with it.
 *   In the scratch area: `slot` how many were copied, `valueBytes` of the stage filled, `records` looked at, `offset`
 *   of the first that was not
 */
export function keydirCopy(
  dir: Keydir, number: u32, offset: u32, end: u32, ordinal: u32, room: u32, bytesMax: u32,
): Status {
  const view = changetype<SegmentView>(segmentAt(dir, number).view);
  const from = offset;
  const most = VALUES_BYTES / KEYDIR_MOVE_BYTES;
  let count: u32 = 0;
  let records: u32 = 0;
  let filled: u32 = 0;
  let near = offset;
  let status = Status.Ok;
  while (offset < end && count < most && offset - from < bytesMax) {
    if (offset >= near) near = touchFrames(dir, view.base, offset, end);
    const at = <usize>view.base + offset;
    const frame = changetype<Frame>(at);
    status = checkShape(at, end - offset);
    if (status == Status.Ok && frame.lsn != <u32>view.baseLsn + ordinal + records) status = Status.BadLsn;
    if (status != Status.Ok) break;
    const info = frame.info;
    const size = frame.size;
    const slot = isPut(at) ? slotOf(dir, hashOfFrame(dir, at, info), number, offset >> 3) : -1;
    if (slot >= 0) {
      if (frame.crc != frameCrc(at, size, view.salt)) {
        status = Status.BadCrc;
        break;
      }
      const isMeta = info >> INFO_KIND_SHIFT == Kind.PutMeta;
      const newSize = isMeta ? size : size + PUT_META_BYTES;
      const stride = frameStride(newSize);
      if (stride > room - filled) {
        if (count == 0) status = Status.Full;
        break;
      }
      const to = <usize>STAGE_OFFSET + filled;
      const head = FRAME_HEADER_BYTES + (info & INFO_KEY_MASK);
      memory.copy(to, at, head);
      const copy = changetype<Frame>(to);
      copy.size = newSize;
      copy.info = (Kind.PutMeta << INFO_KIND_SHIFT) | (info & INFO_KEY_MASK);
      const meta = changetype<PutMeta>(to + head);
      const own = view.baseLsn + (frame.lsn - <u32>view.baseLsn);
      if (isMeta) {
        memory.copy(to + head, at + head, size - head);
        if (meta.version == 0) meta.version = own;
      } else {
        meta.version = own;
        meta.expiresAt = 0;
        memory.copy(to + head + PUT_META_BYTES, at + head, size - head);
      }
      const move = changetype<KeydirMove>(<usize>VALUES_OFFSET + <usize>count * <usize>KEYDIR_MOVE_BYTES);
      move.slot = slot;
      move.staged = filled;
      move.offset = offset;
      move.stride = stride;
      filled += stride;
      count++;
    }
    records++;
    offset += frameStride(size);
  }
  const result = resultOf();
  result.slot = count;
  result.valueBytes = filled;
  result.records = records;
  result.offset = offset;
  return status;
}

/**
 * Points the entries of the `count` records that `keydirCopy` has listed at their copies, which were appended at
 * `offset` of the segment `to`.
 */
export function keydirMoved(dir: Keydir, from: u32, to: u32, offset: u32, count: u32): void {
  const source = segmentAt(dir, from);
  const target = segmentAt(dir, to);
  for (let i: u32 = 0; i < count; i++) {
    const move = changetype<KeydirMove>(<usize>VALUES_OFFSET + <usize>i * <usize>KEYDIR_MOVE_BYTES);
    const entry = entryAt(dir, move.slot);
    source.liveBytes -= (entry.size & KEYDIR_STRIDE_MASK) << 3;
    source.liveRecords--;
    entry.place = (offset + move.staged) >> 3;
    entry.size = (entry.size & ~KEYDIR_STRIDE_MASK) | (move.stride >> 3);
    entry.segment = to;
    target.liveBytes += move.stride;
    target.liveRecords++;
  }
}

if (KEYDIR_FLAGS_SHIFT != 24) ERROR('the flags stand above the stride');
