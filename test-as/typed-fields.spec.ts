/**
 * Single fields of typed records: every type with its extremes and nothing beside it written, bounds, the modes of
 * writing, and that nobody waits for ever.
 */
import { Status } from '../assembly/abi/status';
import { WriteMode } from '../assembly/layout/typed';
import {
  getBool, getF32, getF64, getI16, getI32, getI64, getI64Number, getI8, getU16, getU32, getU64Number, getU8, laterWord,
  set16, set32, set64, set64Number, set8, setF32, setF64,
} from '../assembly/sync/fields';
import {
  BASE, FIRST, PRICE, RECORDS, ROOM, STRIDE, VOLUME, at, fresh, guardsIntact, isZero, stamp, takeStatus, view,
} from './support/typed';

const INDEX: u32 = FIRST + 2;
const RECORD: usize = 2 * STRIDE;

/** Whether a set has written the `bytes` of the field at `offset`, the stamp of its record, and nothing else. */
function wroteOnly(offset: u32, bytes: u32): bool {
  return guardsIntact() && isZero(0, RECORD) && isZero(RECORD + 8, RECORD + offset)
    && isZero(RECORD + offset + bytes, ROOM * STRIDE) && stamp(INDEX) == 2;
}

function ways(way: i32): void {
  fresh(way < 2 ? WriteMode.One : WriteMode.Many, (way & 1) == 1);
}

