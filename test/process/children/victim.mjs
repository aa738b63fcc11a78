/**
 * Writes to a log until it is killed. Each operation is noted in a journal by write(2) before it begins and again when
 * it has returned, so that whoever reads it later knows what must be in the log and what may be.
 *
 * Arguments: directory, journal, seed, first serial number.
 */
import { openSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../../dist/esm/index.js';
import { integers, recordOf } from './records.mjs';

const [directory, journalPath, seed, firstSerial] = process.argv.slice(2);
const journal = openSync(journalPath, 'a');
const note = (...words) => writeSync(journal, `${words.join(' ')}\n`);
const below = integers(Number(seed));
let serial = Number(firstSerial);

process.on('disconnect', () => process.exit());
process.send('opening');
const log = RecordLog.openSync(directory, { segmentBytes: 131072, mappedBytesMax: 1 << 20 });
note('open', log.firstLsn, log.lastLsn);
process.send('open');

function append(count) {
  for (let i = 0; i < count; i++) {
    serial++;
    note('append', serial, 1);
    const { payload, ...options } = recordOf(serial, 0);
    note('appended', log.append(payload, options));
  }
}

function appendBatch(count) {
  serial++;
  note('append', serial, count);
  note('appended', log.appendBatch(Array.from({ length: count }, (_, i) => recordOf(serial, i))).firstLsn);
}

function truncateAfter() {
  const lsn = Math.max(log.firstLsn - 1, log.lastLsn - below(60));
  note('truncateAfter', lsn);
  log.truncateAfter(lsn);
  note('truncated');
}

function truncateBefore() {
  const lsn = Math.max(1, log.lastLsn - 400 - below(100));
  note('truncateBefore', lsn);
  note('dropped', log.truncateBefore(lsn));
}

for (;;) {
  const what = below(100);
  if (what < 72) append(1 + below(20));
  else if (what < 84) appendBatch(1 + below(30));
  else if (what < 88) log.syncNow();
  else if (what < 90) log.sync().catch(() => undefined);
  else if (what < 94) log.rotate();
  else if (what < 98) truncateAfter();
  else truncateBefore();
  if (below(4) === 0) await setImmediate();
}
