/**
 * One byte of a stored value is flipped on disk, and the value is asked for: does get fail, or give the wrong value as
 * if nothing had happened? How many of the other keys are still served is the figure; there is nothing timed.
 *
 * The store is filled in one piece and closed; classic-level has moved everything into its tables, lmdb and SQLite
 * into their files. Wherever the value's bytes stand in any file of the store, the one in the middle is flipped. That
 * varve gives an error that says so, and serves all others, is insisted on.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { textKeys, VALUE_BYTES } from './lib/kv-work.mjs';
import { ENGINES, present } from './lib/kv.mjs';
import { compare } from './lib/measure.mjs';
import { insist, payloadsOf } from './lib/payloads.mjs';

export const title = 'key-value: one byte flipped';

const NAMES = ['varve', 'lmdb', 'better-sqlite3', 'classic-level', 'bitcask by hand'];

export function parameters(smoke) {
  return { keys: smoke ? 100 : 10_000, valueBytes: VALUE_BYTES };
}

export async function run({ places, smoke }) {
  const { keys: count } = parameters(smoke);
  const { names, notes } = present(NAMES);
  const answers = new Map();
  const rows = await compare({ rounds: 1, warmups: 0 }, 'other keys served', names.map((who) => ({
    who,
    unit: `of ${count - 1}`,
    run: () => places.with('flip', async (path) => {
      const { answer, served } = await flipped(ENGINES[who], path, count);
      answers.set(who, answer);
      if (who === 'varve') insist('the damaged key, the others', `${answer}, ${served}`, `ERR_VARVE_CORRUPT, ${count - 1}`);
      return { value: served, result: `${answer} ${served}` };
    }),
  })));
  const said = [...answers].map(([who, answer]) => `${who}, the damaged key: ${answer}`);
  return { rows: rows.map(({ behind: _, ...row }) => row), notes: [...said, ...notes] };
}

/** Fills a store, flips a byte and asks for everything; returns what became of the damaged key and of the others. */
async function flipped(engine, path, count) {
  const keys = textKeys(count).map(engine.keyOf);
  const values = payloadsOf(VALUE_BYTES, count);
  const store = await engine.open(path);
  await store.putMany(keys.map((key, at) => [key, values[at]]));
  await store.intoTables?.();
  await store.close();
  const damaged = count >> 1;
  if (flip(path, values[damaged]) === 0) throw new Error('the value stands in no file');
  return asked(engine, path, { keys, values, damaged });
}

async function asked(engine, path, { keys, values, damaged }) {
  let store;
  try {
    store = await engine.open(path);
  } catch (error) {
    return { answer: `the store does not open, ${error.code ?? error.message}`, served: 0 };
  }
  let served = 0;
  keys.forEach((key, at) => { if (at !== damaged && answerOf(store, key, values[at]) === 'right') served++; });
  const answer = answerOf(store, keys[damaged], values[damaged]);
  await store.close();
  return { answer, served };
}

function answerOf(store, key, value) {
  try {
    const got = store.get(key);
    return got === undefined ? 'absent, without a word' : Buffer.compare(got, value) === 0 ? 'right'
      : 'the wrong value, without a word';
  } catch (error) {
    return error.code ?? error.message;
  }
}

/** Flips one bit of these bytes wherever they stand in a file below the directory; returns in how many places. */
function flip(directory, bytes) {
  let places = 0;
  for (const name of readdirSync(directory, { recursive: true })) {
    const path = join(directory, name);
    if (!statSync(path).isFile()) continue;
    const content = readFileSync(path);
    for (let at = content.indexOf(bytes); at >= 0; at = content.indexOf(bytes, at + 1)) {
      content[at + (bytes.length >> 1)] ^= 1;
      writeFileSync(path, content);
      places++;
    }
  }
  return places;
}