describe('fields of a typed record', () => {
  it('hold the extremes of each integer, in every way of writing', () => {
    for (let way = 0; way < 4; way++) {
      for (let value = -128; value <= 255; value++) {
        ways(way);
        expect(set8(view, INDEX, 13, value)).toBe(Status.Ok);
        expect(getI8(view, INDEX, 13)).toBe(<f64><i8>value);
        expect(getU8(view, INDEX, 13)).toBe(<f64><u8>value);
        expect(wroteOnly(13, 1)).toBe(true);
      }
      const halves: StaticArray<i32> = [-32768, -1, 0, 1, 32767, 32768, 65535];
      for (let i = 0; i < halves.length; i++) {
        ways(way);
        expect(set16(view, INDEX, 14, halves[i])).toBe(Status.Ok);
        expect(getI16(view, INDEX, 14)).toBe(<f64><i16>halves[i]);
        expect(getU16(view, INDEX, 14)).toBe(<f64><u16>halves[i]);
        expect(wroteOnly(14, 2)).toBe(true);
      }
      const words: StaticArray<i32> = [i32.MIN_VALUE, -1, 0, 1, i32.MAX_VALUE];
      for (let i = 0; i < words.length; i++) {
        ways(way);
        expect(set32(view, INDEX, 12, words[i])).toBe(Status.Ok);
        expect(getI32(view, INDEX, 12)).toBe(<f64>words[i]);
        expect(getU32(view, INDEX, 12)).toBe(<f64><u32>words[i]);
        expect(wroteOnly(12, 4)).toBe(true);
      }
      const longs: StaticArray<i64> = [i64.MIN_VALUE, -9007199254740993, -1, 0, 1, 9007199254740993, i64.MAX_VALUE];
      for (let i = 0; i < longs.length; i++) {
        ways(way);
        expect(set64(view, INDEX, PRICE, longs[i])).toBe(Status.Ok);
        expect(getI64(view, INDEX, PRICE)).toBe(longs[i]);
        expect(wroteOnly(PRICE, 8)).toBe(true);
      }
      expect(takeStatus()).toBe(Status.Ok);
    }
  });

  it('hold the extremes of each float, bit by bit', () => {
    const wide: StaticArray<u64> = [
      0, 0x8000000000000000, 1, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
      0xfff8deadbeef0001, 0x3fb999999999999a,
    ];
    const narrow: StaticArray<u32> = [
      0, 0x80000000, 1, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x3dcccccd,
    ];
    for (let way = 0; way < 4; way++) {
      for (let i = 0; i < wide.length; i++) {
        ways(way);
        expect(setF64(view, INDEX, PRICE, reinterpret<f64>(wide[i]))).toBe(Status.Ok);
        expect(reinterpret<u64>(getF64(view, INDEX, PRICE))).toBe(wide[i]);
        expect(wroteOnly(PRICE, 8)).toBe(true);
        expect(setF32(view, INDEX, 84, reinterpret<f32>(narrow[i]))).toBe(Status.Ok);
        expect(load<u32>(at(INDEX) + 84)).toBe(narrow[i]);
        expect(Object.is(getF32(view, INDEX, 84), <f64>reinterpret<f32>(narrow[i]))).toBe(true);
      }
    }
    expect(takeStatus()).toBe(Status.Ok, 'NaN is a value like others');
  });

  it('hold booleans, and say so where they hold none', () => {
    fresh();
    set8(view, INDEX, 13, 1);
    expect(getBool(view, INDEX, 13)).toBe(1);
    set8(view, INDEX, 13, 0);
    expect(getBool(view, INDEX, 13)).toBe(0);
    expect(takeStatus()).toBe(Status.Ok);
    for (let value = 2; value <= 255; value++) {
      set8(view, INDEX, 13, value);
      expect(getBool(view, INDEX, 13)).toBeNaN();
      expect(takeStatus()).toBe(Status.BadValue);
    }
  });

  it('give 64-bit integers as numbers as far as those are exact', () => {
    fresh();
    const most: i64 = 9007199254740991;
    const exact: StaticArray<i64> = [0, 1, -1, most, -most];
    for (let i = 0; i < exact.length; i++) {
      set64Number(view, INDEX, PRICE, <f64>exact[i]);
      expect(load<i64>(at(INDEX) + PRICE)).toBe(exact[i]);
      expect(getI64Number(view, INDEX, PRICE)).toBe(<f64>exact[i]);
      expect(takeStatus()).toBe(Status.Ok);
    }
    const beyond: StaticArray<i64> = [most + 1, -most - 1, i64.MAX_VALUE, i64.MIN_VALUE];
    for (let i = 0; i < beyond.length; i++) {
      set64(view, INDEX, PRICE, beyond[i]);
      expect(getI64Number(view, INDEX, PRICE)).toBeNaN();
      expect(takeStatus()).toBe(Status.Inexact);
      expect(getU64Number(view, INDEX, PRICE)).toBeNaN();
      expect(takeStatus()).toBe(Status.Inexact);
    }
    set64(view, INDEX, PRICE, most);
    expect(getU64Number(view, INDEX, PRICE)).toBe(<f64>most);
    expect(takeStatus()).toBe(Status.Ok);
  });

  it('are there from the first record to the last, and nowhere else', () => {
    fresh();
    setF64(view, FIRST, PRICE, 1);
    setF64(view, FIRST + RECORDS - 1, PRICE, 2);
    expect(load<f64>(BASE + PRICE)).toBe(1);
    expect(load<f64>(BASE + (RECORDS - 1) * STRIDE + PRICE)).toBe(2);
    const outside: StaticArray<u32> = [0, FIRST - 1, FIRST + RECORDS, FIRST + ROOM, 0x7fffffff, 0x80000000, 0xffffffff];
    for (let i = 0; i < outside.length; i++) {
      fresh();
      expect(getF64(view, outside[i], PRICE)).toBeNaN();
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(getU8(view, outside[i], 8)).toBeNaN();
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(getI64(view, outside[i], PRICE)).toBe(0);
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(getU64Number(view, outside[i], PRICE)).toBeNaN();
      expect(takeStatus()).toBe(Status.OutOfRange);
      expect(setF64(view, outside[i], PRICE, 1)).toBe(Status.OutOfRange);
      expect(set8(view, outside[i], 8, 1)).toBe(Status.OutOfRange);
      expect(isZero(0, ROOM * STRIDE) && guardsIntact()).toBe(true);
    }
    view.limit = 0;
    expect(getF64(view, FIRST, PRICE)).toBeNaN();
    expect(takeStatus()).toBe(Status.OutOfRange, 'of no records');
  });

  it('are not written through a view for reading', () => {
    fresh(WriteMode.ReadOnly);
    expect(setF64(view, INDEX, PRICE, 1)).toBe(Status.ReadOnly);
    expect(set8(view, INDEX, PRICE, 1)).toBe(Status.ReadOnly);
    expect(set64(view, INDEX, PRICE, 1)).toBe(Status.ReadOnly);
    expect(isZero(0, ROOM * STRIDE)).toBe(true);
    expect(getF64(view, INDEX, PRICE)).toBe(0);
    expect(takeStatus()).toBe(Status.Ok);
  });
});

