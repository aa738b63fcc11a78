/**
 * Columns of fields that may be null: nulls are passed over wherever their bit stands, parts give what the whole gives,
 * and what is not there or in the hands of a writer is told as of other columns.
 */
import { FieldType } from '../assembly/abi/field';
import { Status } from '../assembly/abi/status';
import { Fold, Outcome, WriteMode } from '../assembly/layout/typed';
import { foldNullable, gatherNullable, selectNullable } from '../assembly/sync/nullable';
import { FIRST, PRICE, RECORDS, ROOM, ROW, STRIDE, at, fresh, guardsIntact, isZero, takeStatus, view } from './support/typed';

const ALL: u32 = Outcome.Less | Outcome.Equal | Outcome.Greater | Outcome.Unordered;

/**
 * Gives the records the values 1, 2, 4 … and, where `present` has a bit, their presence bit alone; else all around it.
 */
function values(presence: u32, present: u32): void {
  fresh(WriteMode.ReadOnly);
  for (let i: u32 = 0; i < RECORDS; i++) {
    const record = at(FIRST + i);
    store<f64>(record + PRICE, <f64>(1 << i));
    const bit = <u64>1 << (presence & 63);
    store<u64>(record + (presence >> 6 << 3), (present & (1 << i)) != 0 ? bit : ~bit);
  }
}

function sum(presence: u32, from: u32, count: u32, start: f64 = 0): f64 {
  return foldNullable(view, FieldType.F64, PRICE, presence, from, count, start, Fold.Sum);
}

describe('a column with nulls', () => {
  it('has the values whose bit is set, wherever it stands', () => {
    for (let presence: u32 = 64; presence < 192; presence++) {
      values(presence, 0b10110010);
      expect(sum(presence, FIRST, RECORDS, 0.5)).toBe(178.5);
      expect(view.values).toBe(4);
      expect(view.next).toBe(FIRST + RECORDS);
      expect(foldNullable(view, FieldType.F64, PRICE, presence, FIRST, RECORDS, Infinity, Fold.Min)).toBe(2);
      expect(foldNullable(view, FieldType.F64, PRICE, presence, FIRST, RECORDS, -Infinity, Fold.Max)).toBe(128);
      expect(selectNullable(view, FieldType.F64, PRICE, presence, FIRST, RECORDS, ALL, 0, 0, RECORDS)).toBe(4);
    }
    expect(takeStatus()).toBe(Status.Ok);
  });

  it('has none where all are null', () => {
    values(70, 0);
    expect(sum(70, FIRST, RECORDS, 3)).toBe(3);
    expect(view.values).toBe(0);
    expect(foldNullable(view, FieldType.F64, PRICE, 70, FIRST, RECORDS, Infinity, Fold.Min)).toBe(Infinity);
    expect(selectNullable(view, FieldType.F64, PRICE, 70, FIRST, RECORDS, ALL, 0, ROW, RECORDS)).toBe(0);
    expect(gatherNullable(view, FieldType.F64, PRICE, 70, FIRST, RECORDS, ROW)).toBe(RECORDS);
    for (let i: u32 = 0; i < RECORDS; i++) expect(load<f64>(ROW + i * 8)).toBeNaN();
  });

  it('compares values alone, and gives NaN in the place of a null', () => {
    values(64, 0b01010101);
    expect(selectNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, Outcome.Greater, 1, ROW, RECORDS)).toBe(3);
    for (let i: u32 = 0; i < 3; i++) expect(load<u32>(ROW + i * 4)).toBe(FIRST + 2 * (i + 1));
    const unequal: u32 = Outcome.Less | Outcome.Greater | Outcome.Unordered;
    expect(selectNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, unequal, 16, 0, RECORDS)).toBe(3);
    expect(gatherNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, ROW)).toBe(RECORDS);
    for (let i: u32 = 0; i < RECORDS; i++) {
      const value = load<f64>(ROW + i * 8);
      if ((i & 1) == 0) expect(value).toBe(<f64>(1 << i));
      else expect(value).toBeNaN();
    }
    // NaN is a value, and null is none.
    store<f64>(at(FIRST) + PRICE, NaN);
    store<f64>(at(FIRST + 1) + PRICE, NaN);
    expect(selectNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, Outcome.Unordered, 1, 0, RECORDS)).toBe(1);
    expect(sum(64, FIRST, RECORDS)).toBeNaN();
    expect(sum(64, FIRST + 1, RECORDS - 1)).toBe(84);
  });

  it('gives the same in parts, and ends where there is no more room for indices', () => {
    values(100, 0b11101110);
    for (let cut: u32 = 0; cut <= RECORDS; cut++) {
      const part = sum(100, FIRST, cut);
      expect(view.next).toBe(FIRST + cut);
      expect(sum(100, view.next, RECORDS - cut, part)).toBe(238);
    }
    expect(selectNullable(view, FieldType.F64, PRICE, 100, FIRST, RECORDS, ALL, 0, ROW, 2)).toBe(2);
    expect(view.next).toBe(FIRST + 3);
    expect(selectNullable(view, FieldType.F64, PRICE, 100, view.next, 5, ALL, 0, ROW, 9)).toBe(4);
    expect(load<u32>(ROW)).toBe(FIRST + 3);
  });

  it('has the numbers of its type', () => {
    values(64, 0b11111111);
    for (let i: u32 = 0; i < RECORDS; i++) store<i16>(at(FIRST + i) + 18, -3);
    expect(foldNullable(view, FieldType.I16, 18, 64, FIRST, RECORDS, 0, Fold.Sum)).toBe(-24);
    expect(gatherNullable(view, FieldType.I16, 18, 64, FIRST, 1, ROW)).toBe(1);
    expect(load<f64>(ROW)).toBe(-3);
  });

  it('touches nothing outside of what is there', () => {
    const from: StaticArray<u32> = [FIRST - 1, FIRST, FIRST + RECORDS, FIRST + RECORDS + 1, 0, 0xffffffff];
    const count: StaticArray<u32> = [1, RECORDS + 1, 1, 0, 0xffffffff, 1];
    for (let i = 0; i < from.length; i++) {
      values(64, 0b11111111);
      expect(sum(64, from[i], count[i], 2)).toBe(2);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(view.values).toBe(0);
      expect(selectNullable(view, FieldType.F64, PRICE, 64, from[i], count[i], ALL, 0, ROW, 9)).toBe(0);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(gatherNullable(view, FieldType.F64, PRICE, 64, from[i], count[i], ROW)).toBe(0);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(view.next).toBe(from[i]);
    }
  });

  it('ends before a record that stays in the hands of a writer', () => {
    values(64, 0b11111111);
    store<u64>(at(FIRST + 5), 7);
    expect(sum(64, FIRST, RECORDS)).toBe(31);
    expect(takeStatus()).toBe(Status.Contention);
    expect(view.next).toBe(FIRST + 5);
    expect(view.values).toBe(5);
    expect(selectNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, ALL, 0, 0, 9)).toBe(5);
    expect(takeStatus()).toBe(Status.Contention);
    expect(gatherNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, ROW)).toBe(5);
    expect(takeStatus()).toBe(Status.Contention);
    expect(view.next).toBe(FIRST + 5);
  });

  it('writes to no record', () => {
    fresh();
    sum(64, FIRST, RECORDS);
    selectNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, ALL, 0, ROW, 9);
    gatherNullable(view, FieldType.F64, PRICE, 64, FIRST, RECORDS, ROW);
    expect(isZero(0, ROOM * STRIDE)).toBe(true);
    expect(guardsIntact()).toBe(true);
  });
});
