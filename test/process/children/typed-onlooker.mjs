/**
 * Reads a typed store of samples beside its writers, in every way that there is, until it is told to stop: each read
 * must end, and give one state of a record or ERR_VARVE_CONTENTION.
 *
 * Arguments: path, seed, how long to rest after each round in milliseconds, whether one process writes (numbers never
 * go back then), where rows stand in the core's memory, and the path of another core. Messages: an index, which is read
 * at once and told about; 'stop'.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { Core, TypedStore } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';
import { coreOf, groupOf, GROUPS, HOT, isOneState, now, Sample, seqOfRatio, seqOfText, wrongIn } from './typed-samples.mjs';

const [path, seed, rest, writers, rowOffset, corePath] = process.argv.slice(2);
const READS = 100;
/** Rows that are looked at for each read of another kind: as many as make up most of the time. */
const ROWS = 1000;
const WRONG_MAX = 20_000;
const below = integers(Number(seed));
const core = coreOf(corePath) ?? Core.shared();
const store = TypedStore.openSync(path, Sample, { readOnly: true, core });
const { fields, file: { view } } = store;
const [ratios, tails] = [store.column('ratio'), store.column('tail')];
const seen = { rows: 0, records: 0, fields: 0, columns: 0, changed: 0, contended: 0, slowest: 0, wrong: [] };
/** The number that each record's ratio had last. */
const last = new Map();
const into = {};

function follow(index, ratio, complain) {
  const seq = seqOfRatio(ratio);
  if (Number.isNaN(seq)) return complain(index, `record ${index}: a ratio of ${ratio}`);
  const before = last.get(index) ?? 0;
  if (seq > before) seen.changed++;
  if (seq < before && writers === 'one') complain(index, `record ${index}: from ${before} back to ${seq}`);
  last.set(index, seq);
}

/** Reads rows only to look whether they are torn: most of the time goes into the copying itself. */
function readRows(index, complain) {
  for (let i = 0; i < ROWS; i++) {
    if (view.readRow(index) !== 0) return void store.get(index);
    seen.rows++;
    if (!isOneState(core, Number(rowOffset))) return complain(index, `record ${index}: a row that is torn`);
  }
}

const WAYS = [
  function records(index, complain) {
    const wrong = wrongIn(index, store.get(index, into));
    if (wrong !== undefined) complain(index, wrong);
    follow(index, into.ratio, complain);
    seen.records++;
  },
  function single(index, complain) {
    const text = fields.text.get(index);
    if (Number.isNaN(seqOfText(text))) complain(index, `record ${index} (${groupOf(index)}): a text of ${text}`);
    follow(index, fields.ratio.get(index), complain);
    seen.fields++;
  },
  function columns(index, complain) {
    const range = { from: index, to: Math.min(index + 15, store.length - 1) };
    ratios.toFloat64Array(range).forEach((ratio, at) => { follow(index + at, ratio, complain); });
    for (const tail of [tails.min(range), tails.max(range)]) {
      if (!Number.isSafeInteger(tail) || tail >= 0) complain(index, `records from ${index}: a tail of ${tail}`);
    }
    seen.columns += range.to + 1 - index;
  },
  function rows(index, complain) {
    readRows(index - index % GROUPS, complain);
  },
];

/** Does one read; returns how it ended and how long it took. */
function read(way, index) {
  const from = now();
  let code = 'read';
  const found = [];
  try {
    way(index, (at, what) => { found.push([at, what]); });
  } catch (error) {
    ({ code } = error);
    if (code === 'ERR_VARVE_CONTENTION') seen.contended++;
    else found.push([error.details?.index ?? index, code === 'ERR_VARVE_CORRUPT' ? code : String(error.stack)]);
  }
  const to = now();
  seen.slowest = Math.max(seen.slowest, to - from);
  for (const [at, what] of found) {
    if (seen.wrong.length < WRONG_MAX) seen.wrong.push({ index: at, what, from, to });
  }
  return { code, took: to - from };
}

const order = { stop: false };
process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  if (message === 'stop') order.stop = true;
  else process.send({ index: message, ...read(WAYS[0], message) });
});
process.send('open');
while (!order.stop) {
  for (let i = 0, code = 'read'; i < READS && code === 'read'; i++) {
    const { length } = store;
    ({ code } = read(WAYS[below(WAYS.length)], below(below(4) === 0 ? length : Math.min(HOT, length))));
  }
  await (Number(rest) === 0 ? setImmediate() : setTimeout(Number(rest)));
}
process.send({ ...seen, length: store.length });
store.closeSync();
process.disconnect();
