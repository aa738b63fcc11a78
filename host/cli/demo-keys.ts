/**
 * The last part of the demo: the same records by key, and airports with their departures: put and read back, written on
 * a condition, opened again, found by prefix, compacted and checked. Everything that is read is compared.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KeyValueStore, VarveError } from '../index.ts';
import { Mismatch, randomFrom, timed, type Step } from './demo-steps.ts';

/** What the part has to tell beside its steps. */
export interface KeysResult {
  /** Keys at the end. */
  readonly keys: number;
  /** Bytes of the log before and after compaction, which dropped every second record. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

interface Options {
  readonly reads: number;
  readonly seed: number;
}

type Store = KeyValueStore<string, string>;
const OPTIONS = { values: 'utf8', autoCompact: false } as const;
const AIRPORTS = 'airports.csv';
const ROUTES = 'flights-airport.csv';

const keyOf = (at: number): string => `record/${String(at).padStart(7, '0')}`;

/** The lines of a table of the data set but its head; none where the input is another one. */
function linesOf(input: string, name: string): string[] {
  const path = join(dirname(input), name);
  return existsSync(path) ? readFileSync(path, 'utf8').split(/\r?\n/).slice(1).filter((line) => line !== '') : [];
}

/** Makes a store in `directory` of the records and of what lies beside the input; reads all of it back in every way. */
export async function demoKeys(
  steps: Step[], directory: string, input: string, texts: readonly string[], options: Options,
): Promise<KeysResult> {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  let store: Store = await KeyValueStore.open<string, string>(directory, OPTIONS);
  try {
    await timed(steps, 'keys: put, one by one', () => {
      for (const [at, text] of texts.entries()) store.put(keyOf(at), text);
      return { value: undefined, records: texts.length, bytes };
    });
    await timed(steps, 'keys: sync to the disk', async () => {
      await store.sync();
      return { value: undefined, records: texts.length, bytes };
    });
    await readAtRandom(steps, store, texts, options);
    const airports = linesOf(input, AIRPORTS);
    if (airports.length > 0) await fly(steps, store, airports, linesOf(input, ROUTES));
    conflict(store);
    await store.close();
    store = await timed(steps, 'keys: open again', async () => (
      { value: await KeyValueStore.open<string, string>(directory, OPTIONS), records: 0, bytes: 0 }));
    if (airports.length > 0) await findAirports(steps, store, airports);
    return await compact(steps, store, texts);
  } finally {
    await store.close();
  }
}

async function readAtRandom(
  steps: Step[], store: Store, texts: readonly string[], { reads, seed }: Options,
): Promise<void> {
  if (reads === 0 || texts.length === 0) return;
  await timed(steps, 'keys: get by random key', () => {
    const random = randomFrom(seed);
    let bytes = 0;
    for (let done = 0; done < reads; done++) {
      const at = Math.floor(random() * texts.length);
      const text = store.get(keyOf(at));
      if (text === undefined || text !== texts[at]) throw new Mismatch(`${keyOf(at)} is not what was put`);
      bytes += text.length;
    }
    return { value: undefined, records: reads, bytes };
  });
}

/** Puts the airports as one batch, and adds the flights of each route to its origin's departures. */
async function fly(
  steps: Step[], store: Store, airports: readonly string[], routes: readonly string[],
): Promise<void> {
  const expected = new Map<string, number>();
  store.batch(airports.map((line) => ({ type: 'put', key: `airport/${codeOf(line)}`, value: line })));
  await timed(steps, 'keys: update of departures', () => {
    for (const route of routes) {
      const [origin = '', , flights] = route.split(',');
      store.update(`departures/${origin}`, (sum = '0') => String(Number(sum) + Number(flights)));
      expected.set(origin, (expected.get(origin) ?? 0) + Number(flights));
    }
    return { value: undefined, records: routes.length, bytes: 0 };
  });
  for (const [origin, flights] of expected) {
    const sum = store.get(`departures/${origin}`);
    if (sum !== String(flights)) throw new Mismatch(`the departures of ${origin} are ${sum} instead of ${flights}`);
  }
}

function codeOf(line: string): string {
  return line.slice(0, line.indexOf(','));
}

/** A write that expects another version than the key has must be refused. */
function conflict(store: Store): void {
  const version = store.put('owner', 'first', { ifAbsent: true });
  store.put('owner', 'second', { ifVersion: version, ttl: 3_600_000 });
  try {
    store.put('owner', 'third', { ifVersion: version });
  } catch (error) {
    if (VarveError.is(error, 'ERR_VARVE_CONFLICT') && store.get('owner') === 'second') return;
    throw error;
  }
  throw new Mismatch('a put with the version of before was accepted');
}

async function findAirports(steps: Step[], store: Store, airports: readonly string[]): Promise<void> {
  const found = await timed(steps, 'keys: entries with a prefix', () => {
    const entries = [...store.entries({ prefix: 'airport/' })];
    return { value: entries, records: entries.length, bytes: entries.reduce((sum, [, line]) => sum + line.length, 0) };
  });
  const expected = new Map(airports.map((line) => [`airport/${codeOf(line)}`, line]));
  if (found.length !== expected.size || found.some(([key, line]) => expected.get(key) !== line)) {
    throw new Mismatch(`${found.length} airports were found, and not the ${expected.size} that were put`);
  }
}

async function compact(steps: Step[], store: Store, texts: readonly string[]): Promise<KeysResult> {
  for (let at = 0; at < texts.length; at += 2) store.delete(keyOf(at));
  const { bytes: bytesBefore } = store.stats();
  await timed(steps, 'keys: compact, every second one deleted', async () => {
    const { copiedRecords, copiedBytes } = await store.compact();
    return { value: undefined, records: copiedRecords, bytes: copiedBytes };
  });
  const { keys, bytes: bytesAfter } = store.stats();
  await timed(steps, 'keys: check', () => {
    const { outcome, because, records, bytes } = store.check();
    if (outcome !== 'ok') throw new Mismatch(`check says ${outcome}: ${because}`);
    return { value: undefined, records, bytes };
  });
  for (const [at, text] of texts.entries()) {
    if (store.get(keyOf(at)) !== (at % 2 === 0 ? undefined : text)) throw new Mismatch(`${keyOf(at)} was not kept`);
  }
  return { keys, bytesBefore, bytesAfter };
}
