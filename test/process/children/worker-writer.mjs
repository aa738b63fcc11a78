/**
 * A worker thread that writes a log while the main thread reads it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { RecordLog } from '../../../dist/esm/index.js';
import { payloadOf } from './records.mjs';

const log = RecordLog.openSync(workerData.directory, { segmentBytes: 65536 });
parentPort.on('message', ({ append, close }) => {
  if (close) {
    log.closeSync();
    parentPort.postMessage({ closed: true });
    parentPort.close();
    return;
  }
  for (let i = 0; i < append; i++) log.append(payloadOf(log.lastLsn + 1, 0));
  parentPort.postMessage({ lastLsn: log.lastLsn });
});
parentPort.postMessage({ lastLsn: log.lastLsn });
