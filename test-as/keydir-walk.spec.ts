/**
 * Walking a segment with the table at hand, and copying its live records: what is listed, what the copies carry, and
 * that a batch of them is one of valid frames that the table then points at.
 */
import { FRAMES_OFFSET, Kind } from '../assembly/abi/limits';
import { KEY_OFFSET, STAGE_BYTES, STAGE_OFFSET, VALUES_OFFSET } from '../assembly/abi/memory';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { keydirApply } from '../assembly/keydir/apply';
import { keydirGet } from '../assembly/keydir/find';
import { keydirCopy, keydirMoved, keydirWalk } from '../assembly/keydir/walk';
import { Frame, frameStride } from '../assembly/layout/frame';
import { KeydirMove } from '../assembly/layout/keydir';
import { publishBatch, sealBatch } from '../assembly/record/append';
import { checkFrame } from '../assembly/record/frame';
import {
  SALT, add, addMeta, ask, baseOf, dir, found, fresh, guardsIntact, next, segmentOf, viewOf, wrongInAccounts,
  wrongInTable,
} from './support/keydir';
import { bodyByte, flip, referenceCrc } from './support/segment';

const KEY: u32 = 6;
const ALL: u32 = 0x7fffffff;
const RECORDS: i32 = 800;
/** Of each record of the segment its offset, and whether it is a put. */
const offsets = new StaticArray<u32>(RECORDS + 1);
const isPut = new StaticArray<bool>(RECORDS);
/** Of each key its version and when it expires, as they were put. */
const versions = new StaticArray<u64>(300);
const expiries = new StaticArray<u64>(300);

/** Fills segment 0 with puts of 300 keys, with tombstones and others between, and takes them in. */
function history(): void {
  fresh();
  let state: u32 = 2463534242;
  for (let i = 0; i < RECORDS; i++) {
    state = next(state);
    const key = state % 300;
    state = next(state);
    const lsn = viewOf(0).baseLsn + viewOf(0).records;
    isPut[i] = state % 5 > 1;
    if (state % 5 == 0) {
      versions[key] = 0;
      offsets[i] = add(0, Kind.Delete, key, KEY, 0);
    } else if (state % 5 == 1) {
      // Nothing that is said of the key: what was put before stays.
      offsets[i] = add(0, Kind.Raw, key, KEY, state % 3);
    } else if (state % 5 == 2) {
      versions[key] = state % 2 == 0 ? 1 + key : lsn;
      expiries[key] = state % 3 == 0 ? 0 : <u64>1 << 40 | key;
      offsets[i] = addMeta(0, key, KEY, state % 60, state % 2 == 0 ? versions[key] : 0, expiries[key]);
    } else {
      versions[key] = lsn;
      expiries[key] = 0;
      offsets[i] = add(0, Kind.Put, key, KEY, state % 100);
    }
  }
  offsets[RECORDS] = viewOf(0).dataEnd;
  let offset: u32 = FRAMES_OFFSET;
  while (offset < viewOf(0).dataEnd) {
    keydirApply(dir, 0, offset, viewOf(0).dataEnd, 0, false);
    offset = found.offset;
  }
}

/** Whether the table points at the record at `offset` of segment 0. */
function isLive(offset: u32): bool {
  const frame = changetype<Frame>(baseOf(0) + offset);
  memory.copy(KEY_OFFSET, baseOf(0) + offset + 24, KEY);
  return keydirGet(dir, frame.info & 0x1ffff, true) == Status.Ok && found.segment == 0
    && found.valueAt == <u32>baseOf(0) + offset + 24 + KEY + (frame.info >> 24 == Kind.PutMeta ? 16 : 0);
}

function listedAt(index: i32): u32 {
  return load<u32>(<usize>VALUES_OFFSET + (<usize>index << 2));
}

function moveAt(index: i32): KeydirMove {
  return changetype<KeydirMove>(<usize>VALUES_OFFSET + (<usize>index << 4));
}

/** Writes what stands on the stage to the end of segment 1, as one batch, and points the table at it. */
function settle(count: u32, filled: u32): void {
  const view = viewOf(1);
  const offset = view.dataEnd;
  sealBatch(view, STAGE_OFFSET, count);
  memory.copy(<usize>view.base + offset, STAGE_OFFSET, filled);
  publishBatch(view, count, offset + filled);
  keydirMoved(dir, 0, 1, offset, count);
}

crcInit();

