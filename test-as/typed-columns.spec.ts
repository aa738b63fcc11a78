/**
 * Columns: every type, every comparison, NaN, ranges, parts that give what the whole gives, and records that stay in
 * the hands of a writer.
 */
import { FieldType } from '../assembly/abi/field';
import { Status } from '../assembly/abi/status';
import { Outcome, WriteMode } from '../assembly/layout/typed';
import { gatherColumn, maxColumn, minColumn, selectColumn, sumColumn } from '../assembly/sync/columns';
import { FIRST, PRICE, RECORDS, ROOM, ROW, STRIDE, at, fresh, guardsIntact, isZero, takeStatus, view } from './support/typed';

const LAST: u32 = FIRST + RECORDS - 1;

function prices(values: StaticArray<f64>): void {
  fresh(WriteMode.ReadOnly);
  for (let i = 0; i < values.length; i++) store<f64>(at(FIRST + i) + PRICE, values[i]);
}

/** Which of the first 8 records are found, as bits, among all. */
function found(wanted: u32, other: f64): u32 {
  const count = selectColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, wanted, other, ROW, RECORDS);
  if (selectColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, wanted, other, 0, RECORDS) != count) return 0xffffffff;
  let bits: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const index = load<u32>(ROW + i * 4);
    bits |= 1 << (index - FIRST);
  }
  return bits;
}

/** Puts the bits -1 into the first record's field and 1 into the others'; what do they sum up to, and what is least? */
function judge<T>(type: FieldType, offset: u32): void {
  fresh(WriteMode.ReadOnly);
  memory.fill(at(FIRST + 1) + 8, 0xff, STRIDE - 8);
  for (let i: u32 = 0; i < RECORDS; i++) store<T>(at(FIRST + i) + offset, i == 0 ? <T>-1 : <T>1);
  const first = <f64><T>-1;
  expect(sumColumn(view, type, offset, FIRST, RECORDS, 0.5)).toBe(first + 7.5);
  expect(minColumn(view, type, offset, FIRST, RECORDS, Infinity)).toBe(Math.min(first, 1));
  expect(maxColumn(view, type, offset, FIRST, RECORDS, -Infinity)).toBe(Math.max(first, 1));
  expect(gatherColumn(view, type, offset, FIRST, 2, ROW)).toBe(2);
  expect(load<f64>(ROW)).toBe(first);
  expect(load<f64>(ROW + 8)).toBe(1);
  expect(selectColumn(view, type, offset, FIRST, RECORDS, Outcome.Equal, 1, 0, RECORDS)).toBe(RECORDS - 1);
  expect(view.next).toBe(FIRST + RECORDS);
  expect(takeStatus()).toBe(Status.Ok);
}