describe('a record in the hands of a writer', () => {
  it('is not read, and readers give up', () => {
    fresh();
    store<u64>(at(INDEX), 7);
    expect(getF64(view, INDEX, PRICE)).toBeNaN();
    expect(takeStatus()).toBe(Status.Contention);
    expect(getF32(view, INDEX, PRICE)).toBeNaN();
    expect(takeStatus()).toBe(Status.Contention);
    expect(getBool(view, INDEX, PRICE)).toBeNaN();
    expect(takeStatus()).toBe(Status.Contention);
    expect(getI64(view, INDEX, PRICE)).toBe(0);
    expect(takeStatus()).toBe(Status.Contention);
    expect(getI64Number(view, INDEX, PRICE)).toBeNaN();
    expect(takeStatus()).toBe(Status.Contention);
    expect(stamp(INDEX)).toBe(7);
    expect(getF64(view, INDEX + 1, PRICE)).toBe(0);
    expect(takeStatus()).toBe(Status.Ok, 'the next record');
  });

  it('is read at a later look as at the first one, wherever in a word the field stands', () => {
    fresh(WriteMode.ReadOnly);
    for (let i: u32 = 8; i < STRIDE; i++) store<u8>(at(INDEX) + i, <u8>i);
    for (let offset: u32 = 8; offset < STRIDE; offset++) {
      expect(<u8>laterWord(view, INDEX, offset)).toBe(<u8>offset);
      if ((offset & 1) == 0) expect(<u16>laterWord(view, INDEX, offset)).toBe(load<u16>(at(INDEX) + offset));
      if ((offset & 3) == 0) expect(<u32>laterWord(view, INDEX, offset)).toBe(load<u32>(at(INDEX) + offset));
      if ((offset & 7) == 0) expect(laterWord(view, INDEX, offset)).toBe(load<u64>(at(INDEX) + offset));
    }
    expect(takeStatus()).toBe(Status.Ok);
  });

  it('is taken over by the only writer, and its stamp rises to the next even one', () => {
    fresh(WriteMode.One);
    store<u64>(at(INDEX), 7);
    expect(setF64(view, INDEX, PRICE, 1.5)).toBe(Status.Ok);
    expect(stamp(INDEX)).toBe(8);
    expect(setF64(view, INDEX, VOLUME, 2.5)).toBe(Status.Ok);
    expect(stamp(INDEX)).toBe(10);
    expect(getF64(view, INDEX, PRICE) + getF64(view, INDEX, VOLUME)).toBe(4);
  });

  it('is left to it by one writer among many, who gives up', () => {
    fresh(WriteMode.Many);
    store<u64>(at(INDEX), 7);
    expect(setF64(view, INDEX, PRICE, 1.5)).toBe(Status.Contention);
    expect(set8(view, INDEX, PRICE, 1)).toBe(Status.Contention);
    expect(stamp(INDEX)).toBe(7);
    expect(isZero(RECORD + 8, RECORD + STRIDE)).toBe(true);
  });

  it('has a stamp that goes on behind the largest one', () => {
    for (let way = 0; way < 4; way++) {
      ways(way);
      store<u64>(at(INDEX), 0xfffffffffffffffe);
      expect(setF64(view, INDEX, PRICE, 1)).toBe(Status.Ok);
      expect(stamp(INDEX)).toBe(0);
      store<u64>(at(INDEX), 0xfffffffe);
      expect(setF64(view, INDEX, PRICE, 1)).toBe(Status.Ok);
      expect(stamp(INDEX)).toBe(0x100000000);
    }
  });
});
