/**
 * Rings: which records are there, where they lie, and what becomes of those that are overwritten, with few slots and
 * with sequence numbers of more than 32 bits; what a writer that died in an append leaves.
 */
import { Status } from '../assembly/abi/status';
import { FieldType } from '../assembly/abi/field';
import { crcInit } from '../assembly/crc/crc32c';
import { WriteMode } from '../assembly/layout/typed';
import { gatherRows } from '../assembly/sync/gather';
import { appendRing, patchRing, readRing, writeRing } from '../assembly/sync/ring';
import {
  BASE, COUNT_AT, MASK, PRICE, ROOM, ROW, STRIDE, fresh, guardsIntact, isZero, takeStatus, view,
} from './support/typed';

const SLOTS: u64 = ROOM;
/** Just above 32 bits. */
const FAR: u64 = 0x100000003;
/** A multiple of the slots, far above. */
const LAPS: u64 = 0x100000000 * SLOTS;
const TWENTY: u64 = 20;
const COUNTS: StaticArray<u64> = [0, 5, SLOTS, SLOTS + 5, 0x7ffffff9, 0xfffffffa, 0x1ffffffff7, 9007199254740900];

/** A ring whose slots are all mapped, after `count` appends. */
function ring(count: u64, way: i32 = 0): void {
  fresh(way < 2 ? WriteMode.One : WriteMode.Many, (way & 1) == 1);
  view.first = 0;
  view.limit = 0;
  view.slots = <u32>SLOTS;
  store<u64>(COUNT_AT, count);
  for (let sequence = first(count); sequence < count; sequence++) fill(slot(sequence), sequence);
}

function first(count: u64): u64 {
  return count > SLOTS ? count - SLOTS : 0;
}

function slot(sequence: u64): usize {
  return BASE + <usize>(sequence % SLOTS) * STRIDE;
}

/** Every word of a record is a function of its number. */
function fill(to: usize, sequence: u64): void {
  for (let offset: u32 = 8; offset < STRIDE; offset += 8) store<u64>(to + offset, sequence * 31 + offset);
}

function isRecord(at: usize, sequence: u64): bool {
  for (let offset: u32 = 8; offset < STRIDE; offset += 8) {
    if (load<u64>(at + offset) != sequence * 31 + offset) return false;
  }
  return true;
}

