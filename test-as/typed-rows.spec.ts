/**
 * Whole records: copied, replaced, patched, appended; what is written beside them, and when a writer or a reader gives
 * up.
 */
import { Status } from '../assembly/abi/status';
import { WriteMode } from '../assembly/layout/typed';
import { patchRow } from '../assembly/sync/patch';
import { appendRow, readRow, refreshLimit, writeRow } from '../assembly/sync/rows';
import {
  BASE, COUNT_AT, FIRST, MASK, PRICE, RECORDS, ROOM, ROW, STRIDE, at, fresh, guardsIntact, isZero, stamp, view,
} from './support/typed';
import { GUARD } from './support/segment';

const INDEX: u32 = FIRST + 3;
const NEXT: u32 = FIRST + RECORDS;

function pattern(to: usize, seed: u32): void {
  for (let i: u32 = 8; i < STRIDE; i++) store<u8>(to + i, <u8>((i * 7 + seed) % 255 + 1));
}

/** Whether the fields of the record and of the row are the same. */
function same(record: usize, row: usize): bool {
  return memory.compare(record + 8, row + 8, STRIDE - 8) == 0;
}

function ways(way: i32): void {
  fresh(way < 2 ? WriteMode.One : WriteMode.Many, (way & 1) == 1);
}

describe('a row', () => {
  it('is read with all fields and nothing else', () => {
    fresh(WriteMode.ReadOnly);
    pattern(at(INDEX), 1);
    store<u64>(at(INDEX), 4);
    expect(readRow(view, INDEX, ROW)).toBe(Status.Ok);
    expect(same(at(INDEX), ROW)).toBe(true);
    for (let i: usize = 0; i < 8; i++) expect(load<u8>(ROW + i)).toBe(GUARD);
    for (let i: usize = STRIDE; i < STRIDE + 64; i++) expect(load<u8>(ROW + i)).toBe(GUARD);
    expect(stamp(INDEX)).toBe(4);
  });

  it('is written with all fields and nothing else, in every way of writing', () => {
    for (let way = 0; way < 4; way++) {
      ways(way);
      pattern(ROW, 2);
      expect(writeRow(view, INDEX, ROW)).toBe(Status.Ok);
      expect(same(at(INDEX), ROW)).toBe(true);
      expect(stamp(INDEX)).toBe(2);
      expect(isZero(0, 3 * STRIDE) && isZero(4 * STRIDE, ROOM * STRIDE) && guardsIntact()).toBe(true);
    }
  });

  it('changes only the bits of the mask in a patch, in every way of writing', () => {
    for (let way = 0; way < 4; way++) {
      ways(way);
      pattern(at(INDEX), 3);
      pattern(ROW, 90);
      memory.fill(MASK, 0, STRIDE);
      store<u8>(MASK + 9, 0xff);
      store<u32>(MASK + 20, 0xffffffff);
      store<u64>(MASK + STRIDE - 8, 0xf0);
      expect(patchRow(view, INDEX, ROW, MASK)).toBe(Status.Ok);
      let wrong = 0;
      for (let i: u32 = 8; i < STRIDE; i++) {
        const mask = load<u8>(MASK + i);
        const before = <u8>((i * 7 + 3) % 255 + 1);
        if (load<u8>(at(INDEX) + i) != ((before & ~mask) | (load<u8>(ROW + i) & mask))) wrong++;
      }
      expect(wrong).toBe(0);
      expect(stamp(INDEX)).toBe(2);
      expect(isZero(0, 3 * STRIDE) && isZero(4 * STRIDE, ROOM * STRIDE) && guardsIntact()).toBe(true);
    }
  });

  it('is there from the first record to the last, and nowhere else', () => {
    const outside: StaticArray<u32> = [0, FIRST - 1, NEXT, FIRST + ROOM, 0x80000000, 0xffffffff];
    for (let i = 0; i < outside.length; i++) {
      fresh();
      pattern(ROW, 4);
      expect(readRow(view, outside[i], ROW)).toBe(Status.OutOfRange);
      expect(writeRow(view, outside[i], ROW)).toBe(Status.OutOfRange);
      expect(patchRow(view, outside[i], ROW, ROW)).toBe(Status.OutOfRange);
      expect(isZero(0, ROOM * STRIDE) && guardsIntact()).toBe(true);
    }
    expect(writeRow(view, FIRST, ROW)).toBe(Status.Ok);
    expect(writeRow(view, NEXT - 1, ROW)).toBe(Status.Ok);
    expect(same(BASE, ROW) && same(at(NEXT - 1), ROW)).toBe(true);
  });

  it('is not written through a view for reading', () => {
    fresh(WriteMode.ReadOnly);
    expect(writeRow(view, INDEX, ROW)).toBe(Status.ReadOnly);
    expect(patchRow(view, INDEX, ROW, ROW)).toBe(Status.ReadOnly);
    expect(appendRow(view, ROW)).toBe(Status.ReadOnly);
    expect(isZero(0, ROOM * STRIDE)).toBe(true);
    expect(load<u64>(COUNT_AT)).toBe(FIRST + RECORDS);
  });

  it('is not read while a writer has the record, nor written by another one', () => {
    fresh(WriteMode.Many);
    store<u64>(at(INDEX), 5);
    expect(readRow(view, INDEX, ROW)).toBe(Status.Contention);
    expect(writeRow(view, INDEX, ROW)).toBe(Status.Contention);
    expect(patchRow(view, INDEX, ROW, ROW)).toBe(Status.Contention);
    expect(stamp(INDEX)).toBe(5);
    expect(isZero(3 * STRIDE + 8, ROOM * STRIDE)).toBe(true);
  });

  it('is written by the only writer where a dead one has left the stamp odd', () => {
    fresh(WriteMode.One);
    store<u64>(at(INDEX), 5);
    pattern(ROW, 5);
    expect(writeRow(view, INDEX, ROW)).toBe(Status.Ok);
    expect(stamp(INDEX)).toBe(6);
    expect(readRow(view, INDEX, MASK)).toBe(Status.Ok);
    expect(same(MASK, ROW)).toBe(true);
  });
});

