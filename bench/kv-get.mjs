/**
 * Getting values by random key out of 1 M keys of 16 B with values of 100 B, all in memory: nanoseconds a get.
 *
 * Measured is a loop over keys that were drawn and made before, in the order in which they are asked for, so that it is
 * the store that is found cold in the caches and not the key. varve and the bitcask by hand check the checksum, the
 * others check none. A view is what does without a copy: `getView`, lmdb's `getBinaryFast`. Missing are keys that were
 * never stored. All get the same values, so their results are the same.
 */
import { filled, textKeys, VALUE_BYTES } from './lib/kv-work.mjs';
import { ENGINES, present } from './lib/kv.mjs';
import { loopsOf } from './lib/kv-loops.mjs';
import { compare } from './lib/measure.mjs';
import { fold, insist, payloadsOf, randomNumbers, RING } from './lib/payloads.mjs';
import { timed } from './lib/places.mjs';

export const title = 'key-value: get by random key';

const NAMES = ['varve', 'varve, string keys', 'lmdb', 'better-sqlite3', 'classic-level', 'bitcask by hand'];

export function parameters(smoke) {
  return { keys: smoke ? 300 : 1_000_000, gets: smoke ? 300 : 1_000_000, valueBytes: VALUE_BYTES };
}

export async function run({ places, smoke, ...rest }) {
  const { keys: count, gets } = parameters(smoke);
  const { names, notes } = present(NAMES);
  const texts = textKeys(count);
  const random = randomNumbers(7);
  const order = Uint32Array.from({ length: gets }, () => random() % count);
  const asked = Array.from(order, (at) => texts[at]);
  const absent = textKeys(gets, count);
  const values = payloadsOf(VALUE_BYTES);
  const expected = order.reduce((sum, at) => fold(sum, values[at % RING]), 0);

  const stores = [];
  for (const who of names) stores.push(await opened(who, places.fresh('get'), { texts, asked, absent }));
  const measured = (members, pass, result, floors) => members.map((one) => ({
    who: one.who,
    unit: 'ns',
    floors: one.who === 'varve' ? floors : [],
    run: () => {
      const { result: found, ns } = timed(() => pass(one));
      insist(`${one.who}, sum`, found, result);
      return { value: ns / gets, result: found };
    },
  }));
  const rows = [
    ...await compare(rest, 'get', measured(stores, ({ loops, store, asked }) => loops.getAll(store, asked), expected,
      [{ atMost: 500 }, { times: 4, of: 'lmdb' }])),
    ...await compare(rest, 'get a view', measured(stores.filter(({ store }) => store.getView !== undefined),
      ({ loops, store, asked }) => loops.viewAll(store, asked), expected, [])),
    ...await compare(rest, 'get what is missing', measured(stores,
      ({ loops, store, absent }) => loops.missAll(store, absent), gets, [{ atMost: 150 }])),
  ];
  for (const { store } of stores) await store.close();
  return { rows, notes };
}

/** A store that was filled, closed and opened again, and the keys to ask it for. */
async function opened(who, path, { texts, asked, absent }) {
  const engine = ENGINES[who];
  await (await filled(engine, path, texts.map(engine.keyOf))).close();
  return {
    who, loops: await loopsOf(who), store: await engine.open(path), asked: asked.map(engine.keyOf),
    absent: absent.map(engine.keyOf),
  };
}
