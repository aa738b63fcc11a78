/**
 * Going through all entries of a store of 1 M keys of 16 B with values of 100 B: millions of entries a second, each in
 * JavaScript as a key and a Buffer.
 *
 * varve gives them in the order of their writing, the bitcask by hand in that of its Map, the others sorted by key.
 * What they sum up to is the same. varve and the bitcask check each entry's checksum.
 */
import { entryDigest, expectedEntries, filled, textKeys, VALUE_BYTES } from './lib/kv-work.mjs';
import { ENGINES, present } from './lib/kv.mjs';
import { loopsOf } from './lib/kv-loops.mjs';
import { compare } from './lib/measure.mjs';
import { insist, payloadsOf } from './lib/payloads.mjs';
import { timedLater } from './lib/places.mjs';

export const title = 'key-value: all entries';

const NAMES = ['varve', 'varve, string keys', 'lmdb', 'better-sqlite3', 'classic-level', 'bitcask by hand'];

export function parameters(smoke) {
  return { keys: smoke ? 300 : 1_000_000, valueBytes: VALUE_BYTES };
}

export async function run({ places, smoke, ...rest }) {
  const { keys: count } = parameters(smoke);
  const { names, notes } = present(NAMES);
  const texts = textKeys(count);
  const expected = expectedEntries(texts, payloadsOf(VALUE_BYTES));
  const contenders = [];
  for (const who of names) {
    const path = places.fresh('scan');
    await (await filled(ENGINES[who], path, texts.map(ENGINES[who].keyOf))).close();
    const store = await ENGINES[who].open(path);
    const { scanAll } = await loopsOf(who);
    contenders.push({ who, store, unit: 'M/s', floors: who === 'varve' ? [{ atLeast: 3 }] : [], run: async () => {
      const { result, ns } = await timedLater(() => scanAll(store, entryDigest));
      insist(`${who}, entries`, result, expected);
      return { value: count * 1e3 / ns, result };
    } });
  }
  const rows = await compare(rest, 'all entries', contenders);
  for (const { store } of contenders) await store.close();
  return { rows, notes };
}
