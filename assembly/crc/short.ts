/**
 * Owns the checksum of inputs up to a few hundred bytes, and of what the sparse method leaves over.
 *
 * Below RECURRENCE_MIN bytes it slices by sixteen. Above, 64-bit words are eliminated from the front by a sparse
 * multiple of the polynomial, x^209 + x^144 + x^54 + x^39 + x^14 + 1: the bits of a word are added again 209, 195, 170,
 * 155 and 65 bits further on, which is ten shifts in registers and needs no table. (Compare Russell, "Chorba",
 * arXiv 2412.16398.) The last 32 bytes and the rest go through the tables.
 *
 * A bit's place counts from the lowest bit of the first byte, which has the highest power in a reflected CRC; so
 * "further on" is a left shift of a little-endian word, and what the shift loses belongs to the next word.
 * Functions here work on the raw register and never write.
 */

import { take16, takeRest, wordBefore12, wordBefore4, wordBefore8, wordLast } from './tables';

/** From here on the elimination saves more than its start costs. At least 48. */
const RECURRENCE_MIN: usize = 80;

/**
 * Takes a short input into the register.
 * @param register raw register
 * @param at any alignment, `size` bytes readable
 * @param size any, but linear at table speed
 * @returns the raw register
 * Reads: [at, at + size). Writes: nothing.
 */
// @ts-ignore: decorator
@inline export function takeShort(register: u32, at: usize, size: usize): u32 {
  if (size >= RECURRENCE_MIN) return takeWords(register, at, size);
  for (const end = at + (size & ~15); at < end; at += 16) register = take16(register, at);
  return takeRest(register, at, size);
}

/**
 * Takes an input into the register by eliminating words.
 * @param register raw register
 * @param at any alignment, `size` bytes readable
 * @param size at least 48
 * @returns the raw register
 * Reads: [at, at + size). Writes: nothing.
 */
export function takeWords(register: u32, at: usize, size: usize): u32 {
  // What the eliminated words add to the next four.
  let next0: u64 = register;
  let next1: u64 = 0;
  let next2: u64 = 0;
  let next3: u64 = 0;
  const rest = size & 15;
  // Two words a turn, because renaming four sums costs moves; at the end 32 bytes and the rest are left.
  const last = at + size - 48;
  while (at <= last) {
    const first = next0 ^ load<u64>(at);
    const second = (next1 ^ (first << 1)) ^ load<u64>(at, 8);
    next0 = next2 ^ ((first >> 63) ^ (first << 42)) ^ (first << 27) ^ (second << 1);
    next1 = next3 ^ ((first >> 22) ^ (first >> 37)) ^ ((first << 17) ^ (first << 3)) ^
      ((second >> 63) ^ (second << 42)) ^ (second << 27);
    next2 = (first >> 47) ^ (first >> 61) ^ ((second >> 22) ^ (second >> 37)) ^ ((second << 17) ^ (second << 3));
    next3 = (second >> 47) ^ (second >> 61);
    at += 16;
  }
  next0 ^= load<u64>(at);
  next1 ^= load<u64>(at, 8);
  next2 ^= load<u64>(at, 16);
  next3 ^= load<u64>(at, 24);
  register = wordBefore4(<u32>next1) ^ wordLast(<u32>(next1 >> 32)) ^ wordBefore8(<u32>(next0 >> 32)) ^
    wordBefore12(<u32>next0);
  register = wordBefore4(<u32>next3) ^ wordLast(<u32>(next3 >> 32)) ^ wordBefore8(<u32>(next2 >> 32)) ^
    wordBefore12(<u32>next2 ^ register);
  return takeRest(register, at + 32, rest);
}
