/**
 * Fills a disk, or what a limit leaves of it, with a key-value store, and says at each step what happened. The parent
 * takes turns: each message is a step to do.
 *
 * Arguments: directory.
 */
import { KeyValueStore, VarveError } from '../../../dist/esm/index.js';

const [directory] = process.argv.slice(2);
const options = { segmentBytes: 131072, values: 'utf8', autoCompact: false };
const model = new Map();
let store;
let serial = 0;

/** Each key is written many times: most of the disk is dead. */
function put(key = `key ${serial % 500}`) {
  const value = `${serial}:${'.'.repeat(serial % 600)}`;
  store.put(key, value);
  model.set(key, value);
  serial++;
}

function verify() {
  if (store.size !== model.size) return `${store.size} keys of ${model.size}`;
  for (const [key, value] of model) if (store.get(key) !== value) return `${key} is '${store.get(key)?.slice(0, 20)}'`;
  for (const [key, value] of store) if (model.get(key) !== value) return `${key} is not`;
  return 'right';
}

const STEPS = {
  open: () => {
    store = KeyValueStore.openSync(directory, options);
    return 'open';
  },
  fill: () => {
    for (;;) put();
  },
  /** Keys that are all alive but for one, so that compaction has to copy them. */
  unique: () => {
    put('dead');
    put('dead');
    for (;;) put(`unique ${serial}`);
  },
  put: () => {
    put();
    return 'put';
  },
  batch: () => store.batch(Array.from({ length: 400 }, (_, i) => ({ type: 'put', key: `b${i}`, value: '.'.repeat(600) }))),
  many: () => store.putMany(Array.from({ length: 400 }, (_, i) => [`m${i}`, '.'.repeat(600)])),
  clear: () => store.clear(),
  compact: async () => ((await store.compact()).segments > 0 ? 'compacted' : 'nothing'),
  sync: async () => {
    await store.sync();
    return 'synced';
  },
  verify,
  close: async () => {
    await store.close();
    return 'closed';
  },
};

process.on('message', async (step) => {
  if (step === 'end') return process.disconnect();
  let result;
  try {
    result = await STEPS[step]();
  } catch (error) {
    const { code, kind, stack } = error;
    result = VarveError.is(error) ? { code, kind } : String(stack);
  }
  process.send({ result, poisoned: store?.closed === false && store.poisoned, keys: model.size });
});
process.on('disconnect', () => process.exit());
process.send('ready');
