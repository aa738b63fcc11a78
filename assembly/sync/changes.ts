/**
 * Which records have changed: the stamps of mapped records compared with a copy of them, of which 32 bits do. A stamp
 * that came round to the same 32 bits between two looks, by 2^31 writes, would not be noticed.
 *
 * What is being written counts when it is written: an odd stamp is never reported, and where a copy has one, because it
 * was first made just then, it differs from the even stamp that follows. So each change is found by the first look
 * behind its end. It works while others write: one load of a stamp is all that is asked of a record.
 */
import { TypedView } from '../layout/typed';

/** Returns the lower half of a stamp. Order: before the fields are read, by whoever reads them then. */
@inline
function lowStamp(at: usize): u32 {
  return atomic.load<u32>(at);
}

/** Returns how many of the places [from, from + count) are mapped, counted from the first of them. */
@inline
function mappedOf(view: TypedView, from: u32, count: u32): u32 {
  const ordinal = from - view.first;
  return ordinal < view.room ? min(count, view.room - ordinal) : 0;
}

/**
 * Copies the stamps of [from, from + count), odd ones too: those differ from what they become.
 *
 * @param copies where the copy of the first one stands, 4 bytes each
 * @returns how many were copied; fewer where the others are not mapped
 */
export function noteStamps(view: TypedView, from: u32, count: u32, copies: usize): u32 {
  const mapped = mappedOf(view, from, count);
  const stride: usize = view.stride;
  let at = <usize>view.base + <usize>(from - view.first) * stride;
  for (let done: u32 = 0; done < mapped; done++) {
    store<u32>(copies + (<usize>done << 2), lowStamp(at));
    at += stride;
  }
  view.next = from + mapped;
  return mapped;
}

/**
 * Finds the records of [from, from + count) whose stamps are not those of the copy, and brings the copy up to date.
 *
 * @param copies where the copy of the first one stands, 4 bytes each
 * @param to where the ranges go: first and last index, 4 bytes each; room for one of every two records
 * @returns how many ranges; `next` of the view is the first record that was not looked at, because it is not mapped
 */
export function findChanges(view: TypedView, from: u32, count: u32, copies: usize, to: usize): u32 {
  const mapped = mappedOf(view, from, count);
  const stride: usize = view.stride;
  let at = <usize>view.base + <usize>(from - view.first) * stride;
  let ranges: u32 = 0;
  // One before the first, so that no range goes on there.
  let last: u32 = from - 2;
  for (let done: u32 = 0; done < mapped; done++) {
    const stamp = lowStamp(at);
    const copy = copies + (<usize>done << 2);
    if (stamp != load<u32>(copy) && (stamp & 1) == 0) {
      store<u32>(copy, stamp);
      const index = from + done;
      if (last + 1 != index) {
        store<u32>(to + (<usize>ranges << 3), index);
        ranges++;
      }
      store<u32>(to + (<usize>ranges << 3) - 4, index);
      last = index;
    }
    at += stride;
  }
  view.next = from + mapped;
  return ranges;
}
