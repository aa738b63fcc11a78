/**
 * Sorting locations by their keys, against Buffer.compare.
 */
import { describe, expect, it } from 'vitest';
import { KeySort, sortByKey, type KeySource } from '../../host/key-value/sorted.ts';
import { forEachSeed, type Random } from '../support/random.ts';

/** Keys in one buffer, in any order, each at its location: the offset of its length. */
class Keys implements KeySource {
  readonly bytes: Buffer;
  readonly locations: Float64Array;
  start = 0;
  end = 0;
  sought = 0;

  constructor(keys: readonly Uint8Array[]) {
    this.locations = new Float64Array(keys.length);
    this.bytes = Buffer.alloc(keys.reduce((sum, { length }) => sum + 4 + length, 0));
    let at = 0;
    for (const [i, key] of keys.entries()) {
      this.locations[i] = at;
      this.bytes.writeUInt32LE(key.length, at);
      this.bytes.set(key, at + 4);
      at += 4 + key.length;
    }
  }

  seek(location: number): void {
    this.sought++;
    this.start = location + 4;
    this.end = this.start + this.bytes.readUInt32LE(location);
  }

  at(location: number): Buffer {
    this.seek(location);
    return this.bytes.subarray(this.start, this.end);
  }

  /** The keys in the order that sorting gives. */
  sorted(): Buffer[] {
    const locations = this.locations.slice();
    sortByKey(locations, this);
    expect(new Set(locations).size).toBe(locations.length);
    return [...locations].map((location) => this.at(location));
  }
}

function hex(keys: readonly Uint8Array[]): string[] {
  return keys.map((key) => Buffer.from(key).toString('hex'));
}

/** As sorted by Node.js. */
function expected(keys: readonly Uint8Array[]): string[] {
  return hex([...keys].sort((a, b) => Buffer.compare(a, b)));
}

/** Distinct keys, of few different bytes, so that they share beginnings. */
function someKeys(random: Random): Uint8Array[] {
  const alphabet = random.pick([[0, 1], [0, 255], [97, 98, 99], Array.from({ length: 256 }, (_, at) => at)]);
  const prefix = random.bytes(random.pick([0, 0, 5, 6, 7, 30]));
  const longest = random.pick([3, 8, 20, 60]);
  const keys = new Map<string, Uint8Array>();
  for (let i = random.pick([2, 10, 17, 100, 1000]); i > 0; i--) {
    const rest = Array.from({ length: random.between(1, longest) }, () => random.pick(alphabet));
    const key = Buffer.concat([prefix, Buffer.from(rest)]);
    keys.set(key.toString('hex'), key);
  }
  return random.shuffled([...keys.values()]);
}

describe('sorting by key', () => {
  it('is the order of Buffer.compare', async () => {
    await forEachSeed(150, (random) => {
      const keys = someKeys(random);
      expect(hex(new Keys(keys).sorted())).toEqual(expected(keys));
    });
  });

  it('knows zeros from an end, and every length around a step', () => {
    const zeros = Array.from({ length: 40 }, (_, at) => Buffer.alloc(at + 1));
    const ones = Array.from({ length: 40 }, (_, at) => Buffer.concat([Buffer.alloc(at), Buffer.from([1])]));
    const most = Array.from({ length: 20 }, (_, at) => Buffer.alloc(at + 1, 255));
    const keys = [...most, ...zeros, ...ones.slice(1), ...ones.slice(0, 1)];
    expect(hex(new Keys(keys).sorted())).toEqual(expected(keys));
  });

  it('sorts none and one, and keys that are sorted already, either way', () => {
    expect(new Keys([]).sorted()).toEqual([]);
    expect(hex(new Keys([Buffer.from('a')]).sorted())).toEqual(['61']);
    const keys = Array.from({ length: 5000 }, (_, at) => Buffer.from(`key ${String(at).padStart(8, '0')}`));
    expect(hex(new Keys(keys).sorted())).toEqual(hex(keys));
    expect(hex(new Keys([...keys].reverse()).sorted())).toEqual(hex(keys));
  });

  it('takes the longest keys, which share all but the end, without a deep stack', () => {
    const keys = Array.from({ length: 20 }, (_, at) => {
      const key = Buffer.alloc(65536, 'k');
      key[65535] = 255 - at;
      return key;
    });
    expect(hex(new Keys(keys).sorted())).toEqual(expected(keys));
  });

  it('gives the same in slices, of which none takes long', () => {
    const keys = Array.from({ length: 60_000 }, (_, at) => Buffer.from(`user:${(at * 7919) % 60_000}`));
    const source = new Keys(keys);
    const sort = new KeySort(source.locations, source);
    let slices = 1;
    let soughtBefore = 0;
    // A time that is over: each slice does the least it can.
    while (!sort.work(0)) {
      slices++;
      expect(source.sought - soughtBefore).toBeLessThanOrEqual(2 * 4096);
      soughtBefore = source.sought;
    }
    expect(slices).toBeGreaterThan(60);
    expect(hex([...source.locations].map((location) => source.at(location)))).toEqual(expected(keys));
    expect(new KeySort(new Float64Array(0), source).work(0)).toBe(true);
  });

  it('reads a key once for each six bytes that it shares', () => {
    const keys = Array.from({ length: 10_000 }, (_, at) => Buffer.from(`user:${String(at * 7919 % 10_000).padStart(11, '0')}`));
    const source = new Keys(keys);
    const locations = source.locations.slice();
    sortByKey(locations, source);
    // Of 16 bytes the first 12 hold no more than the 1000s: three readings.
    expect(source.sought).toBe(30_000);
  });
});
