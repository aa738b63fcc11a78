/**
 * Compacting a key-value store of 1 GiB that is half dead: megabytes of live keys and values a second, and the longest
 * time for which the event loop stood still.
 *
 * Each 1,000 keys are put and then put again in another order, so that half of every segment is dead: none is dropped
 * without work, none is left alone. All of it is synced before the clock runs. Beside the compaction, a loop of
 * `setImmediate` in the same process notes the time of each turn: the longest is the pause, garbage collection and the
 * slices of compaction and all. The third figure is the longest pause of the same loop while nothing else happens.
 *
 * A compaction ends when the copies are on disk, so the disk has a part in it. Afterwards everything is read back.
 */
import { setTimeout } from 'node:timers/promises';
import { KEY_BYTES, keysInOrder } from './lib/kv-work.mjs';
import { ENGINES, present } from './lib/kv.mjs';
import { compareFigures } from './lib/measure.mjs';
import { fold, insist, payloadsOf, RING } from './lib/payloads.mjs';
import { timedLater } from './lib/places.mjs';

export const title = 'key-value: compaction';

/** Of the live records, what has to be copied at least: those at the end may stand in a segment without a dead one. */
const COPIED_MIN = 0.8;
const IDLE_MS = 100;
/** Header of a frame, which is as long as it is and then filled to 8 bytes. */
const HEADER_BYTES = 24;

export function parameters(smoke) {
  return {
    storeBytes: smoke ? 1 << 20 : 2 ** 30, segmentBytes: smoke ? 1 << 16 : 64 << 20, valueBytes: [1024, 100],
    keysPerRun: smoke ? 10 : 1000,
  };
}

export async function run({ places, smoke, ...rest }) {
  const { storeBytes, segmentBytes, valueBytes, keysPerRun } = parameters(smoke);
  const { names, notes } = present(['varve']);
  const rows = [];
  for (const bytes of valueBytes) {
    const stride = Math.ceil((HEADER_BYTES + KEY_BYTES + bytes) / 8) * 8;
    const count = Math.floor(storeBytes / stride / 2);
    const values = payloadsOf(bytes);
    const figures = [
      { group: `values of ${bytes} B, live data`, unit: 'MB/s', floors: [{ atLeast: 500 }] },
      { group: `values of ${bytes} B, longest pause`, unit: 'ms', floors: [{ atMost: 5 }] },
      { group: `values of ${bytes} B, longest pause without`, unit: 'ms' },
    ];
    rows.push(...await compareFigures(rest, figures, names.map((who) => ({
      who, run: () => places.with('compact', (path) => compaction(path, { count, values, segmentBytes, keysPerRun })),
    }))));
  }
  return { rows, notes };
}

/** The keys are made as they are needed: a heap that is full of them would have pauses of its own. */
async function compaction(path, { count, values, segmentBytes, keysPerRun }) {
  const store = await ENGINES.varve.open(path, { varve: { segmentBytes } });
  let next = keysInOrder();
  for (let i = 0; i < count; i += keysPerRun) {
    const keys = Array.from({ length: Math.min(keysPerRun, count - i) }, () => ENGINES.varve.keyOf(next()));
    // What is replaced has another value, so that reading everything back tells old from new.
    store.putMany(keys.map((key, at) => [key, values[(i + at + 1) % RING]]));
    store.putMany(keys.map((key, at) => [key, values[(i + at) % RING]]).reverse());
  }
  await store.store.sync();
  globalThis.gc?.();
  const { longest: idle } = await watched(() => setTimeout(IDLE_MS));
  const { result: report, ns, longest } = await watched(() => store.store.compact());
  insist('most live records copied', report.copiedRecords >= count * COPIED_MIN, true);
  next = keysInOrder();
  let sum = 0;
  let expected = 0;
  for (let i = 0; i < count; i++) {
    sum = fold(sum, store.get(ENGINES.varve.keyOf(next())));
    expected = fold(expected, values[i % RING]);
  }
  insist('sum', sum, expected);
  insist('keys', store.store.size, count);
  await store.close();
  const liveBytes = count * (KEY_BYTES + values[0].length);
  return { values: [liveBytes * 1e3 / ns, longest, idle], result: `${count} ${sum}` };
}

/** Awaits `work()` beside a loop of turns; returns how long it took, and the longest turn in milliseconds. */
async function watched(work) {
  let last = performance.now();
  let longest = 0;
  let over = false;
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  const { result, ns } = await timedLater(work);
  over = true;
  await new Promise(setImmediate);
  return { result, ns, longest };
}
