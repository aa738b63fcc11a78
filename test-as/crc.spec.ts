/**
 * The core's CRC-32C alone: vectors, every method by size, alignments, chaining. The reference takes one bit at a time
 * and shares no code with the core. The optimized builds are checked by vitest; here the code is compiled for
 * debugging, so sizes are chosen around the thresholds and the blocks instead of all of them.
 */

import { crc32c, crcInit } from '../assembly/crc/crc32c';

const SIZE_MAX: i32 = 45000;
const bytes = new StaticArray<u8>(SIZE_MAX + 16);
/** expected[n] is the CRC of the first n bytes of the sequence. */
const expected = new StaticArray<u32>(SIZE_MAX + 1);
const base = changetype<usize>(bytes);

function referenceStep(register: u32, byte: u8): u32 {
  register ^= byte;
  for (let bit = 0; bit < 8; bit++) register = (register >> 1) ^ (register & 1 ? 0x82f63b78 : 0);
  return register;
}

/** Writes the sequence, the same each time, to `base + shift`. */
function writeSequence(shift: usize, size: i32): void {
  let state: u32 = 2463534242;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    store<u8>(base + shift + i, <u8>(state >> 11));
  }
}

function writeText(text: string): void {
  for (let i = 0; i < text.length; i++) store<u8>(base + i, <u8>text.charCodeAt(i));
}

crcInit();
writeSequence(0, SIZE_MAX);
let register: u32 = 0xffffffff;
for (let i = 0; i < SIZE_MAX; i++) {
  register = referenceStep(register, load<u8>(base + i));
  expected[i + 1] = ~register;
}

/** Returns the first size in [from, to] whose CRC is wrong at this shift, or -1. */
function firstWrong(shift: usize, from: i32, to: i32): i32 {
  for (let size = from; size <= to; size++) {
    if (crc32c(0, base + shift, size) != expected[size]) return size;
  }
  return -1;
}

describe('crc32c', () => {
  it('gives the published vectors', () => {
    expect(crc32c(0, base, 0)).toBe(0);
    writeText('123456789');
    expect(crc32c(0, base, 9)).toBe(0xe3069283);
    memory.fill(base, 0, 32);
    expect(crc32c(0, base, 32)).toBe(0x8a9136aa);
    memory.fill(base, 0xff, 32);
    expect(crc32c(0, base, 32)).toBe(0x62a8ab43);
    for (let i = 0; i < 32; i++) store<u8>(base + i, <u8>i);
    expect(crc32c(0, base, 32)).toBe(0x46dd794e);
  });

  it('agrees with the reference at every size up to 4200', () => {
    writeSequence(0, SIZE_MAX);
    expect(firstWrong(0, 0, 4200)).toBe(-1);
  });

  it('agrees with the reference at every alignment', () => {
    for (let shift: usize = 0; shift < 16; shift++) {
      writeSequence(shift, 1100);
      expect(firstWrong(shift, 0, 160)).toBe(-1);
      expect(firstWrong(shift, 725, 755)).toBe(-1);
      expect(firstWrong(shift, 1024, 1024)).toBe(-1);
    }
  });

  it('agrees with the reference around the blocks of long inputs', () => {
    writeSequence(0, SIZE_MAX);
    expect(firstWrong(0, 14330, 14345)).toBe(-1);
    expect(firstWrong(0, 17130, 17145)).toBe(-1);
    expect(firstWrong(0, 30920, 30935)).toBe(-1);
    expect(firstWrong(0, SIZE_MAX, SIZE_MAX)).toBe(-1);
  });

  it('continues from a seed at every split', () => {
    writeSequence(0, SIZE_MAX);
    let wrong = -1;
    for (let split = 0; split <= 1500; split++) {
      if (crc32c(crc32c(0, base, split), base + split, 1500 - split) != expected[1500]) wrong = split;
    }
    for (let split = 0; split <= SIZE_MAX; split += 1999) {
      if (crc32c(crc32c(0, base, split), base + split, SIZE_MAX - split) != expected[SIZE_MAX]) wrong = split;
    }
    expect(wrong).toBe(-1);
  });

  it('leaves its input as it was', () => {
    writeSequence(0, SIZE_MAX);
    crc32c(0, base, SIZE_MAX);
    let sum: u32 = 0xffffffff;
    for (let i = 0; i < SIZE_MAX; i++) sum = referenceStep(sum, load<u8>(base + i));
    expect(~sum).toBe(expected[SIZE_MAX]);
  });
});
