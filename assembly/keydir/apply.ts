/**
 * Taking records into the table: frames that were committed, whoever wrote them, or the entries of a hint file. A put,
 * a batch, a replay after a crash and a reader that catches up are all the same.
 *
 * A run ends early where the host has to do something, with a status that says what, and is then gone on with; what was
 * taken before stays taken, and nothing is taken twice.
 */
import { FRAMES_OFFSET, Kind } from '../abi/limits';
import { VALUES_BYTES, VALUES_OFFSET } from '../abi/memory';
import { Status } from '../abi/status';
import { FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, INFO_KIND_SHIFT, frameStride } from '../layout/frame';
import {
  HintEntry, KEYDIR_FLAGS_SHIFT, KEYDIR_HINT_BYTES, KEYDIR_NO_SEGMENT, KEYDIR_STRIDE_MASK, Keydir, KeydirEntry,
  KeydirFlag, KeydirSegmentFlag, PutMeta,
} from '../layout/keydir';
import { SegmentView } from '../layout/view';
import { checkFrame } from '../record/frame';
import { AHEAD, describe, find, hashOfFrame, isPut, resultOf, segmentAt, slotOf, touchFrames } from './find';
import { entryAt, insertAt, prepare, removeAt, touch } from './table';

/** Bytes of a run from which on that is worth while. */
const RUN_BYTES: u32 = 512;

/** Takes the record of an entry out of its segment's account. */
@inline
function forget(dir: Keydir, entry: KeydirEntry): void {
  const segment = segmentAt(dir, entry.segment);
  segment.liveBytes -= (entry.size & KEYDIR_STRIDE_MASK) << 3;
  segment.liveRecords--;
  const result = resultOf();
  result.oldSegment = entry.segment;
  result.oldOffset = entry.place << 3;
}

/**
 * Finds the entry that a frame takes the place of, as `find` does. A hint may give the hash of a frame whose key is
 * damaged now: it is taken for that of the key that has the same hash, which must not stay what it was before.
 */
function findFor(dir: Keydir, hash: u32, at: usize, keyBytes: u32, number: u32): i32 {
  const found = find(dir, hash, at + FRAME_HEADER_BYTES, keyBytes);
  if (found != Status.Absent) return found;
  // Entries of one hash stand before the slot where the next one would be inserted.
  const slot = resultOf().slot;
  if (slot == 0) return found;
  const entry = entryAt(dir, slot - 1);
  if (entry.place == 0 || entry.hash != hash) return found;
  const view = changetype<SegmentView>(segmentAt(dir, number).view);
  const room = view.dataEnd - <u32>(at - <usize>view.base);
  if (checkFrame(at, room, changetype<Frame>(at).lsn, view.salt) == Status.Ok) return found;
  resultOf().slot = slot - 1;
  return <i32>slot - 1;
}

/** Takes one put in. Where the frame of the old record is damaged, it counts as the key's: its hash is the same. */
function put(dir: Keydir, hash: u32, at: usize, keyBytes: u32, place: u32, size: u32, number: u32): Status {
  // A key that is known needs no room.
  const ready = prepare(dir);
  const slot = findFor(dir, hash, at, keyBytes, number);
  if (slot == Status.Unmapped) return Status.Unmapped;
  if (slot == Status.Absent) {
    if (ready != Status.Ok) return ready;
    const status = insertAt(dir, resultOf().slot, hash, place, size, number);
    if (status != Status.Ok) return status;
  } else {
    const entry = entryAt(dir, resultOf().slot);
    forget(dir, entry);
    entry.place = place;
    entry.size = size;
    entry.segment = number;
  }
  const segment = segmentAt(dir, number);
  segment.liveBytes += (size & KEYDIR_STRIDE_MASK) << 3;
  segment.liveRecords++;
  return Status.Ok;
}

/** Takes one tombstone in. */
function remove(dir: Keydir, hash: u32, at: usize, keyBytes: u32, number: u32): Status {
  const slot = findFor(dir, hash, at, keyBytes, number);
  if (slot == Status.Absent) return Status.Ok;
  if (slot == Status.Unmapped) return Status.Unmapped;
  const known = resultOf().slot;
  forget(dir, entryAt(dir, known));
  removeAt(dir, known);
  return Status.Ok;
}

/** The size word of the entry of a frame that is a put. */
@inline
function sizeWord(at: usize): u32 {
  const frame = changetype<Frame>(at);
  const size = frameStride(frame.size) >> 3;
  const info = frame.info;
  if (info >> INFO_KIND_SHIFT != Kind.PutMeta) return size;
  const meta = changetype<PutMeta>(at + FRAME_HEADER_BYTES + (info & INFO_KEY_MASK));
  return meta.expiresAt == 0 ? size : size | (KeydirFlag.Expires << KEYDIR_FLAGS_SHIFT);
}

/** Loads the homes of `count` hints. */
function touchHints(dir: Keydir, at: usize, count: u32): void {
  let sum: u32 = 0;
  const end = at + <usize>count * <usize>KEYDIR_HINT_BYTES;
  for (; at < end; at += KEYDIR_HINT_BYTES) sum += touch(dir, changetype<HintEntry>(at).hash);
  resultOf().slot = sum;
}