describe('keydirWalk', () => {
  it('lists the puts in order, and which of them are live', () => {
    history();
    expect(keydirWalk(dir, 0, FRAMES_OFFSET, viewOf(0).dataEnd, 0, ALL, 0)).toBe(Status.Ok);
    expect(found.records).toBe(RECORDS);
    expect(found.offset).toBe(viewOf(0).dataEnd);
    const listed = <i32>found.slot;
    let wrong = 0;
    let live: u32 = 0;
    let index = 0;
    for (let i = 0; i < RECORDS; i++) {
      if (!isPut[i]) continue;
      const expected = offsets[i] | <u32>isLive(offsets[i]);
      if (listedAt(index++) != expected) wrong++;
      live += expected & 1;
    }
    expect(wrong).toBe(0);
    expect(index).toBe(listed);
    expect(live).toBe(dir.count);
    expect(live).toBeGreaterThan(100);
  });

  it('ends before the bytes that it may look at, but takes one record at least', () => {
    history();
    let wrong = 0;
    for (let bytes: u32 = 0; bytes < 400; bytes += 8) {
      let at = 0;
      let steps = 0;
      while (at < RECORDS && steps++ < 100) {
        let count = 1;
        while (at + count < RECORDS && offsets[at + count + 1] - offsets[at] <= bytes) count++;
        const status = keydirWalk(dir, 0, offsets[at], viewOf(0).dataEnd, at, bytes, 0);
        if (status != Status.Ok || found.records != count || found.offset != offsets[at + count]) wrong++;
        at += count;
      }
    }
    expect(wrong).toBe(0);
  });

  it('lists only keys that begin with the prefix', () => {
    history();
    let some = 50;
    while (!isPut[some]) some++;
    for (let prefix: u32 = 0; prefix <= KEY + 2; prefix++) {
      memory.copy(KEY_OFFSET, baseOf(0) + offsets[some] + 24, KEY + 2);
      expect(keydirWalk(dir, 0, FRAMES_OFFSET, viewOf(0).dataEnd, 0, ALL, prefix)).toBe(Status.Ok);
      let expected: u32 = 0;
      for (let i = 0; i < RECORDS && prefix <= KEY; i++) {
        if (isPut[i] && memory.compare(baseOf(0) + offsets[i] + 24, KEY_OFFSET, prefix) == 0) expected++;
      }
      expect(found.slot).toBe(expected);
      expect(prefix > KEY || expected > 0).toBe(true);
    }
  });

  it('ends at a damaged record, with what stands in front of it', () => {
    history();
    let wrong = 0;
    for (let bad = 0; bad < RECORDS; bad += 13) {
      flip(baseOf(0) + offsets[bad], 5 + bad % 200);
      const status = keydirWalk(dir, 0, FRAMES_OFFSET, viewOf(0).dataEnd, 0, ALL, 0);
      if (status == Status.Ok || found.records != bad || found.offset != offsets[bad]) wrong++;
      flip(baseOf(0) + offsets[bad], 5 + bad % 200);
    }
    expect(wrong).toBe(0);
  });
});

