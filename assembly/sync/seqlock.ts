/**
 * The seqlock of a typed record: a stamp that is odd while the record is being written. Readers take no lock: they read
 * the stamp, the fields, and the stamp again, and what they have is one state of the record if both stamps are the same
 * and even. (Lameter, "Effective Synchronization on Linux/NUMA Systems", 2005; Boehm, "Can Seqlocks Get Along With
 * Programming Language Memory Models?", MSPC 2012.)
 *
 * Memory order, and docs/decisions/0006 for why: a stamp is loaded atomically, and so is each field, because an
 * acquiring load keeps the second load of the stamp behind it; on x86-64 both are plain moves. Taking a record is
 * atomic. Where the processor may reorder stores (`strict`, arm64), each field and the stamp at the end are stored
 * atomically too; on x86-64 plain stores stay in their order.
 *
 * No address behind a record is ever computed: the last one may end where the memory does, at 2^32.
 */
import { SEQLOCK_SPINS_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { TypedView, WriteMode } from '../layout/typed';

/** Returns the address of a record, or 0 where it is not there or not mapped. */
@inline
export function recordAt(view: TypedView, index: u32): usize {
  const ordinal = index - view.first;
  return ordinal < view.limit ? <usize>view.base + <usize>ordinal * view.stride : 0;
}

/** Returns the stamp of a record. Order: before any field is loaded. */
@inline
export function stampOf(at: usize): u64 {
  return atomic.load<u64>(at);
}

/** Whether nobody has taken the record since `stamp`, which was even. Order: after all fields were loaded. */
@inline
export function isUnchanged(at: usize, stamp: u64): bool {
  return isDefined(CANARY_STABLE) || atomic.load<u64>(at) == stamp;
}

/** Whether what was read since `stamp` is one state of the record. Order: after all fields were loaded. */
@inline
export function isStable(at: usize, stamp: u64): bool {
  return (stamp & 1) == 0 && isUnchanged(at, stamp);
}

/**
 * Takes a record for writing.
 *
 * @returns `Ok`; `ReadOnly`; `Wake`; `Contention` where another writer has had it for too long
 * Writes: the stamp, which is odd then. Order: before any store to a field.
 */
@inline
export function take(view: TypedView, at: usize): Status {
  const mode = view.mode;
  if (mode == WriteMode.ReadOnly) return Status.ReadOnly;
  if (isWakeDue(view)) return Status.Wake;
  if (mode == WriteMode.One) {
    // A stamp that a dead writer left odd is taken over as it is.
    atomic.store<u64>(at, load<u64>(at) | 1);
    return Status.Ok;
  }
  return takeAmongMany(at);
}

/**
 * Counts a write that is about to be made; whether it is the one before which the host must see to it that those who
 * watch are woken. Asked before anything is done, so that the host repeats the call as after any other status.
 */
@inline
export function isWakeDue(view: TypedView): bool {
  const left = view.wakeIn - 1;
  view.wakeIn = left;
  return left == 0;
}

function takeAmongMany(at: usize): Status {
  for (let spin: u32 = 0; spin < SEQLOCK_SPINS_MAX; spin++) {
    const stamp = atomic.load<u64>(at);
    const isFree = isDefined(CANARY_TAKE) || (stamp & 1) == 0;
    if (isFree && atomic.cmpxchg<u64>(at, stamp, stamp + 1) == stamp) return Status.Ok;
  }
  return Status.Contention;
}

/** Gives a record back. Order: after all stores to fields. Writes: the stamp, which is even and new then. */
@inline
export function release(view: TypedView, at: usize): void {
  put<u64>(view, at, load<u64>(at) + 1);
}

/** Stores to a field of a record that is taken, or that nobody can see yet, or to a stamp: behind all stores before. */
@inline
export function put<U>(view: TypedView, at: usize, bits: U): void {
  if (view.strict) atomic.store<U>(at, bits);
  else store<U>(at, bits);
}
