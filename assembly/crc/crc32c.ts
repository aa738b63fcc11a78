/**
 * Owns the entry points of CRC-32C: the choice of method by size, and the inversions around the raw register.
 *
 * The checksum is the usual one (iSCSI, ext4): initial register and final result inverted, bits lowest first.
 * Check value: the nine bytes "123456789" give 0xE3069283. The methods and their sources: tables.ts (slicing), short.ts
 * and medium.ts (eliminated in registers), sparse.ts (long distances). Thresholds decide speed only, never the result.
 *
 * Nothing here allocates, throws, writes to its input, or reads outside it: the input may be a read-only mapping.
 */

import { MEDIUM_MIN, takeMedium } from './medium';
import { takeShort } from './short';
import { FAR_MIN, NEAR_MIN, takeFar, takeNear } from './sparse';
import { fillTables } from './tables';

/**
 * Fills the tables that crc32c needs. Call it once for each instance, before anything else here.
 * Writes: the table region of tables.ts.
 */
export function crcInit(): void {
  fillTables();
}

/**
 * Computes the CRC-32C of a range, continuing an earlier one: crc32c(crc32c(0, A), B) is the CRC of A followed by B.
 * @param seed 0, or the CRC of all bytes before this range
 * @param at any alignment, `size` bytes readable
 * @param size in bytes, may be 0
 * @returns the CRC
 * Reads: [at, at + size). Writes: the static places of medium.ts and sparse.ts.
 */
export function crc32c(seed: u32, at: usize, size: usize): u32 {
  if (size < NEAR_MIN) {
    if (ASC_FEATURE_SIMD) {
      if (size >= MEDIUM_MIN) return ~takeMedium(~seed, at, size);
    }
    return ~takeShort(~seed, at, size);
  }
  if (size < FAR_MIN) return ~takeNear(~seed, at, size);
  return ~takeFar(~seed, at, size);
}
