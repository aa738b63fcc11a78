/**
 * Owns the sixteen lookup tables of CRC-32C and everything that is computed by table.
 *
 * Polynomial: Castagnoli, 0x1EDC6F41, reflected (0x82F63B78); Koopman, "32-Bit Cyclic Redundancy Codes for Internet
 * Applications", DSN 2002. Method: slicing, Kounavis and Berry, "Novel Table Lookup-Based Algorithms for
 * High-Performance CRC Generation", IEEE Transactions on Computers 57 (2008).
 *
 * Table k, at TABLES + 1024 * k, holds for each byte value the register after that byte and k zero bytes.
 * Functions here work on the raw register: no inversion before or after. They need fillTables() to have run.
 * Words are 32 bits wide and a table index is masked as a byte offset, because shifting by 6, 14 and 22 saves the
 * multiplication by four.
 */

const REFLECTED_POLYNOMIAL: u32 = 0x82f63b78;
const TABLES: usize = memory.data(16384, 16);

/**
 * Fills the tables.
 * Reads: nothing but what it has written. Writes: [TABLES, TABLES + 16384).
 */
export function fillTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let register = byte;
    for (let bit = 0; bit < 8; bit++) {
      register = (register >> 1) ^ (REFLECTED_POLYNOMIAL & (0 - (register & 1)));
    }
    store<u32>(TABLES + (byte << 2), register);
  }
  for (let entry: usize = 1024; entry < 16384; entry += 4) {
    const previous = load<u32>(TABLES + entry - 1024);
    store<u32>(TABLES + entry, (previous >> 8) ^ load<u32>(TABLES + ((previous & 0xff) << 2)));
  }
}

// The offset of a load must be a literal for the compiler, hence one function per distance.

/** Returns the share of a word with 12 bytes behind it. */
// @ts-ignore: decorator
@inline export function wordBefore12(word: u32): u32 {
  return load<u32>((word << 2) & 0x3fc, TABLES + 15360) ^ load<u32>((word >> 6) & 0x3fc, TABLES + 14336) ^
    (load<u32>((word >> 14) & 0x3fc, TABLES + 13312) ^ load<u32>((word >> 22) & 0x3fc, TABLES + 12288));
}

/** Returns the share of a word with 8 bytes behind it. */
// @ts-ignore: decorator
@inline export function wordBefore8(word: u32): u32 {
  return load<u32>((word << 2) & 0x3fc, TABLES + 11264) ^ load<u32>((word >> 6) & 0x3fc, TABLES + 10240) ^
    (load<u32>((word >> 14) & 0x3fc, TABLES + 9216) ^ load<u32>((word >> 22) & 0x3fc, TABLES + 8192));
}

/** Returns the share of a word with 4 bytes behind it. */
// @ts-ignore: decorator
@inline export function wordBefore4(word: u32): u32 {
  return load<u32>((word << 2) & 0x3fc, TABLES + 7168) ^ load<u32>((word >> 6) & 0x3fc, TABLES + 6144) ^
    (load<u32>((word >> 14) & 0x3fc, TABLES + 5120) ^ load<u32>((word >> 22) & 0x3fc, TABLES + 4096));
}

/** Returns the share of the last word. */
// @ts-ignore: decorator
@inline export function wordLast(word: u32): u32 {
  return load<u32>((word << 2) & 0x3fc, TABLES + 3072) ^ load<u32>((word >> 6) & 0x3fc, TABLES + 2048) ^
    (load<u32>((word >> 14) & 0x3fc, TABLES + 1024) ^ load<u32>((word >> 22) & 0x3fc, TABLES));
}

/**
 * Takes sixteen bytes into the register.
 * The words that do not depend on the register come first, so that only four loads lie on the chain between blocks.
 * @param register raw register
 * @param at any alignment, 16 bytes readable
 * @returns the raw register
 * Reads: [at, at + 16). Writes: nothing.
 */
// @ts-ignore: decorator
@inline export function take16(register: u32, at: usize): u32 {
  const independent = wordBefore8(load<u32>(at, 4)) ^ wordBefore4(load<u32>(at, 8)) ^ wordLast(load<u32>(at, 12));
  return wordBefore12(register ^ load<u32>(at)) ^ independent;
}

/**
 * Takes `size & 15` bytes into the register.
 * @param register raw register
 * @param at any alignment, `size & 15` bytes readable
 * @param size only the low four bits count
 * @returns the raw register
 * Reads: [at, at + (size & 15)). Writes: nothing.
 */
// @ts-ignore: decorator
@inline export function takeRest(register: u32, at: usize, size: usize): u32 {
  if (size & 8) {
    const second = wordLast(load<u32>(at, 4));
    register = wordBefore4(register ^ load<u32>(at)) ^ second;
    at += 8;
  }
  if (size & 4) {
    register = wordLast(register ^ load<u32>(at));
    at += 4;
  }
  if (size & 2) {
    register ^= load<u16>(at);
    register = (register >> 16) ^ load<u32>((register << 2) & 0x3fc, TABLES + 1024) ^
      load<u32>((register >> 6) & 0x3fc, TABLES);
    at += 2;
  }
  if (size & 1) register = (register >> 8) ^ load<u32>(((register ^ load<u8>(at)) & 0xff) << 2, TABLES);
  return register;
}
