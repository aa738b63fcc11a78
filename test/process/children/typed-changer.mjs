/**
 * Changes a typed store at random until it has done so much, or is killed: single writes, bursts of them within one
 * turn of the event loop, appends that make the file grow, pauses. Each record that it writes holds the same number
 * twice, higher than any before it.
 *
 * Arguments: path, format, writers, seed, how many turns; 0 for no end. Told anything, it begins.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { once } from 'node:events';
import { TypedStore } from '../../../dist/esm/index.js';
import { defineSchema, f64 } from '../../../dist/esm/schema.js';
import { integers } from './records.mjs';

const Twin = defineSchema('Twin', { fields: { one: f64, two: f64 } });
const [path, format, writers, seed, last] = process.argv.slice(2);
const turns = last === '0' ? Infinity : Number(last);
const below = integers(Number(seed));
const store = TypedStore.openSync(path, Twin, { format, writers, create: false });
let number = Number(seed) * 1e9;

process.on('disconnect', () => process.exit());
process.send('open');
await once(process, 'message');

/** A record that is there, and nobody else overwrites: with other writers beside, a ring would be overtaken. */
function any() {
  return store.first + below(store.length - store.first);
}

function change() {
  const twin = { one: ++number, two: number };
  const what = below(10);
  if (store.length === 0 || what === 0) store.append(twin);
  else if (what === 1) for (let left = below(40); left > 0; left--) store.append(twin);
  else if (what < 6) store.set(any(), twin);
  else store.update(any(), twin);
}

for (let turn = 0; turn < turns; turn++) {
  for (let burst = below(20) === 0 ? below(3000) : below(5); burst >= 0; burst--) change();
  if (below(30) === 0) await setTimeout(below(20));
  else await setImmediate();
}
process.send(store.length);
await once(process, 'message');
store.closeSync();
process.disconnect();
