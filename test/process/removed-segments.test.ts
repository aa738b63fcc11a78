/**
 * Readers that are inside a segment while the writer removes it, or puts another one in its place: in the same process,
 * in a worker thread and in another process. What they hold stays as it is; what they go on with is either the bytes
 * that were appended or a typed error, and nobody dies of a page that is not there any more.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog, type VarveError } from '../../host/index.ts';
import { realStorage } from '../../host/io/real-storage.ts';
import { programOf, start, temporary } from '../support/processes.ts';
import { hold, type Resumed } from './children/holder.mjs';
import { payloadOf } from './children/records.mjs';

const RECORDS = 300;
/** What a reader may be told instead of a record. */
const TYPED = ['ERR_VARVE_TRUNCATED', 'ERR_VARVE_OUT_OF_RANGE'];

let place: ReturnType<typeof temporary>;
let worker: Worker | undefined;
beforeEach(() => { place = temporary(); });
afterEach(async () => {
  await worker?.terminate();
  worker = undefined;
  place.remove();
});

/** Where a reader can be: each takes hold of the log, and later goes on with it. */
const PLACES: Record<string, (directory: string) => Promise<() => Promise<readonly Resumed[]>>> = {
  'this process': async (directory) => {
    const holders = await hold(RecordLog, directory);
    return () => Promise.all(holders.map((holder) => holder.resume()));
  },
  'a worker thread': async (directory) => {
    const thread = new Worker(programOf('holder'));
    worker = thread;
    const answer = async () => (await once(thread, 'message') as unknown[])[0];
    expect(await answer()).toBe('ready');
    thread.postMessage({ directory });
    expect(await answer()).toBe('held');
    return async () => {
      thread.postMessage({ resume: true });
      return await answer() as Resumed[];
    };
  },
  'another process': async (directory) => {
    const child = start('holder', []);
    expect(await child.told()).toBe('ready');
    child.process.send({ directory });
    expect(await child.told()).toBe('held');
    return async () => {
      child.process.send({ resume: true });
      const told = await child.told() as Resumed[];
      child.process.kill();
      expect(await child.ended).toEqual([null, 'SIGTERM']);
      return told;
    };
  },
};

/** Appends records whose contents say after how many cuts; each tenth run is a large batch. */
function appendTo(log: RecordLog, lastLsn: number, cuts: number): void {
  while (log.lastLsn < lastLsn) {
    const next = log.lastLsn + 1;
    if (next % 40 === 0) log.appendBatch(Array.from({ length: 60 }, (_, i) => payloadOf(next + i, cuts)));
    else log.append(payloadOf(next, cuts));
  }
}

/** What takes segments away. */
const REMOVALS: Record<string, (log: RecordLog) => void> = {
  'truncateBefore': (log) => { log.truncateBefore(log.lastLsn); },
  'retain': (log) => { log.retain({ maxBytes: 4096 }); },
  'reset': (log) => { log.reset(); },
  'truncateAfter into the first segment': (log) => { log.truncateAfter(log.firstLsn + 5); },
  'truncateAfter into the last segment': (log) => { log.truncateAfter(log.lastLsn - 5); },
};

describe('a reader that is told of records', () => {
  it('does not look for them behind the end of a segment, where theirs is cut before it is found', async () => {
    const directory = place.file('log');
    const writer = await RecordLog.open(directory, { segmentBytes: 65536 });
    for (let i = 1; i <= 5; i++) writer.append(`record ${i}`);
    const storage = realStorage();
    let cut = 0;
    const reader = await RecordLog.open(directory, {
      readOnly: true,
      storage: Object.assign(Object.create(storage) as typeof storage, {
        list: (path: string) => {
          if (cut > 0) writer.truncateAfter(cut);
          cut = 0;
          return storage.list(path);
        },
      }),
    });
    // The reader has the whole segment mapped; sealing makes its file as short as its records.
    expect(reader.read(5).lsn).toBe(5);
    for (let i = 6; i <= 10; i++) writer.append(`record ${i}`);
    writer.rotate();
    for (let i = 11; i <= 60; i++) writer.append(`record ${i}`);
    cut = 8;
    expect([5, 8]).toContain(reader.lastLsn);
    expect(cut).toBe(0);
    expect(reader.lastLsn).toBe(8);
    expect([...reader].map(({ payload }) => new TextDecoder().decode(payload)).at(-1)).toBe('record 8');
    await reader.close();
    await writer.close();
  });
});

describe('a reader that looks into a segment for the first time', () => {
  it('does not take the shorter file that a truncation has just put there for the one that it knows', async () => {
    const directory = place.file('log');
    const storage = realStorage();
    let look = (): void => undefined;
    const writer = await RecordLog.open(directory, {
      segmentBytes: 1 << 20,
      storage: Object.assign(Object.create(storage) as typeof storage, {
        rename: (from: string, to: string) => {
          storage.rename(from, to);
          look();
        },
      }),
    });
    for (let i = 0; i < 2000; i++) writer.append(new Uint8Array(400));
    writer.rotate();
    writer.append('behind');
    await writer.sync();
    const reader = await RecordLog.open(directory, { readOnly: true });
    expect(reader.lastLsn).toBe(2001);
    const codes: unknown[] = [];
    look = () => {
      // The truncation is under way: the generation is odd.
      for (const lsn of [1900, 3]) {
        try {
          codes.push(reader.read(lsn).lsn);
        } catch (error) {
          codes.push((error as VarveError).code);
        }
      }
    };
    writer.truncateAfter(5);
    expect(codes).toHaveLength(2);
    expect(['ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_TRUNCATED']).toContain(codes[0]);
    expect(['ERR_VARVE_OUT_OF_RANGE', 3]).toContain(codes[1]);
    expect([reader.lastLsn, reader.read(3).lsn]).toEqual([5, 3]);
    await reader.close();
    await writer.close();
  });
});

describe.each(Object.keys(PLACES))('a reader in %s', (where) => {
  it.each(Object.keys(REMOVALS))('keeps what it holds, and gets a typed error for what went, at %s', async (removal) => {
    const directory = place.file('log');
    const log = await RecordLog.open(directory, { segmentBytes: 65536 });
    appendTo(log, RECORDS, 0);
    expect(log.stats.segments).toBeGreaterThan(3);
    const resume = await PLACES[where]!(directory);
    REMOVALS[removal]!(log);
    // The place of what went is taken by other records, sealed, trimmed and made longer again.
    appendTo(log, log.lastLsn + RECORDS / 2, 1);
    log.rotate();
    await log.close();
    const again = await RecordLog.open(directory, { segmentBytes: 65536 });
    again.append(payloadOf(again.lastLsn + 1, 1));
    for (const { wrong, codes, right } of await resume()) {
      expect(wrong).toEqual([]);
      expect(Object.keys(codes).filter((code) => !TYPED.includes(code))).toEqual([]);
      expect(codes).not.toEqual({});
      // The views and copies, at least: three of each, three times.
      expect(right).toBeGreaterThanOrEqual(12);
    }
    await again.close();
  });
});