describe('keydirCopy', () => {
  it('copies no damaged record: it ends there, passes over it, or takes it for a dead one', () => {
    history();
    let wrong = 0;
    let ended = 0;
    for (let bad = 0; bad < RECORDS; bad += 13) {
      flip(baseOf(0) + offsets[bad], 5 + bad % 200);
      const status = keydirCopy(dir, 0, FRAMES_OFFSET, viewOf(0).dataEnd, 0, STAGE_BYTES, ALL);
      ended += <i32>(status != Status.Ok);
      for (let i = 0; i < <i32>found.slot; i++) if (moveAt(i).offset == offsets[bad]) wrong++;
      flip(baseOf(0) + offsets[bad], 5 + bad % 200);
    }
    expect(wrong).toBe(0);
    expect(ended).toBeGreaterThan(0);
  });

  it('copies the live records with version and expiry; moved, each key is found at its copy', () => {
    history();
    const live = dir.count;
    expect(keydirCopy(dir, 0, FRAMES_OFFSET, viewOf(0).dataEnd, 0, STAGE_BYTES, ALL)).toBe(Status.Ok);
    expect(found.records).toBe(RECORDS);
    expect(found.slot).toBe(live);
    const filled = found.valueBytes;
    let wrong = 0;
    let staged: u32 = 0;
    for (let i = 0; i < <i32>live; i++) {
      const move = moveAt(i);
      const size = changetype<Frame>(<usize>STAGE_OFFSET + staged).size;
      if (move.staged != staged || move.stride != frameStride(size)) wrong++;
      staged += move.stride;
    }
    expect(staged).toBe(filled);
    settle(live, filled);
    expect(segmentOf(0).liveRecords).toBe(0);
    expect(segmentOf(0).liveBytes).toBe(0);
    expect(segmentOf(1).liveRecords).toBe(live);
    wrong += wrongInTable() + wrongInAccounts();
    let present: u32 = 0;
    for (let key: u32 = 0; key < 300; key++) {
      const status = keydirGet(dir, ask(key, KEY), true);
      if (status == Status.Absent && versions[key] == 0) continue;
      present++;
      if (status != Status.Ok || found.segment != 1) wrong++;
      if (found.version != <f64>versions[key] || found.expiresAt != <f64>expiries[key]) wrong++;
    }
    expect(wrong).toBe(0);
    expect(present).toBe(live);
    expect(guardsIntact(0) && guardsIntact(1)).toBe(true);
  });

  it('makes valid frames, whose values are those of their records', () => {
    history();
    keydirCopy(dir, 0, FRAMES_OFFSET, viewOf(0).dataEnd, 0, STAGE_BYTES, ALL);
    const count = found.slot;
    const filled = found.valueBytes;
    const sources = new StaticArray<u32>(<i32>count);
    for (let i = 0; i < <i32>count; i++) sources[i] = moveAt(i).offset;
    settle(count, filled);
    let wrong = 0;
    let offset: u32 = FRAMES_OFFSET;
    for (let i: u32 = 0; i < count; i++) {
      const at = baseOf(1) + offset;
      const frame = changetype<Frame>(at);
      const lsn = <u32>viewOf(1).baseLsn + i;
      if (checkFrame(at, viewOf(1).dataEnd - offset, lsn, SALT + 1) != Status.Ok) wrong++;
      if (frame.crc != referenceCrc(SALT + 1, at + 4, frame.size - 4)) wrong++;
      // One batch: every frame but the last says that more follow.
      if ((frame.info >> 17 & 1) != <u32>(i + 1 < count) || frame.info >> 24 != Kind.PutMeta) wrong++;
      const source = changetype<Frame>(baseOf(0) + sources[i]);
      const from = changetype<usize>(source) + 24 + KEY + (source.info >> 24 == Kind.PutMeta ? 16 : 0);
      const bytes = frame.size - 24 - KEY - 16;
      if (changetype<usize>(source) + source.size - from != bytes) wrong++;
      if (memory.compare(at + 24 + KEY + 16, from, bytes) != 0) wrong++;
      const ordinal = source.lsn - <u32>viewOf(0).baseLsn;
      if (bytes > 0 && load<u8>(at + 24 + KEY + 16) != bodyByte(viewOf(0).baseLsn + ordinal, 0)) wrong++;
      offset += frameStride(frame.size);
    }
    expect(wrong).toBe(0);
    expect(offset).toBe(viewOf(1).dataEnd);
  });

  it('goes on where the stage was full, and keeps the versions of copies of copies', () => {
    history();
    const live = dir.count;
    let offset: u32 = FRAMES_OFFSET;
    let ordinal: u32 = 0;
    let rounds = 0;
    let copied: u32 = 0;
    let wrong = 0;
    while (offset < viewOf(0).dataEnd && rounds++ < 1000) {
      if (keydirCopy(dir, 0, offset, viewOf(0).dataEnd, ordinal, 1000, 4000) != Status.Ok) wrong++;
      offset = found.offset;
      ordinal += found.records;
      const count = found.slot;
      const filled = found.valueBytes;
      if (filled > 1000) wrong++;
      copied += count;
      if (count > 0) settle(count, filled);
    }
    expect(copied).toBe(live);
    expect(rounds).toBeGreaterThan(10);
    for (let key: u32 = 0; key < 300; key++) {
      if (keydirGet(dir, ask(key, KEY), true) == Status.Absent) continue;
      if (found.version != <f64>versions[key] || found.expiresAt != <f64>expiries[key]) wrong++;
    }
    expect(wrong + wrongInTable() + wrongInAccounts()).toBe(0);
    // A copy of the copies, from segment 1 to the stage: the same versions again.
    expect(keydirCopy(dir, 1, FRAMES_OFFSET, viewOf(1).dataEnd, 0, STAGE_BYTES, ALL)).toBe(Status.Ok);
    expect(found.slot).toBe(live);
    expect(memory.compare(<usize>STAGE_OFFSET + 24, baseOf(1) + FRAMES_OFFSET + 24, KEY + 16)).toBe(0);
  });

  it('is Full at a live record that is too large for the stage, and passes one that is not live', () => {
    fresh();
    const dead = add(0, Kind.Put, 1, KEY, 500);
    const large = add(0, Kind.Put, 1, KEY, 500);
    keydirApply(dir, 0, dead, viewOf(0).dataEnd, 0, false);
    expect(keydirCopy(dir, 0, dead, viewOf(0).dataEnd, 0, 512, ALL)).toBe(Status.Full);
    expect(found.records).toBe(1);
    expect(found.offset).toBe(large);
    expect(found.slot).toBe(0);
    // 24 + 6 + 16 + 500, with padding.
    expect(keydirCopy(dir, 0, large, viewOf(0).dataEnd, 1, 552, ALL)).toBe(Status.Ok);
    expect(found.valueBytes).toBe(552);
    expect(keydirCopy(dir, 0, large, viewOf(0).dataEnd, 1, 544, ALL)).toBe(Status.Full);
  });
});
