/**
 * Finding a key: its hash in the table, then the key itself in the mapped frame, and for a get the whole frame's
 * checksum.
 *
 * Nothing behind the known end of a segment is touched. A frame whose key differs although its hash does not is
 * checked: where it is damaged nobody knows whose it is, and a search that finds no other record of the key ends with
 * that.
 */
import { Kind, PUT_META_BYTES } from '../abi/limits';
import { KEY_OFFSET, SCRATCH_OFFSET } from '../abi/memory';
import { Status } from '../abi/status';
import { FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, INFO_KIND_SHIFT, frameStride } from '../layout/frame';
import {
  KEYDIR_STRIDE_MASK, Keydir, KeydirEntry, KeydirResult, KeydirSegment, KeydirSegmentFlag, PutMeta,
} from '../layout/keydir';
import { SegmentView } from '../layout/view';
import { checkFrame } from '../record/frame';
import { hashKey } from './hash';
import { entryAt, homeOf, touch } from './table';

const SEGMENT_SHIFT: usize = 4;
/** Records whose homes in the table are loaded before the first of them is taken in. */
export const AHEAD: u32 = 16;
const NO_MATCH: i32 = 1;

/** What is known of the segment of a number. */
@inline
export function segmentAt(dir: Keydir, number: u32): KeydirSegment {
  return changetype<KeydirSegment>(<usize>dir.segments + (<usize>number << SEGMENT_SHIFT));
}

@inline
export function resultOf(): KeydirResult {
  return changetype<KeydirResult>(SCRATCH_OFFSET);
}

/** The hash of the key of a frame. */
@inline
export function hashOfFrame(dir: Keydir, at: usize, info: u32): u32 {
  return hashKey(dir.seedLow, dir.seedHigh, at + FRAME_HEADER_BYTES, info & INFO_KEY_MASK);
}

@inline
function sameBytes(a: usize, b: usize, length: u32): bool {
  const end = a + length;
  while (a + 8 <= end) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
  }
  while (a < end) {
    if (load<u8>(a) != load<u8>(b)) return false;
    a++;
    b++;
  }
  return true;
}

/** Whether an entry is that of the key: `Ok`, `NO_MATCH`, `Unmapped`, or what is wrong with its frame. */
function match(dir: Keydir, entry: KeydirEntry, keyAt: usize, keyBytes: u32): i32 {
  const result = resultOf();
  result.segment = entry.segment;
  result.offset = entry.place << 3;
  const viewAt = segmentAt(dir, entry.segment).view;
  if (viewAt == 0) return Status.Unmapped;
  const view = changetype<SegmentView>(viewAt);
  const offset = entry.place << 3;
  if (offset + ((entry.size & KEYDIR_STRIDE_MASK) << 3) > view.dataEnd) return Status.Truncated;
  const at = <usize>view.base + offset;
  const info = changetype<Frame>(at).info;
  // The key lies within the frame: its length fits into the stride, or is not that of the key.
  const fits = FRAME_HEADER_BYTES + keyBytes <= (entry.size & KEYDIR_STRIDE_MASK) << 3;
  const isOfLength = fits && (info & INFO_KEY_MASK) == keyBytes;
  if (isOfLength && sameBytes(at + FRAME_HEADER_BYTES, keyAt, keyBytes)) return Status.Ok;
  const status = checkFrame(at, view.dataEnd - offset, changetype<Frame>(at).lsn, view.salt);
  return status == Status.Ok ? NO_MATCH : status;
}

/**
 * Finds the entry of a key.
 *
 * @returns its slot; `Absent`; `Unmapped`; or what is wrong with a frame that may be the key's, where no other one is.
 *   In the scratch area: `slot`, for `Absent` the one where the entry is to be inserted; `segment` and `offset` of the
 *   frame
 */
export function find(dir: Keydir, hash: u32, keyAt: usize, keyBytes: u32): i32 {
  let slot = homeOf(dir, hash);
  const room = dir.room;
  let damage: i32 = Status.Ok;
  let damaged: u32 = 0;
  while (slot < room) {
    const entry = entryAt(dir, slot);
    const word = load<u64>(changetype<usize>(entry));
    const other = <u32>word;
    if (word >> 32 == 0 || other > hash) break;
    if (other == hash) {
      const status = match(dir, entry, keyAt, keyBytes);
      if (status == Status.Ok || status == Status.Unmapped) {
        resultOf().slot = slot;
        return status == Status.Ok ? <i32>slot : status;
      }
      if (status != NO_MATCH && damage == Status.Ok) {
        damage = status;
        damaged = slot;
      }
    }
    slot++;
  }
  const result = resultOf();
  if (damage != Status.Ok) {
    const entry = entryAt(dir, damaged);
    result.segment = entry.segment;
    result.offset = entry.place << 3;
    slot = damaged;
  }
  result.slot = slot;
  return damage != Status.Ok ? damage : Status.Absent;
}

