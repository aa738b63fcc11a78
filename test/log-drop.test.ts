/**
 * Dropping the oldest records off the event loop: what else may happen to the log between any two of its steps, where
 * it may be cut short, and that nothing of it blocks.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { VarveError } from '../host/errors/varve-error.ts';
import { realStorage } from '../host/io/real-storage.ts';
import type { LogWriter } from '../host/log/writer.ts';
import { type LogFixture, disposeNow, logFixture, onEach, rejection } from './support/log-fixture.ts';
import type { FaultPlan } from './support/simulated-disk.ts';
import { bury, writerIn, writerOf } from './support/writer-fixture.ts';

const SEGMENTS = 6;
const IN_EACH = 10;
const RECORDS = SEGMENTS * IN_EACH;

let writer: LogWriter | undefined;
afterEach(() => {
  writer?.closeNow();
  writer = undefined;
});

function textOf(lsn: number): string {
  return `record ${lsn} `.padEnd(200, '-');
}

/** A log of six segments with ten records each, the last of them active. */
function fill(fixture: LogFixture, storage = fixture.storage ?? realStorage()): LogWriter {
  const log = writerOf(fixture.core, storage, fixture.directory).writer;
  writer = log;
  for (let segment = 0; segment < SEGMENTS; segment++) {
    if (segment > 0) log.rotate();
    appendSome(log, IN_EACH);
  }
  return log;
}

function appendSome(log: LogWriter, count: number): void {
  for (let at = 0; at < count; at++) log.appendText(textOf(log.lastLsn + 1), 0);
}

/** Checks that the log holds the records from `first` to `last`, and nothing else. */
function expectRange(log: LogWriter, first: number, last: number): void {
  expect([log.firstLsn, log.lastLsn]).toEqual([first, last]);
  for (let lsn = first; lsn <= last; lsn++) {
    expect(Buffer.from(log.segments.read(lsn, false).payload).toString()).toBe(textOf(lsn));
  }
}

/** Opens what was left, which must be from one of `firsts` to one of `lasts`, and goes on with it. */
function expectLeft(fixture: LogFixture, firsts: readonly number[], lasts: readonly number[]): [number, number] {
  const again = writerIn(fixture).writer;
  writer = again;
  const found: [number, number] = [again.firstLsn, again.lastLsn];
  expect(firsts).toContain(found[0]);
  expect(lasts).toContain(found[1]);
  expectRange(again, ...found);
  expect(fixture.segmentNames()).toHaveLength(again.segments.list.length);
  appendSome(again, 3);
  expectRange(again, found[0], found[1] + 3);
  again.closeNow();
  return found;
}

async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

onEach('dropBefore', (make) => {
  it('drops whole segments whose records are all older, and their files', async () => {
    const fixture = make();
    const log = fill(fixture);
    const reader = fixture.openReader();
    expect(reader.firstLsn).toBe(1);
    await log.dropBefore(IN_EACH);
    expect([log.firstLsn, fixture.segmentNames().length]).toEqual([1, SEGMENTS]);
    await log.dropBefore(2 * IN_EACH + 5);
    expectRange(log, 2 * IN_EACH + 1, RECORDS);
    expect(fixture.segmentNames()).toHaveLength(SEGMENTS - 2);
    fixture.refresh();
    expect([reader.firstLsn, reader.lastLsn]).toEqual([2 * IN_EACH + 1, RECORDS]);
    await log.dropBefore(RECORDS + 1);
    expectRange(log, RECORDS - IN_EACH + 1, RECORDS);
    expect(log.durableLsn).toBe(RECORDS);
    log.closeNow();
    expectLeft(fixture, [RECORDS - IN_EACH + 1], [RECORDS]);
  });

  it('lets records be appended meanwhile, and close waits for it', async () => {
    const fixture = make();
    const log = fill(fixture);
    const dropped = log.dropBefore(RECORDS - 5);
    appendSome(log, 5);
    log.rotate();
    appendSome(log, 5);
    await log.close();
    await dropped;
    expect(fixture.segmentNames()).toHaveLength(2);
    expectLeft(fixture, [RECORDS - IN_EACH + 1], [RECORDS + 10]);
  });

  it('runs one after the other, and each drops what is left for it', async () => {
    const fixture = make();
    const log = fill(fixture);
    const order: number[] = [];
    const drops = [3, 1, 5, 2].map((segments, at) => (
      log.dropBefore(segments * IN_EACH + 1).then(() => { order.push(at, log.firstLsn); })));
    await Promise.all(drops);
    expect(order).toEqual([0, 3 * IN_EACH + 1, 1, 3 * IN_EACH + 1, 2, 5 * IN_EACH + 1, 3, 5 * IN_EACH + 1]);
    expectRange(log, 5 * IN_EACH + 1, RECORDS);
  });

  it('is refused when the log is closed, also where it was still waiting for its turn', async () => {
    const fixture = make();
    const log = fill(fixture);
    const first = log.dropBefore(IN_EACH + 1);
    const second = log.dropBefore(2 * IN_EACH + 1);
    log.closeNow();
    await rejection('ERR_VARVE_CLOSED', first);
    await rejection('ERR_VARVE_CLOSED', second);
    await rejection('ERR_VARVE_CLOSED', log.dropBefore(2 * IN_EACH + 1));
    expectLeft(fixture, [1], [RECORDS]);
  });
});

