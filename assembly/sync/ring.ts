/**
 * Rings: a fixed number of slots, in which record s takes the place of record s - slots. The live count is the number
 * of records ever appended, so that records [count - slots, count) are there, and the sequence number of a record says
 * where it lies. Sequence numbers cross the boundary as f64, exact to 2^53.
 *
 * An append takes the slot, fills it, raises the count and gives the slot back, in that order. So whoever has seen the
 * count above s, and then a stamp that is even, finds record s in its slot or a later one; and where the slot was given
 * back with a later one, the count says so by then. Readers load the count before the stamp and after it: what was
 * still there afterwards is the record that they asked for.
 */
import { SEQLOCK_SPINS_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { TypedView, WriteMode } from '../layout/typed';
import { sealRecord, sealRow } from './checksum';
import { patch } from './patch';
import { copyRow, fill } from './rows';
import { put, release, take } from './seqlock';

/** Returns the address of the slot of a record, there or not; 0 where it is not mapped. */
@inline
function slotAt(view: TypedView, sequence: u64): usize {
  const ordinal = <u32>(sequence % view.slots) - view.first;
  return ordinal < view.room ? <usize>view.base + <usize>ordinal * view.stride : 0;
}

/** Whether a record is there. Order: before its stamp is loaded, and again after all of it was. */
@inline
function isThere(view: TypedView, sequence: u64): bool {
  const count = atomic.load<u64>(view.countAt);
  return sequence < count && count - sequence <= view.slots;
}

/**
 * Copies a record to a row.
 *
 * @param index its sequence number, an integer from 0 to 2^53
 * @param row a multiple of 8, `stride` writable bytes
 * @returns `Ok`, `OutOfRange` where it is not there yet, not any more, or not mapped, `Contention` or `BadCrc`
 * Writes: [row + 8, row + stride), also where the record was overwritten meanwhile.
 */
export function readRing(view: TypedView, index: f64, row: usize): Status {
  const sequence = <u64>index;
  if (!isThere(view, sequence)) return Status.OutOfRange;
  const at = slotAt(view, sequence);
  if (at == 0) return Status.OutOfRange;
  const status = copyRow(view, at, row);
  return isThere(view, sequence) ? status : Status.OutOfRange;
}

/** Takes the slot of a record that is there, for writing. Returns `Ok`, `OutOfRange`, or what `take` does. */
function takeRecord(view: TypedView, sequence: u64, at: usize): Status {
  if (at == 0) return Status.OutOfRange;
  const taken = take(view, at);
  if (taken != Status.Ok) return taken;
  // Nobody overwrites it from here on.
  if (isThere(view, sequence)) return Status.Ok;
  release(view, at);
  return Status.OutOfRange;
}

/** Replaces all fields of a record. Returns `Ok`, `OutOfRange`, or what `take` does. */
export function writeRing(view: TypedView, index: f64, row: usize): Status {
  const sequence = <u64>index;
  if (!isThere(view, sequence)) return Status.OutOfRange;
  const at = slotAt(view, sequence);
  if (view.checksumAt != 0) sealRow(view, row);
  const taken = takeRecord(view, sequence, at);
  if (taken != Status.Ok) return taken;
  fill(view, at, row);
  release(view, at);
  return Status.Ok;
}

/** Writes the bytes of a row whose bits are set in a mask. Returns as `writeRing`, or `BadCrc`. */
export function patchRing(view: TypedView, index: f64, row: usize, mask: usize): Status {
  const sequence = <u64>index;
  if (!isThere(view, sequence)) return Status.OutOfRange;
  const at = slotAt(view, sequence);
  const taken = takeRecord(view, sequence, at);
  if (taken != Status.Ok) return taken;
  const status = patch(view, at, row, mask);
  release(view, at);
  return status;
}

/** Puts a row, or zeros where it is 0, in the place of what a slot holds that is taken. */
@inline
function replace(view: TypedView, at: usize, row: usize): void {
  if (row != 0) {
    if (view.checksumAt != 0) sealRow(view, row);
    fill(view, at, row);
    return;
  }
  const stride: usize = view.stride;
  for (let offset: usize = 8; offset < stride; offset += 8) put<u64>(view, at + offset, 0);
  if (view.checksumAt != 0) sealRecord(view, at);
}

/**
 * Appends a record, in the place of the oldest where there are as many as slots.
 *
 * @param row its fields; 0 for a record of zeros
 * @returns its sequence number, or `Full` where its slot is not mapped, or what `take` returns
 */
export function appendRing(view: TypedView, row: usize): f64 {
  if (view.mode == WriteMode.Many) return appendAmongMany(view, row);
  if (view.mode != WriteMode.One) return <f64>Status.ReadOnly;
  const count = load<u64>(view.countAt);
  const at = slotAt(view, count);
  if (at == 0) return <f64>Status.Full;
  const taken = take(view, at);
  if (taken != Status.Ok) return <f64>taken;
  replace(view, at, row);
  put<u64>(view, view.countAt, count + 1);
  release(view, at);
  return <f64>count;
}

/** Whoever has the slot of the next record, and finds that the next one still is that, may fill it. */
function appendAmongMany(view: TypedView, row: usize): f64 {
  for (let spin: u32 = 0; spin < SEQLOCK_SPINS_MAX; spin++) {
    const count = atomic.load<u64>(view.countAt);
    const at = slotAt(view, count);
    if (at == 0) return <f64>Status.Full;
    const taken = take(view, at);
    if (taken != Status.Ok) return <f64>taken;
    if (atomic.load<u64>(view.countAt) == count) {
      replace(view, at, row);
      atomic.store<u64>(view.countAt, count + 1);
      release(view, at);
      return <f64>count;
    }
    release(view, at);
  }
  return <f64>Status.Contention;
}
