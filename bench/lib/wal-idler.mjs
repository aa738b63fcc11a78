/**
 * A worker thread of wal-checkpoint: attaches its core and appends an entry every millisecond.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { WalGroup } from '../../dist/esm/index.js';

const writer = await WalGroup.attach(workerData.path, workerData.core);
setInterval(() => { writer.put('key', 'value'); }, 1);
parentPort.postMessage('ready');
