/**
 * A writer beside which others read: appends, rotates, truncates, closes and opens again, until it is told to stop.
 * Each payload says which record it is and after how many cuts it was appended.
 *
 * Arguments: directory, seed, and how many cuts there may have been before. Tells its first opening, and at the end how
 * often it has done what.
 */
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';

const [directory, seed, cutsBefore = 0] = process.argv.slice(2);
const below = integers(Number(seed));
const tally = { appended: 0, large: 0, cuts: 0, drops: 0, rotations: 0, openings: 0, lastLsn: 0 };
const order = { stop: false };
process.on('message', () => { order.stop = true; });
// A test that has failed is not waited for.
process.on('disconnect', () => process.exit());

function payload(lsn) {
  const filler = String(lsn % 10).repeat(lsn * 7 % 400);
  return `${lsn} ${Number(cutsBefore) + tally.cuts} ${filler}`;
}

function append(log) {
  // Some batches are so large that they take another way into the file.
  const large = below(40) === 0;
  const count = large ? 400 + below(1600) : 1 + below(40);
  const first = log.lastLsn + 1;
  if (large || below(3) === 0) log.appendBatch(Array.from({ length: count }, (_, i) => payload(first + i)));
  else for (let i = 0; i < count; i++) log.append(payload(first + i));
  tally.appended += count;
  tally.large += large ? 1 : 0;
}

function act(log) {
  const what = below(100);
  if (what < 80) {
    append(log);
  } else if (what < 86) {
    log.rotate();
    tally.rotations++;
  } else if (what < 90) {
    log.syncNow();
  } else if (what < 95) {
    const lsn = Math.max(log.firstLsn - 1, log.lastLsn - below(200));
    tally.cuts += lsn < log.lastLsn ? 1 : 0;
    log.truncateAfter(lsn);
    // The first record after a cut says so, before any reader can take the cut for a loss.
    log.append(payload(lsn + 1));
  } else if (what < 97) {
    if (below(2) === 0) log.truncateBefore(Math.max(1, log.lastLsn - 500 - below(500)));
    else log.retain({ maxBytes: 131072 + below(262144) });
    tally.drops++;
  } else {
    return false;
  }
  return true;
}

while (!order.stop) {
  const log = RecordLog.openSync(directory, { segmentBytes: 65536, mappedBytesMax: 262144 });
  if (tally.openings++ === 0) process.send('open');
  while (!order.stop && act(log)) await setImmediate();
  tally.lastLsn = log.lastLsn;
  await log.close();
}
process.send(tally);
process.disconnect();
