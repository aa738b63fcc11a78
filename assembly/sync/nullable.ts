/**
 * Columns of fields that may be null: the same as assembly/sync/columns.ts says of them, with the presence bit read in
 * the same state of its record as the value. Nulls are passed over.
 *
 * Apart from the others, so that those ask of no record whether it has a value.
 */
import { SEQLOCK_SPINS_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { Fold, Outcome, TypedView } from '../layout/typed';
import { isThere, numberOf } from './columns';
import { isStable, stampOf } from './seqlock';

/** Whether the bit `presence`, counted from the beginning of the record or row at `at`, is set. */
@inline
export function isSet(at: usize, presence: u32): bool {
  return ((atomic.load<u64>(at + ((presence >> 6) << 3)) >> <u64>(presence & 63)) & 1) != 0;
}

/**
 * Goes on with a sum, a least or a greatest of the values of [from, from + count).
 *
 * @param presence the bit of the record that says whether the field has a value
 * @param how a `Fold`
 * Writes: `values` of the view, how many of them were no nulls.
 */
export function foldNullable(
  view: TypedView, type: i32, offset: u32, presence: u32, from: u32, count: u32, start: f64, how: i32,
): f64 {
  let result = start;
  view.values = 0;
  if (!isThere(view, from, count)) return result;
  const stride: usize = view.stride;
  const word = offset & ~7;
  const shift: u64 = (offset & 7) << 3;
  let at = <usize>view.base + <usize>(from - view.first) * stride;
  let left = count;
  let values: u32 = 0;
  let spins: u32 = 0;
  while (left > 0) {
    const stamp = stampOf(at);
    const bits = atomic.load<u64>(at + word) >> shift;
    const isValue = isSet(at, presence);
    if (!isStable(at, stamp)) {
      if (++spins < SEQLOCK_SPINS_MAX) continue;
      view.status = Status.Contention;
      break;
    }
    if (isValue) {
      const value = numberOf(type, bits);
      if (how == Fold.Sum) result += value;
      else result = how == Fold.Min ? min<f64>(result, value) : max<f64>(result, value);
      values++;
    }
    spins = 0;
    at += stride;
    left--;
  }
  view.values = values;
  view.next = from + count - left;
  return result;
}

/** Finds records as `selectColumn` does; a null compares in no way. */
export function selectNullable(
  view: TypedView, type: i32, offset: u32, presence: u32, from: u32, count: u32, wanted: u32, other: f64, to: usize,
  most: u32,
): u32 {
  let found: u32 = 0;
  if (!isThere(view, from, count)) return found;
  const stride: usize = view.stride;
  const word = offset & ~7;
  const shift: u64 = (offset & 7) << 3;
  let at = <usize>view.base + <usize>(from - view.first) * stride;
  let left = count;
  let spins: u32 = 0;
  while (left > 0 && found < most) {
    const stamp = stampOf(at);
    const bits = atomic.load<u64>(at + word) >> shift;
    const isValue = isSet(at, presence);
    if (!isStable(at, stamp)) {
      if (++spins < SEQLOCK_SPINS_MAX) continue;
      view.status = Status.Contention;
      break;
    }
    const outcome = outcomeOf(numberOf(type, bits), other);
    if (isValue && (outcome & wanted) != 0) {
      if (to != 0) store<u32>(to + (<usize>found << 2), from + count - left);
      found++;
    }
    spins = 0;
    at += stride;
    left--;
  }
  view.next = from + count - left;
  return found;
}

@inline
function outcomeOf(value: f64, other: f64): u32 {
  if (value < other) return Outcome.Less;
  if (value > other) return Outcome.Greater;
  return value == other ? Outcome.Equal : Outcome.Unordered;
}

/** Copies values as `gatherColumn` does; in the place of a null stands NaN. */
export function gatherNullable(
  view: TypedView, type: i32, offset: u32, presence: u32, from: u32, count: u32, to: usize,
): u32 {
  if (!isThere(view, from, count)) return 0;
  const stride: usize = view.stride;
  const word = offset & ~7;
  const shift: u64 = (offset & 7) << 3;
  let at = <usize>view.base + <usize>(from - view.first) * stride;
  let done: u32 = 0;
  let spins: u32 = 0;
  while (done < count) {
    const stamp = stampOf(at);
    const bits = atomic.load<u64>(at + word) >> shift;
    const isValue = isSet(at, presence);
    if (!isStable(at, stamp)) {
      if (++spins < SEQLOCK_SPINS_MAX) continue;
      view.status = Status.Contention;
      break;
    }
    store<f64>(to + (<usize>done << 3), isValue ? numberOf(type, bits) : NaN);
    spins = 0;
    at += stride;
    done++;
  }
  view.next = from + done;
  return done;
}
