/**
 * Reads a log beside its writer (children/busy-writer.mjs) until it is told to stop, and checks all that it sees: each
 * record is the one that was appended, LSNs are dense, cuts never go back, and the log only grows but for cuts.
 *
 * Arguments: directory, seed, mapped bytes at most. Tells what it saw; `wrong` must be empty.
 */
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';

const [directory, seed, mappedBytesMax] = process.argv.slice(2);
const below = integers(Number(seed));
const text = new TextDecoder();
const seen = { reads: 0, scanned: 0, followed: 0, overtaken: 0, shrinks: 0, cutsSeen: 0, openings: 0, wrong: [] };
const order = { stop: false };
let lastLsn = 0;
/** Cuts that the record there has seen; when the log shrinks, the record behind its new end must have seen more. */
let lastCuts = -1;
let shrunk;
process.on('message', () => { order.stop = true; });
// A test that has failed is not waited for.
process.on('disconnect', () => process.exit());

/** The number of cuts that a record carries; notes what is wrong with it. */
function cutsOf({ lsn, payload }) {
  const words = text.decode(payload).split(' ');
  const filler = String(lsn % 10).repeat(lsn * 7 % 400);
  if (Number(words[0]) !== lsn || words[2] !== filler) seen.wrong.push(`record ${lsn} holds '${words.join(' ')}'`);
  return Number(words[1]);
}

/** Runs a read; that the writer was faster is no fault, everything else is. */
function tolerate(what, read) {
  try {
    read();
  } catch (error) {
    if (['ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_TRUNCATED'].includes(error.code)) seen.overtaken++;
    else seen.wrong.push(`${what}: ${error.code} ${error.stack}`);
  }
}

function readOne(log) {
  tolerate('read', () => {
    const { firstLsn, lastLsn: to } = log;
    if (to < firstLsn) return;
    const lsn = firstLsn + below(to - firstLsn + 1);
    const record = log.read(lsn, { view: below(2) === 0 });
    if (record.lsn !== lsn) seen.wrong.push(`read ${lsn} gave ${record.lsn}`);
    cutsOf(record);
    seen.reads++;
  });
}

function scanSome(log) {
  const reverse = below(2) === 0;
  tolerate(`scan${reverse ? ' back' : ''}`, () => {
    const from = Math.max(log.firstLsn, log.lastLsn - below(600));
    let expected;
    let cuts;
    for (const record of log.scan({ from, reverse })) {
      const here = cutsOf(record);
      if (expected !== undefined && record.lsn !== expected) seen.wrong.push(`${record.lsn} came for ${expected}`);
      if (cuts !== undefined && (reverse ? here > cuts : here < cuts)) {
        seen.wrong.push(`record ${record.lsn} has seen ${here} cuts, the one before ${cuts}`);
      }
      expected = record.lsn + (reverse ? -1 : 1);
      cuts = here;
      seen.scanned++;
    }
  });
}

/** Looks how long the log is: it only grows, but for cuts. */
function look(log) {
  tolerate('lastLsn', () => {
    const now = log.lastLsn;
    if (now < lastLsn) {
      seen.shrinks++;
      shrunk ??= { lsn: now + 1, cuts: lastCuts };
    }
    lastLsn = now;
    if (now >= log.firstLsn) lastCuts = cutsOf(log.read(now));
    if (shrunk === undefined || now < shrunk.lsn) return;
    if (shrunk.lsn >= log.firstLsn) {
      const cuts = cutsOf(log.read(shrunk.lsn));
      if (cuts <= shrunk.cuts) seen.wrong.push(`record ${shrunk.lsn} was gone without a cut: ${cuts}, ${shrunk.cuts}`);
      seen.cutsSeen++;
    }
    shrunk = undefined;
  });
}

/** Follows the log from its end until it is closed, and begins again where the writer has cut off what it had seen. */
async function follow(log) {
  while (!log.closed) {
    try {
      let last;
      for await (const record of log.follow({ from: log.lastLsn + 1 })) {
        const cuts = cutsOf(record);
        if (last !== undefined && (record.lsn !== last.lsn + 1 || cuts < last.cuts)) {
          seen.wrong.push(`the follower came from ${last.lsn} to ${record.lsn}, from ${last.cuts} cuts to ${cuts}`);
        }
        last = { lsn: record.lsn, cuts };
        seen.followed++;
      }
    } catch (error) {
      if (error.code === 'ERR_VARVE_CLOSED') return;
      // Between `lastLsn` and the follower's beginning the log may be cut, too.
      if (['ERR_VARVE_TRUNCATED', 'ERR_VARVE_OUT_OF_RANGE'].includes(error.code)) seen.overtaken++;
      else seen.wrong.push(`follow: ${error.code} ${error.stack}`);
    }
    await setImmediate();
  }
}

while (!order.stop) {
  let log;
  tolerate('open', () => {
    log = RecordLog.openSync(directory, { readOnly: true, mappedBytesMax: Number(mappedBytesMax) });
  });
  if (log === undefined) continue;
  // While nobody writes, what a dead writer was just cutting may show once more.
  if (log.recovery.outcome === 'truncate') shrunk = undefined;
  const following = follow(log);
  if (seen.openings++ === 0) process.send('open');
  const turns = below(400);
  for (let turn = 0; turn < turns && !order.stop; turn++) {
    look(log);
    if (below(20) === 0) scanSome(log);
    else for (let i = 0; i < 20; i++) readOne(log);
    await setImmediate();
  }
  if (order.stop) scanSome(log);
  await log.close();
  await following;
}
process.send(seen);
process.disconnect();
