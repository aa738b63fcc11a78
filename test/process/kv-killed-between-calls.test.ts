/**
 * A process that dies between any two file calls of a compaction: every key has what it had, nothing deleted is back,
 * and the next compaction comes to its end. Unlike killing at random moments, this repeats.
 */
import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyValueStore } from '../../host/index.ts';
import { start, temporary } from '../support/processes.ts';
import { newTally } from '../support/tally.ts';

const CALLS_MAX = 200;
const FILLER = '.'.repeat(300);
const CONTENTS = new Map(Array.from({ length: 400 }, (_, i) => i).filter((i) => i % 3 !== 0)
  .map((i) => [`key ${i}`, `${i % 2 === 0 ? 'new' : 'old'} ${FILLER}`]));

const tally = newTally('killed between the calls of a compaction');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

async function verify(directory: string): Promise<void> {
  const reader = KeyValueStore.openSync<string, string>(directory, { readOnly: true, values: 'utf8' });
  expect(new Map(reader)).toEqual(CONTENTS);
  const options = { segmentBytes: 65536, values: 'utf8', autoCompact: false } as const;
  let store = KeyValueStore.openSync<string, string>(directory, options);
  expect(store.recovery.damaged).toEqual([]);
  expect(new Map(store)).toEqual(CONTENTS);
  await store.compact();
  const { bytes, liveBytes } = store.stats();
  expect(liveBytes / bytes).toBeGreaterThan(0.95);
  expect(new Map(reader)).toEqual(CONTENTS);
  reader.closeSync();
  await store.close();
  store = KeyValueStore.openSync<string, string>(directory, options);
  expect(new Map(store)).toEqual(CONTENTS);
  store.closeSync();
}

async function dieAtEveryCall(when: 'before' | 'after', shift: number): Promise<number> {
  for (let n = 1 + shift; n < CALLS_MAX; n += 2) {
    const directory = place.file(`store-${when}-${n}`);
    const [code, signal] = await start('kv-doomed', [directory, n, when]).ended;
    try {
      if (code !== 0) expect(signal).toBe('SIGKILL');
      await verify(directory);
      rmSync(directory, { recursive: true });
    } catch (error) {
      (error as Error).message += ` [died ${when} call ${n}]`;
      throw error;
    }
    if (code === 0) return n;
    tally.count('faults.kill');
  }
  return CALLS_MAX;
}

describe('a process that dies between two file calls of a compaction', () => {
  it.each(['before', 'after'] as const)('%s each of them leaves a whole store', { timeout: 120_000 }, async (when) => {
    const ends = await Promise.all([dieAtEveryCall(when, 0), dieAtEveryCall(when, 1)]);
    expect(Math.max(...ends)).toBeLessThan(CALLS_MAX);
    // Had nothing been counted, the first child would have come through.
    expect(Math.min(...ends)).toBeGreaterThan(4);
  });
});
