/**
 * A worker thread of wal-workers: attaches its core, waits until it is let go, and appends.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { WalGroup } from '../../dist/esm/index.js';

const { path, core, entries, valueBytes, shared } = workerData;
const writer = await WalGroup.attach(path, core);
const key = Buffer.from('key-0001');
const value = Buffer.alloc(valueBytes, core + 1);
parentPort.postMessage({ type: 'ready' });
Atomics.wait(new Int32Array(shared), 0, 0);
for (let i = 0; i < entries; i++) writer.put(key, value);
parentPort.postMessage({ type: 'done', at: process.hrtime.bigint() });
await writer.close();
parentPort.postMessage({ type: 'closed' });
