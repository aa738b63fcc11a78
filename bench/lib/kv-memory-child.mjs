/**
 * A store and as many keys as the third argument says, in a process of its own: how much memory has it taken once they
 * are all stored, or, with `reopen` as the fourth, once a store that has them is opened and some are got?
 *
 * Prints resident bytes beyond the mapped data files, before and after, and those that are anonymous. What is mapped of
 * data files is page cache, which any process may have and the system may take back; everything else counts, the
 * table of the keys too, if that is a mapped file.
 */
import { readFileSync } from 'node:fs';
import { keysInOrder, VALUE_BYTES } from './kv-work.mjs';
import { ENGINES } from './kv.mjs';
import { fold, payloadsOf, RING } from './payloads.mjs';

const [who, path, count, phase] = process.argv.slice(2);
const { keyOf } = ENGINES[who];
/** The files of the values: varve's segments, and the file of the bitcask by hand. */
const DATA_FILE = /(\.seg|\/file)$/;
const PACE = 100_000;
const GETS = 100_000;

/** Resident bytes of this process: beyond the data files that it has mapped, and anonymous. */
function resident() {
  globalThis.gc?.();
  let beyond = 0;
  let anonymous = 0;
  let isData = false;
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const [, name, kilobytes] = /^(\w+):\s+(\d+) kB$/.exec(line) ?? [];
    if (name === undefined) {
      if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isData = DATA_FILE.test(line);
    } else if (name === 'Rss' && !isData) beyond += kilobytes * 1024;
    // A page of a data file that was written to privately is anonymous too, and no page cache.
    else if (name === 'Anonymous') {
      anonymous += kilobytes * 1024;
      if (isData) beyond += kilobytes * 1024;
    }
  }
  return { beyond, anonymous };
}

async function fill(store) {
  const next = keysInOrder();
  const values = payloadsOf(VALUE_BYTES);
  for (let i = 0; i < Number(count); i++) {
    store.put(keyOf(next()), values[i % RING]);
    if (i % PACE === 0) await new Promise(setImmediate);
  }
  await store.settled();
  return count;
}

function getSome(store) {
  const next = keysInOrder();
  const every = Math.max(1, Math.floor(count / GETS));
  let sum = 0;
  for (let i = 0; i < Number(count); i++) {
    const text = next();
    if (i % every === 0) sum = fold(sum, store.get(keyOf(text)));
  }
  return sum;
}

const before = resident();
const store = await ENGINES[who].open(path);
const result = phase === 'reopen' ? getSome(store) : await fill(store);
const after = resident();
await store.close();
console.log(JSON.stringify({ before, after, result }));
