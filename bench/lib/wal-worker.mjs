/**
 * A worker thread of wal-workers: attaches its core, appends until its code is compiled, waits until it is let go, and
 * appends what is measured.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { WalGroup } from '../../dist/esm/index.js';

const { path, core, entries, warmUps, valueBytes, shared } = workerData;
const writer = await WalGroup.attach(path, core);
const key = Buffer.from('key-0001');
const value = Buffer.alloc(valueBytes, core + 1);
const append = () => { writer.put(key, value); };
for (let i = 0; i < warmUps; i++) append();
parentPort.postMessage({ type: 'ready' });
Atomics.wait(new Int32Array(shared), 0, 0);
for (let i = 0; i < entries; i++) append();
parentPort.postMessage({ type: 'done', at: process.hrtime.bigint() });
await writer.close();
parentPort.postMessage({ type: 'closed' });
