/**
 * Reads a key-value store beside its writer until it is told to stop: gets and iterations, and every value must be one
 * that its key has had, and none older than one that was seen before. Tells what it saw, and at the end a digest.
 *
 * Arguments: directory, seed, mapped bytes at most.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { KeyValueStore } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';

const [directory, seed, mappedBytesMax] = process.argv.slice(2);
const below = integers(Number(seed));
const store = KeyValueStore.openSync(directory, { readOnly: true, values: 'utf8', mappedBytesMax: Number(mappedBytesMax) });
const seen = { gets: 0, found: 0, entries: 0, iterations: 0, overtaken: 0, drops: 0, wrong: [] };
const order = { stop: false };
const latest = new Map();
let firstSegment = 0;
process.on('message', () => { order.stop = true; });
process.on('disconnect', () => process.exit());
process.send('open');

function see(key, value, fresh) {
  const [serial, name] = value.split(':');
  if (name !== key) seen.wrong.push(`${key} has '${value.slice(0, 40)}'`);
  // An iteration shows the store as it was when it began.
  if (!fresh) return;
  if (Number(serial) < (latest.get(key) ?? 0)) seen.wrong.push(`${key} went back to ${serial}`);
  latest.set(key, Number(serial));
}

function tolerate(what, run) {
  try {
    run();
  } catch (error) {
    if (what === 'iterate' && error.code === 'ERR_VARVE_TRUNCATED') seen.overtaken++;
    else seen.wrong.push(`${what}: ${error.code} ${error.stack}`);
  }
}

function iterate() {
  const limit = below(20000);
  let count = 0;
  for (const [key, value] of store) {
    see(key, value, false);
    seen.entries++;
    if (++count === limit) return;
  }
  seen.iterations++;
}

for (let turn = 0; !order.stop; turn++) {
  tolerate('get', () => {
    for (let i = 0; i < 500; i++) {
      const key = `key ${below(20000)}`;
      const value = below(2) === 0 ? store.get(key) : store.getView(key)?.toString();
      seen.gets++;
      if (value === undefined) continue;
      see(key, value, true);
      seen.found++;
    }
  });
  if (turn % 3 === 1) tolerate('iterate', iterate);
  tolerate('stats', () => {
    const { segments, keys } = store.stats();
    if (keys > 20000 || segments < 1) seen.wrong.push(`${keys} keys in ${segments} segments`);
    const ref = store.refOf(`key ${below(20000)}`);
    if (ref !== undefined && ref.segment > firstSegment) [firstSegment, seen.drops] = [ref.segment, seen.drops + 1];
  });
  await setImmediate();
}
const hash = createHash('sha256');
for (const [key, value] of [...store].sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${key}\n${value}\n`);
process.send({ ...seen, size: store.size, digest: hash.digest('hex') });
await store.close();
process.disconnect();
