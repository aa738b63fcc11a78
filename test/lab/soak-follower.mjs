/**
 * The other process of a soak: it follows the log live, begins again where records were cut or dropped under it, and
 * opens the log anew now and then.
 *
 * Arguments: directory.
 */
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../dist/esm/index.js';
import { answerSamples, serialOf } from './soak-records.mjs';

const [directory] = process.argv.slice(2);
/** Records after which the log is opened anew. */
const TURN_RECORDS = 20000;
const counts = { followed: 0, restarts: 0, openings: 0 };
const abort = new AbortController();

/** Follows from the end until it has seen so many records; one more where another one had been in the way. */
async function follow(log) {
  let left = TURN_RECORDS;
  for await (const batch of log.follow({ from: log.lastLsn + 1, signal: abort.signal }).batches()) {
    for (const record of batch) serialOf(record);
    counts.followed += batch.length;
    left -= batch.length;
    if (left <= 0) return;
  }
}

answerSamples(() => ({ counts: { ...counts }, latencies: [] }));
process.on('message', (message) => { if (message === 'stop') abort.abort(); });
let opened = false;
while (!abort.signal.aborted) {
  const log = RecordLog.openSync(directory, { readOnly: true, mappedBytesMax: 1 << 20 });
  counts.openings++;
  if (!opened) process.send('open');
  opened = true;
  try {
    await follow(log);
  } catch (error) {
    if (!abort.signal.aborted && !['ERR_VARVE_TRUNCATED', 'ERR_VARVE_OUT_OF_RANGE'].includes(error.code)) throw error;
    counts.restarts++;
  }
  log.closeSync();
  await setImmediate();
}
process.disconnect();
