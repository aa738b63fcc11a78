/**
 * Writes to a typed store of samples at full speed until it is told to stop: whole records, some fields of a record,
 * single fields, counters of its own.
 *
 * Arguments: path, `one` or `many` writers, the counters that are its own (`a`, `b` or `ab`), the first number that it
 * uses, where rows stand in the core's memory, and the path of another core. Tells at the end what it did, the counters
 * by their indices, and how often a counter of its own was not what it had made it.
 */
import { setImmediate } from 'node:timers/promises';
import { Core, TypedStore } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';
import { coreOf, groupOf, HOT, Sample, sampleOf } from './typed-samples.mjs';
import { meansOf, ROWS } from './typed-writing.mjs';

const [path, writers, own, first, rowOffset, corePath] = process.argv.slice(2);
const core = coreOf(corePath) ?? Core.shared();
const store = TypedStore.openSync(path, Sample, { writers, core });
const { fields } = store;
const counters = [...own].map((name) => ({ name, counts: new Array(HOT).fill(0) }));
const done = { writes: 0, rows: 0, lost: 0, contended: 0, wrong: [] };
let seq = Number(first);
const below = integers(seq);

function count(index) {
  for (const { name, counts } of counters) {
    const before = fields[name].get(index);
    if (before !== counts[index]) done.lost++;
    counts[index] = before + 1;
    store.update(index, { [name]: before + 1 });
    const after = fields[name].get(index);
    if (after !== counts[index]) done.lost++;
    counts[index] = after;
  }
}

const means = { ...meansOf(store, core, Number(rowOffset)), counters: count };
const order = { stop: false };
process.on('disconnect', () => process.exit());
process.on('message', () => { order.stop = true; });
process.send('open');
while (!order.stop) {
  for (let i = 0; i < 200; i++) {
    seq++;
    const index = below(HOT);
    try {
      means[groupOf(index)](index, seq);
      done.writes++;
      if (groupOf(index) === 'row') {
        seq += ROWS;
        done.rows += ROWS;
      }
    } catch (error) {
      if (error.code === 'ERR_VARVE_CONTENTION') done.contended++;
      else if (done.wrong.length < 20) done.wrong.push(String(error.stack));
      break;
    }
  }
  store.append(sampleOf(++seq));
  await setImmediate();
}
process.send({ ...done, counters });
store.closeSync();
process.disconnect();
