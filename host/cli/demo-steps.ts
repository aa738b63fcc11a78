/**
 * What the parts of the demo share: steps that are timed, the error for what was not read back as it was written, and
 * numbers that look random and are the same every time.
 */

/** One step: what was done, to how many records and bytes, in how many seconds. */
export interface Step {
  readonly step: string;
  readonly records: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Something is not what was written. */
export class Mismatch extends Error {}

interface Done<T> {
  readonly value: T;
  readonly records: number;
  readonly bytes: number;
}

/** Runs a step, adds it to the list, and returns its value. */
export async function timed<T>(steps: Step[], step: string, run: () => Done<T> | Promise<Done<T>>): Promise<T> {
  const begun = performance.now();
  const { value, records, bytes } = await run();
  steps.push({ step, records, bytes, seconds: (performance.now() - begun) / 1000 });
  return value;
}

/** Numbers in [0, 1): mulberry32, the same for the same seed everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
