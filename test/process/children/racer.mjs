/**
 * Fills one segment with records as fast as it can, single and in batches, with a sync now and then. It begins when
 * it is told to, writes so many bytes at least, and goes on until the readers have seen enough or the segment is full.
 *
 * Arguments: directory, bytes of the segment, bytes at least, seed, order. The order `early` is wrong: it moves the
 * watermark before the record is there, so that a test can show that the readers would notice.
 */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../../dist/esm/index.js';
import { racePayload, raceStride } from './race-records.mjs';
import { integers } from './records.mjs';

const [directory, segmentBytes, least, seed, order] = process.argv.slice(2);
const below = integers(Number(seed));
process.on('disconnect', () => process.exit());
const log = RecordLog.openSync(directory, { segmentBytes: Number(segmentBytes) });
// Index and footer want some room.
const end = Number(segmentBytes) * 0.95;
let lsn = 0;

/** Lets some time go by, another each time, so that nothing falls into step with the readers. */
function spin(turns) {
  for (let i = 0; i < turns; i++) if (racePayload(i).length < 0) throw new Error('a negative size');
}

function publishEarly() {
  const { page } = log.writer;
  page.publish(lsn + 1, page.position + raceStride(lsn + 1), page.segment, page.generation);
  spin(20);
}

function append() {
  if (order === 'early') publishEarly();
  lsn++;
  if (log.append(racePayload(lsn)) !== lsn) throw new Error(`append did not give ${lsn}`);
}

function appendBatch(count) {
  log.appendBatch(Array.from({ length: count }, (_, i) => racePayload(lsn + 1 + i)));
  lsn += count;
}

process.send('open');
// The readers are to be there from the first record on.
await once(process, 'message');
const enough = { seen: false };
process.on('message', () => { enough.seen = true; });
while (log.position < end && !(enough.seen && log.position > Number(least))) {
  const what = below(100);
  if (what < 2) appendBatch(300 + below(2000));
  else if (what < 20) appendBatch(1 + below(30));
  else for (let i = below(50); i >= 0; i--) append();
  if (below(200) === 0) log.sync().catch(() => undefined);
  if (below(20) === 0) await setImmediate();
  spin(below(1500));
}
if (log.stats.segments !== 1) throw new Error(`the race was run on ${log.stats.segments} segments`);
process.send({ lastLsn: log.lastLsn });
await log.close();
process.disconnect();
