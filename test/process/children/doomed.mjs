/**
 * Does one thing with a log and kills itself at the n-th system call that changes something: before it, or right after.
 *
 * Arguments: directory, journal, what ('open', 'rotate', 'truncateAfter', 'truncateBefore', 'close'), n, 'before' or
 * 'after', serial number. Ends with 0 where it was done before n calls.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { recordOf } from './records.mjs';

const [directory, journalPath, what, n, when, firstSerial] = process.argv.slice(2);
const { openSync, writeSync } = fs;
const journal = openSync(journalPath, 'a');
const note = (...words) => writeSync(journal, `${words.join(' ')}\n`);
let left = Number(n);
let armed = false;

function die() {
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way; nothing else may happen until it is here.
  for (;;);
}

for (const name of [
  'openSync', 'writeSync', 'ftruncateSync', 'fdatasyncSync', 'fsyncSync', 'renameSync', 'unlinkSync', 'mkdirSync',
]) {
  const original = fs[name];
  fs[name] = (...args) => {
    const counts = armed && !(name === 'openSync' && args[1] === 'r');
    if (counts && --left === 0 && when === 'before') die();
    try {
      return original(...args);
    } finally {
      if (counts && left === 0) die();
    }
  };
}
syncBuiltinESMExports();

const { RecordLog } = await import('../../../dist/esm/index.js');
armed = what === 'open';
const log = RecordLog.openSync(directory, { segmentBytes: 65536 });
armed = false;
note('open', log.firstLsn, log.lastLsn);

let serial = Number(firstSerial);
for (let i = 0; i < 8; i++) {
  serial++;
  note('append', serial, 9);
  note('appended', log.appendBatch(Array.from({ length: 9 }, (_, index) => recordOf(serial, index))).firstLsn);
  if (i === 5) log.rotate();
}
armed = what !== 'open';
if (what === 'rotate') {
  log.rotate();
} else if (what === 'truncateAfter') {
  const lsn = log.lastLsn - 30;
  note('truncateAfter', lsn);
  log.truncateAfter(lsn);
  note('truncated');
} else if (what === 'truncateBefore') {
  const lsn = log.lastLsn - 10;
  note('truncateBefore', lsn);
  note('dropped', log.truncateBefore(lsn));
} else if (what === 'close') {
  log.closeSync();
} else {
  // What is left for the next opening is a log that nobody has closed.
  armed = false;
  process.kill(process.pid, 'SIGKILL');
}
armed = false;
process.exit(0);
