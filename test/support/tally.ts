/**
 * What a suite of the fault laboratory has done: faults injected, restarts, records checked, seeds. A plain run prints
 * it as one line; `npm run lab` names a file in VARVE_TALLY, to which each suite appends one line of JSON.
 *
 * Counts whose names begin with `faults.` are shown together, by kind; `seeds`, `restarts`, `records` and `losses` have
 * columns of their own. Everything else stands in the suite's own line only.
 */
import { appendFileSync } from 'node:fs';

/** Counts of one suite, by name. */
export interface Tally {
  readonly suite: string;
  readonly counts: ReadonlyMap<string, number>;
  /** Adds one. */
  count(name: string): void;
  /** Adds so many. */
  add(name: string, amount: number): void;
  /** How many so far. */
  get(name: string): number;
  /** Prints the counts, and appends them to the file that VARVE_TALLY names. For `afterAll`. */
  report(): void;
}

/** An empty tally; `suite` is the name under which the laboratory shows it. */
export function newTally(suite: string): Tally {
  const counts = new Map<string, number>();
  const begun = performance.now();
  const get = (name: string): number => counts.get(name) ?? 0;
  const add = (name: string, amount: number): void => { counts.set(name, get(name) + amount); };
  return {
    suite, counts, add, get,
    count: (name) => add(name, 1),
    report() {
      const seconds = (performance.now() - begun) / 1000;
      const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
      console.info(`${suite}: ${sorted.map(([name, amount]) => `${name} ${amount}`).join(', ')}`);
      const file = process.env['VARVE_TALLY'];
      if (file === undefined || file === '') return;
      appendFileSync(file, `${JSON.stringify({ suite, seconds, counts: Object.fromEntries(sorted) })}\n`);
    },
  };
}

/** By how much VARVE_LAB lengthens a suite: 1 where it is not set. */
export function laboratoryFactor(): number {
  const text = process.env['VARVE_LAB'];
  if (text === undefined || text === '') return 1;
  const factor = Number(text);
  if (!(factor > 0 && factor < Infinity)) throw new RangeError(`VARVE_LAB must be a positive number, not '${text}'`);
  return factor;
}

/** So many cases in a plain run, more of them in the laboratory; at least one. */
export function scaled(count: number): number {
  return Math.max(1, Math.round(count * laboratoryFactor()));
}
