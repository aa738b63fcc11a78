/**
 * A worker thread that writes to a key-value store as it is told: `put` so many values, to a thousand keys in turn, or
 * `compact`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { KeyValueStore } from '../../../dist/esm/index.js';

const store = KeyValueStore.openSync(workerData.directory, { values: 'utf8', segmentBytes: 65536, autoCompact: false });
let count = 0;

parentPort.on('message', async ({ put, compact }) => {
  if (compact) return parentPort.postMessage(await store.compact());
  for (let i = 0; i < put; i++, count++) store.put(`k${count % 1000}`, `v${count}`);
  parentPort.postMessage({ count });
});
