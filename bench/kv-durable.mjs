/**
 * Durable puts: microseconds until one entry of 16 + 100 B is on disk, and millions of entries a second where 1,000 are
 * put and synced together.
 *
 * Single puts: all stores are open at once and take turns put by put, so that all meet the same disk. A round gives the
 * median and the 99th percentile of each. What returns a promise is awaited, what blocks is not. Groups: each store in
 * turn, new in each round. Afterwards everything is read back; the result is what was stored, the same for all.
 */
import { entriesOf, insistEntries, textKeys, VALUE_BYTES } from './lib/kv-work.mjs';
import { ENGINES, present } from './lib/kv.mjs';
import { compare, quantile, rowOf } from './lib/measure.mjs';
import { payloadsOf, RING } from './lib/payloads.mjs';
import { timedLater } from './lib/places.mjs';

export const title = 'key-value: durable puts';

const NAMES = ['varve', 'varve, blocking', 'lmdb', 'better-sqlite3', 'classic-level', 'bitcask by hand'];
const RIVAL = 'better-sqlite3';

export function parameters(smoke) {
  return {
    valueBytes: VALUE_BYTES, singles: smoke ? 5 : 500, groups: smoke ? 2 : 50, entriesPerGroup: smoke ? 50 : 1000,
  };
}

export async function run({ places, smoke, ...rest }) {
  const { singles: count, groups, entriesPerGroup } = parameters(smoke);
  const { names, notes } = present(NAMES);
  const rows = await singles(places, names, count, rest);
  rows.push(...await grouped(places, names, { groups, entriesPerGroup }, rest));
  return { rows, notes };
}

// ---- one entry at a time

async function singles(places, names, count, { rounds, warmups }) {
  const values = payloadsOf(VALUE_BYTES);
  const texts = textKeys((rounds + warmups) * count);
  const stores = [];
  for (const who of names) {
    const engine = ENGINES[who];
    const store = await engine.open(places.fresh('singles'), { durable: true });
    stores.push({ who, store, keys: texts.map(engine.keyOf), laps: [] });
  }
  for (let round = 0; round < rounds + warmups; round++) {
    const taken = stores.map(() => new Float64Array(count));
    for (let i = 0; i < count; i++) {
      for (let turn = 0; turn < stores.length; turn++) {
        const at = (i + turn) % stores.length;
        taken[at][i] = await latency(stores[at], round * count + i, values);
      }
    }
    if (round >= warmups) taken.forEach((lap, at) => stores[at].laps.push(lap));
  }
  for (const { store, keys } of stores) {
    await insistEntries(store, keys, values);
    await store.close();
  }
  return [0.5, 0.99].flatMap((part) => latencyRows(stores, part));
}

/** Microseconds that one put took. */
async function latency({ store, keys }, i, values) {
  const begun = process.hrtime.bigint();
  const done = store.putDurable(keys[i], values[i % RING]);
  if (done instanceof Promise) await done;
  return Number(process.hrtime.bigint() - begun) / 1e3;
}

function latencyRows(stores, part) {
  const values = stores.map(({ laps }) => laps.map((lap) => quantile(lap, part)));
  const times = (at, other) => quantile(values[at].map((value, round) => values[other][round] / value), 0.5);
  const rival = stores.findIndex(({ who }) => who === RIVAL);
  return stores.map(({ who }, at) => {
    const row = rowOf({ group: `one, p${part * 100}`, who, unit: 'µs', values: values[at], result: stores.length > 0 });
    if (at > 0) row.behind = times(0, at);
    if (part === 0.5 && who.startsWith('varve') && rival >= 0) {
      const actual = 1 / times(at, rival);
      row.floors = [{ text: `≤ 1 × ${RIVAL}`, actual, met: actual < 1 }];
    }
    return row;
  });
}

// ---- groups

function grouped(places, names, { groups, entriesPerGroup }, rest) {
  const values = payloadsOf(VALUE_BYTES);
  const texts = textKeys(groups * entriesPerGroup);
  return compare(rest, `${entriesPerGroup} together`, names.map((who) => ({
    who,
    unit: 'M/s',
    floors: who === 'varve' ? [{ atLeast: 1 }] : [],
    run: () => places.with('groups', async (path) => {
      const keys = texts.map(ENGINES[who].keyOf);
      const runs = Array.from({ length: groups }, (_, at) => (
        entriesOf(keys.slice(at * entriesPerGroup, (at + 1) * entriesPerGroup), values, at * entriesPerGroup)));
      const store = await ENGINES[who].open(path, { durable: true });
      const { ns } = await timedLater(async () => {
        for (const entries of runs) await store.putGroupDurable(entries);
      });
      const result = await insistEntries(store, keys, values);
      await store.close();
      return { value: keys.length * 1e3 / ns, result };
    }),
  })));
}
