/**
 * Seeded randomness for tests: the same seed gives the same numbers on every machine and in every version of Node.
 *
 * A property test runs through `forEachSeed`, which names the seed in the error of a failing case; VARVE_SEED=<seed>
 * in the environment then replays that case alone, and VARVE_LAB=<factor> runs so many times as many. No test draws
 * from `Math.random` or from the clock.
 */
import { scaled } from './tally.ts';

/** A deterministic generator (xoshiro128**, seeded through splitmix32). Never for secrets. */
export class Random {
  /** What it was made from. */
  readonly seed: number;
  private readonly state = new Uint32Array(4);

  constructor(seed: number) {
    this.seed = seed >>> 0;
    let mixed = this.seed;
    for (let word = 0; word < 4; word++) {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let z = mixed;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      this.state[word] = z ^ (z >>> 15);
    }
  }

  /** The next 32 bits, unsigned. */
  next(): number {
    const state = this.state as unknown as [number, number, number, number];
    const scrambled = Math.imul(state[1], 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 11) | (state[3] >>> 21);
    return result;
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.next() / 4294967296;
  }

  /** An integer in [0, count). */
  integer(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  /** An integer in [from, to]. */
  between(from: number, to: number): number {
    return from + this.integer(to - from + 1);
  }

  /** True with the given probability; 0 is never and 1 is always. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of the items, of which there must be at least one. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('nothing to pick from');
    return items[this.integer(items.length)] as T;
  }

  /** A shuffled copy. */
  shuffled<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let last = copy.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [copy[last], copy[other]] = [copy[other] as T, copy[last] as T];
    }
    return copy;
  }

  /** New random bytes. */
  bytes(length: number): Uint8Array {
    const target = new Uint8Array(length);
    this.fill(target);
    return target;
  }

  /** Fills with random bytes. */
  fill(target: Uint8Array): void {
    for (let at = 0; at < target.length; at += 4) {
      const word = this.next();
      for (let byte = at; byte < Math.min(at + 4, target.length); byte++) target[byte] = word >>> (8 * (byte - at));
    }
  }

  /** A generator of its own, so that what one part of a test draws does not shift the numbers of another. */
  fork(): Random {
    return new Random(this.next());
  }

  /** A generator that continues exactly as this one does. */
  clone(): Random {
    const copy = new Random(this.seed);
    copy.state.set(this.state);
    return copy;
  }
}

/** The seed of VARVE_SEED, or `undefined` where there is none. */
export function seedFromEnvironment(): number | undefined {
  const text = process.env['VARVE_SEED'];
  if (text === undefined || text === '') return undefined;
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new RangeError(`VARVE_SEED must be an integer from 0 to 4294967295, not '${text}'`);
  }
  return seed;
}

/**
 * Runs `body` with the seeds first, first + 1, … (`count` of them, times VARVE_LAB), or with VARVE_SEED alone. The
 * error of a failing case ends with its seed.
 */
export async function forEachSeed(
  count: number, body: (random: Random, seed: number) => void | Promise<void>, first = 1,
): Promise<void> {
  const only = seedFromEnvironment();
  const seeds = only === undefined ? Array.from({ length: scaled(count) }, (_, at) => (first + at) >>> 0) : [only];
  for (const seed of seeds) {
    try {
      await body(new Random(seed), seed);
    } catch (error) {
      const note = ` [replay with VARVE_SEED=${seed}]`;
      if (!(error instanceof Error)) throw new Error(`${String(error)}${note}`, { cause: error });
      error.message += note;
      throw error;
    }
  }
}