describe('a ring', () => {
  beforeAll(() => { crcInit(); });

  it('holds the last records, as many as it has slots', () => {
    for (let i = 0; i < COUNTS.length; i++) {
      const count = COUNTS[i];
      ring(count);
      for (let sequence = first(count); sequence < count; sequence++) {
        expect(readRing(view, <f64>sequence, ROW)).toBe(Status.Ok);
        expect(isRecord(ROW, sequence)).toBe(true);
      }
      expect(readRing(view, <f64>count, ROW)).toBe(Status.OutOfRange);
      expect(readRing(view, <f64>(count + SLOTS), ROW)).toBe(Status.OutOfRange);
      if (first(count) == 0) continue;
      expect(readRing(view, <f64>(first(count) - 1), ROW)).toBe(Status.OutOfRange);
      expect(readRing(view, 0, ROW)).toBe(Status.OutOfRange);
      expect(writeRing(view, <f64>(first(count) - 1), ROW)).toBe(Status.OutOfRange);
      expect(patchRing(view, <f64>(first(count) - 1), ROW, MASK)).toBe(Status.OutOfRange);
    }
  });

  it('takes each new record into the place of the oldest, in every way of writing', () => {
    for (let way = 0; way < 4; way++) {
      for (let i = 0; i < COUNTS.length; i++) {
        const count = COUNTS[i];
        ring(count, way);
        for (let sequence = count; sequence < count + 2 * SLOTS; sequence++) {
          fill(ROW, sequence);
          expect(appendRing(view, ROW)).toBe(<f64>sequence);
          expect(load<u64>(COUNT_AT)).toBe(sequence + 1);
          for (let there = first(sequence + 1); there <= sequence; there++) {
            expect(isRecord(slot(there), there)).toBe(true);
            expect((load<u64>(slot(there)) & 1) == 0).toBe(true);
          }
        }
        expect(guardsIntact()).toBe(true);
      }
    }
  });

  it('changes a stamp with every record that it takes, so that no reader confuses two', () => {
    for (let way = 0; way < 4; way++) {
      ring(0, way);
      for (let sequence: u64 = 0; sequence < 3 * SLOTS; sequence++) {
        const before = load<u64>(slot(sequence));
        appendRing(view, ROW);
        expect(load<u64>(slot(sequence))).toBeGreaterThan(before);
      }
    }
  });

  it('appends zeros where there is no row, whatever the slot held', () => {
    for (let way = 0; way < 4; way++) {
      ring(2 * SLOTS + 3, way);
      expect(appendRing(view, 0)).toBe(<f64>(SLOTS + SLOTS + 3));
      expect(isZero(3 * STRIDE + 8, 4 * STRIDE)).toBe(true);
      expect(isRecord(slot(SLOTS + 4), SLOTS + 4)).toBe(true);
    }
  });

  it('has records that are replaced and patched, with checksums and without', () => {
    for (let way = 0; way < 8; way++) {
      ring(FAR, way & 3);
      view.checksumAt = way < 4 ? 0 : STRIDE - 8;
      for (let i: u64 = 0; i < SLOTS; i++) {
        fill(ROW, FAR + i);
        store<u64>(ROW + STRIDE - 8, 0);
        expect(appendRing(view, ROW)).toBe(<f64>(FAR + i));
      }
      const sequence: u64 = 0x100000007;
      fill(ROW, 1);
      store<u64>(ROW + STRIDE - 8, 0);
      expect(writeRing(view, <f64>sequence, ROW)).toBe(Status.Ok);
      memory.fill(MASK, 0, STRIDE);
      store<u64>(MASK + PRICE, u64.MAX_VALUE);
      store<u64>(ROW + PRICE, 7);
      expect(patchRing(view, <f64>sequence, ROW, MASK)).toBe(Status.Ok);
      expect(readRing(view, <f64>sequence, MASK)).toBe(Status.Ok);
      expect(load<u64>(MASK + PRICE)).toBe(7);
      expect(load<u64>(MASK + 8)).toBe(31 + 8);
      expect(readRing(view, <f64>(sequence + 1), MASK)).toBe(Status.Ok);
      expect(load<u64>(MASK + 8)).toBe((sequence + 1) * 31 + 8);
      if (way < 4) continue;
      expect(appendRing(view, 0)).toBe(<f64>(FAR + SLOTS));
      expect(readRing(view, <f64>(FAR + SLOTS), MASK)).toBe(Status.Ok);
      store<u64>(slot(sequence) + 8, 5);
      expect(readRing(view, <f64>sequence, MASK)).toBe(Status.BadCrc);
      expect(patchRing(view, <f64>sequence, ROW, MASK)).toBe(Status.BadCrc);
    }
  });

  it('reaches only the slots that are mapped', () => {
    for (let way = 0; way < 4; way++) {
      ring(LAPS + 6, way);
      // The slots 3 and 4 alone, where they always lie.
      view.first = 3;
      view.room = 2;
      view.base = <u32>(BASE + 3 * STRIDE);
      const start: u64 = LAPS - SLOTS;
      for (let sequence = start + 6; sequence < start + 6 + SLOTS; sequence++) {
        const place = sequence % SLOTS;
        const mapped = place == 3 || place == 4;
        expect(readRing(view, <f64>sequence, ROW)).toBe(mapped ? Status.Ok : Status.OutOfRange);
        if (mapped) expect(isRecord(ROW, sequence)).toBe(true);
        expect(writeRing(view, <f64>sequence, ROW)).toBe(mapped ? Status.Ok : Status.OutOfRange);
      }
      expect(appendRing(view, ROW)).toBe(<f64>Status.Full);
      expect(load<u64>(COUNT_AT)).toBe(LAPS + 6);
      store<u64>(COUNT_AT, LAPS + 4);
      expect(appendRing(view, ROW)).toBe(<f64>(LAPS + 4));
    }
  });

  it('is not written through a view for reading', () => {
    ring(20);
    view.mode = WriteMode.ReadOnly;
    expect(appendRing(view, ROW)).toBe(<f64>Status.ReadOnly);
    expect(writeRing(view, 19, ROW)).toBe(Status.ReadOnly);
    expect(patchRing(view, 19, ROW, MASK)).toBe(Status.ReadOnly);
    expect(load<u64>(COUNT_AT)).toBe(20);
    expect(isRecord(slot(19), 19)).toBe(true);
  });

  it('of which one of many writers has died in an append keeps all records but the one it had', () => {
    ring(20, 2);
    const taken = slot(20);
    store<u64>(taken, load<u64>(taken) | 1);
    expect(appendRing(view, ROW)).toBe(<f64>Status.Contention);
    expect(load<u64>(COUNT_AT)).toBe(20);
    expect(readRing(view, <f64>(TWENTY - SLOTS), ROW)).toBe(Status.Contention);
    for (let sequence = TWENTY + 1 - SLOTS; sequence < TWENTY; sequence++) {
      expect(readRing(view, <f64>sequence, ROW)).toBe(Status.Ok);
    }
    // After it has counted, and before it gave the slot back.
    store<u64>(COUNT_AT, 21);
    expect(readRing(view, 20, ROW)).toBe(Status.Contention);
    expect(readRing(view, <f64>(TWENTY - SLOTS), ROW)).toBe(Status.OutOfRange);
    fill(ROW, 21);
    expect(appendRing(view, ROW)).toBe(21);
  });

  it('is gathered across its end, up to a record that is not there', () => {
    const count: u64 = 0x100000000;
    ring(count);
    for (let sequence = first(count); sequence < count; sequence++) store<f64>(slot(sequence) + PRICE, <f64>sequence);
    expect(gatherRows(view, FieldType.F64, PRICE, <f64>(count - SLOTS), <u32>SLOTS, ROW, MASK, 0, 0)).toBe(<u32>SLOTS);
    expect(takeStatus()).toBe(Status.Ok);
    for (let i: u64 = 0; i < SLOTS; i++) expect(load<f64>(MASK + <usize>i * 8)).toBe(<f64>(count - SLOTS + i));
    expect(gatherRows(view, FieldType.F64, PRICE, <f64>(count - 3), 5, ROW, MASK, 0, 0)).toBe(3);
    expect(takeStatus()).toBe(Status.OutOfRange);
    expect(gatherRows(view, FieldType.F64, PRICE, <f64>(count - SLOTS - 1), 5, ROW, MASK, 0, 0)).toBe(0);
    expect(takeStatus()).toBe(Status.OutOfRange);
  });

  it('of no slots, as a view that was given back is, has no records', () => {
    fresh(WriteMode.ReadOnly);
    store<u64>(COUNT_AT, 0);
    expect(readRing(view, 0, ROW)).toBe(Status.OutOfRange);
    expect(writeRing(view, 0, ROW)).toBe(Status.OutOfRange);
    expect(patchRing(view, 0, ROW, MASK)).toBe(Status.OutOfRange);
    expect(appendRing(view, ROW)).toBe(<f64>Status.ReadOnly);
  });
});