describe('dropBefore on the real disk', () => {
  it('makes no call that blocks, and gives others a turn between the segments', async () => {
    const fixture = logFixture('real', 'simd');
    const calls: string[] = [];
    const real = realStorage();
    const watched = new Proxy(real, {
      get(target, name: keyof typeof real) {
        const value = target[name];
        if (typeof value !== 'function') return value;
        return (...args: never[]) => {
          calls.push(name);
          return (value as (...all: never[]) => unknown).apply(target, args);
        };
      },
    });
    const log = fill(fixture, watched);
    calls.length = 0;
    let seen = 0;
    const counts = new Set<number>();
    const look = (): void => {
      if (!pending) return;
      counts.add(fixture.segmentNames().length);
      seen++;
      setImmediate(look);
    };
    let pending = true;
    setImmediate(look);
    await log.dropBefore(RECORDS + 1);
    pending = false;
    expect(calls.filter((name) => name === 'removeLater')).toHaveLength(SEGMENTS - 1);
    expect(calls.filter((name) => name === 'remove' || name.endsWith('Now'))).toEqual([]);
    // At least some of the turns fell between two removals.
    expect(seen).toBeGreaterThan(SEGMENTS);
    expect(counts.size).toBeGreaterThan(2);
  });
});

/** What may come between two steps; each returns the ranges that the log may hold when all is done. */
const MEANWHILE: Readonly<Record<string, (log: LogWriter) => { readonly first: number; readonly last: number }>> = {
  'appends, in a new segment': (log) => {
    appendSome(log, 2);
    log.rotate();
    appendSome(log, 2);
    return { first: 31, last: RECORDS + 4 };
  },
  'a blocking sync': (log) => {
    log.syncNow();
    return { first: 31, last: RECORDS };
  },
  'a truncation of less': (log) => {
    log.truncateBefore(15);
    return { first: 31, last: RECORDS };
  },
  'a truncation of more': (log) => {
    log.truncateBefore(45);
    return { first: 41, last: RECORDS };
  },
  'a cut of the end, far behind': (log) => {
    log.truncateAfter(55);
    return { first: 31, last: 55 };
  },
  'a cut of the end, in what the log is to begin with': (log) => {
    log.truncateAfter(35);
    return { first: 31, last: 35 };
  },
  'a cut of the end, before what the log was to begin with': (log) => {
    // Where the oldest are gone already, there is nothing left to cut but all.
    const lsn = Math.max(25, log.firstLsn - 1);
    log.truncateAfter(lsn);
    return lsn === 25 ? { first: 21, last: 25 } : { first: 31, last: 30 };
  },
  'a reset': (log) => {
    log.reset();
    return { first: RECORDS + 1, last: RECORDS };
  },
};

describe('between any two steps of dropBefore', () => {
  it.each(Object.keys(MEANWHILE))('%s leaves the log whole, now and after a crash', async (name) => {
    let cases = 0;
    for (const end of ['close', 'kill', 'power cut'] as const) {
      for (let step = 0; ; step++) {
        const fixture = logFixture('simulated', 'simd', { syncs: 'manual' });
        const disk = fixture.disk!;
        const log = fill(fixture);
        const state = { settled: false };
        const drop = log.dropBefore(35).finally(() => { state.settled = true; });
        for (let at = 0; at < step && !state.settled; at++) {
          await turns();
          disk.completeSyncs(1);
        }
        await turns();
        const over = state.settled;
        const { first, last } = MEANWHILE[name]!(log);
        for (let at = 0; at < 100 && !state.settled; at++) {
          disk.completeSyncs();
          await turns();
        }
        await drop;
        expectRange(log, first, last);
        disk.queue.mode = 'immediate';
        // What was sealed meanwhile may still be about to be trimmed.
        disk.completeSyncs();
        await log.sync();
        if (end === 'close') {
          log.closeNow();
        } else {
          if (end === 'kill') disk.processCrash();
          else disk.powerCut(undefined, { pages: 'lost', sizes: 'old', names: 'lost' });
          bury(log);
          fixture.startAgain();
        }
        expectLeft(fixture, [first], [last]);
        disposeNow(fixture);
        cases++;
        if (over) break;
      }
    }
    expect(cases).toBeGreaterThan(12);
  });
});