/** The slot of the entry that points at a frame, or -1. */
export function slotOf(dir: Keydir, hash: u32, segment: u32, place: u32): i32 {
  const room = dir.room;
  for (let slot = homeOf(dir, hash); slot < room; slot++) {
    const entry = entryAt(dir, slot);
    if (entry.place == 0 || entry.hash > hash) break;
    if (entry.hash == hash && entry.place == place && entry.segment == segment) return <i32>slot;
  }
  return -1;
}

/**
 * Whether an entry points at the record at `offset` of a segment; the number of a segment is given anew, so there may
 * be another record by now, the midst of one, or nothing. A record whose key is damaged cannot be found.
 *
 * @returns 1, 0, or `Unmapped`
 */
export function keydirHolds(dir: Keydir, number: u32, offset: u32): i32 {
  const viewAt = segmentAt(dir, number).view;
  if (viewAt == 0) return Status.Unmapped;
  const view = changetype<SegmentView>(viewAt);
  if (offset > view.dataEnd || view.dataEnd - offset < FRAME_HEADER_BYTES) return 0;
  const at = <usize>view.base + offset;
  const info = changetype<Frame>(at).info;
  if ((info & INFO_KEY_MASK) > view.dataEnd - offset - FRAME_HEADER_BYTES) return 0;
  return slotOf(dir, hashOfFrame(dir, at, info), number, offset >> 3) < 0 ? 0 : 1;
}

/** Leaves what a frame says of its value in the scratch area. */
@inline
export function describe(view: SegmentView, at: usize): void {
  const frame = changetype<Frame>(at);
  const result = resultOf();
  const info = frame.info;
  const body = FRAME_HEADER_BYTES + (info & INFO_KEY_MASK);
  let valueAt = at + body;
  let valueBytes = frame.size - body;
  const lsn = <f64>(view.baseLsn + (frame.lsn - <u32>view.baseLsn));
  let version = lsn;
  let expiresAt: f64 = 0;
  if (info >> INFO_KIND_SHIFT == Kind.PutMeta) {
    const meta = changetype<PutMeta>(valueAt);
    if (meta.version != 0) version = <f64>meta.version;
    expiresAt = <f64>meta.expiresAt;
    valueAt += PUT_META_BYTES;
    valueBytes -= PUT_META_BYTES;
  }
  result.valueAt = <u32>valueAt;
  result.valueBytes = valueBytes;
  result.info = info;
  result.stride = frameStride(frame.size);
  result.lsn = lsn;
  result.version = version;
  result.expiresAt = expiresAt;
}

/** Whether the frame is one that gives a key a value, and long enough for it. Reads its header alone. */
@inline
export function isPut(at: usize): bool {
  const frame = changetype<Frame>(at);
  const info = frame.info;
  const kind = info >> INFO_KIND_SHIFT;
  const least = FRAME_HEADER_BYTES + (info & INFO_KEY_MASK);
  return kind == Kind.Put ? frame.size >= least : kind == Kind.PutMeta && frame.size >= least + PUT_META_BYTES;
}

/**
 * Finds the record of the key at `KEY_OFFSET` and checks it: checksum, kind, key and length.
 *
 * @param check whether the checksum is computed; without it a value must not be believed
 * @returns `Ok`, `Absent`, `Unmapped`, or what is wrong with the record. In the scratch area: `KeydirResult`
 */
export function keydirGet(dir: Keydir, keyBytes: u32, check: bool): Status {
  const slot = find(dir, hashKey(dir.seedLow, dir.seedHigh, KEY_OFFSET, keyBytes), KEY_OFFSET, keyBytes);
  if (slot < 0) return slot;
  const entry = entryAt(dir, slot);
  const segment = segmentAt(dir, entry.segment);
  segment.flags |= KeydirSegmentFlag.Used;
  const view = changetype<SegmentView>(segment.view);
  const offset = entry.place << 3;
  const at = <usize>view.base + offset;
  const frame = changetype<Frame>(at);
  if (check) {
    const status = checkFrame(at, view.dataEnd - offset, frame.lsn, view.salt);
    if (status != Status.Ok) return status;
  }
  if (!isPut(at) || frameStride(frame.size) != (entry.size & KEYDIR_STRIDE_MASK) << 3) return Status.BadSize;
  describe(view, at);
  return Status.Ok;
}

/** Loads the homes of the next frames of [offset, end); returns where those that it has not looked at begin. */
export function touchFrames(dir: Keydir, base: usize, offset: u32, end: u32): u32 {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < AHEAD && end - offset >= FRAME_HEADER_BYTES; i++) {
    const frame = changetype<Frame>(base + offset);
    const size = frame.size;
    const info = frame.info;
    // The run itself says what is wrong with a frame.
    if (size < FRAME_HEADER_BYTES || size > end - offset) return end;
    if ((info & INFO_KEY_MASK) > size - FRAME_HEADER_BYTES) return end;
    sum += touch(dir, hashOfFrame(dir, changetype<usize>(frame), info));
    offset += frameStride(size);
  }
  // A load whose value nobody uses might be left out.
  resultOf().slot = sum;
  return offset;
}
