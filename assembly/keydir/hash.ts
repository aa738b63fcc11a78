/**
 * The hash of a key: 32 bits, keyed by the store's id, so that nobody who chooses keys without knowing it can make them
 * meet. The method is that of wyhash (Wang Yi, "wyhash", public domain): 16 bytes at a time are folded by a product of
 * 128 bits, which here is put together from four of 64.
 *
 * It is part of the format: hint files and key directories hold hashes.
 */

const HALF: u64 = 0xffffffff;
const LAST: u64 = 0x9e3779b97f4a7c15;

/** Both halves of the product of `a` and `b`, folded into one. */
@inline
function fold(a: u64, b: u64): u64 {
  const aLow = a & HALF;
  const aHigh = a >> 32;
  const bLow = b & HALF;
  const bHigh = b >> 32;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >> 32);
  const cross = aLow * bHigh + (middle & HALF);
  return (aHigh * bHigh + (middle >> 32) + (cross >> 32)) ^ ((cross << 32) | (low & HALF));
}

/** Returns the hash of the `length` bytes at `at`. Reads no other byte. */
export function hashKey(seedLow: u64, seedHigh: u64, at: usize, length: u32): u32 {
  let state = seedLow ^ <u64>length;
  let left = length;
  while (left > 16) {
    state = fold(load<u64>(at) ^ seedHigh, load<u64>(at + 8) ^ state);
    at += 16;
    left -= 16;
  }
  let a: u64;
  let b: u64;
  if (left >= 8) {
    a = load<u64>(at);
    b = load<u64>(at + left - 8);
  } else if (left >= 4) {
    a = <u64>load<u32>(at);
    b = <u64>load<u32>(at + left - 4);
  } else {
    a = 0;
    if (left != 0) a = <u64>load<u8>(at) << 16 | <u64>load<u8>(at + (left >> 1)) << 8 | <u64>load<u8>(at + left - 1);
    b = 0;
  }
  state = fold(a ^ seedHigh, b ^ state);
  return <u32>(fold(state ^ seedLow, LAST) >> 32);
}
