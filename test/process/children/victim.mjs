/**
 * Writes to a log until it is killed. Each operation is noted in a journal by write(2) before it begins and again when
 * it has returned, so that whoever reads it later knows what must be in the log, what may be, and what was under way.
 *
 * Arguments: directory, journal, seed, first serial number, and the operation that every second one is; without it,
 * most are appends.
 */
import { openSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../../../dist/esm/index.js';
import { integers, recordOf } from './records.mjs';

const [directory, journalPath, seed, firstSerial, focus] = process.argv.slice(2);
const journal = openSync(journalPath, 'a');
const note = (...words) => writeSync(journal, `${words.join(' ')}\n`);
const below = integers(Number(seed));
// A large batch that has a segment to itself would always rotate first.
const options = { segmentBytes: focus === 'large' ? 4 << 20 : 131072, mappedBytesMax: 1 << 20 };
let serial = Number(firstSerial);
let log;

function open() {
  note('opening');
  log = RecordLog.openSync(directory, options);
  note('open', log.firstLsn, log.lastLsn);
}

function append(count) {
  for (let i = 0; i < count; i++) {
    serial++;
    note('append', serial, 1);
    const { payload, ...rest } = recordOf(serial, 0);
    note('appended', log.append(payload, rest));
  }
}

function appendBatch(name, count) {
  serial++;
  const records = Array.from({ length: count }, (_, i) => recordOf(serial, i));
  note(name, serial, count);
  note('appended', log.appendBatch(records).firstLsn);
}

/** A batch that is put together on the stage: of 64 KiB to 1 MiB. */
function appendLarge() {
  const bytes = 65536 + below(900000);
  let count = 0;
  for (let sum = 0; sum < bytes; count++) sum += recordOf(serial + 1, count).payload.length;
  appendBatch('large', count);
}

function truncateAfter() {
  const lsn = Math.max(log.firstLsn - 1, log.lastLsn - below(60));
  note('truncateAfter', lsn);
  log.truncateAfter(lsn);
  note('truncated');
}

/** Makes sure that there is a segment to drop, where dropping is what the test is about. */
function makeDroppable() {
  if (focus !== 'truncateBefore' && focus !== 'retain') return 400;
  append(1);
  quietly('rotate', () => log.rotate());
  return 20;
}

function truncateBefore() {
  const lsn = Math.max(1, log.lastLsn - makeDroppable() - below(100));
  note('truncateBefore', lsn);
  note('dropped', log.truncateBefore(lsn));
}

function retain() {
  const maxBytes = 750 * makeDroppable();
  note('retain', log.lastLsn + 1);
  note('dropped', log.retain({ maxBytes }));
}

/** Does what changes no record. */
function quietly(name, run) {
  note(name);
  run();
  note('done');
}

const OPERATIONS = {
  append: () => append(1 + below(20)),
  batch: () => appendBatch('batch', 1 + below(30)),
  large: appendLarge,
  sync: () => quietly('sync', () => log.syncNow()),
  rotate: () => quietly('rotate', () => log.rotate()),
  truncateAfter,
  truncateBefore,
  retain,
  close: () => {
    quietly('close', () => log.closeSync());
    open();
  },
};
OPERATIONS.open = OPERATIONS.close;

/** How often each comes up, of a hundred. */
const SHARES = [
  ['append', 70], ['batch', 12], ['sync', 4], ['rotate', 4], ['large', 1], ['truncateAfter', 4], ['truncateBefore', 1],
  ['retain', 1], ['close', 1],
];

function any() {
  let at = below(100);
  // The rest are syncs off the event loop, beside which the writer goes on.
  const [name] = SHARES.find(([, share]) => (at -= share) < 0) ?? [];
  if (name === undefined) log.sync().catch(() => undefined);
  else OPERATIONS[name]();
}

process.on('disconnect', () => process.exit());
process.send('opening');
open();
process.send('open');
for (;;) {
  any();
  if (focus !== undefined) OPERATIONS[focus]();
  if (below(4) === 0) await setImmediate();
}
