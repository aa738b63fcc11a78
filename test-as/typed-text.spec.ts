/**
 * Text and bytes in records: each length at each place, nothing beside them written, lengths that are none.
 */
import { Status } from '../assembly/abi/status';
import { WriteMode } from '../assembly/layout/typed';
import { getBytes, setBytes } from '../assembly/sync/text';
import {
  FIRST, MASK, RECORDS, ROOM, ROW, STRIDE, SYMBOL, SYMBOL_MAX, at, fresh, guardsIntact, isZero, stamp, view,
} from './support/typed';
import { GUARD } from './support/segment';

const INDEX: u32 = FIRST + 2;
const RECORD: usize = 2 * STRIDE;

function ways(way: i32): void {
  fresh(way < 2 ? WriteMode.One : WriteMode.Many, (way & 1) == 1);
}

function pattern(seed: u32): void {
  for (let i: u32 = 0; i < STRIDE; i++) store<u8>(MASK + i, <u8>((i * 13 + seed) % 255 + 1));
}

describe('bytes of a typed record', () => {
  it('are read as they were written, at both alignments, in every way of writing', () => {
    for (let way = 0; way < 4; way++) {
      for (let offset: u32 = SYMBOL; offset <= SYMBOL + 4; offset += 4) {
        for (let length: u32 = 0; length <= SYMBOL_MAX; length++) {
          ways(way);
          pattern(length);
          expect(setBytes(view, INDEX, offset, SYMBOL_MAX, MASK, length)).toBe(Status.Ok);
          expect(stamp(INDEX)).toBe(2);
          expect(load<u32>(at(INDEX) + offset)).toBe(length);
          const end = RECORD + offset + 4 + length;
          expect(isZero(0, RECORD) && isZero(RECORD + 8, RECORD + offset) && isZero(end, ROOM * STRIDE)).toBe(true);
          expect(getBytes(view, INDEX, offset, SYMBOL_MAX, ROW)).toBe(<i32>length);
          expect(memory.compare(ROW, MASK, length)).toBe(0);
          expect(memory.compare(at(INDEX) + offset + 4, MASK, length)).toBe(0);
          for (let i = length + 7; i < STRIDE; i++) if (load<u8>(ROW + i) != GUARD) expect(i).toBe(0, 'row');
        }
      }
      expect(guardsIntact()).toBe(true);
    }
  });

  it('leave zeros behind where they were more before, and keep the field behind them', () => {
    for (let way = 0; way < 4; way++) {
      for (let offset: u32 = SYMBOL; offset <= SYMBOL + 4; offset += 4) {
        for (let length: u32 = 0; length <= 33; length++) {
          ways(way);
          pattern(1);
          memory.fill(at(INDEX) + offset + 4 + 33, 0xee, 20);
          setBytes(view, INDEX, offset, 33, MASK, 33);
          expect(setBytes(view, INDEX, offset, 33, MASK, length)).toBe(Status.Ok);
          const begin = RECORD + offset + 4;
          expect(isZero(begin + length, begin + 33)).toBe(true);
          for (let i: usize = 33; i < 53; i++) expect(load<u8>(at(INDEX) + offset + 4 + i)).toBe(0xee);
        }
      }
    }
  });

  it('have a length that is none where it is beyond the bound', () => {
    fresh();
    const lengths: StaticArray<u32> = [SYMBOL_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff];
    for (let i = 0; i < lengths.length; i++) {
      store<u32>(at(INDEX) + SYMBOL, lengths[i]);
      expect(getBytes(view, INDEX, SYMBOL, SYMBOL_MAX, ROW)).toBe(Status.BadValue);
      expect(load<u8>(ROW)).toBe(GUARD, 'the row');
    }
    memory.fill(at(INDEX) + SYMBOL + 4 + SYMBOL_MAX, 0xee, 8);
    pattern(0);
    expect(setBytes(view, INDEX, SYMBOL, SYMBOL_MAX, MASK, 3)).toBe(Status.Ok, 'replaces it');
    expect(getBytes(view, INDEX, SYMBOL, SYMBOL_MAX, ROW)).toBe(3);
    expect(load<u64>(at(INDEX) + SYMBOL + 4 + SYMBOL_MAX)).toBe(0xeeeeeeeeeeeeeeee);
  });

  it('are not written where they are too many', () => {
    fresh();
    expect(setBytes(view, INDEX, SYMBOL, SYMBOL_MAX, MASK, SYMBOL_MAX + 1)).toBe(Status.BadValue);
    expect(setBytes(view, INDEX, SYMBOL, SYMBOL_MAX, MASK, 0xffffffff)).toBe(Status.BadValue);
    expect(isZero(0, ROOM * STRIDE)).toBe(true);
  });

  it('are there from the first record to the last, and nowhere else', () => {
    const outside: StaticArray<u32> = [0, FIRST - 1, FIRST + RECORDS, 0xffffffff];
    fresh();
    for (let i = 0; i < outside.length; i++) {
      expect(getBytes(view, outside[i], SYMBOL, SYMBOL_MAX, ROW)).toBe(Status.OutOfRange);
      expect(setBytes(view, outside[i], SYMBOL, SYMBOL_MAX, MASK, 3)).toBe(Status.OutOfRange);
    }
    expect(isZero(0, ROOM * STRIDE) && guardsIntact()).toBe(true);
  });

  it('are not read while a writer has the record, nor written by another one, nor through a view for reading', () => {
    fresh(WriteMode.Many);
    store<u64>(at(INDEX), 9);
    expect(getBytes(view, INDEX, SYMBOL, SYMBOL_MAX, ROW)).toBe(Status.Contention);
    expect(setBytes(view, INDEX, SYMBOL, SYMBOL_MAX, MASK, 3)).toBe(Status.Contention);
    view.mode = WriteMode.ReadOnly;
    expect(setBytes(view, INDEX, SYMBOL, SYMBOL_MAX, MASK, 3)).toBe(Status.ReadOnly);
    expect(stamp(INDEX)).toBe(9);
    expect(isZero(RECORD + 8, ROOM * STRIDE)).toBe(true);
    view.mode = WriteMode.One;
    expect(setBytes(view, INDEX, SYMBOL, SYMBOL_MAX, MASK, 3)).toBe(Status.Ok, 'the only writer takes it over');
    expect(stamp(INDEX)).toBe(10);
  });
});
