/**
 * Reading and writing single fields of typed records: one bounds check, the seqlock inside, one call.
 *
 * What a getter of numbers cannot give it answers with NaN, and what a getter of 64-bit integers cannot give with 0;
 * the reason is the view's `status` then. The status is `Ok` where NaN or 0 is the value itself: the host sets it back
 * when it has looked, before it calls again. Setters return a `Status`. Offsets are the host's, from `layoutFields`.
 */
import { SEQLOCK_SPINS_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { TypedView } from '../layout/typed';
import { isStable, put, recordAt, release, stampOf, take } from './seqlock';

/** Largest integer up to which every one is a number. */
const EXACT_MAX: u64 = 9007199254740991;

/** Notes why a getter has nothing to give. */
function refuse(view: TypedView, status: Status): f64 {
  view.status = status;
  return NaN;
}

/**
 * Reads a field as the unsigned integer of its width, in one state of its record.
 *
 * @returns the bits; where `view.status` is not `Ok` afterwards, 0
 */
@inline
function bitsOf<U>(view: TypedView, index: u32, offset: u32): U {
  const at = recordAt(view, index);
  if (at != 0) {
    const stamp = stampOf(at);
    const bits: U = atomic.load<U>(at + offset);
    if (isStable(at, stamp)) return bits;
  }
  return <U>laterWord(view, index, offset);
}

/** Reads a number of type `T`, as wide as the unsigned integer `U`. */
@inline
function get<T, U>(view: TypedView, index: u32, offset: u32): f64 {
  const at = recordAt(view, index);
  if (at != 0) {
    const stamp = stampOf(at);
    const bits: U = atomic.load<U>(at + offset);
    if (isStable(at, stamp)) return numberOf<T, U>(bits);
  }
  const later = <U>laterWord(view, index, offset);
  return view.status == Status.Ok ? numberOf<T, U>(later) : NaN;
}

/** Returns the number of type `T` that bits are. */
@inline
function numberOf<T, U>(bits: U): f64 {
  return isFloat<T>() ? <f64>reinterpret<T>(bits) : <f64><T>bits;
}

/**
 * Does what a getter's first look could not: finds out why, and waits for a writer. One function for all types, so that
 * the getters stay short.
 *
 * @returns 64 bits, of which the lowest are the field's; where `view.status` is not `Ok` afterwards, 0
 */
export function laterWord(view: TypedView, index: u32, offset: u32): u64 {
  const at = recordAt(view, index);
  if (at == 0) {
    view.status = Status.OutOfRange;
    return 0;
  }
  for (let spin: u32 = 1; spin < SEQLOCK_SPINS_MAX; spin++) {
    const stamp = stampOf(at);
    const word = atomic.load<u64>(at + (offset & ~7));
    if (isStable(at, stamp)) return word >> <u64>((offset & 7) << 3);
  }
  view.status = Status.Contention;
  return 0;
}

/** Writes a field as the unsigned integer of its width. */
@inline
function set<U>(view: TypedView, index: u32, offset: u32, bits: U): Status {
  const at = recordAt(view, index);
  if (at == 0) return Status.OutOfRange;
  const taken = take(view, at);
  if (taken != Status.Ok) return taken;
  put<U>(view, at + offset, bits);
  release(view, at);
  return Status.Ok;
}

export function getI8(view: TypedView, index: u32, offset: u32): f64 { return get<i8, u8>(view, index, offset); }
export function getU8(view: TypedView, index: u32, offset: u32): f64 { return get<u8, u8>(view, index, offset); }
export function getI16(view: TypedView, index: u32, offset: u32): f64 { return get<i16, u16>(view, index, offset); }
export function getU16(view: TypedView, index: u32, offset: u32): f64 { return get<u16, u16>(view, index, offset); }
export function getI32(view: TypedView, index: u32, offset: u32): f64 { return get<i32, u32>(view, index, offset); }
export function getU32(view: TypedView, index: u32, offset: u32): f64 { return get<u32, u32>(view, index, offset); }
export function getF32(view: TypedView, index: u32, offset: u32): f64 { return get<f32, u32>(view, index, offset); }
export function getF64(view: TypedView, index: u32, offset: u32): f64 { return get<f64, u64>(view, index, offset); }

/** Reads a boolean: 0 or 1; anything else is `BadValue`. */
export function getBool(view: TypedView, index: u32, offset: u32): f64 {
  const value = get<u8, u8>(view, index, offset);
  return value > 1 ? refuse(view, Status.BadValue) : value;
}

/** Reads a signed 64-bit integer, exactly. */
export function getI64(view: TypedView, index: u32, offset: u32): i64 { return <i64>bitsOf<u64>(view, index, offset); }

/** Reads an unsigned 64-bit integer as a number; above 2^53 - 1 it is `Inexact`. */
export function getU64Number(view: TypedView, index: u32, offset: u32): f64 {
  const value = bitsOf<u64>(view, index, offset);
  if (view.status != Status.Ok) return NaN;
  return value > EXACT_MAX ? refuse(view, Status.Inexact) : <f64><i64>value;
}

/** Reads a signed 64-bit integer as a number; beyond ±(2^53 - 1) it is `Inexact`. */
export function getI64Number(view: TypedView, index: u32, offset: u32): f64 {
  const value = <i64>bitsOf<u64>(view, index, offset);
  if (view.status != Status.Ok) return NaN;
  const magnitude: u64 = value < 0 ? -value : value;
  return magnitude > EXACT_MAX ? refuse(view, Status.Inexact) : <f64>value;
}

/** Writes the low 8 bits; for all types of one byte. */
export function set8(view: TypedView, index: u32, offset: u32, value: i32): Status {
  return set<u8>(view, index, offset, <u8>value);
}

/** Writes the low 16 bits. */
export function set16(view: TypedView, index: u32, offset: u32, value: i32): Status {
  return set<u16>(view, index, offset, <u16>value);
}

/** Writes 32 bits. */
export function set32(view: TypedView, index: u32, offset: u32, value: i32): Status {
  return set<u32>(view, index, offset, <u32>value);
}

/** Writes 64 bits. */
export function set64(view: TypedView, index: u32, offset: u32, value: i64): Status {
  return set<u64>(view, index, offset, <u64>value);
}

/** Writes an integer that the host has found to be exact, as 64 bits. */
export function set64Number(view: TypedView, index: u32, offset: u32, value: f64): Status {
  return set<u64>(view, index, offset, <u64><i64>value);
}

export function setF32(view: TypedView, index: u32, offset: u32, value: f32): Status {
  return set<u32>(view, index, offset, reinterpret<u32>(value));
}

export function setF64(view: TypedView, index: u32, offset: u32, value: f64): Status {
  return set<u64>(view, index, offset, reinterpret<u64>(value));
}
