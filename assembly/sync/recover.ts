/**
 * What a dead writer or a power cut may have left in a typed store: stamps that are odd, records that are damaged, and
 * bytes behind the last record. To be called by whoever knows that nobody writes.
 */
import { checksumOf } from './checksum';

/**
 * Finds the next record whose stamp is odd and makes it stable: what its fields hold then may be torn.
 *
 * @param base address of the first record; all of `count` are readable and writable
 * @param from ordinal of the first record to look at
 * @returns its ordinal, or `count` where there is none
 * Writes: its stamp, the next even value.
 */
export function resetNext(base: usize, stride: u32, from: u32, count: u32): u32 {
  for (let ordinal = from; ordinal < count; ordinal++) {
    const at = base + <usize>ordinal * stride;
    const stamp = load<u64>(at);
    if ((stamp & 1) != 0) {
      atomic.store<u64>(at, stamp + 1);
      return ordinal;
    }
  }
  return count;
}

/**
 * Finds the next record whose checksum is wrong.
 *
 * @param base address of the first record; all of `count` are readable
 * @param checksumAt where in a record the checksum stands
 * @param from ordinal of the first record to look at
 * @returns its ordinal, or `count` where there is none
 */
export function damagedNext(base: usize, stride: u32, checksumAt: u32, from: u32, count: u32): u32 {
  for (let ordinal = from; ordinal < count; ordinal++) {
    const at = base + <usize>ordinal * stride;
    if (load<u32>(at + checksumAt) != checksumOf(at, checksumAt)) return ordinal;
  }
  return count;
}

/**
 * Makes [from, to) zeros, both multiples of 8; what is zero already is not written to, so that its pages stay clean.
 *
 * @returns the words that were not zero
 */
export function clearWords(from: usize, to: usize): u32 {
  let cleared: u32 = 0;
  for (let at = from; at < to; at += 8) {
    if (load<u64>(at) != 0) {
      store<u64>(at, 0);
      cleared++;
    }
  }
  return cleared;
}
