/**
 * Text and bytes in a record: a length of 4 bytes at a multiple of 4, then the bytes. They are copied word by word in
 * place of `memory.copy`, whose loads and stores have no order and whose call costs more than a short text.
 */
import { SEQLOCK_SPINS_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { TypedView } from '../layout/typed';
import { isStable, put, recordAt, release, stampOf, take } from './seqlock';

const LENGTH_BYTES: usize = 4;

/**
 * Copies the bytes of a field out of a record.
 *
 * @param bound most bytes that the field may have
 * @param to `bound` + 7 writable bytes
 * @returns the length, or `OutOfRange`, `Contention`, or `BadValue` where the stored length is beyond the bound
 * Writes: [to, to + length), and up to 7 bytes more.
 */
export function getBytes(view: TypedView, index: u32, offset: u32, bound: u32, to: usize): i32 {
  const at = recordAt(view, index);
  if (at == 0) return Status.OutOfRange;
  for (let spin: u32 = 0; spin < SEQLOCK_SPINS_MAX; spin++) {
    const stamp = stampOf(at);
    const length = atomic.load<u32>(at + offset);
    const isLength = length <= bound;
    if (isLength) copyOut(to, at + offset + LENGTH_BYTES, length);
    if (isStable(at, stamp)) return isLength ? <i32>length : Status.BadValue;
  }
  return Status.Contention;
}

/** Copies bytes from a multiple of 4. The last word may hold more than them, but nothing behind the record. */
@inline
function copyOut(to: usize, from: usize, length: u32): void {
  let done: u32 = 0;
  if ((from & 4) != 0 && length > 0) {
    store<u32>(to, atomic.load<u32>(from));
    done = 4;
  }
  for (; done < length; done += 8) store<u64>(to + done, atomic.load<u64>(from + done));
}

/**
 * Replaces the bytes of a field. Where it held more of them, zeros take their place.
 *
 * @param from `length` readable bytes
 * @returns `Ok`, `OutOfRange`, what `take` does, or `BadValue` where the length is beyond the bound
 */
export function setBytes(view: TypedView, index: u32, offset: u32, bound: u32, from: usize, length: u32): Status {
  if (length > bound) return Status.BadValue;
  const at = recordAt(view, index);
  if (at == 0) return Status.OutOfRange;
  const taken = take(view, at);
  if (taken != Status.Ok) return taken;
  const field = at + offset;
  const before = min(load<u32>(field), bound);
  put<u32>(view, field, length);
  copyIn(view, field + LENGTH_BYTES, from, length);
  clear(view, field + LENGTH_BYTES, length, before);
  release(view, at);
  return Status.Ok;
}

/** Copies bytes to a multiple of 4, each store at its natural alignment, and writes none but them. */
@inline
function copyIn(view: TypedView, to: usize, from: usize, length: u32): void {
  let done: u32 = 0;
  if ((to & 4) != 0 && length >= 4) {
    put<u32>(view, to, load<u32>(from));
    done = 4;
  }
  for (; done + 8 <= length; done += 8) put<u64>(view, to + done, load<u64>(from + done));
  if (done + 4 <= length) {
    put<u32>(view, to + done, load<u32>(from + done));
    done += 4;
  }
  if (done + 2 <= length) {
    put<u16>(view, to + done, load<u16>(from + done));
    done += 2;
  }
  if (done < length) put<u8>(view, to + done, load<u8>(from + done));
}

/** Zeros the bytes [done, end) of a field. */
@inline
function clear(view: TypedView, to: usize, done: u32, end: u32): void {
  while (done < end) {
    if (((to + done) & 7) == 0 && done + 8 <= end) {
      put<u64>(view, to + done, 0);
      done += 8;
    } else {
      put<u8>(view, to + done, 0);
      done++;
    }
  }
}
