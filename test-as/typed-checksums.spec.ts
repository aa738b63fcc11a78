/**
 * Records with checksums: every way of writing leaves one that is right, reading finds every bit that is wrong, and a
 * patch does not make damage good.
 */
import { Status } from '../assembly/abi/status';
import { FieldType } from '../assembly/abi/field';
import { crc32c, crcInit } from '../assembly/crc/crc32c';
import { WriteMode } from '../assembly/layout/typed';
import { gatherRows } from '../assembly/sync/gather';
import { patchRow } from '../assembly/sync/patch';
import { damagedNext } from '../assembly/sync/recover';
import { appendRow, readRow, writeRow } from '../assembly/sync/rows';
import {
  BASE, FIRST, MASK, PRICE, RECORDS, ROOM, ROW, STRIDE, at, fresh, guardsIntact, isZero, stamp, takeStatus, view,
} from './support/typed';
import { flip } from './support/segment';

const INDEX: u32 = FIRST + 3;
const NEXT: u32 = FIRST + RECORDS;
/** In the last word of the record, with padding behind it. */
const CHECKSUM: u32 = STRIDE - 8;

function pattern(to: usize, seed: u32): void {
  memory.fill(to + 8, 0, STRIDE - 8);
  for (let i: u32 = 8; i < CHECKSUM; i++) store<u8>(to + i, <u8>((i * 7 + seed) % 255 + 1));
}

/** The checksum that a record must have. */
function expected(record: usize): u32 {
  return crc32c(0, record + 8, CHECKSUM - 8);
}

function isSealed(record: usize): bool {
  return load<u32>(record + CHECKSUM) == expected(record) && load<u32>(record + CHECKSUM + 4) == 0;
}

function ways(way: i32): void {
  fresh(way < 2 ? WriteMode.One : WriteMode.Many, (way & 1) == 1);
  view.checksumAt = CHECKSUM;
  for (let i: u32 = 0; i < RECORDS; i++) store<u32>(at(FIRST + i) + CHECKSUM, expected(at(FIRST + i)));
}

describe('a record with a checksum', () => {
  beforeAll(() => { crcInit(); });

  it('has the right one after every way of writing', () => {
    for (let way = 0; way < 4; way++) {
      ways(way);
      pattern(ROW, 2);
      expect(writeRow(view, INDEX, ROW)).toBe(Status.Ok);
      expect(isSealed(at(INDEX))).toBe(true);
      expect(load<u32>(at(INDEX) + CHECKSUM)).not.toBe(expected(at(INDEX + 1)));
      pattern(ROW, 70);
      memory.fill(MASK, 0, STRIDE);
      store<u64>(MASK + PRICE, u64.MAX_VALUE);
      expect(patchRow(view, INDEX, ROW, MASK)).toBe(Status.Ok);
      expect(load<u64>(at(INDEX) + PRICE)).toBe(load<u64>(ROW + PRICE));
      expect(isSealed(at(INDEX))).toBe(true);
      pattern(ROW, 3);
      expect(appendRow(view, ROW)).toBe(<i32>NEXT);
      expect(isSealed(at(NEXT))).toBe(true);
      expect(appendRow(view, 0)).toBe(<i32>NEXT + 1);
      expect(isZero((RECORDS + 1) * STRIDE + 8, (RECORDS + 1) * STRIDE + CHECKSUM)).toBe(true);
      expect(isSealed(at(NEXT + 1))).toBe(true);
      for (let i: u32 = 0; i < RECORDS + 2; i++) expect(readRow(view, FIRST + i, ROW)).toBe(Status.Ok);
      expect(isZero((RECORDS + 2) * STRIDE, ROOM * STRIDE) && guardsIntact()).toBe(true);
    }
  });

  it('is not read when any bit of it has changed, nor patched', () => {
    ways(0);
    pattern(ROW, 5);
    writeRow(view, INDEX, ROW);
    memory.fill(MASK, 255, STRIDE);
    for (let i: u32 = 8; i < CHECKSUM + 4; i++) {
      for (let bit: u32 = 0; bit < 8; bit++) {
        flip(at(INDEX) + i, bit);
        expect(readRow(view, INDEX, ROW)).toBe(Status.BadCrc);
        const before = stamp(INDEX);
        const wrong = load<u32>(at(INDEX) + CHECKSUM);
        expect(patchRow(view, INDEX, ROW, MASK)).toBe(Status.BadCrc);
        expect(load<u32>(at(INDEX) + CHECKSUM)).toBe(wrong);
        expect(stamp(INDEX)).toBe(before + 2, 'given back');
        flip(at(INDEX) + i, bit);
      }
    }
    expect(readRow(view, INDEX, ROW)).toBe(Status.Ok);
    flip(at(INDEX) + 8, 0);
    expect(readRow(view, INDEX, ROW)).toBe(Status.BadCrc);
    expect(writeRow(view, INDEX, ROW)).toBe(Status.Ok, 'a whole new record makes it good');
    expect(readRow(view, INDEX, ROW)).toBe(Status.Ok);
  });

  it('is found by recovery when it is damaged', () => {
    ways(0);
    flip(at(FIRST) + 8, 1);
    flip(at(FIRST + 5) + CHECKSUM, 1);
    expect(damagedNext(BASE, STRIDE, CHECKSUM, 0, RECORDS)).toBe(0);
    expect(damagedNext(BASE, STRIDE, CHECKSUM, 1, RECORDS)).toBe(5);
    expect(damagedNext(BASE, STRIDE, CHECKSUM, 6, RECORDS)).toBe(RECORDS);
    expect(damagedNext(BASE, STRIDE, CHECKSUM, 0, 0)).toBe(0);
  });

  it('is gathered up to the first that is damaged or not there', () => {
    ways(0);
    for (let i: u32 = 0; i < RECORDS; i++) {
      pattern(ROW, i);
      store<f64>(ROW + PRICE, <f64>i + 0.5);
      writeRow(view, FIRST + i, ROW);
    }
    expect(gatherRows(view, FieldType.F64, PRICE, FIRST, RECORDS, ROW, MASK, 0, 0)).toBe(RECORDS);
    expect(takeStatus()).toBe(Status.Ok);
    for (let i: u32 = 0; i < RECORDS; i++) expect(load<f64>(MASK + i * 8)).toBe(<f64>i + 0.5);
    expect(gatherRows(view, FieldType.F64, PRICE, FIRST + 6, 4, ROW, MASK, 0, 0)).toBe(2);
    expect(takeStatus()).toBe(Status.OutOfRange);
    flip(at(FIRST + 4) + 8, 0);
    expect(gatherRows(view, FieldType.F64, PRICE, FIRST, RECORDS, ROW, MASK, 0, 0)).toBe(4);
    expect(takeStatus()).toBe(Status.BadCrc);
    expect(gatherRows(view, FieldType.U8, PRICE + 7, FIRST + 1, 1, ROW, MASK, 0, 0)).toBe(1);
    expect(load<f64>(MASK)).toBe(<f64>load<u8>(at(FIRST + 1) + PRICE + 7));
  });
});
