/**
 * A writer of a core of a group, in a process or in a worker thread: it appends until it is killed, and notes in a
 * journal by write(2) how far it has come, so that whoever reads it later knows what must be there.
 *
 * Arguments: directory, core, journal, mode. `busy` never comes to its event loop; `stuck` neither appends nor comes
 * there; `waiting` comes there and appends nothing; `idle` only attaches.
 */
import { openSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { WalGroup } from '../../../dist/esm/index.js';
import { keyOf, valueOf } from './wal-entries.mjs';

const [directory, coreText, journalPath, mode] = isMainThread ? process.argv.slice(2) : workerData;
const core = Number(coreText);
const tell = (message) => { if (isMainThread) process.send?.(message); else parentPort.postMessage(message); };
const journal = openSync(journalPath, 'a');
const note = (...words) => writeSync(journal, `${words.join(' ')}\n`);

let writer;
// A clock that goes backwards: no order depends on it.
let time = 2e12;
const now = () => time -= 1000;
// The coordinator has a core that nobody has for as long as it takes to answer for it.
for (let attempts = mode === 'waiting' ? 1 : 1000; writer === undefined; attempts--) {
  try {
    writer = WalGroup.attachSync(directory, core, { segmentBytes: 65536, now });
  } catch (error) {
    if (error.code === 'ERR_VARVE_LOCKED' && attempts > 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
      continue;
    }
    tell({ code: error.code, pid: error.details?.pid, message: error.message });
    if (isMainThread) process.disconnect?.();
    break;
  }
}

/** Appends so many entries; `appended` is noted when they are committed. */
function append(count) {
  for (let i = 0; i < count; i++) {
    const before = writer.sequence;
    // Its own number tells where it belongs; a barrier may come before it.
    const n = next++;
    writer.put(keyOf(core, n), valueOf(n));
    if (n % 50 === 0) writer.commit({ [`source ${core}`]: n }, n);
    if (writer.sequence <= before) note('wrong', 'a sequence that does not grow');
  }
  note('appended', next, writer.sequence);
}

let next = 0;
if (writer !== undefined) {
  // Numbers go on where the log ends, so that none is there twice.
  next = (writer.sequence + 1) * 10;
  note('attached', next, writer.sequence, writer.epoch);
  tell({ attached: core, sequence: writer.sequence, epoch: writer.epoch });
  if (mode === 'idle') {
    if (isMainThread) process.disconnect();
  } else if (mode === 'stuck') {
    for (;;);
  } else if (mode === 'waiting') {
    const answer = ({ end }) => {
      if (!end) return;
      writer.closeSync();
      if (isMainThread) process.disconnect();
      else parentPort.close();
    };
    if (isMainThread) process.on('message', answer);
    else parentPort.on('message', answer);
  } else {
    if (isMainThread) process.on('disconnect', () => process.exit());
    for (let turn = 0; ; turn++) {
      append(1 + turn % 40);
      if (turn % 13 === 5) writer.epochBarrier();
      if (mode === 'busy') {
        // No turn of the event loop, but not so many entries that to compare them takes long.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        if (turn % 20 === 0) { writer.syncNow(); note('synced', next, writer.sequence); }
        continue;
      }
      if (turn % 7 === 0) {
        const [n, sequence] = [next, writer.sequence];
        writer.sync().then(() => note('synced', n, sequence), (error) => note('wrong', error.message));
      }
      if (turn % 3 === 0) await setTimeout(1);
    }
  }
}
