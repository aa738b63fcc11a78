/**
 * Which records have changed: stamps against a copy of them, ranges, what is not mapped; and the count of writes after
 * which one asks for a wake.
 */
import { FieldType } from '../assembly/abi/field';
import { Status } from '../assembly/abi/status';
import { WriteMode } from '../assembly/layout/typed';
import { sumColumn } from '../assembly/sync/columns';
import { findChanges, noteStamps } from '../assembly/sync/changes';
import { set8, setF64 } from '../assembly/sync/fields';
import { patchRow } from '../assembly/sync/patch';
import { appendRow, writeRow } from '../assembly/sync/rows';
import { appendRing, patchRing, writeRing } from '../assembly/sync/ring';
import { setBytes } from '../assembly/sync/text';
import { COUNT_AT, FIRST, MASK, PRICE, RECORDS, ROOM, ROW, STRIDE, SYMBOL, at, fresh, stamp, view } from './support/typed';
import { GUARD } from './support/segment';

/** A copy of the stamps, and ranges, in memory that no record needs. */
const COPIES: usize = 0x2c0000;
const RANGES: usize = 0x2d0000;
const NEXT: u32 = FIRST + RECORDS;

function copy(ordinal: u32): u32 {
  return load<u32>(COPIES + ordinal * 4);
}

/** Makes records of which the copy holds the stamps. */
function noted(mode: WriteMode = WriteMode.One): void {
  fresh(mode);
  memory.fill(COPIES, GUARD, 4096);
  memory.fill(RANGES, GUARD, 4096);
  noteStamps(view, FIRST, RECORDS, COPIES);
}

function find(from: u32 = FIRST, count: u32 = RECORDS): u32 {
  return findChanges(view, from, count, COPIES + (from - FIRST) * 4, RANGES);
}

function first(range: u32): u32 { return load<u32>(RANGES + range * 8); }
function last(range: u32): u32 { return load<u32>(RANGES + range * 8 + 4); }

describe('a copy of stamps', () => {
  it('holds the lower half of each, odd ones too, and nothing else is written', () => {
    fresh();
    memory.fill(COPIES, GUARD, 4096);
    for (let i: u32 = 0; i < RECORDS; i++) store<u64>(at(FIRST + i), 0x500000000 + i);
    expect(noteStamps(view, FIRST, RECORDS, COPIES)).toBe(RECORDS);
    for (let i: u32 = 0; i < RECORDS; i++) expect(copy(i)).toBe(i);
    expect(load<u8>(COPIES + RECORDS * 4)).toBe(GUARD);
    expect(view.next).toBe(NEXT);
  });

  it('ends where the mapped part does', () => {
    fresh();
    memory.fill(COPIES, GUARD, 4096);
    expect(noteStamps(view, FIRST + ROOM - 1, 100, COPIES)).toBe(1);
    expect(view.next).toBe(FIRST + ROOM);
    expect(load<u8>(COPIES + 4)).toBe(GUARD);
    const outside: StaticArray<u32> = [0, FIRST - 1, FIRST + ROOM, 0x80000000, 0xffffffff];
    for (let i = 0; i < outside.length; i++) {
      expect(noteStamps(view, outside[i], 1, COPIES)).toBe(0);
      expect(view.next).toBe(outside[i]);
      expect(find(outside[i], 1)).toBe(0);
      expect(view.next).toBe(outside[i]);
    }
  });
});

