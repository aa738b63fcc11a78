/**
 * A writer that is killed at random moments: every record whose append returned is there, with its contents, in order;
 * batches are whole; nothing is there that nobody appended. Readers see the same before anybody recovers.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { Journal } from '../support/journal.ts';
import { LAB, pause, start, temporary } from '../support/processes.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';

const SEED = seedFromEnvironment() ?? 20240607;
const KILLS = scaled(50);
/** Stores that are written side by side, to use both the disk and the processor. */
const LANES = 2;
/** Operations, each of which must be hit by so many kills, for which there may be so many. */
const OPERATIONS = [
  'append', 'batch', 'large', 'sync', 'rotate', 'truncateAfter', 'truncateBefore', 'retain', 'close', 'open',
];
const HITS_MIN = scaled(3);
const KILLS_MAX = scaled(100);

const tally = newTally('killed writer');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

/**
 * Takes in what a dead writer has noted, and compares the log with it, read-only and recovered; returns what the writer
 * was doing.
 */
function verify(directory: string, path: string, journal: Journal): string {
  if (existsSync(path)) journal.apply(readFileSync(path, 'utf8'));
  rmSync(path, { force: true });
  const { underWay = 'nothing', compared } = journal;
  const reader = RecordLog.openSync(directory, { readOnly: true });
  journal.compare(reader);
  reader.closeSync();
  const writer = RecordLog.openSync(directory, { segmentBytes: 131072 });
  journal.compare(writer);
  expect(writer.check().outcome).toBe('ok');
  writer.closeSync();
  tally.count('faults.kill');
  tally.count(`killed in ${underWay}`);
  tally.count('restarts');
  tally.add('records', journal.compared - compared);
  return underWay;
}

/** Kills a writer whose every second operation is `focus`, again and again; how often it hit which operation. */
async function killIn(focus: string): Promise<Map<string, number>> {
  const random = new Random(SEED + OPERATIONS.indexOf(focus) + 200);
  const directory = place.file(`log-${focus}`);
  const path = place.file(`journal-${focus}`);
  const journal = new Journal();
  const hits = new Map<string, number>();
  for (let kill = 0; kill < KILLS_MAX && (hits.get(focus) ?? 0) < HITS_MIN; kill++) {
    const seed = random.next();
    try {
      const victim = start('victim', [directory, path, seed, journal.serial, focus]);
      await victim.told();
      await victim.told();
      await pause(random.integer(40));
      victim.process.kill('SIGKILL');
      expect(await victim.ended).toEqual([null, 'SIGKILL']);
      const underWay = verify(directory, path, journal);
      hits.set(underWay, (hits.get(underWay) ?? 0) + 1);
    } catch (error) {
      (error as Error).message += ` [kill ${kill} in ${focus}, child seed ${seed}, VARVE_SEED=${SEED}]`;
      throw error;
    }
  }
  return hits;
}

async function lane(number: number): Promise<number> {
  const random = new Random(SEED + number);
  const directory = place.file(`log-${number}`);
  const path = place.file(`journal-${number}`);
  const journal = new Journal();
  for (let kill = 0; kill < KILLS / LANES; kill++) {
    const seed = random.next();
    try {
      const victim = start('victim', [directory, path, seed, journal.serial]);
      await victim.told();
      expect(await victim.told()).toBe('open');
      await pause(random.integer(60));
      victim.process.kill('SIGKILL');
      expect(await victim.ended).toEqual([null, 'SIGKILL']);
      verify(directory, path, journal);
    } catch (error) {
      (error as Error).message += ` [kill ${kill} of lane ${number}, child seed ${seed}, VARVE_SEED=${SEED}]`;
      throw error;
    }
  }
  return journal.returned;
}

describe('a writer killed at random moments', () => {
  it(`leaves everything whose append returned, ${KILLS} times`, { timeout: 60_000 * LAB }, async () => {
    const returned = await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    // Killing at once, every time, would prove nothing.
    expect(Math.min(...returned)).toBeGreaterThan(KILLS);
  });

  it.each(OPERATIONS)('in %s leaves everything that had returned', { timeout: 60_000 * LAB }, async (operation) => {
    const hits = await killIn(operation);
    expect(hits.get(operation), `kills that hit ${operation}, of ${JSON.stringify([...hits])}`).toBe(HITS_MIN);
  });

  it('leaves everything when it is killed while it recovers what the one before has left', async () => {
    const random = new Random(SEED + 100);
    const directory = place.file('log');
    const path = place.file('journal');
    const journal = new Journal();
    for (let kill = 0; kill < 12; kill++) {
      const victim = start('victim', [directory, path, random.next(), journal.serial]);
      expect(await victim.told()).toBe('opening');
      // Every third may write, so that there is something to recover.
      if (kill % 3 === 0) await victim.told();
      await pause(random.integer(kill % 3 === 0 ? 30 : 10));
      victim.process.kill('SIGKILL');
      await victim.ended;
      // Nobody recovers in between but the next victim.
      if (kill % 3 === 2) verify(directory, path, journal);
    }
  });
});
