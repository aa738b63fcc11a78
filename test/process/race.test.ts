/**
 * A race for the watermark: a writer and two readers, each a process of its own, on one segment at full speed. No
 * record is seen that is not whole, and the words of CONTROL fit together at every moment. The canary moves the
 * watermark before the record is there, and is caught.
 *
 * On x86 the processor keeps the order of stores, so what is tried here is the order in which they are made, and not
 * what a weaker memory would do to it: that the stores are atomic ones shows in test/memory-order.test.ts.
 */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { LAB, start, temporary } from '../support/processes.ts';
import { seedFromEnvironment } from '../support/random.ts';
import type { Child } from '../support/real-storage.ts';
import { newTally, scaled } from '../support/tally.ts';

interface Seen {
  reads: number; newest: number; scanned: number; words: number; moved: number; wrong: string[]; newestLsn: number;
  durableLsn: number;
}

const SEED = seedFromEnvironment() ?? 20240610;
const SEGMENT_BYTES = 1 << 30;
const tally = newTally('race');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

/** Resolves when a reader says that it has enough; its other messages are for `lastWords`. */
function hasEnough(reader: Child): Promise<void> {
  return new Promise((resolve) => {
    reader.process.on('message', (message) => { if (message === 'enough') resolve(); });
  });
}

async function lastWords(reader: Child): Promise<Seen> {
  const told = await reader.told();
  return (told === 'enough' ? await reader.told() : told) as Seen;
}

/** Lets a writer fill a segment beside two readers. */
async function race(leastBytes: number, seed: number, order: 'right' | 'early') {
  const directory = place.file(`log-${seed}`);
  const writer = start('racer', [directory, SEGMENT_BYTES, leastBytes, seed, order]);
  expect(await writer.told()).toBe('open');
  const readers = [1, 2].map((number) => start('race-reader', [directory, seed + number]));
  for (const reader of readers) expect(await reader.told()).toBe('open');
  writer.process.send('go');
  const full = writer.told() as Promise<{ lastLsn: number }>;
  await Promise.race([full, Promise.all(readers.map(hasEnough))]);
  writer.process.send('stop', () => undefined);
  const { lastLsn } = await full;
  for (const reader of readers) reader.process.send('stop');
  const seen = await Promise.all(readers.map(lastWords));
  for (const child of [writer, ...readers]) expect(await child.ended).toEqual([0, null]);
  return { directory, lastLsn, seen };
}

describe('a writer and two readers on one segment at full speed', () => {
  it('never see half a record, nor words that do not fit together', { timeout: 60_000 * LAB }, async () => {
    for (let round = 0; round < scaled(1); round++) {
      const { directory, lastLsn, seen } = await race(128 << 20, SEED + round * 10, 'right');
      for (const each of seen) {
        expect(each.wrong, `VARVE_SEED=${SEED + round * 10}`).toEqual([]);
        expect(each.newestLsn).toBe(lastLsn);
        for (const name of ['reads', 'newest', 'scanned', 'words', 'moved'] as const) tally.add(name, each[name]);
        // Had the readers stood still, or always looked at one record, there would have been no race.
        expect(each.reads).toBeGreaterThan(10000);
        expect(each.newest).toBeGreaterThan(1000);
        expect(each.scanned).toBeGreaterThan(10000);
        expect(each.moved).toBeGreaterThan(1000);
        expect(each.durableLsn).toBeGreaterThan(0);
      }
      tally.add('records', lastLsn);
      const log = await RecordLog.open(directory, { readOnly: true });
      expect(log.check()).toMatchObject({ outcome: 'ok', records: lastLsn });
      await log.close();
    }
  });

  it('notice a watermark that is moved before the record is there', async () => {
    const { seen } = await race(8 << 20, SEED, 'early');
    expect(seen.flatMap(({ wrong }) => wrong).length).toBeGreaterThan(0);
  });
});
