/**
 * Columns: one field of many records, as numbers. Each record is read in one state; the column as a whole is not a
 * snapshot. 64-bit integers take part as the nearest numbers, booleans as 0 and 1.
 *
 * Every function goes as far as it can and returns what it has so far. `next` of the view says which record it has not
 * looked at, so that the host can go on there; where it ended early because of that record, `status` says why. Parts
 * give the same result as one call, also for sums of floats, which depend on the order.
 *
 * There is no SIMD here: each value stands behind a stamp of its own, most often in a cache line of its own, and
 * vectors can neither gather nor load atomically.
 */
import { FieldType, SEQLOCK_SPINS_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { Fold, Outcome, TypedView } from '../layout/typed';
import { isStable, stampOf } from './seqlock';

/** Whether a range of records is there and mapped; says so in the view where not. */
@inline
export function isThere(view: TypedView, from: u32, count: u32): bool {
  const ordinal = from - view.first;
  view.next = from;
  if (ordinal <= view.limit && count <= view.limit - ordinal) return true;
  view.status = Status.OutOfRange;
  return false;
}

/** Returns the number that stands in the low bits of a word. */
@inline
export function numberOf(type: i32, word: u64): f64 {
  if (type == FieldType.F64) return reinterpret<f64>(word);
  switch (type) {
    case FieldType.I8: return <f64><i8>word;
    case FieldType.I16: return <f64><i16>word;
    case FieldType.U16: return <f64><u16>word;
    case FieldType.I32: return <f64><i32>word;
    case FieldType.U32: return <f64><u32>word;
    case FieldType.I64: return <f64><i64>word;
    case FieldType.U64: return <f64>word;
    case FieldType.F32: return <f64>reinterpret<f32>(<u32>word);
    default: return <f64><u8>word;
  }
}

/** Goes on with a sum, a least or a greatest value. */
@inline
function fold(view: TypedView, type: i32, offset: u32, from: u32, count: u32, start: f64, how: Fold): f64 {
  let result = start;
  if (!isThere(view, from, count)) return result;
  const stride: usize = view.stride;
  const word = offset & ~7;
  const shift: u64 = (offset & 7) << 3;
  let at = <usize>view.base + <usize>(from - view.first) * stride;
  let left = count;
  let spins: u32 = 0;
  while (left > 0) {
    const stamp = stampOf(at);
    const bits = atomic.load<u64>(at + word) >> shift;
    if (!isStable(at, stamp)) {
      if (++spins < SEQLOCK_SPINS_MAX) continue;
      view.status = Status.Contention;
      break;
    }
    const value = numberOf(type, bits);
    if (how == Fold.Sum) result += value;
    else result = how == Fold.Min ? min<f64>(result, value) : max<f64>(result, value);
    spins = 0;
    at += stride;
    left--;
  }
  view.next = from + count - left;
  return result;
}

/** Adds the values of [from, from + count) to `start`, in their order. */
export function sumColumn(view: TypedView, type: i32, offset: u32, from: u32, count: u32, start: f64): f64 {
  return fold(view, type, offset, from, count, start, Fold.Sum);
}

/** Returns the least of `start` and the values of [from, from + count); NaN where one of them is. */
export function minColumn(view: TypedView, type: i32, offset: u32, from: u32, count: u32, start: f64): f64 {
  return fold(view, type, offset, from, count, start, Fold.Min);
}

/** Returns the greatest of `start` and the values of [from, from + count); NaN where one of them is. */
export function maxColumn(view: TypedView, type: i32, offset: u32, from: u32, count: u32, start: f64): f64 {
  return fold(view, type, offset, from, count, start, Fold.Max);
}

/**
 * Finds the records of [from, from + count) whose value compares in one of the wanted ways with another.
 *
 * @param wanted a set of `Outcome`s: less or equal is `Less | Equal`, unequal is everything but `Equal`
 * @param to where the indices go, 4 bytes each; 0 to count them alone
 * @param most how many there is room for; the call ends behind the record that takes the last
 * @returns how many it has found
 */
export function selectColumn(
  view: TypedView, type: i32, offset: u32, from: u32, count: u32, wanted: u32, other: f64, to: usize, most: u32,
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
    if (!isStable(at, stamp)) {
      if (++spins < SEQLOCK_SPINS_MAX) continue;
      view.status = Status.Contention;
      break;
    }
    const value = numberOf(type, bits);
    const outcome: u32 = value < other ? Outcome.Less : value > other ? Outcome.Greater
      : value == other ? Outcome.Equal : Outcome.Unordered;
    if ((outcome & wanted) != 0) {
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

/** Copies the values of [from, from + count) to `to`, 8 bytes each. Returns how many. */
export function gatherColumn(view: TypedView, type: i32, offset: u32, from: u32, count: u32, to: usize): u32 {
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
    if (!isStable(at, stamp)) {
      if (++spins < SEQLOCK_SPINS_MAX) continue;
      view.status = Status.Contention;
      break;
    }
    store<f64>(to + (<usize>done << 3), numberOf(type, bits));
    spins = 0;
    at += stride;
    done++;
  }
  view.next = from + done;
  return done;
}
