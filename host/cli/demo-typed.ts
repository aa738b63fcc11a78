/**
 * The second half of the demo: the same flights as typed records. This process writes them one by one while a second
 * one reads them live; then columns are added up and records read at random, all compared with the data set.
 */
import type { Command } from 'commander';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { TypedStore } from '../index.ts';
import { defineSchema, f64, i32, u32 } from '../typed/schema.ts';
import type { Run } from './context.ts';
import { Mismatch, randomFrom, timed, type Step } from './demo-steps.ts';
import { Exit } from './exit.ts';
import { integerFrom } from './parse.ts';

/** A flight of the data set: minutes late, miles, hour of the day. */
const Flight = defineSchema('Flight', { version: 1, fields: { delay: i32, distance: u32, time: f64 } });
type Flight = Readonly<Record<'delay' | 'distance' | 'time', number>>;
const COLUMNS = ['delay', 'distance', 'time'] as const;
/** The stamp and the fields. */
const RECORD_BYTES = 24;
const READER = 'demo-reader';

/** What the second process saw. */
export interface LiveReading {
  readonly records: number;
  /** Sum of the distances, as it added them up while they came. */
  readonly distance: number;
  /** How often it looked and found that there were more. */
  readonly steps: number;
}

/** What the typed half has to tell beside its steps. */
export interface TypedResult extends LiveReading {
  /** Milliseconds from the last append until this process was told that the other one had read it. */
  readonly behindMs: number;
}

interface Options {
  readonly reads: number;
  readonly seed: number;
}

/** The records of a data set as flights; `undefined` where they are something else. */
export function flightsOf(texts: readonly string[]): readonly Flight[] | undefined {
  const flights: Flight[] = [];
  for (const text of texts) {
    const value = JSON.parse(text) as Partial<Flight> | null;
    if (typeof value !== 'object' || value === null) return undefined;
    const { delay, distance, time } = value;
    if (!Number.isInteger(delay) || !Number.isInteger(distance) || distance! < 0 || typeof time !== 'number') {
      return undefined;
    }
    flights.push({ delay: delay!, distance: distance!, time });
  }
  return flights.length === 0 ? undefined : flights;
}

/** Writes flights to the file `path`, lets another process read them meanwhile, and reads them back in every way. */
export async function demoTyped(
  steps: Step[], path: string, flights: readonly Flight[], options: Options,
): Promise<TypedResult> {
  const store = await TypedStore.open(path, Flight, { capacity: flights.length });
  try {
    const result = await writeBesideReader(steps, store, flights);
    await timed(steps, 'typed: sync to the disk', async () => {
      await store.sync();
      return { value: undefined, records: flights.length, bytes: flights.length * RECORD_BYTES };
    });
    await addUp(steps, store, flights);
    await readAtRandom(steps, store, flights, options);
    return result;
  } finally {
    await store.close();
  }
}

type Store = TypedStore<typeof Flight.fields>;

async function writeBesideReader(steps: Step[], store: Store, flights: readonly Flight[]): Promise<TypedResult> {
  // The command itself, as a second process.
  const reader = fork(process.argv[1]!, [READER, store.path, String(flights.length)], { execArgv: [] });
  const failed = once(reader, 'exit').then(([code]) => { throw new Mismatch(`the second process ended with ${code}`); });
  try {
    await Promise.race([once(reader, 'message'), failed]);
    const records = flights.length;
    const seen = Promise.race([once(reader, 'message'), failed]) as Promise<[LiveReading]>;
    const begun = performance.now();
    await timed(steps, 'typed: append, one by one', () => {
      for (const flight of flights) store.append(flight);
      return { value: undefined, records, bytes: records * RECORD_BYTES };
    });
    const appended = performance.now();
    const [live] = await seen;
    const behindMs = performance.now() - appended;
    const seconds = (performance.now() - begun) / 1000;
    steps.push({ step: 'typed: read by a second process meanwhile', records, bytes: records * RECORD_BYTES, seconds });
    const distance = flights.reduce((sum, flight) => sum + flight.distance, 0);
    if (live.records !== records || live.distance !== distance) {
      throw new Mismatch(`the second process read ${live.records} flights over ${live.distance} miles, not ${distance}`);
    }
    return { ...live, behindMs };
  } finally {
    failed.catch(() => undefined);
    reader.kill();
  }
}

async function addUp(steps: Step[], store: Store, flights: readonly Flight[]): Promise<void> {
  const sums = await timed(steps, 'typed: sum of each column', () => ({
    value: COLUMNS.map((name) => store.column(name).sum()), records: flights.length * COLUMNS.length, bytes: 0,
  }));
  for (const [at, name] of COLUMNS.entries()) {
    const expected = flights.reduce((sum, flight) => sum + flight[name], 0);
    if (sums[at] !== expected) throw new Mismatch(`the sum of ${name} is ${sums[at]} instead of ${expected}`);
  }
}

async function readAtRandom(
  steps: Step[], store: Store, flights: readonly Flight[], { reads, seed }: Options,
): Promise<void> {
  if (reads === 0) return;
  await timed(steps, 'typed: read by random index', () => {
    const random = randomFrom(seed);
    const into = { delay: 0, distance: 0, time: 0 };
    for (let done = 0; done < reads; done++) {
      const index = Math.floor(random() * flights.length);
      const { delay, distance, time } = flights[index]!;
      store.get(index, into);
      if (into.delay !== delay || into.distance !== distance || into.time !== time) {
        throw new Mismatch(`typed record ${index} is not what was appended`);
      }
    }
    return { value: undefined, records: reads, bytes: reads * RECORD_BYTES };
  });
}

/** The second process: a command that the demo starts, and that no help shows. */
export function declareDemoReader(program: Command, run: Run): void {
  program.command(`${READER} <file> <count>`, { hidden: true })
    .action((file: string, count: string) => run(() => readLive(file, integerFrom(1)(count))));
}

async function readLive(path: string, count: number): Promise<Exit> {
  const store = await TypedStore.open(path, Flight, { readOnly: true });
  process.once('disconnect', () => process.exit());
  process.send?.('open');
  const distances = store.column('distance');
  let records = 0;
  let distance = 0;
  let steps = 0;
  while (records < count) {
    const { length } = store;
    if (length > records) {
      distance += distances.sum({ from: records, to: length - 1 });
      records = length;
      steps++;
    }
    await setImmediate();
  }
  await store.close();
  process.send?.({ records, distance, steps } satisfies LiveReading);
  process.disconnect?.();
  return Exit.Ok;
}
