/**
 * Whole records: copied out as one state, written as one change, appended. A row is the image of a record in anonymous
 * memory, fields at the same offsets, its first 8 bytes of no meaning.
 */
import { SEQLOCK_SPINS_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { TypedView, WriteMode } from '../layout/typed';
import { isWhole, sealRecord, sealRow } from './checksum';
import { isUnchanged, isWakeDue, put, recordAt, release, stampOf, take } from './seqlock';

/** Copies the record at `at` to a row. Returns `Ok`, `Contention` or `BadCrc`. */
@inline
export function copyRow(view: TypedView, at: usize, row: usize): Status {
  const stride: usize = view.stride;
  for (let spin: u32 = 0; spin < SEQLOCK_SPINS_MAX; spin++) {
    const stamp = stampOf(at);
    // Copying a long record would only lengthen the wait.
    if ((stamp & 1) != 0) continue;
    for (let offset: usize = 8; offset < stride; offset += 8) store<u64>(row + offset, atomic.load<u64>(at + offset));
    if (isUnchanged(at, stamp)) return view.checksumAt == 0 || isWhole(view, row) ? Status.Ok : Status.BadCrc;
  }
  return Status.Contention;
}

/**
 * Copies a record to a row.
 *
 * @param row a multiple of 8, `stride` writable bytes
 * @returns `Ok`, `OutOfRange`, `Contention` or `BadCrc`
 * Writes: [row + 8, row + stride).
 */
export function readRow(view: TypedView, index: u32, row: usize): Status {
  const at = recordAt(view, index);
  return at == 0 ? Status.OutOfRange : copyRow(view, at, row);
}

/** Copies the fields of a row into a record that is taken, or that nobody can see yet. */
@inline
export function fill(view: TypedView, at: usize, row: usize): void {
  const stride: usize = view.stride;
  if (view.strict) {
    for (let offset: usize = 8; offset < stride; offset += 8) atomic.store<u64>(at + offset, load<u64>(row + offset));
  } else {
    for (let offset: usize = 8; offset < stride; offset += 8) store<u64>(at + offset, load<u64>(row + offset));
  }
}

/**
 * Replaces all fields of a record by those of a row, which gets its checksum.
 *
 * @returns `Ok`, `OutOfRange`, or what `take` does
 */
export function writeRow(view: TypedView, index: u32, row: usize): Status {
  const at = recordAt(view, index);
  if (at == 0) return Status.OutOfRange;
  if (view.checksumAt != 0) sealRow(view, row);
  const taken = take(view, at);
  if (taken != Status.Ok) return taken;
  fill(view, at, row);
  release(view, at);
  return Status.Ok;
}

/**
 * Gives the record behind the last its fields. Behind the count there are zeros: no record is ever taken back, and
 * opening clears what a crash has left.
 */
@inline
function begin(view: TypedView, at: usize, row: usize): void {
  if (view.checksumAt != 0) {
    if (row == 0) return sealRecord(view, at);
    sealRow(view, row);
  }
  if (row != 0) fill(view, at, row);
}

/**
 * Appends a record.
 *
 * @param row its fields; 0 for a record of zeros
 * @returns its index, or `Full` where the mapped range has no room left, `Cold` where a row would go to a page that is
 *   not ready, `ReadOnly`, `Wake` or `Contention`
 * Order: the fields, then the count: who sees the count sees the record.
 */
export function appendRow(view: TypedView, row: usize): i32 {
  if (view.mode == WriteMode.Many) return appendAmongMany(view, row);
  if (view.mode != WriteMode.One) return Status.ReadOnly;
  if (isWakeDue(view)) return Status.Wake;
  const count = load<u64>(view.countAt);
  // A count that is none, or before the range, is beyond the room too.
  const ordinal = count - view.first;
  if (ordinal >= view.ready) {
    if (ordinal >= view.room) return Status.Full;
    if (row != 0) return Status.Cold;
  }
  begin(view, <usize>view.base + <usize>ordinal * view.stride, row);
  put<u64>(view, view.countAt, count + 1);
  view.limit = <u32>ordinal + 1;
  return <i32>(<u32>count);
}

/** Whoever takes the record behind the last by compare-and-swap, and finds that it still is that, may fill it. */
function appendAmongMany(view: TypedView, row: usize): i32 {
  for (let spin: u32 = 0; spin < SEQLOCK_SPINS_MAX; spin++) {
    const count = atomic.load<u64>(view.countAt);
    const ordinal = count - view.first;
    if (ordinal >= view.ready) {
      if (ordinal >= view.room) return Status.Full;
      if (row != 0) return Status.Cold;
    }
    const at = <usize>view.base + <usize>ordinal * view.stride;
    const taken = take(view, at);
    if (taken != Status.Ok) return taken;
    if (atomic.load<u64>(view.countAt) == count) {
      begin(view, at, row);
      // The count first: given back before it, the record could be taken for the next one once more.
      atomic.store<u64>(view.countAt, count + 1);
      release(view, at);
      view.limit = max(view.limit, <u32>ordinal + 1);
      return <i32>(<u32>count);
    }
    release(view, at);
  }
  return Status.Contention;
}

/** Takes notice of the records that others have appended: moves `limit` to the count, within the mapped range. */
export function refreshLimit(view: TypedView): u32 {
  const count = atomic.load<u64>(view.countAt);
  const known = count > view.first ? min<u64>(count - view.first, view.room) : 0;
  view.limit = <u32>known;
  return view.limit;
}