describe('an append', () => {
  it('writes the record, then counts it, in every way of writing', () => {
    for (let way = 0; way < 4; way++) {
      ways(way);
      for (let i: u32 = 0; i < ROOM - RECORDS; i++) {
        pattern(ROW, i);
        expect(appendRow(view, ROW)).toBe(<i32>(NEXT + i));
        expect(load<u64>(COUNT_AT)).toBe(NEXT + i + 1);
        expect(view.limit).toBe(RECORDS + i + 1);
        expect(readRow(view, NEXT + i, MASK)).toBe(Status.Ok);
        expect(same(MASK, ROW)).toBe(true);
        expect((stamp(NEXT + i) & 1) == 0).toBe(true);
      }
      expect(appendRow(view, ROW)).toBe(Status.Full);
      expect(load<u64>(COUNT_AT)).toBe(FIRST + ROOM);
      expect(isZero(0, RECORDS * STRIDE) && guardsIntact()).toBe(true);
    }
  });

  it('of no row is a record of zeros', () => {
    for (let way = 0; way < 4; way++) {
      ways(way);
      expect(appendRow(view, 0)).toBe(<i32>NEXT);
      expect(isZero(RECORDS * STRIDE + 8, ROOM * STRIDE)).toBe(true);
      expect(readRow(view, NEXT, ROW)).toBe(Status.Ok);
    }
  });

  it('goes behind the records that others have appended meanwhile', () => {
    fresh(WriteMode.Many);
    store<u64>(COUNT_AT, NEXT + 2);
    pattern(ROW, 9);
    expect(appendRow(view, ROW)).toBe(<i32>(NEXT + 2));
    expect(view.limit).toBe(RECORDS + 3);
    expect(isZero(RECORDS * STRIDE, (RECORDS + 2) * STRIDE)).toBe(true);
  });

  it('is refused where the next record is not in the mapped range, also by counts that are absurd', () => {
    const counts: StaticArray<u64> = [
      0, FIRST - 1, FIRST + ROOM, 0xffffffff, 0x100000000, 0x100000000 + FIRST, 0x100000000 + NEXT, u64.MAX_VALUE,
    ];
    for (let way = 0; way < 4; way++) {
      for (let i = 0; i < counts.length; i++) {
        ways(way);
        store<u64>(COUNT_AT, counts[i]);
        expect(appendRow(view, ROW)).toBe(Status.Full);
        expect(load<u64>(COUNT_AT)).toBe(counts[i]);
        expect(view.limit).toBe(RECORDS);
        expect(isZero(0, ROOM * STRIDE) && guardsIntact()).toBe(true);
      }
    }
  });

  it('of a row waits for a page that is ready, of no row does not', () => {
    for (let way = 0; way < 4; way++) {
      ways(way);
      view.ready = RECORDS + 1;
      expect(appendRow(view, ROW)).toBe(<i32>NEXT);
      expect(appendRow(view, ROW)).toBe(Status.Cold);
      expect(load<u64>(COUNT_AT)).toBe(NEXT + 1);
      expect(isZero((RECORDS + 1) * STRIDE, ROOM * STRIDE)).toBe(true);
      expect(appendRow(view, 0)).toBe(<i32>(NEXT + 1));
      view.ready = ROOM;
      expect(appendRow(view, ROW)).toBe(<i32>(NEXT + 2));
    }
  });

  it('gives up where one of many writers has died in an append', () => {
    fresh(WriteMode.Many);
    store<u64>(at(NEXT), 1);
    expect(appendRow(view, ROW)).toBe(Status.Contention);
    expect(stamp(NEXT)).toBe(1);
    expect(load<u64>(COUNT_AT)).toBe(NEXT);
    expect(isZero(RECORDS * STRIDE + 8, ROOM * STRIDE)).toBe(true);
  });
});

describe('refreshLimit', () => {
  it('follows the count, within the mapped range', () => {
    fresh(WriteMode.ReadOnly);
    const counts: StaticArray<u64> = [
      0, FIRST - 1, FIRST, FIRST + 1, FIRST + ROOM, FIRST + ROOM + 1, 0x100000000 + FIRST + 3, u64.MAX_VALUE,
    ];
    const limits: StaticArray<u32> = [0, 0, 0, 1, ROOM, ROOM, ROOM, ROOM];
    for (let i = 0; i < counts.length; i++) {
      store<u64>(COUNT_AT, counts[i]);
      expect(refreshLimit(view)).toBe(limits[i]);
      expect(view.limit).toBe(limits[i]);
    }
    store<u64>(COUNT_AT, NEXT + 1);
    refreshLimit(view);
    store<f64>(at(NEXT) + PRICE, 2.5);
    expect(readRow(view, NEXT, ROW)).toBe(Status.Ok);
    expect(load<f64>(ROW + PRICE)).toBe(2.5);
  });
});
