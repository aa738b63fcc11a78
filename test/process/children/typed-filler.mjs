/**
 * Fills a disk, or what a limit leaves of it, with a typed store, and says at each step what happened. The parent takes
 * turns: each message is a step to do.
 *
 * Arguments: path, format, `one` or `many` writers. Steps: open, reader, fill, append, many, change, sync, verify,
 * close, end.
 */
import { readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { TypedStore, VarveError } from '../../../dist/esm/index.js';
import { Sample, sampleOf, wrongIn } from './typed-samples.mjs';

const [path, format, writers] = process.argv.slice(2);
let store;

const STEPS = {
  open: () => {
    store = TypedStore.openSync(path, Sample, { format, writers });
    return 'open';
  },
  reader: () => {
    store = TypedStore.openSync(path, Sample, { format, readOnly: true });
    return 'open';
  },
  fill: () => {
    for (;;) store.append(sampleOf(store.length + 1));
  },
  append: () => {
    store.append(sampleOf(store.length + 1));
    return 'appended';
  },
  /** So many that there can be no room for them. */
  many: () => store.appendMany(Array.from({ length: 200_000 }, (_, at) => sampleOf(at + 1))),
  change: () => {
    for (let index = 0; index < store.length; index += 7) store.set(index, sampleOf(index + 1));
    store.update(0, sampleOf(1));
    return 'changed';
  },
  sync: async () => {
    await store.sync();
    return 'synced';
  },
  verify: () => {
    for (const [index, record] of [...store].entries()) {
      if (record.seq !== index + 1 || wrongIn(index, record) !== undefined) return `record ${index} is wrong`;
    }
    return store.column('seq').sum() === store.length * (store.length + 1) / 2 ? 'right' : 'the sum is wrong';
  },
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
    const { code, kind, message, stack } = error;
    result = VarveError.is(error) ? { code, kind, message } : String(stack);
  }
  const open = store?.closed === false;
  const names = readdirSync(dirname(path));
  process.send({
    result, names, ...names.includes('samples') && { size: statSync(path).size },
    ...open && { count: store.length, capacity: store.capacity },
  });
});
process.on('disconnect', () => process.exit());
process.send('ready');
