/**
 * Writes to a key-value store until it is killed. Each operation is noted in a journal by write(2) before it begins and
 * again when it has returned, so that whoever reads it later knows what each key must have.
 *
 * Arguments: directory, journal, seed, first serial number, and the operation that every second one is.
 */
import { existsSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { exportJsonl, KeyValueStore } from '../../../dist/esm/index.js';
import { KEYS, valueOf } from './kv-records.mjs';
import { integers } from './records.mjs';

const [directory, journalPath, seed, firstSerial, focus] = process.argv.slice(2);
const journal = openSync(journalPath, 'a');
const note = (...words) => writeSync(journal, `${words.join(' ')}\n`);
const below = integers(Number(seed));
const options = { segmentBytes: 65536, mappedBytesMax: 1 << 18, values: 'utf8', autoCompact: false };
let serial = Number(firstSerial);
let store;
let compacting;
let iteration;

const anyKey = () => `key ${below(KEYS)}`;

function noted(name, keys, run) {
  serial++;
  note(name, serial, ...keys.map((key) => key.slice(4)));
  run(serial);
  note('done', serial);
}

/** A compaction goes on while others write; `compacting` and `compacted` say when. */
function compact() {
  if (compacting !== undefined) return;
  note('compacting');
  compacting = store.compact({ budgetMs: 1 }).then(() => { note('compacted'); }, (error) => {
    if (error.code !== 'ERR_VARVE_CLOSED') note('wrong', JSON.stringify(error.stack));
  }).finally(() => { compacting = undefined; });
}

/** An iteration that is left and gone on with, while others write. */
function iterate() {
  note('iterating');
  iteration ??= store.entries();
  for (let i = 0; i < 50; i++) {
    const { done, value } = iteration.next();
    if (done) {
      iteration = undefined;
      break;
    }
    if (!value[1].includes(`:${value[0]}:`)) note('wrong', JSON.stringify(value));
  }
  note('iterated');
}

async function copy() {
  note('copying');
  // Gone at once, so that what is found there after a kill is a copy.
  rmSync(`${directory}-gone`, { recursive: true, force: true });
  if (existsSync(`${directory}-copy`)) renameSync(`${directory}-copy`, `${directory}-gone`);
  await store.compactTo(`${directory}-copy`);
  note('copied');
}

async function exportAll() {
  note('exporting');
  await exportJsonl(store, `${directory}.jsonl`);
  note('exported');
}

function open() {
  note('opening');
  store = KeyValueStore.openSync(directory, options);
  note('open', store.recovery.keydir, store.recovery.damaged.length);
}

const OPERATIONS = {
  put: () => {
    const key = anyKey();
    noted('put', [key], (at) => store.put(key, valueOf(at, key), below(4) === 0 ? { ttl: 1e10 } : {}));
  },
  delete: () => {
    const key = anyKey();
    noted('delete', [key], () => store.delete(key));
  },
  batch: () => {
    const keys = [...new Set(Array.from({ length: 2 + below(30) }, anyKey))];
    // Those with an even number are put, others deleted.
    noted('batch', keys, (at) => store.batch(keys.map((key) => (Number(key.slice(4)) % 2 === 0
      ? { type: 'put', key, value: valueOf(at, key) } : { type: 'delete', key }))));
  },
  clear: () => noted('clear', [], () => store.clear()),
  sync: () => store.syncNow(),
  compact,
  iterate,
  copy,
  export: exportAll,
  close: async () => {
    note('closing');
    iteration = undefined;
    await store.close();
    open();
  },
};

OPERATIONS.open = OPERATIONS.close;

/** How often each comes up, of a thousand; the rest are puts. */
const SHARES = [['delete', 150], ['batch', 100], ['clear', 2], ['sync', 10], ['compact', 10], ['iterate', 20], ['close', 2]];

process.on('disconnect', () => process.exit());
process.send('opening');
open();
process.send('open');
for (let turn = 0; ; turn++) {
  let at = below(1000);
  const [name] = SHARES.find(([, share]) => (at -= share) < 0) ?? ['put'];
  await OPERATIONS[name]();
  // What is over soon is done often: most of the time, it is under way.
  const times = focus === undefined || turn % 3 !== 0 ? 0 : ['put', 'delete', 'batch'].includes(focus) ? 40 : 1;
  for (let i = 0; i < times; i++) await OPERATIONS[focus]();
  if (below(4) === 0) await setImmediate();
}
