/**
 * What the benchmarks write: a ring of different payloads of one size, the same in every run, and the folding of what
 * was read back into one number.
 */

/** Payloads in the ring: enough that none stays in registers, few enough that they stay in the first-level cache. */
export const RING = 64;

/** Returns numbers below 2^32, the same for the same seed. */
export function randomNumbers(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Returns RING Uint8Arrays of `bytes` random bytes, each with a buffer of its own. */
export function payloadsOf(bytes, count = RING) {
  const random = randomNumbers(bytes + 1);
  return Array.from({ length: count }, () => Uint8Array.from({ length: bytes }, () => random() >>> 24));
}

/** Takes a payload into a sum: its length and three of its bytes, so that it has to be there and be the right one. */
export function fold(sum, payload) {
  const { length } = payload;
  return (Math.imul(sum, 31) + payload[0] + (payload[length >> 1] << 8) + (payload[length - 1] << 16) + length) | 0;
}

/** The sum that reading `count` records of the ring in order has to give. */
export function expectedSum(payloads, count) {
  let sum = 0;
  for (let i = 0; i < count; i++) sum = fold(sum, payloads[i % payloads.length]);
  return sum;
}

/** Throws unless the two are the same. */
export function insist(what, actual, expected) {
  if (actual !== expected) throw new Error(`${what}: got ${actual}, expected ${expected}`);
}
