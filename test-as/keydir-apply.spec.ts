/**
 * Taking records into the table: frames, hints, expiry, dropped segments; and the accounts of segments.
 */
import { FRAMES_OFFSET, Kind } from '../assembly/abi/limits';
import { VALUES_OFFSET } from '../assembly/abi/memory';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { keydirApplyHints, keydirExpire, keydirHints, keydirPurge } from '../assembly/keydir/apply';
import { Frame } from '../assembly/layout/frame';
import { HintEntry, KEYDIR_NO_SEGMENT, KeydirSegmentFlag } from '../assembly/layout/keydir';
import {
  KEY, PAIRS, add, addMeta, baseOf, dir, enlarge, found, fresh, freshTable, get, guardsIntact, isAt, mount, next, put,
  remove, segmentOf, take, unmount, viewOf, wrongInAccounts, wrongInTable,
} from './support/keydir';

const KEYS: i32 = 600;
/** Of each key the offset of its newest put, with its segment's number in bit 0; 0 where it is absent. */
const newest = new StaticArray<u32>(KEYS);
/** A copy of hints, which may not stand where they are listed. */
const hints = new StaticArray<u8>(131072);
const hintsAt = changetype<usize>(hints);

/** Writes a few thousand records of `KEYS` keys into both segments, and remembers what each one's newest is. */
function history(): void {
  let state: u32 = 88172645;
  memory.fill(changetype<usize>(newest), 0, KEYS << 2);
  for (let number: u32 = 0; number < 2; number++) {
    for (let i = 0; i < 1500; i++) {
      state = next(state);
      const key = <i32>(state % KEYS);
      state = next(state);
      if (state % 4 == 0) {
        add(number, Kind.Delete, key, KEY, 0);
        newest[key] = 0;
      } else if (state % 16 == 1) {
        add(number, Kind.Raw, key, KEY, 4);
      } else if (state % 16 == 2) {
        newest[key] = addMeta(number, key, KEY, state % 50, 77, 0) | number;
      } else {
        newest[key] = add(number, Kind.Put, key, KEY, state % 90) | number;
      }
    }
  }
}

/** How many of the keys are not what they should be. */
function wrongKeys(): i32 {
  let wrong = 0;
  let present: u32 = 0;
  for (let key = 0; key < KEYS; key++) {
    const at = newest[key];
    const status = get(key);
    if (at == 0 ? status != Status.Absent : status != Status.Ok || found.segment != (at & 1)) wrong++;
    if (at == 0) continue;
    present++;
    const frame = changetype<Frame>(baseOf(at & 1) + (at & ~1));
    const meta: u32 = frame.info >> 24 == Kind.PutMeta ? 16 : 0;
    if (found.valueAt != <u32>changetype<usize>(frame) + 24 + KEY + meta) wrong++;
    if (found.valueBytes != frame.size - 24 - KEY - meta) wrong++;
    if (found.version != (meta != 0 ? 77.0 : found.lsn)) wrong++;
  }
  return wrong + <i32>(present != dir.count);
}

crcInit();

