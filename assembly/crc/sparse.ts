/**
 * Owns the checksum of long inputs, by sparse multiples of the polynomial with long distances.
 *
 * Over GF(2), y^e0 + y^e1 + ... + 1 with the exponents below is a multiple of the Castagnoli polynomial for y = x^(any
 * power of two). A lane is therefore eliminated by adding it to the lanes further on, and in the other direction each
 * lane gathers: out[i] = in[i] ^ out[i - delay] ^ ... (a relative: Russell, "Chorba", arXiv 2412.16398).
 *
 *   near: 0, 1, 12, 18, 58, 71, 75, 79 in lanes of 4 bytes: delays of 316, 312, 268, 244, 84, 32 and 16 bytes
 *   far:  0, 14, 39, 54, 144, 209 in lanes of 16 bytes:     delays of 3344, 3120, 2720, 2480 and 1040 bytes
 *
 * Far does fewer loads a byte, but leaves 3344 bytes, which near then shortens to 320. No delay is below 16 bytes, so
 * 16 bytes may be gathered at a time. The input is never written to: out lives in [WINDOW, WINDOW_END).
 *
 *   WINDOW             first                                       WINDOW_END
 *   | history: zeros or | out ...                 | kept: sums for the  |
 *   | end of last block |                         | bytes not eliminated|
 *
 * Not reentrant: the window belongs to one call at a time. Raw register throughout.
 */

import { takeRest } from './tables';
import { takeMedium } from './medium';
import { takeWords } from './short';

/** Bytes that near leaves over: its longest delay, rounded up to 16. */
const NEAR_KEPT: usize = 320;
const NEAR_DELAY: usize = 316;
/** Bytes that far leaves over: its longest delay. */
const FAR_KEPT: usize = 3344;

const WINDOW_SIZE: usize = 20480;
const WINDOW: usize = memory.data(20480, 16);
const WINDOW_END: usize = WINDOW + WINDOW_SIZE;

/** From here on near is faster than eliminating words. At least NEAR_KEPT + 16. */
export const NEAR_MIN: usize = ASC_FEATURE_SIMD ? 736 : 2048;
/** From here on far, then near, is faster than near alone. At least FAR_KEPT + 16. */
export const FAR_MIN: usize = ASC_FEATURE_SIMD ? 14336 : 16384;

/**
 * Takes an input into the register by the near multiple.
 * @param register raw register
 * @param at any alignment, `size` bytes readable; inside the window only if it begins at or after WINDOW + FAR_KEPT,
 *   because out then stays behind what is still to be read
 * @param size at least NEAR_KEPT + 16
 * @returns the raw register
 * Reads: [at, at + size). Writes: [WINDOW, WINDOW_END).
 */
export function takeNear(register: u32, at: usize, size: usize): u32 {
  const first = WINDOW + NEAR_KEPT;
  clear(WINDOW, NEAR_KEPT);
  // Only the first lane's longest delay reaches this word, so the register is added to the first four bytes.
  store<u32>(first - NEAR_DELAY, register);
  let left = (size - NEAR_KEPT) & ~15;
  let out = first;
  while (true) {
    const room = WINDOW_END - NEAR_KEPT - out;
    const end = out + min(left, room);
    left -= end - out;
    if (ASC_FEATURE_SIMD) {
      // The two youngest lanes stay in registers: through memory, each turn would wait for the store before it.
      let before1 = v128.load(out - 16);
      let before2 = v128.load(out - 32);
      for (; out < end; out += 16, at += 16) {
        const lane = v128.xor(gatherNearFrom84(at, out), v128.xor(before1, before2));
        v128.store(out, lane);
        before2 = before1;
        before1 = lane;
      }
    } else {
      for (; out < end; out += 16, at += 16) gatherNear(at, out);
    }
    if (!left) break;
    memory.copy(WINDOW, out - NEAR_KEPT, NEAR_KEPT);
    out = first;
  }
  clear(out, NEAR_KEPT);
  // Backwards, so that no sum of a kept lane is gathered into another kept lane.
  for (let kept = NEAR_KEPT; kept > 0;) {
    kept -= 16;
    gatherNear(at + kept, out + kept);
  }
  register = ASC_FEATURE_SIMD ? takeMedium(0, out, NEAR_KEPT) : takeWords(0, out, NEAR_KEPT);
  return takeRest(register, at + NEAR_KEPT, size);
}

/**
 * Takes an input into the register by the far multiple.
 * @param register raw register
 * @param at any alignment, `size` bytes readable, outside the window
 * @param size at least FAR_KEPT + 16
 * @returns the raw register
 * Reads: [at, at + size). Writes: [WINDOW, WINDOW_END).
 */
