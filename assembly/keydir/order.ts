/**
 * Hints in the order of their hashes, roughly: who takes many of them into a table in this order touches one part of it
 * after the other, each of which fits into the processor's cache, instead of missing it for nearly every key.
 *
 * Entries of one hash, and so those of one key, keep the order in which they stood.
 */
import { Kind } from '../abi/limits';
import { VALUES_BYTES, VALUES_OFFSET } from '../abi/memory';
import { INFO_KIND_SHIFT } from '../layout/frame';
import { HintEntry, KEYDIR_HINT_BYTES } from '../layout/keydir';

/** Hashes are told apart by so many of their upper bits. */
const ORDER_BITS: u32 = 11;
const ORDERS: u32 = 1 << ORDER_BITS;

if (<u32>ORDERS * 4 > VALUES_BYTES) ERROR('the places of all orders fit into the area of values');

/** The counter, then the next place, of the hints of this hash. */
@inline
function orderOf(hash: u32): usize {
  return <usize>VALUES_OFFSET + (<usize>(hash >> (32 - ORDER_BITS)) << 2);
}

/**
 * Copies `count` hints from `from` to `to`, in order.
 *
 * @returns 1; or 0 where one of them clears the store, which nothing may pass, and then nothing is copied
 * Writes: [to, to + count entries), the area of values. Reads: [from, from + count entries).
 */
export function keydirOrder(from: usize, count: u32, to: usize): u32 {
  const end = from + <usize>count * <usize>KEYDIR_HINT_BYTES;
  memory.fill(VALUES_OFFSET, 0, <usize>ORDERS << 2);
  for (let at = from; at < end; at += KEYDIR_HINT_BYTES) {
    const hint = changetype<HintEntry>(at);
    if (hint.info >> INFO_KIND_SHIFT == Kind.Clear) return 0;
    const counter = orderOf(hint.hash);
    store<u32>(counter, load<u32>(counter) + 1);
  }
  let next = <u32>to;
  for (let order: u32 = 0; order < ORDERS; order++) {
    const counter = <usize>VALUES_OFFSET + (<usize>order << 2);
    const many = load<u32>(counter);
    store<u32>(counter, next);
    next += many * KEYDIR_HINT_BYTES;
  }
  for (let at = from; at < end; at += KEYDIR_HINT_BYTES) {
    const place = orderOf(changetype<HintEntry>(at).hash);
    const target = <usize>load<u32>(place);
    store<u64>(target, load<u64>(at));
    store<u64>(target, load<u64>(at, 8), 8);
    store<u32>(place, <u32>target + KEYDIR_HINT_BYTES);
  }
  return 1;
}