describe('keydirApply', () => {
  it('takes puts, tombstones and puts with a version, in whatever order, and keeps accounts of segments', () => {
    for (let check = 0; check < 2; check++) {
      fresh();
      history();
      expect(take(0, FRAMES_OFFSET, check != 0)).toBe(Status.Ok);
      expect(found.records).toBe(1500);
      expect(found.offset).toBe(viewOf(0).dataEnd);
      expect(take(1, FRAMES_OFFSET, check != 0)).toBe(Status.Ok);
      expect(wrongKeys() + wrongInTable() + wrongInAccounts()).toBe(0);
      expect(guardsIntact(0) && guardsIntact(1)).toBe(true);
    }
  });

  it('says what a single record has replaced', () => {
    fresh();
    const first = put(0, 1);
    expect(found.oldSegment).toBe(KEYDIR_NO_SEGMENT);
    const second = put(1, 1);
    expect(found.oldSegment).toBe(0);
    expect(found.oldOffset).toBe(first);
    remove(1, 1);
    expect(found.oldSegment).toBe(1);
    expect(found.oldOffset).toBe(second);
    remove(1, 1);
    expect(found.oldSegment).toBe(KEYDIR_NO_SEGMENT);
    expect(dir.count).toBe(0);
    expect(wrongInAccounts()).toBe(0);
  });

  it('tells keys of one hash apart, whichever goes or comes again', () => {
    for (let i = 0; i < PAIRS.length; i += 2) {
      fresh();
      const a = PAIRS[i];
      const b = PAIRS[i + 1];
      const first = put(0, a);
      expect(get(b)).toBe(Status.Absent);
      const second = put(1, b);
      expect(isAt(a, 0, first) && isAt(b, 1, second)).toBe(true);
      const third = put(0, b);
      expect(isAt(a, 0, first) && isAt(b, 0, third)).toBe(true);
      remove(1, a);
      expect(get(a)).toBe(Status.Absent);
      expect(isAt(b, 0, third)).toBe(true);
      expect(dir.count).toBe(1);
      expect(wrongInAccounts()).toBe(0);
    }
  });

  it('asks for the segment that it needs, and then goes on', () => {
    fresh();
    put(0, PAIRS[0]);
    unmount(0);
    const offset = add(1, Kind.Put, PAIRS[0], KEY, 9);
    expect(take(1, offset)).toBe(Status.Unmapped);
    expect(found.segment).toBe(0);
    expect(found.offset).toBe(offset);
    expect(found.records).toBe(0);
    const other = add(1, Kind.Delete, PAIRS[1], KEY, 0);
    expect(take(1, other)).toBe(Status.Unmapped);
    expect(get(PAIRS[0])).toBe(Status.Unmapped);
    expect(found.segment).toBe(0);
    mount(0);
    expect(take(1, offset)).toBe(Status.Ok);
    expect(found.records).toBe(2);
    expect(isAt(PAIRS[0], 1, offset)).toBe(true);
    expect(wrongInAccounts()).toBe(0);
  });

  it('stops in front of a record that clears the store', () => {
    fresh();
    put(0, 1);
    const offset = add(0, Kind.Put, 2, KEY, 3);
    const clear = add(0, Kind.Clear, 0, 0, 0);
    add(0, Kind.Put, 3, KEY, 3);
    expect(take(0, offset)).toBe(Status.Clear);
    expect(found.records).toBe(1);
    expect(found.offset).toBe(clear);
    expect(take(0, clear + 24)).toBe(Status.Ok);
    expect(dir.count).toBe(3);
  });

  it('stops behind a record that expires, which it has taken', () => {
    fresh();
    const first = add(0, Kind.Put, 1, KEY, 5);
    const meta = addMeta(0, 2, KEY, 30, 0, 123456789012);
    const last = add(0, Kind.Put, 3, KEY, 5);
    expect(take(0, first)).toBe(Status.Expires);
    expect(found.records).toBe(2);
    expect(found.offset).toBe(last);
    expect(found.stride).toBe(last - meta);
    expect(found.expiresAt).toBe(123456789012);
    expect(take(0, last)).toBe(Status.Ok);
    expect(get(2)).toBe(Status.Ok);
    expect(found.expiresAt).toBe(123456789012);
    expect(found.version).toBe(found.lsn);
    expect(found.valueBytes).toBe(30);
    expect(dir.count).toBe(3);
  });

  it('passes over what is too short to be a put with a version', () => {
    fresh();
    const offset = add(0, Kind.PutMeta, 1, KEY, 15);
    expect(take(0, offset)).toBe(Status.Ok);
    expect(found.records).toBe(1);
    expect(dir.count).toBe(0);
  });

  it('replaces keys where there is no room for another one', () => {
    fresh();
    freshTable(4096 + 4096);
    mount(0);
    let key: u32 = 0;
    while (dir.count < 3584) put(0, key++, 0);
    const more = add(0, Kind.Put, key, KEY, 0);
    expect(take(0, more)).toBe(Status.Full);
    expect(found.offset).toBe(more);
    const again = put(0, 17, 50);
    expect(isAt(17, 0, again)).toBe(true);
    remove(0, 18);
    expect(dir.count).toBe(3583);
    enlarge(10000);
    expect(take(0, more, false)).toBe(Status.Ok);
    expect(get(key)).toBe(Status.Ok);
    expect(wrongInTable() + wrongInAccounts()).toBe(0);
  });
});

