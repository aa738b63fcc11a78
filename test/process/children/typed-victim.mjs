/**
 * Writes to a typed store of samples until it is killed. First it says what opening has found, looks at every record
 * that is not named as torn, and mends those that are.
 *
 * Arguments: path, `one` or `many` writers, where rows stand in the core's memory, seed. Messages: `{ seq, hold }`, the
 * first number to use and whether it shall come to a stop in the middle of a record; then indices, each of which it
 * tries to write to and tells how that ended.
 */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { Core, TypedStore } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';
import { groupOf, HOT, now, Sample, sampleOf, stateOf, wrongIn } from './typed-samples.mjs';
import { meansOf, ROWS, writeHalf } from './typed-writing.mjs';

const [path, writers, rowOffset, seed] = process.argv.slice(2);
const below = integers(Number(seed));
process.on('disconnect', () => process.exit());
process.send('ready');
const [{ seq: first, hold }] = await once(process, 'message');
let seq = first;

const opening = now();
const core = Core.shared();
const store = TypedStore.openSync(path, Sample, { writers, core });
const means = meansOf(store, core, Number(rowOffset));
const { torn, clearedWords } = store.recovery;
const wrong = [];
let mixed = 0;
for (let index = 0; index < store.length; index++) {
  if (torn.includes(index)) {
    if (codeOf(() => wrongIn(index, store.get(index))) !== undefined) mixed++;
    store.set(index, stateOf(index, ++seq));
    continue;
  }
  // Where several write, another one may have died since opening: its record cannot be looked at.
  const what = codeOf(() => wrongIn(index, store.get(index)));
  if (what !== undefined && what !== 'ERR_VARVE_CONTENTION') wrong.push(what);
}
process.send({
  torn: [...torn], clearedWords, mixed, wrong: wrong.slice(0, 10), count: store.length, opening, mended: now(),
});

/** What a call returns, or the code of the error that it throws. */
function codeOf(call) {
  try {
    return call();
  } catch (error) {
    return error.code ?? String(error.stack);
  }
}

/** Writes some records; another one's dead hand on one of them ends the round. */
function round() {
  for (let i = 0; i < 60; i++) {
    const index = below(HOT);
    const code = codeOf(() => means[groupOf(index)](index, ++seq));
    if (groupOf(index) === 'row') seq += ROWS;
    if (code !== undefined) return code;
  }
  return codeOf(() => void store.append(sampleOf(++seq)));
}

process.on('message', (index) => {
  const from = now();
  const code = codeOf(() => store.set(index, stateOf(index, ++seq))) ?? 'written';
  process.send({ index, code, took: now() - from });
});
for (let rounds = hold ? 2 + below(4) : Infinity; rounds > 0; rounds--) {
  const code = round();
  if (code !== undefined && code !== 'ERR_VARVE_CONTENTION') process.send({ failed: code });
  await setImmediate();
}
// No other writer ever comes to one of these, whose fields all change together.
const HELD = Array.from({ length: HOT }, (_, at) => HOT + at).filter((at) => !['single', 'counters'].includes(groupOf(at)));
const held = HELD[below(HELD.length)];
writeHalf(store, core, held, ++seq);
process.send({ held });
