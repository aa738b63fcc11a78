/**
 * What the key-value benchmarks store: keys of 16 characters in random order, all different, with values out of the
 * ring of payloads; and what reading them back has to give.
 */
import { insist, payloadsOf, randomNumbers, RING } from './payloads.mjs';

export const KEY_BYTES = 16;
export const VALUE_BYTES = 100;

/**
 * Returns a function that gives one key after the other, as text. Two numbers of a generator that goes through all of
 * them before it comes round make one key, so no two are the same.
 */
export function keysInOrder() {
  const next = randomNumbers(5);
  const half = () => next().toString(16).padStart(8, '0');
  return () => half() + half();
}

/** Returns the first `count` keys, as text; `skipped` keys are left out before. */
export function textKeys(count, skipped = 0) {
  const next = keysInOrder();
  for (let i = 0; i < skipped; i++) next();
  return Array.from({ length: count }, () => next());
}

/** Pairs the keys from `from` on with values: the value of key i is number i of the ring. */
export function entriesOf(keys, values, from = 0) {
  return keys.map((key, at) => [key, values[(from + at) % RING]]);
}

/**
 * Takes an entry into a sum that does not depend on the order of the entries: key and value have to belong together.
 * Both kinds of keys give the same.
 */
export function entryDigest(key, value) {
  const { length } = value;
  const first = typeof key === 'string' ? key.charCodeAt(0) + (key.charCodeAt(15) << 8) : key[0] + (key[15] << 8);
  return Math.imul(first | 1, 1 + value[0] + (value[length >> 1] << 8) + (value[length - 1] << 16) + length) | 0;
}

/** What all entries sum up to. */
export function expectedEntries(keys, values) {
  let sum = 0;
  for (let i = 0; i < keys.length; i++) sum = sum + entryDigest(keys[i], values[i % RING]) | 0;
  return `${keys.length} ${sum}`;
}

/** Reads a whole store, insists that it holds exactly these, and returns what they sum up to. */
export async function insistEntries(store, keys, values) {
  let sum = 0;
  let count = 0;
  await store.scan((key, value) => {
    count++;
    sum = sum + entryDigest(key, value) | 0;
  });
  const expected = expectedEntries(keys, values);
  insist('entries', `${count} ${sum}`, expected);
  return expected;
}

/** Fills a new store with the first keys; the values are as many bytes as asked for. */
export async function filled(engine, path, keys, valueBytes = VALUE_BYTES) {
  const store = await engine.open(path);
  await store.putMany(entriesOf(keys, payloadsOf(valueBytes)));
  return store;
}
