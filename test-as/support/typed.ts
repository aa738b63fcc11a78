/**
 * Typed records played in memory, for the specs of the core: 8 records with room for 12, the first of them number 1000,
 * guarded on both sides; one view in the first slot. Records have the fixture's layout (Tick of mmapforge: symbol at 8,
 * price at 80, volume at 88, timestamp at 96), and specs may see in its 96 bytes whatever they need.
 */
import { SLOTS_OFFSET } from '../../assembly/abi/memory';
import { Status } from '../../assembly/abi/status';
import { TypedView, WriteMode } from '../../assembly/layout/typed';
import { GUARD } from './segment';

export const STRIDE: u32 = 104;
export const SYMBOL: u32 = 8;
export const SYMBOL_MAX: u32 = 64;
export const PRICE: u32 = 80;
export const VOLUME: u32 = 88;
export const TIMESTAMP: u32 = 96;

/** The first record. */
export const BASE: usize = 0x100000;
/** The live count. */
export const COUNT_AT: usize = 0x200000;
/** A row, and a mask for one. */
export const ROW: usize = 0x280000;
export const MASK: usize = 0x2a0000;
/** Index of the first record. */
export const FIRST: u32 = 1000;
export const RECORDS: u32 = 8;
export const ROOM: u32 = 12;
const GUARD_BYTES: u32 = 4096;

export const view = changetype<TypedView>(<usize>SLOTS_OFFSET);

/** Address of a record. */
export function at(index: u32): usize {
  return BASE + (index - FIRST) * STRIDE;
}

/** Makes all records zeros with stamps 0, and the view one of them that can be written. */
export function fresh(mode: WriteMode = WriteMode.One, strict: bool = false): void {
  memory.fill(BASE - GUARD_BYTES, GUARD, GUARD_BYTES);
  memory.fill(BASE, 0, ROOM * STRIDE);
  memory.fill(BASE + ROOM * STRIDE, GUARD, GUARD_BYTES);
  memory.fill(ROW, GUARD, STRIDE + 64);
  store<u64>(COUNT_AT, FIRST + RECORDS);
  view.base = <u32>BASE;
  view.stride = STRIDE;
  view.first = FIRST;
  view.limit = RECORDS;
  view.countAt = <u32>COUNT_AT;
  view.room = ROOM;
  view.ready = ROOM;
  view.mode = mode;
  view.strict = strict ? 1 : 0;
  view.status = Status.Ok;
  view.next = 0;
  view.checksumAt = 0;
  view.slots = 0;
  view.wakeIn = 0;
}

/** Whether nothing but the records was written to. */
export function guardsIntact(): bool {
  for (let i: u32 = 0; i < GUARD_BYTES; i++) {
    if (load<u8>(BASE - GUARD_BYTES + i) != GUARD || load<u8>(BASE + ROOM * STRIDE + i) != GUARD) return false;
  }
  return true;
}

/** Whether the bytes [from, to) of the records, counted from the first one, are zeros. */
export function isZero(from: usize, to: usize): bool {
  for (let offset = from; offset < to; offset++) if (load<u8>(BASE + offset) != 0) return false;
  return true;
}

/** The stamp of a record. */
export function stamp(index: u32): u64 {
  return load<u64>(at(index));
}

/** The status of the view, which is `Ok` from now on. */
export function takeStatus(): i32 {
  const status = view.status;
  view.status = Status.Ok;
  return status;
}