/**
 * Takes the frames of [offset, end) of a mapped segment into the table.
 *
 * @param ordinal of the first frame in its segment; with `check` alone
 * @param check whether each frame is checked first, as one that nobody vouches for
 * @returns `Ok`; `Unmapped` (`segment`), `Full`, `Clear`, or what is wrong with the frame at `offset`, which was not
 *   taken; `Expires`, taken: `offset` is just past it, `stride` and `expiresAt` are its. In the scratch area: `records`
 *   taken or passed over, `offset` of the first one that was not, and of a single put the record that it replaced
 */
export function keydirApply(dir: Keydir, number: u32, offset: u32, end: u32, ordinal: u32, check: bool): Status {
  const view = changetype<SegmentView>(segmentAt(dir, number).view);
  const result = resultOf();
  result.oldSegment = KEYDIR_NO_SEGMENT;
  let records: u32 = 0;
  let status = Status.Ok;
  // A single record has nothing to wait for beside it.
  let touched = end - offset >= RUN_BYTES ? offset : end;
  while (offset < end) {
    const at = <usize>view.base + offset;
    const frame = changetype<Frame>(at);
    if (offset >= touched) touched = touchFrames(dir, <usize>view.base, offset, end);
    if (check) status = checkFrame(at, end - offset, <u32>view.baseLsn + ordinal + records, view.salt);
    const size = frame.size;
    if (status == Status.Ok && (size < FRAME_HEADER_BYTES || size > end - offset)) status = Status.BadSize;
    if (status != Status.Ok) break;
    const info = frame.info;
    const keyBytes = info & INFO_KEY_MASK;
    const kind = info >> INFO_KIND_SHIFT;
    let expires = false;
    if (keyBytes > size - FRAME_HEADER_BYTES) status = Status.BadSize;
    else if (isPut(at)) {
      const word = sizeWord(at);
      status = put(dir, hashOfFrame(dir, at, info), at, keyBytes, offset >> 3, word, number);
      expires = word >> KEYDIR_FLAGS_SHIFT != 0;
    } else if (kind == Kind.Delete) status = remove(dir, hashOfFrame(dir, at, info), at, keyBytes, number);
    else if (kind == Kind.Clear) status = Status.Clear;
    if (status != Status.Ok) break;
    records++;
    offset += frameStride(size);
    if (expires) {
      describe(view, at);
      status = Status.Expires;
      break;
    }
  }
  result.records = records;
  // What is to be mapped stands in `segment`.
  result.offset = offset;
  return status;
}

/** Whether a frame is the put that a hint speaks of, so that what it says of its value may be read. */
@inline
function agrees(at: usize, hint: HintEntry): bool {
  const frame = changetype<Frame>(at);
  const stride = (hint.size & KEYDIR_STRIDE_MASK) << 3;
  return frame.info == hint.info && frameStride(frame.size) == stride && isPut(at) && sizeWord(at) == hint.size;
}

/**
 * Takes in a damaged frame whose place is known, whatever it was: the key that it names now leads to it, so that its
 * gets tell of the damage instead of giving what was there before.
 *
 * @param stride from the beginning of the frame to that of the next one
 * @returns `Ok`; `BadSize` where no key lies in it, or where it leads out of the segment; `Unmapped` (`segment`) or
 *   `Full`, and then nothing was taken
 */
export function keydirApplyDamaged(dir: Keydir, number: u32, offset: u32, stride: u32): Status {
  const view = changetype<SegmentView>(segmentAt(dir, number).view);
  if (offset > view.dataEnd || stride > view.dataEnd - offset) return Status.BadSize;
  if (stride < FRAME_HEADER_BYTES || stride >> 3 > KEYDIR_STRIDE_MASK) return Status.BadSize;
  const at = <usize>view.base + offset;
  const info = changetype<Frame>(at).info;
  const keyBytes = info & INFO_KEY_MASK;
  if (keyBytes == 0 || FRAME_HEADER_BYTES + keyBytes > stride) return Status.BadSize;
  return put(dir, hashOfFrame(dir, at, info), at, keyBytes, offset >> 3, stride >> 3, number);
}

/**
 * Takes the entries of a hint file into the table.
 *
 * They must not stand in the scratch area: the table needs it while it grows.
 *
 * @param at address of the first entry
 * @param count how many
 * @returns as `keydirApply`; `records` counts entries. An entry that leads out of the segment, or that says that a
 *   record expires where there is none of this size and key, ends the run with `BadSize`
 */
