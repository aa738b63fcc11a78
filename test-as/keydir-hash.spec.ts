/**
 * The hash of keys alone: vectors that were computed with integers of any size, what it reads, and how it spreads.
 */
import { hashKey } from '../assembly/keydir/hash';

const LOW: u64 = 0x0123456789abcdef;
const HIGH: u64 = 0xfedcba9876543210;
const LONG: u32 = 65536;
const area = new StaticArray<u8>(<i32>LONG + 64);
const base = changetype<usize>(area);

/** Of the keys of 0 to 64 bytes whose byte `i` is i * 37 + length * 11 + 1. */
const EXPECTED: StaticArray<u32> = [
  0x1137312d, 0xe55abe12, 0x30fe93d0, 0x8e2b95f2, 0xa21e7a74, 0xb8840281, 0x7eb4b2d8, 0x260e6ff2,
  0x667065aa, 0xe9754840, 0x0418e7a8, 0xbcc3c7bd, 0x51c5cad3, 0x729683a6, 0xdad0090c, 0x0ba9b71f,
  0xe4d75c90, 0x3c49b809, 0x2b8219e5, 0xd77297ec, 0x319dd64f, 0xfd1d14e6, 0x262baeb8, 0x39a75ccb,
  0x24a96496, 0xf700fef6, 0x3c916786, 0xf57b8fb3, 0x1869f2a0, 0x65284173, 0x5d2dacae, 0xe24305fa,
  0x488a5a45, 0x843f67f5, 0xdc4b14cc, 0x70e9840d, 0x9be7c159, 0x91e9896c, 0xb88a1495, 0xa4d6d00d,
  0x916ba9f6, 0xf6d497bd, 0xe1072045, 0x7a2aa6ef, 0xa830ac36, 0x796742cb, 0x7005917e, 0xde9a5fde,
  0x8b632970, 0xd6e43557, 0x6a79174a, 0xf3dad9fe, 0x533b9f02, 0xd64a2e13, 0xb244ab69, 0x9a0f002a,
  0x7470cd86, 0x4ff706f2, 0x788b3c9c, 0xa4ba671f, 0xcefc484d, 0xe86592a1, 0x4ac1e815, 0x35e99afa,
  0x689c9f9b,
];

function writeKey(at: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) store<u8>(at + i, <u8>(i * 37 + length * 11 + 1));
}

describe('the hash of a key', () => {
  it('is what it is, for every length up to 64 and for the longest, at every alignment', () => {
    let wrong = 0;
    for (let shift: usize = 0; shift < 8; shift++) {
      for (let length: u32 = 0; length <= 64; length++) {
        writeKey(base + shift, length);
        if (hashKey(LOW, HIGH, base + shift, length) != EXPECTED[length]) wrong++;
      }
      writeKey(base + shift, LONG);
      if (hashKey(LOW, HIGH, base + shift, LONG) != 0xc51a6540) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('is keyed by both halves of the seed', () => {
    store<u8>(base, 0x76);
    store<u32>(base + 1, 0x65767261);
    expect(hashKey(0, 0, base, 5)).toBe(0x6431a801);
    expect(hashKey(u64.MAX_VALUE, u64.MAX_VALUE, base, 5)).toBe(0x76ec4a8a);
    let same = 0;
    for (let length: u32 = 0; length <= 64; length++) {
      writeKey(base, length);
      for (let bit: u64 = 0; bit < 64; bit++) {
        const hash = hashKey(LOW, HIGH, base, length);
        if (hashKey(LOW ^ ((<u64>1) << bit), HIGH, base, length) == hash) same++;
        if (hashKey(LOW, HIGH ^ ((<u64>1) << bit), base, length) == hash) same++;
      }
    }
    expect(same).toBe(0);
  });

  it('depends on every bit of the key', () => {
    let same = 0;
    for (let length: u32 = 1; length <= 64; length++) {
      writeKey(base, length);
      for (let bit: u32 = 0; bit < length * 8; bit++) {
        const at = base + (bit >> 3);
        const byte = load<u8>(at);
        store<u8>(at, byte ^ ((<u8>1) << <u8>(bit & 7)));
        if (hashKey(LOW, HIGH, base, length) == EXPECTED[length]) same++;
        store<u8>(at, byte);
      }
    }
    expect(same).toBe(0);
  });

  it('depends on no byte around the key', () => {
    let wrong = 0;
    for (let length: u32 = 0; length <= 64; length++) {
      for (let fill = 0; fill < 256; fill += 51) {
        memory.fill(base, <u8>fill, 128);
        writeKey(base + 32, length);
        if (hashKey(LOW, HIGH, base + 32, length) != EXPECTED[length]) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('reads nothing behind the end of the memory', () => {
    const end = (<usize>memory.grow(1) + 1) << 16;
    let wrong = 0;
    for (let length: u32 = 0; length <= 64; length++) {
      writeKey(end - length, length);
      if (hashKey(LOW, HIGH, end - length, length) != EXPECTED[length]) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('spreads 100,000 keys that count up over 1000 buckets, as numbers and as text', () => {
    // Ids are random: no half is the complement of the other, as above.
    const OTHER: u64 = 0x5851f42d4c957f2d;
    const numbers = new StaticArray<u32>(1000);
    const texts = new StaticArray<u32>(1000);
    for (let key: u32 = 0; key < 100000; key++) {
      store<u64>(base, key);
      numbers[<i32>((<u64>hashKey(LOW, OTHER, base, 8) * 1000) >> 32)] += 1;
      store<u64>(base, 0x30303a7265737563);
      store<u64>(base + 8, 0x3030303030303030);
      for (let digit: u32 = 0, left = key; digit < 5; digit++, left /= 10) {
        store<u8>(base + 15 - digit, <u8>(0x30 + left % 10));
      }
      texts[<i32>((<u64>hashKey(LOW, OTHER, base, 16) * 1000) >> 32)] += 1;
    }
    let least: u32 = u32.MAX_VALUE;
    let most: u32 = 0;
    for (let i = 0; i < 1000; i++) {
      least = min(least, min(numbers[i], texts[i]));
      most = max(most, max(numbers[i], texts[i]));
    }
    // 100 are expected, with a deviation of 10: five of them to either side.
    expect(least).toBeGreaterThan(50);
    expect(most).toBeLessThan(150);
  });
});
