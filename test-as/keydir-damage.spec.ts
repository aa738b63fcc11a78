/**
 * What damaged frames do to a key directory: to a run that checks them and to one that does not, to gets, and to other
 * keys of the same hash.
 */
import { Kind } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { keydirApply, keydirApplyDamaged, keydirExpire, keydirHints } from '../assembly/keydir/apply';
import { keydirGet } from '../assembly/keydir/find';
import { Frame } from '../assembly/layout/frame';
import {
  KEY, PAIRS, add, addMeta, ask, baseOf, dir, found, fresh, freshTable, get, isAt, mount, put, remove, take, viewOf,
  wrongInAccounts, wrongInTable,
} from './support/keydir';
import { flip } from './support/segment';

crcInit();

describe('damage', () => {
  it('is found by a checked run, wherever it is, and nothing of the frame is taken', () => {
    fresh();
    const first = add(0, Kind.Put, 1, KEY, 30);
    const offset = addMeta(0, 2, KEY, 30, 5, 0);
    add(0, Kind.Put, 3, KEY, 30);
    const last = viewOf(0).dataEnd;
    let wrong = 0;
    for (let bit: u32 = 0; bit < (24 + KEY + 16 + 30) * 8; bit++) {
      freshTable(16384);
      mount(0);
      flip(baseOf(0) + offset, bit);
      const status = keydirApply(dir, 0, first, last, 0, true);
      if (status == Status.Ok || found.offset != offset || found.records != 1 || dir.count != 1) wrong++;
      flip(baseOf(0) + offset, bit);
    }
    expect(wrong).toBe(0);
  });

  it('of sizes and key lengths leads no unchecked run, hint or expiry out of the segment', () => {
    const values: StaticArray<u32> = [
      0, 1, 23, 24, 25, 31, 32, 47, 48, 0x1ffff, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
    ];
    let wrong = 0;
    for (let field = 0; field < 2; field++) {
      for (let kind = 0; kind < 2; kind++) {
        for (let i = 0; i < values.length; i++) {
          fresh();
          // The last frame of a segment whose pages end with it.
          const offset = kind == 0 ? add(0, Kind.Put, 1, KEY, 20) : addMeta(0, 1, KEY, 4, 0, 99);
          const end = viewOf(0).dataEnd;
          const frame = changetype<Frame>(baseOf(0) + offset);
          if (field == 0) frame.size = values[i];
          else frame.info = frame.info & ~0x1ffff | (values[i] & 0x1ffff);
          const status = take(0, offset);
          if (status == Status.Ok && found.offset != end) wrong++;
          const count = keydirHints(dir, 0, offset, end);
          if (count > 1 || found.offset > end) wrong++;
          const expired = keydirExpire(dir, 0, offset, 99);
          if (expired < 0 || expired > 1) wrong++;
          keydirExpire(dir, 0, end, 99);
          keydirExpire(dir, 0, end - 8, 99);
          wrong += wrongInTable() + wrongInAccounts();
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('of a record that is in the table is told by a get, and never gives a wrong value', () => {
    fresh();
    const offset = put(0, 1, 37);
    let wrong = 0;
    for (let bit: u32 = 0; bit < (24 + KEY + 37) * 8; bit++) {
      flip(baseOf(0) + offset, bit);
      const status = get(1);
      if (status == Status.Ok || status == Status.Absent || found.segment != 0 || found.offset != offset) wrong++;
      // Without its checksum a value must not be believed, but it lies within the record.
      if (keydirGet(dir, ask(1, KEY), false) == Status.Ok) {
        if (found.valueBytes > 45 || found.valueAt + found.valueBytes > <u32>baseOf(0) + viewOf(0).dataEnd) wrong++;
      }
      flip(baseOf(0) + offset, bit);
    }
    expect(wrong).toBe(0);
    expect(isAt(1, 0, offset)).toBe(true);
  });

  it('of a record hides no other one of its hash, which can be put and removed', () => {
    for (let i = 0; i < PAIRS.length; i++) {
      fresh();
      const first = put(0, PAIRS[i]);
      const second = put(0, PAIRS[i ^ 1]);
      flip(baseOf(0) + first, 24 * 8 + 3);
      expect(isAt(PAIRS[i ^ 1], 0, second)).toBe(true);
      expect(get(PAIRS[i])).toBe(Status.BadCrc);
      expect(found.offset).toBe(first);
      const third = put(1, PAIRS[i ^ 1]);
      expect(isAt(PAIRS[i ^ 1], 1, third)).toBe(true);
      expect(dir.count).toBe(2);
      expect(get(PAIRS[i])).toBe(Status.BadCrc);
      remove(1, PAIRS[i ^ 1]);
      // Whose the damaged one is nobody knows, so that nobody is told that it is absent.
      expect(get(PAIRS[i ^ 1])).toBe(Status.BadCrc);
      const fourth = put(1, PAIRS[i]);
      expect(isAt(PAIRS[i], 1, fourth)).toBe(true);
      expect(get(PAIRS[i ^ 1])).toBe(Status.Absent);
      expect(dir.count).toBe(1);
      expect(wrongInTable() + wrongInAccounts()).toBe(0);
    }
  });

  it('of a record that is taken in as damaged leads its key to it, unless it leads out of the segment', () => {
    fresh();
    put(0, 1, 37);
    const offset = add(0, Kind.Put, 1, KEY, 37);
    const end = viewOf(0).dataEnd;
    flip(baseOf(0) + offset, 40 * 8);
    const strides: StaticArray<u32> = [0, 8, 16, 24, end - offset + 8, 0x8000000, 0xfffffff8];
    for (let i = 0; i < strides.length; i++) {
      expect(keydirApplyDamaged(dir, 0, offset, strides[i])).toBe(Status.BadSize);
    }
    expect(keydirApplyDamaged(dir, 0, end + 8, 64)).toBe(Status.BadSize);
    expect(get(1)).toBe(Status.Ok);
    expect(keydirApplyDamaged(dir, 0, offset, end - offset)).toBe(Status.Ok);
    expect(get(1)).toBe(Status.BadCrc);
    expect(found.offset).toBe(offset);
    expect(dir.count).toBe(1);
    expect(wrongInTable() + wrongInAccounts()).toBe(0);
  });
});
