/**
 * Two worker threads that append to their cores of one group at the same time, against one of them alone: millions of
 * entries a second, of a key of 8 B and values of 16 B and 256 B, not synced.
 *
 * Each worker attaches its core, appends 100,000 entries, so that its code is compiled - with both processors busy
 * nobody else would do that in time - and waits; measured is from the moment when all are let go until the last one is
 * done. The coordinator sleeps, and the pool has nothing to do but to allocate segments. With 256 B much of the time
 * goes to the system, which finds and clears pages for the files. The result is how many entries recovery finds.
 */
import { Worker } from 'node:worker_threads';
import { WalGroup } from '../dist/esm/index.js';
import { compare } from './lib/measure.mjs';
import { insist } from './lib/payloads.mjs';

export const title = 'write-ahead log group: two workers against one';

const WARM_UPS = 100_000;

export function parameters(smoke) {
  return { entries: smoke ? 300 : 1_000_000, warmUps: smoke ? 100 : WARM_UPS };
}

export async function run({ places, smoke, ...rest }) {
  const sizes = parameters(smoke);
  const rows = [];
  for (const valueBytes of [16, 256]) {
    const contender = (count, floors) => ({
      who: count === 1 ? 'one worker' : `${count} workers`,
      unit: 'M/s',
      floors,
      run: () => places.with('workers', (path) => together({ path, valueBytes, ...sizes }, count)),
    });
    rows.push(...await compare(rest, `${valueBytes} B, entries in all`, [
      contender(1, []), contender(2, [{ times: 1.8, of: 'one worker' }]),
    ]));
  }
  return { rows };
}

async function together(work, count) {
  const { path, entries, warmUps } = work;
  const group = await WalGroup.create(path, { cores: 2 });
  const shared = new SharedArrayBuffer(8);
  const state = new Int32Array(shared);
  const workers = Array.from({ length: count }, (_, core) => new Worker(
    new URL('lib/wal-worker.mjs', import.meta.url), { workerData: { ...work, core, shared } }));
  const asked = (type) => Promise.all(workers.map((worker) => new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.on('message', (message) => {
      if (message.type === type) resolve(message.at);
    });
  })));
  const done = asked('done');
  const closed = asked('closed');
  await asked('ready');
  const begun = process.hrtime.bigint();
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
  const ends = await done;
  await closed;
  await Promise.all(workers.map((worker) => worker.terminate()));
  const last = ends.reduce((latest, at) => (at > latest ? at : latest));
  const recovery = await group.recover();
  const found = recovery.cores.reduce((sum, core) => sum + core.entries, 0);
  insist('entries', found, count * (entries + warmUps));
  await group.close();
  return { value: count * entries * 1e3 / Number(last - begun), result: `${found / count} each` };
}