export function takeFar(register: u32, at: usize, size: usize): u32 {
  const first = WINDOW + FAR_KEPT;
  clear(WINDOW, FAR_KEPT);
  store<u32>(WINDOW, register);
  let left = (size - FAR_KEPT) & ~15;
  let out = first;
  while (true) {
    const room = WINDOW_END - FAR_KEPT - out;
    const end = out + min(left, room);
    left -= end - out;
    for (; out < end; out += 16, at += 16) gatherFar(at, out);
    if (!left) break;
    memory.copy(WINDOW, out - FAR_KEPT, FAR_KEPT);
    out = first;
  }
  clear(out, FAR_KEPT);
  for (let kept = FAR_KEPT; kept > 0;) {
    kept -= 16;
    gatherFar(at + kept, out + kept);
  }
  return takeRest(takeNear(0, out, FAR_KEPT), at + FAR_KEPT, size);
}

/**
 * Clears a part of the window. A loop, because memory.fill leaves the core and costs more than these few stores.
 * @param at multiple of 16, inside the window
 * @param size multiple of 16
 * Reads: nothing. Writes: [at, at + size).
 */
// @ts-ignore: decorator
@inline function clear(at: usize, size: usize): void {
  for (const end = at + size; at < end; at += 16) {
    if (ASC_FEATURE_SIMD) {
      // One store of 16 bytes: a later load of them cannot be served from two stores of eight.
      v128.store(at, i64x2.splat(0));
    } else {
      store<u64>(at, 0);
      store<u64>(at, 0, 8);
    }
  }
}

/**
 * Gathers 16 bytes of near, except for the delays of 16 and 32 bytes.
 * @param at any alignment, 16 bytes readable
 * @param out multiple of 16, inside the window, NEAR_KEPT bytes of history before it
 * @returns the sum so far
 * Reads: [at, at + 16), [out - 316, out - 68). Writes: nothing.
 */
// @ts-ignore: decorator
@inline function gatherNearFrom84(at: usize, out: usize): v128 {
  return v128.xor(
    v128.xor(v128.xor(v128.load(at), v128.load(out - 316)), v128.xor(v128.load(out - 312), v128.load(out - 268))),
    v128.xor(v128.load(out - 244), v128.load(out - 84)),
  );
}

/**
 * Gathers 16 bytes of near.
 * @param at any alignment, 16 bytes readable
 * @param out multiple of 16, inside the window, NEAR_KEPT bytes of history before it
 * Reads: [at, at + 16), [out - 316, out). Writes: [out, out + 16).
 */
// @ts-ignore: decorator
@inline function gatherNear(at: usize, out: usize): void {
  if (ASC_FEATURE_SIMD) {
    v128.store(out, v128.xor(gatherNearFrom84(at, out), v128.xor(v128.load(out - 32), v128.load(out - 16))));
  } else {
    store<u64>(out, load<u64>(at) ^ load<u64>(out - 316) ^ (load<u64>(out - 312) ^ load<u64>(out - 268)) ^
      (load<u64>(out - 244) ^ load<u64>(out - 84)) ^ (load<u64>(out - 32) ^ load<u64>(out - 16)));
    store<u64>(out, load<u64>(at, 8) ^ load<u64>(out - 308) ^ (load<u64>(out - 304) ^ load<u64>(out - 260)) ^
      (load<u64>(out - 236) ^ load<u64>(out - 76)) ^ (load<u64>(out - 24) ^ load<u64>(out - 8)), 8);
  }
}

/**
 * Gathers 16 bytes of far.
 * @param at any alignment, 16 bytes readable
 * @param out multiple of 16, inside the window, FAR_KEPT bytes of history before it
 * Reads: [at, at + 16), [out - 3344, out). Writes: [out, out + 16).
 */
// @ts-ignore: decorator
@inline function gatherFar(at: usize, out: usize): void {
  if (ASC_FEATURE_SIMD) {
    v128.store(out, v128.xor(
      v128.xor(v128.xor(v128.load(at), v128.load(out - 3344)), v128.xor(v128.load(out - 3120), v128.load(out - 2720))),
      v128.xor(v128.load(out - 2480), v128.load(out - 1040)),
    ));
  } else {
    store<u64>(out, load<u64>(at) ^ load<u64>(out - 3344) ^ (load<u64>(out - 3120) ^ load<u64>(out - 2720)) ^
      (load<u64>(out - 2480) ^ load<u64>(out - 1040)));
    store<u64>(out, load<u64>(at, 8) ^ load<u64>(out - 3336) ^ (load<u64>(out - 3112) ^ load<u64>(out - 2712)) ^
      (load<u64>(out - 2472) ^ load<u64>(out - 1032)), 8);
  }
}
