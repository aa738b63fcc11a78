/**
 * The inner loops of the key-value benchmarks. Each contender imports a copy of its own (`loopsOf`), because a loop
 * that has met seven kinds of stores calls none of them as fast as the one it knows, which would be most unfair to the
 * fastest.
 */
import { fold, RING } from './payloads.mjs';

/** Puts keys [0, count), waiting for what is not done at return at every `pace`. */
export async function putAll(store, keys, values, count, pace) {
  for (let i = 0; i < count;) {
    const end = Math.min(i + pace, count);
    for (; i < end; i++) store.put(keys[i], values[i % RING]);
    const settled = store.settled();
    if (settled !== undefined) await settled;
  }
}

export function getAll(store, asked) {
  let sum = 0;
  for (let i = 0; i < asked.length; i++) sum = fold(sum, store.get(asked[i]));
  return sum;
}

export function viewAll(store, asked) {
  let sum = 0;
  for (let i = 0; i < asked.length; i++) sum = fold(sum, store.getView(asked[i]));
  return sum;
}

/** How many of these are not there. */
export function missAll(store, asked) {
  let missing = 0;
  for (let i = 0; i < asked.length; i++) if (store.get(asked[i]) === undefined) missing++;
  return missing;
}

export async function scanAll(store, digest) {
  let sum = 0;
  let count = 0;
  await store.scan((key, value) => {
    count++;
    sum = sum + digest(key, value) | 0;
  });
  return `${count} ${sum}`;
}

/** A copy of this module for one contender. */
export function loopsOf(name) {
  return import(`./kv-loops.mjs?${encodeURIComponent(name)}`);
}
