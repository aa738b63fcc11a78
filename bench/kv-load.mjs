/**
 * Loading a key-value store: 1 M keys of 16 B in random order with values of 100 B, not durable, one by one and all
 * together; millions of entries a second.
 *
 * Measured is the putting alone, into a new store; opening and closing are not. All together is `putMany` of an array
 * of entries, for the peers one transaction, or batches. What a peer does later is waited for: within the clock, at
 * every 10,000 (classic-level: 1,000). SQLite gets a tenth of the keys one by one, which would take half a minute.
 * Afterwards the whole store is read: the result is what it holds. How each is set up stands in lib/kv.mjs.
 */
import { entriesOf, insistEntries, textKeys, VALUE_BYTES } from './lib/kv-work.mjs';
import { ENGINES, present } from './lib/kv.mjs';
import { loopsOf } from './lib/kv-loops.mjs';
import { compare } from './lib/measure.mjs';
import { payloadsOf } from './lib/payloads.mjs';
import { timedLater } from './lib/places.mjs';

export const title = 'key-value: load, not durable';

const NAMES = ['varve', 'varve, string keys', 'lmdb', 'better-sqlite3', 'classic-level', 'bitcask by hand'];
const PEERS = ['lmdb', 'better-sqlite3', 'classic-level', 'bitcask by hand'];
const PACE = 10_000;
const PACE_OF_LEVEL = 1000;
const ROUNDS_MAX = 3;

export function parameters(smoke) {
  return { keys: smoke ? 300 : 1_000_000, valueBytes: VALUE_BYTES, roundsMax: ROUNDS_MAX };
}

export async function run({ places, smoke, rounds, warmups }) {
  const { keys: count } = parameters(smoke);
  const rest = { rounds: Math.min(rounds, ROUNDS_MAX), warmups };
  const { names, notes } = present(NAMES);
  const texts = textKeys(count);
  const values = payloadsOf(VALUE_BYTES);
  // Made once in each form, so that no garbage of theirs is collected within a clock.
  const keys = new Map(names.map((who) => [ENGINES[who].keyOf, undefined]));
  for (const keyOf of keys.keys()) keys.set(keyOf, texts.map(keyOf));
  const entries = new Map([...keys].map(([keyOf, list]) => [keyOf, entriesOf(list, values)]));
  const work = { places, keys, entries, values };
  const floors = (least) => [{ atLeast: least }, ...PEERS.map((of) => ({ times: 5, of }))];
  const contenders = (load, least) => names.map((who) => (
    { who, unit: 'M/s', floors: who === 'varve' ? floors(least) : [], run: () => load(who, work) }));
  return {
    rows: [
      ...await compare(rest, 'one by one', contenders(oneByOne, 1.5)),
      ...await compare(rest, 'all together', contenders(together, 2.5)),
    ],
    notes,
  };
}

/** Lets `load` fill a new store with these keys, reads it, and returns how fast that was. */
function loaded({ places, values }, who, keys, load) {
  return places.with('load', async (path) => {
    const store = await ENGINES[who].open(path);
    const { ns } = await timedLater(() => load(store));
    const result = await insistEntries(store, keys, values);
    await store.close();
    return { value: keys.length * 1e3 / ns, result };
  });
}

async function oneByOne(who, work) {
  const { keyOf, slowPuts } = ENGINES[who];
  const all = work.keys.get(keyOf);
  const keys = slowPuts ? all.slice(0, all.length / 10) : all;
  const { putAll } = await loopsOf(who);
  const pace = who === 'classic-level' ? PACE_OF_LEVEL : PACE;
  return loaded(work, who, keys, (store) => putAll(store, keys, work.values, keys.length, pace));
}

function together(who, work) {
  const { keyOf } = ENGINES[who];
  const entries = work.entries.get(keyOf);
  return loaded(work, who, work.keys.get(keyOf), (store) => store.putMany(entries));
}
