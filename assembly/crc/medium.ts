/**
 * Owns the checksum of a few hundred bytes in the SIMD build, and there of what the sparse method leaves over.
 *
 * The multiple of short.ts squared, x^418 + x^288 + x^108 + x^78 + x^28 + 1: the bits of a 16-byte vector are added
 * again 418, 390, 340, 310 and 130 bits further on. Counted in 64-bit lanes, a term with a remainder of s bits is a
 * left shift by s some lanes on, and a right shift by 64 - s one lane later. Sums for an even number of lanes on are
 * kept by vector (even*); those for an odd number lie across two vectors (odd*: lane 1 of one, lane 0 of the next) and
 * are moved by one shuffle each. (Compare Russell, "Chorba", arXiv 2412.16398.)
 *
 * Only for targets with SIMD. Not reentrant: the last 64 bytes go through a static place. Raw register throughout.
 */

import { takeWords } from './short';
import { take16, takeRest } from './tables';

/** Where the last four vectors meet what the earlier ones add to them. */
const LAST: usize = memory.data(64, 16);

/** From here on vectors are faster than words. At least 96. */
export const MEDIUM_MIN: usize = 144;

/**
 * Takes an input into the register by eliminating vectors.
 * @param register raw register
 * @param at any alignment, `size` bytes readable
 * @param size at least 96
 * @returns the raw register
 * Reads: [at, at + size). Writes: [LAST, LAST + 64).
 */
export function takeMedium(register: u32, at: usize, size: usize): u32 {
  const zero = i64x2.splat(0);
  let even0 = i64x2.replace_lane(zero, 0, <u64>register);
  let even1 = zero;
  let even2 = zero;
  let odd0 = zero; // lane 1 of the vector before, lane 0 of this one
  let odd1 = zero;
  let odd2 = zero;
  let odd3 = zero;
  const rest = size & 31;
  for (const end = at + (size - rest) - 64; at < end; at += 32) {
    const first = v128.xor(v128.xor(even0, v128.load(at)), acrossOf(odd0, odd1));
    odd2 = v128.xor(odd2, i64x2.shr_u(first, 62));
    const second = v128.xor(
      v128.xor(v128.xor(even1, v128.load(at, 16)), i64x2.shl(first, 2)), acrossOf(odd1, odd2));
    even0 = v128.xor(v128.xor(even2, i64x2.shl(first, 54)), i64x2.shl(second, 2));
    even1 = v128.xor(v128.xor(i64x2.shr_u(first, 44), i64x2.shl(first, 34)),
      v128.xor(i64x2.shl(first, 6), i64x2.shl(second, 54)));
    even2 = v128.xor(v128.xor(i64x2.shr_u(second, 44), i64x2.shl(second, 34)), i64x2.shl(second, 6));
    odd0 = odd2;
    odd1 = v128.xor(v128.xor(odd3, i64x2.shr_u(second, 62)),
      v128.xor(i64x2.shr_u(first, 10), i64x2.shl(first, 20)));
    odd2 = v128.xor(v128.xor(i64x2.shr_u(first, 30), i64x2.shr_u(first, 58)),
      v128.xor(i64x2.shr_u(second, 10), i64x2.shl(second, 20)));
    odd3 = v128.xor(i64x2.shr_u(second, 30), i64x2.shr_u(second, 58));
  }
  v128.store(LAST, v128.xor(v128.xor(even0, v128.load(at)), acrossOf(odd0, odd1)));
  v128.store(LAST, v128.xor(v128.xor(even1, v128.load(at, 16)), acrossOf(odd1, odd2)), 16);
  v128.store(LAST, v128.xor(v128.xor(even2, v128.load(at, 32)), acrossOf(odd2, odd3)), 32);
  v128.store(LAST, v128.xor(v128.load(at, 48), acrossOf(odd3, zero)), 48);
  register = takeWords(0, LAST, 64);
  at += 64;
  if (rest & 16) {
    register = take16(register, at);
    at += 16;
  }
  return takeRest(register, at, rest);
}

/** Returns lane 1 of the first and lane 0 of the second: what both add to the vector that they share. */
// @ts-ignore: decorator
@inline function acrossOf(before: v128, after: v128): v128 {
  return v128.shuffle<i64>(before, after, 1, 2);
}
