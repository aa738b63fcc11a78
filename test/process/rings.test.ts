/**
 * Rings between processes: a writer that laps its readers at full speed, several writers, and writers that are killed.
 * No reader ever gets another record than the one it asked for, nor half of one.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { failure } from '../support/log-fixture.ts';
import { LAB, pause, start, temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';
import { Bulk, EVERY, fillBulk, isBulk, type BulkRecord } from './children/ring-bulk.mjs';
import { isWhole, Lap } from './children/ring-records.mjs';

let place: ReturnType<typeof temporary>;
const children: Child[] = [];
beforeEach(() => { place = temporary(); });
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.process.kill('SIGKILL');
    await child.ended;
  }
  place.remove();
});

interface Counts {
  readonly read: number;
  readonly gone: number;
  readonly laps: number;
  readonly columns: number;
}

async function started(name: string, args: readonly (string | number)[]): Promise<Child> {
  const child = start(name, args);
  children.push(child);
  expect(await child.told()).toBe('open');
  return child;
}

describe('readers of a ring that is overwritten at full speed', () => {
  it.each([
    [3, false, 'one'], [64, false, 'one'], [64, true, 'one'], [5000, true, 'one'], [16, false, 'many'],
    [64, true, 'many'],
  ] as const)('get whole records, and those they asked for: %i slots, checksums %s, writers %s', async (
    capacity, checksums, writers,
  ) => {
    const path = place.file('ring.varve');
    TypedStore.openSync(path, Lap, { ring: true, capacity, checksums, writers }).closeSync();
    const numbers = writers === 'one' ? [1] : [1, 2];
    const writing = await Promise.all(numbers.map((number) => started('ring-writer', [path, writers, number])));
    const reader = await started('ring-reader', [path, writers, 1500 * LAB]);
    for (const writer of writing) writer.process.send('go');
    const watching = TypedStore.openSync(path, Lap, { readOnly: true });
    while (watching.first < 10) await pause(5);
    reader.process.send('go');
    const counts = await reader.told() as Counts;
    const { read, gone, laps, columns } = counts;
    expect(counts).toEqual({ read, gone, laps, columns, torn: 0, other: 0, unexpected: 0 });
    expect(read).toBeGreaterThan(1000);
    // They were lapped, and records went from under their eyes.
    expect(laps).toBeGreaterThan(10);
    if (capacity <= 64) expect(gone).toBeGreaterThan(10);
    if (writers === 'one') expect(columns).toBeGreaterThan(100);
    for (const writer of writing) writer.process.send('stop');
    const ends = await Promise.all(writing.map((writer) => writer.told())) as { appended: number; wrong: number }[];
    expect(ends.map(({ wrong }) => wrong)).toEqual(ends.map(() => 0));
    expect(watching.length).toBe(ends.reduce((sum, { appended }) => sum + appended, 0));
    const last = new Map<number, number>();
    for (const record of watching) {
      expect(isWhole(record)).toBe(true);
      // Of each writer, in its order.
      expect(record.serial).toBeGreaterThan(last.get(record.writer) ?? -1);
      last.set(record.writer, record.serial);
    }
    expect(watching.check()).toEqual({ records: capacity, torn: [], damaged: [] });
    watching.closeSync();
  }, 60_000 * LAB);
});

describe('a ring whose writer was killed', () => {
  it.each([false, true])('keeps its records and names those that may be torn, 20 times: checksums %s', async (checksums) => {
    const capacity = 24;
    const path = place.file('ring.varve');
    TypedStore.openSync(path, Bulk, { ring: true, capacity, checksums }).closeSync();
    const reader = TypedStore.openSync(path, Bulk, { readOnly: true });
    const seen = { torn: 0, damaged: 0, whole: 0, contention: 0 };
    const record: Partial<BulkRecord> = {};
    let length = 0;
    for (let kill = 0; kill < 20 * LAB; kill++) {
      const writer = await started('ring-victim', [path]);
      writer.process.send('go');
      while (reader.length < length + 10 * capacity) await pause(1);
      await pause(kill % 7);
      writer.process.kill('SIGKILL');
      await writer.ended;
      // What readers see before anybody has recovered it.
      for (let index = reader.first; index < reader.length; index++) {
        try {
          expect(isBulk(reader.get(index), index), `record ${index}`).toBe(true);
        } catch (error) {
          if (!VarveError.is(error, 'ERR_VARVE_CONTENTION')) throw error;
          seen.contention++;
        }
      }
      const store = TypedStore.openSync(path, Bulk);
      const { torn, damaged } = store.recovery;
      expect(store.length).toBeGreaterThan(length);
      expect(torn.length, 'a writer has one record at a time').toBeLessThanOrEqual(1);
      expect(torn).toEqual(expect.arrayContaining([...damaged]));
      for (let index = store.first; index < store.length; index++) {
        // Without checksums nobody knows whether the writer had come to its end.
        if (checksums ? damaged.includes(index) : torn.includes(index)) continue;
        expect(isBulk(store.get(index), index), `record ${index}`).toBe(true);
        seen.whole++;
      }
      for (const index of damaged) failure('ERR_VARVE_CORRUPT', () => store.get(index));
      seen.torn += torn.length;
      seen.damaged += damaged.length;
      length = store.length + capacity;
      for (let index = store.length; index < length; index++) {
        expect(index % EVERY === 0 ? store.append(fillBulk(record, index)) : store.append()).toBe(index);
      }
      for (let index = store.first; index < length; index++) expect(isBulk(store.get(index), index)).toBe(true);
      expect(store.check()).toEqual({ records: capacity, torn: [], damaged: [] });
      store.closeSync();
    }
    reader.closeSync();
    expect(seen.whole).toBeGreaterThanOrEqual(20 * (capacity - 1));
    expect(seen.torn, 'records in the hands of a writer that died').toBeGreaterThan(0);
    expect(seen.contention).toBe(seen.torn);
    if (checksums) expect(seen.damaged, 'that it had not finished').toBeGreaterThan(0);
  }, 120_000 * LAB);
});
