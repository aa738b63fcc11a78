/**
 * Making a checkpoint without a state on a group of four cores, each attached in a worker thread that goes on appending
 * now and then: milliseconds from the call until it resolves, when the epoch is ended and synced on every core, and the
 * checkpoint is durable under its name.
 *
 * Beside it, in turn: a sync of a file of 4 KiB that was written before, twice, one after the other, which is what a
 * checkpoint cannot do without. The floor is that and 2 ms. The result is how many checkpoints there were.
 */
import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { WalGroup } from '../dist/esm/index.js';
import { median, rowOf } from './lib/measure.mjs';

export const title = 'write-ahead log group: a checkpoint of four cores';

const CORES = 4;
const sync = promisify(fdatasync);

export function parameters(smoke) {
  return { cores: CORES, checkpoints: smoke ? 3 : 60 };
}

export async function run({ places, smoke }) {
  const { checkpoints } = parameters(smoke);
  const path = places.fresh('checkpoint');
  const group = await WalGroup.create(path, { cores: CORES });
  const workers = await Promise.all(Array.from({ length: CORES }, (_, core) => attached(path, core)));
  const fd = openSync(places.fresh('beside'), 'w');
  const page = Buffer.alloc(4096, 1);
  const made = [];
  const twice = [];
  for (let i = 0; i < checkpoints; i++) {
    // Between the turns the workers append.
    await setTimeout(5);
    made.push(await milliseconds(() => group.checkpoint()));
    await setTimeout(5);
    twice.push(await milliseconds(async () => {
      for (let k = 0; k < 2; k++) {
        writeSync(fd, page, 0, page.length, 0);
        await sync(fd);
      }
    }));
  }
  closeSync(fd);
  await Promise.all(workers.map((worker) => worker.terminate()));
  await group.close();
  const floors = [{ atMost: Math.round((median(twice) + 2) * 10) / 10 }];
  return { rows: [
    rowOf({ group: 'checkpoint', who: 'varve', unit: 'ms', values: made, floors, result: checkpoints }),
    rowOf({ group: 'two syncs', who: 'fdatasync', unit: 'ms', values: twice, result: checkpoints }),
  ] };
}

async function attached(path, core) {
  const worker = new Worker(new URL('lib/wal-idler.mjs', import.meta.url), { workerData: { path, core } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return worker;
}

async function milliseconds(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