export function keydirApplyHints(dir: Keydir, number: u32, at: usize, count: u32): Status {
  const view = changetype<SegmentView>(segmentAt(dir, number).view);
  const result = resultOf();
  result.oldSegment = KEYDIR_NO_SEGMENT;
  let records: u32 = 0;
  let status = Status.Ok;
  while (records < count) {
    if (records % AHEAD == 0) {
      touchHints(dir, at + <usize>records * <usize>KEYDIR_HINT_BYTES, min(AHEAD, count - records));
    }
    const hint = changetype<HintEntry>(at + <usize>records * <usize>KEYDIR_HINT_BYTES);
    const offset = hint.place << 3;
    const frameAt = <usize>view.base + offset;
    const keyBytes = hint.info & INFO_KEY_MASK;
    const kind = hint.info >> INFO_KIND_SHIFT;
    const stride = (hint.size & KEYDIR_STRIDE_MASK) << 3;
    const expires = hint.size >> KEYDIR_FLAGS_SHIFT != 0;
    // The place is compared before it is shifted, so that none of its bits are lost.
    if (hint.place < FRAMES_OFFSET >> 3 || hint.place > view.dataEnd >> 3 || stride > view.dataEnd - offset
      || keyBytes + FRAME_HEADER_BYTES > stride || (expires && !agrees(frameAt, hint))) {
      result.offset = offset;
      status = Status.BadSize;
      break;
    }
    if (kind == Kind.Clear) status = Status.Clear;
    else if (kind == Kind.Delete) status = remove(dir, hint.hash, frameAt, keyBytes, number);
    else status = put(dir, hint.hash, frameAt, keyBytes, hint.place, hint.size, number);
    if (status != Status.Ok) {
      result.offset = offset;
      break;
    }
    records++;
    if (expires) {
      describe(view, frameAt);
      status = Status.Expires;
      result.offset = offset + stride;
      break;
    }
  }
  result.records = records;
  return status;
}

/**
 * Lists the frames of [offset, end) of a mapped segment as hint entries, at `VALUES_OFFSET`, as many as there is room
 * for.
 *
 * @returns how many. In the scratch area: `offset` of the first frame that was not looked at, `records` looked at.
 *   A frame that cannot be one ends the list before `end`
 */
export function keydirHints(dir: Keydir, number: u32, offset: u32, end: u32): u32 {
  const view = changetype<SegmentView>(segmentAt(dir, number).view);
  const most = VALUES_BYTES / KEYDIR_HINT_BYTES;
  let count: u32 = 0;
  let records: u32 = 0;
  while (offset < end && end - offset >= FRAME_HEADER_BYTES && count < most) {
    const at = <usize>view.base + offset;
    const frame = changetype<Frame>(at);
    const size = frame.size;
    const info = frame.info;
    if (size < FRAME_HEADER_BYTES || size > end - offset || (info & INFO_KEY_MASK) > size - FRAME_HEADER_BYTES) break;
    const kind = info >> INFO_KIND_SHIFT;
    if (isPut(at) || kind == Kind.Delete || kind == Kind.Clear) {
      const hint = changetype<HintEntry>(<usize>VALUES_OFFSET + <usize>count * <usize>KEYDIR_HINT_BYTES);
      hint.hash = kind == Kind.Clear ? 0 : hashOfFrame(dir, at, info);
      hint.place = offset >> 3;
      hint.size = isPut(at) ? sizeWord(at) : frameStride(size) >> 3;
      hint.info = info;
      count++;
    }
    records++;
    offset += frameStride(size);
  }
  const result = resultOf();
  result.offset = offset;
  result.records = records;
  return count;
}

/**
 * Removes the entry that points at a record that expires at `expiresAt`, if there is one. The number of a segment is
 * given anew: where the record was there may be another one by now, the midst of one, or nothing. A damaged one stays,
 * so that gets tell of it: nobody knows when it was to expire.
 *
 * @returns 1 where there was one, 0 where not or where the frame is damaged and so cannot be told, or `Unmapped`
 */
export function keydirExpire(dir: Keydir, number: u32, offset: u32, expiresAt: f64): i32 {
  const viewAt = segmentAt(dir, number).view;
  if (viewAt == 0) return Status.Unmapped;
  const view = changetype<SegmentView>(viewAt);
  if (offset > view.dataEnd || view.dataEnd - offset < FRAME_HEADER_BYTES) return 0;
  const at = <usize>view.base + offset;
  if (checkFrame(at, view.dataEnd - offset, changetype<Frame>(at).lsn, view.salt) != Status.Ok) return 0;
  const slot = slotOf(dir, hashOfFrame(dir, at, changetype<Frame>(at).info), number, offset >> 3);
  if (slot < 0) return 0;
  describe(view, at);
  if (resultOf().expiresAt != expiresAt) return 0;
  forget(dir, entryAt(dir, slot));
  removeAt(dir, slot);
  return 1;
}

/** Removes the entries whose segments were dropped; returns how many they were. */
export function keydirPurge(dir: Keydir): u32 {
  let purged: u32 = 0;
  for (let slot = dir.room; slot > 0; slot--) {
    const entry = entryAt(dir, slot - 1);
    if (entry.place == 0 || (segmentAt(dir, entry.segment).flags & KeydirSegmentFlag.Dropped) == 0) continue;
    removeAt(dir, slot - 1);
    purged++;
  }
  return purged;
}