describe('dropBefore that is cut short', () => {
  it('by closing, at any step, leaves what the next opening drops', async () => {
    const firsts = new Set<number>();
    const left = new Set<number>();
    for (let step = 0; ; step++) {
      const fixture = logFixture('simulated', 'simd', { syncs: 'manual' });
      const log = fill(fixture);
      const outcome = log.dropBefore(35).then(() => 'done', (error: unknown) => (error as VarveError).code);
      for (let at = 0; at < step; at++) {
        await turns();
        fixture.disk!.completeSyncs(1);
      }
      await turns();
      const { firstLsn } = log;
      log.closeNow();
      fixture.disk!.completeSyncs();
      await turns();
      fixture.disk!.completeSyncs();
      expect(await outcome).toBe(firstLsn === 1 ? 'ERR_VARVE_CLOSED' : 'done');
      left.add(fixture.segmentNames().length);
      firsts.add(expectLeft(fixture, [firstLsn], [RECORDS])[0]);
      disposeNow(fixture);
      if (left.has(3)) break;
    }
    expect([...firsts]).toEqual([1, 31]);
    expect([...left]).toEqual([6, 5, 4, 3]);
  });

  it('by the power, at any call, loses nothing but what it was to drop', async () => {
    const found = new Set<number>();
    for (const names of ['lost', 'kept'] as const) {
      for (let nth = 1; ; nth++) {
        const fixture = logFixture('simulated', 'simd');
        const log = fill(fixture);
        log.syncNow();
        const plan = fixture.disk!.failAt({ error: 'power-cut', nth });
        const outcome = await log.dropBefore(35).then(() => 'done', (error: unknown) => (error as Error).name);
        const { fired } = plan;
        plan.cancel();
        expect(outcome).toBe(fired === 0 ? 'done' : 'SimulatedPowerCut');
        fixture.disk!.powerCut(undefined, { pages: 'lost', sizes: 'old', names });
        bury(log);
        fixture.startAgain();
        found.add(expectLeft(fixture, fired === 0 ? [31] : [1, 31], [RECORDS])[0]);
        disposeNow(fixture);
        if (fired === 0) break;
      }
    }
    expect([...found]).toEqual([1, 31]);
  });

  it('by any single call that fails poisons the log, and nothing else is lost', async () => {
    const codes = new Set<string>();
    let calls = 0;
    const plans: Omit<FaultPlan, 'nth'>[] = [{ error: 'EIO' }, { error: 'EIO', dirtyPages: 'kept' }, { error: 'ENOSPC' }];
    for (const [plan, isSynced] of plans.flatMap((each) => [[each, true], [each, false]] as const)) {
      for (let nth = 1; ; nth++) {
        const fixture = logFixture('simulated', 'simd');
        const log = fill(fixture);
        if (isSynced) log.syncNow();
        const planned = fixture.disk!.failAt({ ...plan, nth });
        const error: unknown = await log.dropBefore(35).then(() => undefined, (thrown: unknown) => thrown);
        planned.cancel();
        if (planned.fired === 0) {
          expect(error).toBeUndefined();
          expectRange(log, 31, RECORDS);
          log.closeNow();
          disposeNow(fixture);
          break;
        }
        calls++;
        codes.add((error as VarveError).code);
        expect(VarveError.is(error)).toBe(true);
        expect(log.poisoned).toBe(true);
        await rejection('ERR_VARVE_POISONED', log.dropBefore(45));
        expectRange(log, log.firstLsn, RECORDS);
        expect([1, 31]).toContain(log.firstLsn);
        await log.close();
        fixture.disk!.evictFailedPages();
        expectLeft(fixture, [1, 31], isSynced || plan.dirtyPages === 'kept' ? [RECORDS] : anyLast());
        disposeNow(fixture);
      }
    }
    expect(calls).toBeGreaterThan(40);
    expect([...codes].sort()).toEqual(['ERR_VARVE_DISK_FULL', 'ERR_VARVE_IO']);
  });
});

/** Where nothing was synced before, a sync that failed may have lost any number of the last records. */
function anyLast(): number[] {
  return Array.from({ length: RECORDS + 1 }, (_, at) => at);
}