describe('a column', () => {
  it('has the numbers of its type, wherever in a word the field stands', () => {
    for (let shift: u32 = 0; shift < 8; shift++) {
      judge<i8>(FieldType.I8, 24 + shift);
      judge<u8>(FieldType.U8, 24 + shift);
      if ((shift & 1) == 0) judge<i16>(FieldType.I16, 24 + shift);
      if ((shift & 1) == 0) judge<u16>(FieldType.U16, 24 + shift);
      if ((shift & 3) == 0) judge<i32>(FieldType.I32, 24 + shift);
      if ((shift & 3) == 0) judge<u32>(FieldType.U32, 24 + shift);
      if ((shift & 3) == 0) judge<f32>(FieldType.F32, 24 + shift);
    }
    judge<i64>(FieldType.I64, 24);
    judge<u64>(FieldType.U64, 24);
    judge<f64>(FieldType.F64, STRIDE - 8);
    fresh();
    store<u8>(at(FIRST + 1) + 9, 1);
    expect(sumColumn(view, FieldType.Bool, 9, FIRST, RECORDS, 0)).toBe(1);
  });

  it('has the nearest number of a 64-bit integer', () => {
    fresh();
    store<i64>(at(FIRST) + PRICE, i64.MIN_VALUE);
    expect(minColumn(view, FieldType.I64, PRICE, FIRST, RECORDS, 0)).toBe(-9.223372036854775808e18);
    expect(maxColumn(view, FieldType.U64, PRICE, FIRST, RECORDS, 0)).toBe(9.223372036854775808e18);
    store<i64>(at(FIRST) + PRICE, 9007199254740993);
    expect(sumColumn(view, FieldType.I64, PRICE, FIRST, 1, 0)).toBe(9007199254740992);
  });

  it('compares in each way, with NaN in none but unequal', () => {
    prices([-1, 0, 1, NaN, Infinity, -Infinity, -0.0, 0.5]);
    expect(found(Outcome.Equal, 0)).toBe(0b01000010);
    expect(found(Outcome.Less | Outcome.Greater | Outcome.Unordered, 0)).toBe(0b10111101);
    expect(found(Outcome.Less, 0)).toBe(0b00100001);
    expect(found(Outcome.Less | Outcome.Equal, 0)).toBe(0b01100011);
    expect(found(Outcome.Greater, 0)).toBe(0b10010100);
    expect(found(Outcome.Greater | Outcome.Equal, 0)).toBe(0b11010110);
    expect(found(Outcome.Equal, NaN)).toBe(0);
    expect(found(Outcome.Less | Outcome.Equal | Outcome.Greater, NaN)).toBe(0);
    expect(found(Outcome.Less | Outcome.Greater | Outcome.Unordered, NaN)).toBe(0xff);
    expect(found(0, 0)).toBe(0);
  });

  it('has NaN as its least and greatest value and as its sum where one value is NaN', () => {
    prices([1, NaN, 3, 0, 0, 0, 0, 0]);
    expect(minColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, Infinity)).toBeNaN();
    expect(maxColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, -Infinity)).toBeNaN();
    expect(sumColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, 0)).toBeNaN();
    expect(takeStatus()).toBe(Status.Ok);
    expect(maxColumn(view, FieldType.F64, PRICE, FIRST + 2, 2, -Infinity)).toBe(3, 'beside it');
  });

  it('gives in parts what it gives as a whole, to the bit', () => {
    prices([0.1, 0.2, 0.3, 1e300, -1e300, 1e-300, 0.7, 0.1]);
    const whole = sumColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, 0);
    for (let cut: u32 = 0; cut <= RECORDS; cut++) {
      const part = sumColumn(view, FieldType.F64, PRICE, FIRST, cut, 0);
      expect(view.next).toBe(FIRST + cut);
      expect(sumColumn(view, FieldType.F64, PRICE, view.next, RECORDS - cut, part)).toBe(whole);
    }
  });

  it('stops behind the record that takes the last room for indices', () => {
    prices([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(selectColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, Outcome.Greater, 2.5, ROW, 2)).toBe(2);
    expect(view.next).toBe(FIRST + 4);
    expect(load<u32>(ROW)).toBe(FIRST + 2);
    expect(load<u32>(ROW + 4)).toBe(FIRST + 3);
    expect(load<u8>(ROW + 8)).toBe(0xa5, 'nothing behind them');
    expect(takeStatus()).toBe(Status.Ok);
    expect(selectColumn(view, FieldType.F64, PRICE, view.next, 4, Outcome.Greater, 2.5, ROW, 9)).toBe(4);
    expect(view.next).toBe(FIRST + RECORDS);
  });

  it('is there from the first record to the last, and nowhere else', () => {
    const from: StaticArray<u32> = [FIRST - 1, FIRST, FIRST + 1, FIRST + RECORDS, FIRST + RECORDS + 1, 0, FIRST];
    const count: StaticArray<u32> = [1, RECORDS + 1, RECORDS, 1, 0, 0, 0xffffffff];
    for (let i = 0; i < from.length; i++) {
      fresh();
      memory.fill(at(FIRST) + 8, 0x11, STRIDE - 8);
      expect(sumColumn(view, FieldType.F64, PRICE, from[i], count[i], 2)).toBe(2);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(maxColumn(view, FieldType.F64, PRICE, from[i], count[i], -1)).toBe(-1);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(selectColumn(view, FieldType.F64, PRICE, from[i], count[i], 15, 0, ROW, 9)).toBe(0);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(gatherColumn(view, FieldType.F64, PRICE, from[i], count[i], ROW)).toBe(0);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(view.next).toBe(from[i]);
      expect(load<u8>(ROW)).toBe(0xa5, 'nothing was written');
    }
    expect(sumColumn(view, FieldType.F64, PRICE, FIRST + RECORDS, 0, 3)).toBe(3, 'nothing behind the last');
    expect(takeStatus()).toBe(Status.Ok);
  });

  it('ends before a record that stays in the hands of a writer, and goes on from there', () => {
    prices([1, 2, 4, 8, 16, 32, 64, 128]);
    store<u64>(at(FIRST + 5), 3);
    expect(sumColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, 0)).toBe(31);
    expect(view.next).toBe(FIRST + 5);
    expect(takeStatus()).toBe(Status.Contention);
    expect(minColumn(view, FieldType.F64, PRICE, FIRST + 1, RECORDS - 1, 99)).toBe(2);
    expect(view.next).toBe(FIRST + 5);
    expect(takeStatus()).toBe(Status.Contention);
    expect(selectColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, Outcome.Greater, 3, ROW, 9)).toBe(3);
    expect(view.next).toBe(FIRST + 5);
    expect(takeStatus()).toBe(Status.Contention);
    expect(gatherColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, ROW)).toBe(5);
    expect(view.next).toBe(FIRST + 5);
    expect(takeStatus()).toBe(Status.Contention);
    store<u64>(at(FIRST + 5), 4);
    expect(sumColumn(view, FieldType.F64, PRICE, FIRST + 5, 3, 31)).toBe(255);
    expect(view.next).toBe(LAST + 1);
    expect(takeStatus()).toBe(Status.Ok);
  });

  it('writes nothing to the records', () => {
    fresh();
    sumColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, 0);
    selectColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, 15, 0, ROW, 9);
    gatherColumn(view, FieldType.F64, PRICE, FIRST, RECORDS, ROW);
    expect(isZero(0, ROOM * STRIDE) && guardsIntact()).toBe(true);
    expect(takeStatus()).toBe(Status.Ok);
  });
});
