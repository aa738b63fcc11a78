/**
 * Exports or copies a key-value store, and stands still in the midst of it until its parent kills it or lets it go on.
 *
 * Arguments: directory, target, 'jsonl', 'dwal' or 'copy'.
 */
import { exportDwal, exportJsonl, KeyValueStore } from '../../../dist/esm/index.js';

const [directory, target, form] = process.argv.slice(2);
const store = await KeyValueStore.open(directory, { readOnly: true });
let isTold = false;
const onProgress = (progress) => {
  // A copy looks through the log first.
  if (isTold || progress.copiedRecords === 0) return;
  isTold = true;
  process.send('halfway');
  // Whoever is stopped here has not finished anything yet.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
};
const write = () => {
  if (form === 'jsonl') return exportJsonl(store, target, { onProgress });
  return form === 'dwal' ? exportDwal(store, target, { onProgress }) : store.compactTo(target, { onProgress });
};
const outcome = await write().then(() => 'done', ({ code }) => code);
await store.close();
process.send(outcome);
process.disconnect();
