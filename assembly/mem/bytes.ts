/**
 * Searching raw memory. Reads only the range that it is given.
 */

/**
 * Finds the end of what is not zero.
 *
 * @param from a multiple of 8
 * @param to a multiple of 8, not below `from`
 * @returns the address just past the last 8-byte word in [from, to) that is not zero, or `from` where all are
 */
export function endOfBytes(from: usize, to: usize): usize {
  let at = to;
  while (at >= from + 64) {
    const part = load<u64>(at - 64) | load<u64>(at - 56) | load<u64>(at - 48) | load<u64>(at - 40)
      | load<u64>(at - 32) | load<u64>(at - 24) | load<u64>(at - 16) | load<u64>(at - 8);
    if (part != 0) break;
    at -= 64;
  }
  while (at > from && load<u64>(at - 8) == 0) at -= 8;
  return at;
}