describe('changes', () => {
  it('are none where nothing was written', () => {
    noted();
    expect(find()).toBe(0);
    expect(view.next).toBe(NEXT);
    expect(load<u8>(RANGES)).toBe(GUARD);
  });

  it('are found once, as ranges of neighbours', () => {
    noted();
    const changed: StaticArray<u32> = [0, 1, 2, 4, 6, 7];
    for (let i = 0; i < changed.length; i++) setF64(view, FIRST + changed[i], PRICE, 1);
    expect(find()).toBe(3);
    expect(first(0)).toBe(FIRST);
    expect(last(0)).toBe(FIRST + 2);
    expect(first(1)).toBe(FIRST + 4);
    expect(last(1)).toBe(FIRST + 4);
    expect(first(2)).toBe(FIRST + 6);
    expect(last(2)).toBe(FIRST + 7);
    expect(load<u8>(RANGES + 24)).toBe(GUARD);
    expect(find()).toBe(0);
  });

  it('have room for a range of every second record', () => {
    noted();
    for (let i: u32 = 0; i < RECORDS; i += 2) setF64(view, FIRST + i, PRICE, 1);
    expect(find()).toBe(RECORDS / 2);
    expect(load<u8>(RANGES + RECORDS / 2 * 8)).toBe(GUARD);
  });

  it('are found by every way of writing', () => {
    for (let mode: i32 = WriteMode.One; mode <= WriteMode.Many; mode++) {
      noted(mode);
      memory.fill(ROW, 0, STRIDE);
      memory.fill(MASK, 0xff, STRIDE);
      for (let way: u32 = 0; way < 5; way++) {
        const index = FIRST + way;
        if (way == 0) expect(set8(view, index, PRICE, 1)).toBe(Status.Ok);
        else if (way == 1) expect(setF64(view, index, PRICE, 1)).toBe(Status.Ok);
        else if (way == 2) expect(writeRow(view, index, ROW)).toBe(Status.Ok);
        else if (way == 3) expect(patchRow(view, index, ROW, MASK)).toBe(Status.Ok);
        else expect(setBytes(view, index, SYMBOL, 64, ROW, 3)).toBe(Status.Ok);
        expect(find()).toBe(1);
        expect(first(0)).toBe(index);
        expect(last(0)).toBe(index);
      }
    }
  });

  it('count when they are done: an odd stamp waits for the even one', () => {
    noted();
    store<u64>(at(FIRST + 2), 1);
    expect(find()).toBe(0);
    store<u64>(at(FIRST + 2), 2);
    expect(find()).toBe(1);
    expect(first(0)).toBe(FIRST + 2);
  });

  it('that were under way when the copy was made are found when they are done', () => {
    noted();
    store<u64>(at(FIRST), 0xffffffff);
    noteStamps(view, FIRST, RECORDS, COPIES);
    expect(find()).toBe(0);
    // The lower half of the next stamp is zero.
    store<u64>(at(FIRST), 0x100000000);
    expect(find()).toBe(1);
    expect(find()).toBe(0);
  });

  it('go on behind the mapped part', () => {
    noted();
    for (let i: u32 = 0; i < RECORDS; i++) setF64(view, FIRST + i, PRICE, 1);
    view.room = 3;
    expect(find()).toBe(1);
    expect(last(0)).toBe(FIRST + 2);
    expect(view.next).toBe(FIRST + 3);
    view.room = ROOM;
    expect(find(FIRST + 3, RECORDS - 3)).toBe(1);
    expect(first(0)).toBe(FIRST + 3);
    expect(last(0)).toBe(NEXT - 1);
  });

  it('of record 0 and 1 are ranges of their own', () => {
    fresh();
    view.first = 0;
    noteStamps(view, 0, RECORDS, COPIES);
    setF64(view, 0, PRICE, 1);
    expect(findChanges(view, 0, RECORDS, COPIES, RANGES)).toBe(1);
    expect(first(0) + last(0)).toBe(0);
    setF64(view, 1, PRICE, 1);
    expect(findChanges(view, 0, RECORDS, COPIES, RANGES)).toBe(1);
    expect(first(0)).toBe(1);
    expect(last(0)).toBe(1);
  });
});

describe('the count of writes', () => {
  it('asks for a wake instead of making the last of them, and for no other before 2^32 more', () => {
    for (let mode: i32 = WriteMode.One; mode <= WriteMode.Many; mode++) {
      for (let way = 0; way < 5; way++) {
        fresh(mode);
        view.wakeIn = 2;
        memory.fill(ROW, 0, STRIDE);
        memory.fill(MASK, 0xff, STRIDE);
        const status: StaticArray<i32> = [0, 0, 0];
        for (let i = 0; i < 3; i++) {
          if (way == 0) status[i] = setF64(view, FIRST, PRICE, 1);
          else if (way == 1) status[i] = writeRow(view, FIRST, ROW);
          else if (way == 2) status[i] = patchRow(view, FIRST, ROW, MASK);
          else if (way == 3) status[i] = setBytes(view, FIRST, SYMBOL, 64, ROW, 3);
          else status[i] = min(0, appendRow(view, ROW));
        }
        expect(status[0]).toBe(Status.Ok);
        expect(status[1]).toBe(Status.Wake);
        expect(status[2]).toBe(Status.Ok);
        expect(view.wakeIn).toBe(0xffffffff);
        if (way < 4) expect(stamp(FIRST)).toBe(4);
        else expect(load<u64>(COUNT_AT)).toBe(NEXT + 2);
        expect(stamp(NEXT) & 1).toBe(0);
      }
    }
  });

  it('asks for a wake in a ring too', () => {
    for (let mode: i32 = WriteMode.One; mode <= WriteMode.Many; mode++) {
      for (let way = 0; way < 3; way++) {
        fresh(mode);
        view.first = 0;
        view.slots = RECORDS;
        view.limit = 0;
        store<u64>(COUNT_AT, 20);
        view.wakeIn = 2;
        memory.fill(ROW, 0, STRIDE);
        memory.fill(MASK, 0xff, STRIDE);
        const status: StaticArray<i32> = [0, 0, 0];
        for (let i = 0; i < 3; i++) {
          if (way == 0) status[i] = writeRing(view, 19, ROW);
          else if (way == 1) status[i] = patchRing(view, 19, ROW, MASK);
          else status[i] = <i32>min<f64>(0, appendRing(view, ROW));
        }
        expect(status[0]).toBe(Status.Ok);
        expect(status[1]).toBe(Status.Wake);
        expect(status[2]).toBe(Status.Ok);
        expect(load<u64>(COUNT_AT)).toBe(way < 2 ? 20 : 22);
        for (let slot: u32 = 0; slot < RECORDS; slot++) expect(stamp(FIRST + slot) & 1).toBe(0);
      }
    }
  });

  it('does not go down where nothing is written', () => {
    fresh(WriteMode.ReadOnly);
    view.wakeIn = 1;
    expect(setF64(view, FIRST, PRICE, 1)).toBe(Status.ReadOnly);
    expect(appendRow(view, ROW)).toBe(Status.ReadOnly);
    expect(setF64(view, NEXT, PRICE, 1)).toBe(Status.OutOfRange);
    expect(view.wakeIn).toBe(1);
    fresh();
    view.wakeIn = 1;
    expect(setF64(view, NEXT, PRICE, 1)).toBe(Status.OutOfRange);
    expect(sumColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, 0)).toBe(0);
    expect(view.wakeIn).toBe(1);
  });
});
