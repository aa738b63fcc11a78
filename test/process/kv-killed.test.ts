/**
 * A key-value store whose writer is killed at random moments, during each of its operations: nothing acknowledged is
 * lost, nothing deleted comes back, batches are whole; for readers before anybody recovers, and for the next writer.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyValueStore } from '../../host/index.ts';
import { StoreJournal } from '../support/kv-process-journal.ts';
import { LAB, pause, start, temporary } from '../support/processes.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';

const SEED = seedFromEnvironment() ?? 20240611;
/** Each must be under way at so many kills, for which there may be so many. */
const OPERATIONS = [
  'put', 'batch', 'delete', 'compact', 'iterate', 'clear', 'close', 'open', 'copy', 'export',
];
const HITS_MIN = scaled(4);
const KILLS_MAX = scaled(60);
const KILLS = scaled(60);
const LANES = 2;

const tally = newTally('killed key-value stores');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

/** A copy or an export that was under way is there whole, as it is now or as it was before, or not at all. */
function requireWhole(directory: string): void {
  const copy = `${directory}-copy`;
  if (existsSync(copy)) {
    const store = KeyValueStore.openSync<string, string>(copy, { readOnly: true, values: 'utf8' });
    expect(store.check().outcome).toBe('ok');
    store.closeSync();
    tally.count('copies that were whole');
  }
  const file = `${directory}.jsonl`;
  if (!existsSync(file)) return;
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  const keys = lines.map((line) => Buffer.from((JSON.parse(line) as { key_b64: string }).key_b64, 'base64'));
  expect(keys.every((key, at) => at === 0 || Buffer.compare(keys[at - 1]!, key) < 0)).toBe(true);
  tally.count('exports that were whole');
}

/** Takes in what a dead writer has noted, and compares the store with it; returns what was under way. */
async function verify(directory: string, path: string, journal: StoreJournal, compacts: boolean): Promise<string[]> {
  if (existsSync(path)) journal.apply(readFileSync(path, 'utf8'));
  rmSync(path, { force: true });
  const { underWay } = journal;
  const reader = KeyValueStore.openSync<string, string>(directory, { readOnly: true, values: 'utf8' });
  tally.add('records', journal.compare(reader));
  const writer = KeyValueStore.openSync<string, string>(directory,
    { segmentBytes: 65536, values: 'utf8', autoCompact: false });
  tally.add('records', journal.compare(writer));
  expect(writer.recovery.damaged).toEqual([]);
  if (compacts) {
    await writer.compact();
    journal.compare(writer);
    // One that has looked on all the time.
    journal.compare(reader);
  }
  reader.closeSync();
  writer.closeSync();
  requireWhole(directory);
  tally.count('faults.kill');
  tally.count('restarts');
  for (const what of underWay) tally.count(`killed in ${what}`);
  return underWay;
}

interface Lane { readonly name: string; readonly seed: number; readonly kills: number; readonly focus?: string }

/** Kills one writer after the other; how often which operation was hit. */
async function killAgain({ name, seed, kills, focus }: Lane, enough: (hits: Map<string, number>) => boolean) {
  const random = new Random(seed);
  const directory = place.file(`store-${name}`);
  const path = place.file(`journal-${name}`);
  const journal = new StoreJournal();
  const hits = new Map<string, number>();
  for (let kill = 0; kill < kills && !enough(hits); kill++) {
    const childSeed = random.next();
    try {
      const victim = start('kv-victim', [directory, path, childSeed, journal.serial, ...focus === undefined ? [] : [focus]]);
      await victim.told();
      if (focus !== 'open' || kill % 3 === 0) await victim.told();
      await pause(random.integer(focus === 'open' && kill % 3 !== 0 ? 12 : 80));
      victim.process.kill('SIGKILL');
      expect(await victim.ended).toEqual([null, 'SIGKILL']);
      const underWay = await verify(directory, path, journal, kill % 7 === 6);
      for (const what of underWay) hits.set(what, (hits.get(what) ?? 0) + 1);
    } catch (error) {
      (error as Error).message += ` [kill ${kill} of ${name}, child seed ${childSeed}, VARVE_SEED=${SEED}]`;
      throw error;
    }
  }
  return { hits, journal };
}

describe('a key-value store whose writer is killed', () => {
  it(`keeps everything that had returned, ${KILLS} times`, { timeout: 120_000 * LAB }, async () => {
    const lanes = await Promise.all(Array.from({ length: LANES }, (_, lane) => killAgain(
      { name: String(lane), seed: SEED + lane, kills: KILLS / LANES }, () => false)));
    for (const { journal } of lanes) {
      // Killing at once, every time, would prove nothing.
      expect(journal.returned).toBeGreaterThan(KILLS * 10);
      expect(journal.openings.rebuilt).toBeGreaterThan(0);
      expect(journal.openings.loaded).toBeGreaterThan(0);
    }
  });

  it.each(OPERATIONS)('in %s keeps everything that had returned', { timeout: 60_000 * LAB }, async (focus) => {
    const seed = SEED + 100 + OPERATIONS.indexOf(focus);
    const { hits } = await killAgain({ name: focus, seed, kills: KILLS_MAX, focus },
      (so) => (so.get(focus) ?? 0) >= HITS_MIN);
    expect(hits.get(focus), `kills that hit ${focus}, of ${JSON.stringify([...hits])}`).toBe(HITS_MIN);
  });
});
