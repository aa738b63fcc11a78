/**
 * Reads at the very watermark of a log that children/racer.mjs fills, until it is told to stop: the newest record again
 * and again, scans of the last ones, and the words of CONTROL themselves.
 *
 * Arguments: directory, seed. Tells when it has seen the watermark move often enough, and at the end what it saw;
 * `wrong` must be empty.
 */
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../../dist/esm/index.js';
import { racePayload, raceStride } from './race-records.mjs';
import { integers } from './records.mjs';

const [directory, seed] = process.argv.slice(2);
const below = integers(Number(seed));
const seen = { reads: 0, newest: 0, scanned: 0, words: 0, moved: 0, wrong: [] };
const order = { stop: false };
process.on('message', () => { order.stop = true; });
process.on('disconnect', () => process.exit());
const log = RecordLog.openSync(directory, { readOnly: true });
const { page } = log.reader.control;
/** The words as they were seen last; the position that belongs to the LSN, as the records' sizes say. */
const last = { lsn: 0, position: 0, durableLsn: 0, due: 0 };
let newest = 0;

function wrong(what) {
  if (seen.wrong.length < 20) seen.wrong.push(what);
}

function check({ lsn, payload }) {
  if (Buffer.compare(payload, racePayload(lsn)) !== 0) wrong(`record ${lsn} is torn`);
}

function readNewest() {
  const lsn = log.lastLsn;
  if (lsn < newest) wrong(`lastLsn went from ${newest} to ${lsn}`);
  if (lsn === 0) return;
  const record = log.read(lsn, { view: lsn % 4 === 0 });
  check(record);
  seen.reads++;
  seen.newest += lsn > newest ? 1 : 0;
  newest = lsn;
}

function scanNewest() {
  let expected = Math.max(1, log.lastLsn - 40);
  for (const record of log.scan({ from: expected })) {
    if (record.lsn !== expected++) wrong(`${record.lsn} came for ${expected - 1}`);
    check(record);
    seen.scanned++;
  }
}

/** Each word by an atomic load, in the order in which the writer's stores let them be trusted. */
function readWords() {
  const { durableLsn } = page;
  const { lsn } = page;
  const { position } = page;
  if (durableLsn > lsn) wrong(`${durableLsn} is durable, ${lsn} is committed`);
  if (durableLsn < last.durableLsn) wrong(`durableLsn went from ${last.durableLsn} to ${durableLsn}`);
  if (lsn < last.lsn) wrong(`lsn went from ${last.lsn} to ${lsn}`);
  if (position < last.position) wrong(`position went from ${last.position} to ${position}`);
  while (last.lsn < lsn) last.due += raceStride(++last.lsn);
  if (position < last.due) wrong(`position ${position} does not cover record ${lsn}, which ends at ${last.due}`);
  // It may be ahead by what is being committed, but it always stands between two records.
  let due = last.due;
  for (let next = lsn; due < position;) due += raceStride(++next);
  if (due !== position) wrong(`position ${position} is in the middle of a record`);
  seen.words++;
  seen.moved += position > last.position ? 1 : 0;
  Object.assign(last, { position, durableLsn });
}

process.send('open');
let enough = false;
while (!order.stop) {
  if (!enough && Math.min(seen.newest, seen.moved) > 2000) {
    enough = true;
    process.send('enough');
  }
  try {
    const what = below(20);
    for (let i = 0; i < 50; i++) {
      if (what === 0) scanNewest();
      else if (what < 6) readWords();
      else readNewest();
    }
  } catch (error) {
    wrong(`${error.code} ${error.stack}`);
  }
  await setImmediate();
}
process.send({ ...seen, newestLsn: log.lastLsn, durableLsn: last.durableLsn });
log.closeSync();
process.disconnect();
