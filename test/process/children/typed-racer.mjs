/**
 * Writes to a typed store of samples at full speed until it is told to stop: whole records, some fields of a record,
 * single fields, counters of its own.
 *
 * Arguments: path, `one` or `many` writers, the counters that are its own (`a`, `b` or `ab`), the first number that it
 * uses, where rows stand in the core's memory, and the path of another core. Tells at the end what it did, the counters by their indices, and how often a
 * counter of its own was not what it had made it.
 */
import { setImmediate } from 'node:timers/promises';
import { Core, TypedStore } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';
import { bornOf, coreOf, groupOf, HOT, partOf, ratioOf, rowOf, Sample, SAMPLE_STRIDE, sampleOf, textOf } from './typed-samples.mjs';

const [path, writers, own, first, rowOffset, corePath] = process.argv.slice(2);
const core = coreOf(corePath) ?? Core.shared();
const store = TypedStore.openSync(path, Sample, { writers, core });
const { fields, file: { view } } = store;
const counters = [...own].map((name) => ({ name, counts: new Array(HOT).fill(0) }));
const done = { writes: 0, rows: 0, lost: 0, contended: 0, wrong: [] };
let seq = Number(first);
const below = integers(seq);

/** Replaces a record by one row after the other, in which only the fields that change are put anew. */
function writeRows(index) {
  const { unsigned, doubles } = core.memory;
  const first = (Number(rowOffset) + 8) / 4;
  store.set(index, rowOf(index, seq));
  for (let i = 0; i < 500; i++) {
    seq++;
    unsigned[first] = seq;
    doubles[first / 2 + 1] = ratioOf(seq);
    doubles[first / 2 + SAMPLE_STRIDE / 8 - 2] = -seq;
    if (view.writeRow(index) !== 0) return store.set(index, rowOf(index, seq));
  }
  done.rows += 500;
}

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

const MEANS = {
  row: writeRows,
  whole: (index) => { store.set(index, sampleOf(seq)); },
  part: (index) => { store.update(index, partOf(seq)); },
  single: (index) => {
    fields.text.set(index, textOf(seq));
    fields.ratio.set(index, ratioOf(seq));
  },
  counters: count,
};

const order = { stop: false };
process.on('disconnect', () => process.exit());
process.on('message', () => { order.stop = true; });
process.send('open');
while (!order.stop) {
  for (let i = 0; i < 200; i++) {
    seq++;
    const index = below(HOT);
    try {
      MEANS[groupOf(index)](index);
      done.writes++;
    } catch (error) {
      if (error.code === 'ERR_VARVE_CONTENTION') done.contended++;
      else if (done.wrong.length < 20) done.wrong.push(String(error.stack));
      break;
    }
  }
  // Of one writer the index of an append is known before.
  if (writers === 'one') store.append(bornOf(store.length));
  await setImmediate();
}
process.send({ ...done, counters });
store.closeSync();
process.disconnect();