describe('hints', () => {
  it('give the same table as the frames', () => {
    fresh();
    history();
    let asked = 0;
    for (let number: u32 = 0; number < 2; number++) {
      let offset: u32 = FRAMES_OFFSET;
      while (offset < viewOf(number).dataEnd) {
        const count = keydirHints(dir, number, offset, min(offset + 9000 & ~7, viewOf(number).dataEnd));
        const after = found.offset;
        if (found.records == 0) break;
        memory.copy(hintsAt, VALUES_OFFSET, count * 16);
        if (keydirApplyHints(dir, number, hintsAt, count) != Status.Ok || found.records != count) asked++;
        offset = after;
        // The list ends with the range, in the middle of a frame.
        const frame = changetype<Frame>(baseOf(number) + offset);
        if (offset < viewOf(number).dataEnd && frame.size < 24) asked++;
      }
      if (offset != viewOf(number).dataEnd) asked++;
    }
    expect(asked).toBe(0);
    expect(wrongKeys() + wrongInTable() + wrongInAccounts()).toBe(0);
  });

  it('say what clears the store and what expires', () => {
    fresh();
    const first = add(0, Kind.Put, 1, KEY, 3);
    const clear = add(0, Kind.Clear, 0, 0, 0);
    const meta = addMeta(0, 2, KEY, 30, 0, 4321);
    const last = add(0, Kind.Put, 3, KEY, 5);
    const count = keydirHints(dir, 0, first, viewOf(0).dataEnd);
    expect(count).toBe(4);
    memory.copy(hintsAt, VALUES_OFFSET, count * 16);
    expect(keydirApplyHints(dir, 0, hintsAt, 4)).toBe(Status.Clear);
    expect(found.records).toBe(1);
    expect(found.offset).toBe(clear);
    expect(keydirApplyHints(dir, 0, hintsAt + 32, 2)).toBe(Status.Expires);
    expect(found.records).toBe(1);
    expect(found.offset - found.stride).toBe(meta);
    expect(found.expiresAt).toBe(4321);
    expect(keydirApplyHints(dir, 0, hintsAt + 48, 1)).toBe(Status.Ok);
    expect(isAt(3, 0, last)).toBe(true);
    expect(dir.count).toBe(3);
  });

  it('that lead out of the segment, or nowhere, are refused', () => {
    fresh();
    const offset = add(0, Kind.Put, 1, KEY, 20);
    const end = viewOf(0).dataEnd;
    const hint = changetype<HintEntry>(hintsAt);
    const places: StaticArray<u32> = [
      0, 1, 511, end >> 3, (end >> 3) + 1, 0x1fffffff, 0x20000000 + (offset >> 3), 0xffffffff,
    ];
    let wrong = 0;
    for (let i = 0; i < places.length; i++) {
      keydirHints(dir, 0, offset, end);
      memory.copy(hintsAt, VALUES_OFFSET, 16);
      hint.place = places[i];
      if (keydirApplyHints(dir, 0, hintsAt, 1) != Status.BadSize || found.records != 0) wrong++;
    }
    for (let size: u32 = 0; size < 16; size++) {
      keydirHints(dir, 0, offset, end);
      memory.copy(hintsAt, VALUES_OFFSET, 16);
      // 7 is what it is, and 4 are enough for the key.
      hint.size = size;
      const status = keydirApplyHints(dir, 0, hintsAt, 1);
      if ((status == Status.Ok) != (size >= 4 && size <= (end - offset) >> 3)) wrong++;
      hint.size = size | 1 << 24;
      if (keydirApplyHints(dir, 0, hintsAt, 1) != Status.BadSize) wrong++;
    }
    expect(wrong).toBe(0);
    expect(dir.count).toBe(1);
    expect(wrongInTable() + wrongInAccounts()).toBe(0);
  });
});

describe('what is gone', () => {
  it('keydirExpire removes the entry of one record alone', () => {
    fresh();
    const first = addMeta(0, 1, KEY, 4, 0, 50);
    take(0, first);
    const second = addMeta(0, 1, KEY, 4, 0, 60);
    take(0, second);
    expect(keydirExpire(dir, 0, first, 50)).toBe(0);
    expect(keydirExpire(dir, 1, second, 60)).toBe(0);
    unmount(0);
    expect(keydirExpire(dir, 0, second, 60)).toBe(Status.Unmapped);
    mount(0);
    expect(keydirExpire(dir, 0, second, 50)).toBe(0);
    expect(keydirExpire(dir, 0, second, 60)).toBe(1);
    expect(keydirExpire(dir, 0, second, 60)).toBe(0);
    expect(get(1)).toBe(Status.Absent);
    expect(dir.count).toBe(0);
    expect(wrongInTable() + wrongInAccounts()).toBe(0);
  });

  it('keydirPurge removes what points at dropped segments, in the middle of a growth too', () => {
    for (let keys = 3000; keys < 4000; keys += 170) {
      fresh();
      for (let key = 0; key < keys; key++) put(key % 3 == 0 ? 1 : 0, key, 0);
      segmentOf(0).flags = KeydirSegmentFlag.Dropped;
      const gone = segmentOf(0).liveRecords;
      unmount(0);
      expect(keydirPurge(dir)).toBe(gone);
      expect(dir.count).toBe(keys - gone);
      let wrong = wrongInTable();
      for (let key = 0; key < keys; key++) wrong += <i32>(get(key) != (key % 3 == 0 ? Status.Ok : Status.Absent));
      expect(wrong).toBe(0);
      expect(keydirPurge(dir)).toBe(0);
    }
  });
});
