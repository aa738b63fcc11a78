/**
 * The load of a soak: one process that does with a log whatever can be done, in random order, until it is told to stop.
 * The log stays small by retention, so whatever grows is a leak.
 *
 * Arguments: directory, seed, leak. The leak is what it keeps by intention, to show that the soak would notice:
 * `files`, `mappings`, `memory` or `none`.
 */
import { openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../dist/esm/index.js';
import { integers } from '../process/children/records.mjs';
import { answerSamples, serialOf, soakPayload } from './soak-records.mjs';

const [directory, seed, leak] = process.argv.slice(2);
const below = integers(Number(seed));
const OPTIONS = { segmentBytes: 256 << 10, mappedBytesMax: 1 << 20 };
const RETAINED_BYTES = 4 << 20;
/** So many are kept more at each sample, whatever the speed, and at most: the system has limits, too. */
const LEAKS = 16;
const LEAKS_MAX = 800;

const counts = {
  appended: 0, syncs: 0, rotations: 0, retentions: 0, cuts: 0, reads: 0, scanned: 0, followed: 0, readers: 0,
  openings: 0,
};
const kept = [];
const order = { stop: false };
let latencies = [];
let serial = 0;
let log;

function payloads(count) {
  return Array.from({ length: count }, () => soakPayload(++serial));
}

function append(count) {
  for (const payload of payloads(count)) log.append(payload);
  counts.appended += count;
}

function appendBatch(count) {
  log.appendBatch(payloads(count));
  counts.appended += count;
}

/** One record, and the sync that makes it durable. */
async function commit() {
  const begun = performance.now();
  append(1);
  await log.sync();
  latencies.push(performance.now() - begun);
  counts.syncs++;
}

function read() {
  for (let i = 0; i < 50 && log.length > 0; i++) {
    serialOf(log.read(log.firstLsn + below(log.length), { view: below(2) === 0 }));
    counts.reads++;
  }
}

function scan(from) {
  for (const record of from.scan({ from: Math.max(from.firstLsn, from.lastLsn - 500), reverse: below(2) === 0 })) {
    serialOf(record);
    counts.scanned++;
  }
}

/** A reader in this process, from its opening to its closing. */
function openReader() {
  const reader = RecordLog.openSync(directory, { readOnly: true, mappedBytesMax: 1 << 20 });
  scan(reader);
  reader.closeSync();
  counts.readers++;
}

async function follow() {
  let left = Math.min(100, log.length);
  if (left === 0) return;
  for await (const record of log.follow({ from: log.lastLsn - left + 1 })) {
    serialOf(record);
    counts.followed++;
    if (--left === 0) break;
  }
}

function retain() {
  log.retain({ maxBytes: RETAINED_BYTES });
  counts.retentions++;
}

function truncate() {
  log.truncateAfter(Math.max(log.firstLsn - 1, log.lastLsn - below(300)));
  counts.cuts++;
}

async function reopen() {
  await log?.close();
  log = RecordLog.openSync(directory, OPTIONS);
  counts.openings++;
}

function rotate() {
  log.rotate();
  counts.rotations++;
}

const KEEP = {
  files: () => openSync('/dev/null', 'r'),
  // A view keeps the mapping of its whole segment, also when its log is closed.
  mappings: () => {
    const reader = RecordLog.openSync(directory, { readOnly: true });
    const view = reader.length > 0 ? reader.read(reader.lastLsn, { view: true }) : undefined;
    reader.closeSync();
    return view;
  },
  memory: () => new Uint8Array(1 << 17).fill(1),
};

function keepMore() {
  if (leak === 'none') return;
  for (let i = 0; i < LEAKS && kept.length < LEAKS_MAX; i++) kept.push(KEEP[leak]());
}

const SHARES = [
  [30, () => append(1 + below(50))], [10, () => appendBatch(1 + below(50))], [4, () => appendBatch(300 + below(1000))],
  [20, commit], [10, read], [8, () => scan(log)], [4, openReader], [4, follow], [3, rotate], [4, retain], [2, truncate],
  [1, reopen],
];

answerSamples(() => {
  keepMore();
  const sample = { counts: { ...counts }, latencies };
  latencies = [];
  return sample;
});
process.on('message', (message) => { order.stop ||= message === 'stop'; });
await reopen();
process.send('open');
for (let turn = 1; !order.stop; turn++) {
  let at = below(100);
  const [, run] = SHARES.find(([share]) => (at -= share) < 0);
  await run();
  if (turn % 20 === 0) retain();
  await setImmediate();
}
await log.close();
process.disconnect();
