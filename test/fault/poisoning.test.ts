/**
 * What a log does when the operating system fails it, at each single call of each kind: a typed error, reads that go
 * on, writes that are refused with the reason or that succeed when tried again, and a store that loses nothing durable
 * and keeps nothing half-done.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { failure, giveCore, rejection, takeCore, textOf, texts, wipeCore } from '../support/log-fixture.ts';
import { SimulatedDisk, type FaultPlan } from '../support/simulated-disk.ts';
import { newTally } from '../support/tally.ts';

const DIRECTORY = '/store';
const core = takeCore('simd', 16 << 20);
const tally = newTally('single failing calls');
afterAll(() => {
  giveCore(core);
  tally.report();
});

let disk: SimulatedDisk;
beforeEach(() => {
  disk = new SimulatedDisk();
  wipeCore(core);
});

function open(): RecordLog {
  return RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), segmentBytes: 65536, mappedBytesMax: 65536 });
}

/** Checks that a poisoned log refuses every write with the reason, reads on, and can be closed. */
async function expectPoisoned(log: RecordLog, list: readonly string[], reason: RegExp): Promise<void> {
  expect(log.poisoned).toBe(true);
  for (const write of [() => log.append('x'), () => log.append('x', { kind: 1 }), () => log.appendBatch(['x']),
    () => log.rotate(), () => log.truncateBefore(log.firstLsn), () => log.truncateAfter(log.lastLsn), () => log.reset(),
    () => log.syncNow()]) {
    const error = failure('ERR_VARVE_POISONED', write);
    expect(error.message).toMatch(reason);
    expect(VarveError.is(error.cause)).toBe(true);
  }
  await rejection('ERR_VARVE_POISONED', log.sync());
  expect([...log].map(textOf)).toEqual(list);
  expect(textOf(log.read(log.lastLsn, { view: true }))).toBe(list.at(-1));
}

/** Opens what a log left and checks that it is a prefix of `list` with at least `durable` records, and goes on. */
function expectRecovered(list: readonly string[], durable: number): void {
  const log = open();
  const found = [...log].map(textOf);
  expect(found.length).toBeGreaterThanOrEqual(durable);
  expect(found).toEqual(list.slice(0, found.length));
  expect(log.append('after')).toBe(found.length + 1);
  log.syncNow();
  log.closeSync();
  const again = open();
  expect(again.recovery.outcome).toBe('whole');
  expect([...again].map(textOf)).toEqual([...found, 'after']);
  expect(disk.paths().filter((path) => path.endsWith('.seg'))).toHaveLength(again.stats.segments);
  expect(disk.paths().filter((path) => !/(LOCK|CONTROL|\d\.seg|\.cut)$/.test(path))).toEqual([]);
  again.closeSync();
  disk.check();
}

describe('a failed sync', () => {
  for (const [name, plan] of Object.entries<FaultPlan>({
    'of a file': { operation: 'sync', path: /seg$/, error: 'EIO' },
    'of a file, with the pages still dirty': { operation: 'sync', path: /seg$/, error: 'EIO', dirtyPages: 'kept' },
    'of the directory': { operation: 'syncDirectory', error: 'EIO' },
    'on a full disk': { operation: 'sync', path: /seg$/, error: 'ENOSPC' },
  })) {
    it(`${name} poisons the log, and nothing durable is lost`, async () => {
      for (const blocking of [false, true]) {
        disk = new SimulatedDisk();
        const log = open();
        const list = texts(40, 3000);
        for (const text of list.slice(0, 10)) log.append(text);
        await log.sync();
        for (const text of list.slice(10)) log.append(text);
        disk.failAt({ ...plan, times: 3 });
        if (blocking) failure(plan.error === 'EIO' ? 'ERR_VARVE_IO' : 'ERR_VARVE_DISK_FULL', () => log.syncNow());
        else await rejection(plan.error === 'EIO' ? 'ERR_VARVE_IO' : 'ERR_VARVE_DISK_FULL', log.sync());
        tally.count('faults.failing call');
        expect(log.durableLsn).toBe(10);
        await expectPoisoned(log, list, new RegExp(plan.error));
        await log.close();
        disk.evictFailedPages();
        disk.powerCut(undefined, { pages: 'lost', sizes: 'old', names: 'lost' });
        wipeCore(core);
        expectRecovered(list, 10);
      }
    });
  }

  it('fails for all who wait, and no second sync reports what the first one lost', async () => {
    disk = new SimulatedDisk({ syncs: 'manual' });
    const log = open();
    log.append('a');
    disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO' });
    const first = log.sync();
    log.append('b');
    const second = log.sync();
    const third = log.sync();
    const outcomes = Promise.allSettled([first, second, third]);
    for (let turn = 0; turn < 50; turn++) {
      disk.completeSyncs();
      await Promise.resolve();
    }
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect([log.poisoned, log.durableLsn]).toEqual([true, 0]);
    expect([...log].map(textOf)).toEqual(['a', 'b']);
    disk.queue.mode = 'immediate';
    await log.close();
    disk.powerCut(undefined, { pages: 'lost', sizes: 'old' });
    wipeCore(core);
    expectRecovered(['a', 'b'], 0);
  });

  it('fails a blocking sync too that comes before anybody was told of it', async () => {
    disk = new SimulatedDisk({ syncs: 'manual' });
    const log = open();
    log.append('a');
    disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO' });
    const outcome = Promise.allSettled([log.sync()]);
    await Promise.resolve();
    // The kernel has dropped the pages and told the one sync; its promise is settled in a later turn.
    disk.completeSyncs();
    failure('ERR_VARVE_IO', () => log.syncNow());
    expect([log.poisoned, log.durableLsn]).toEqual([true, 0]);
    expect((await outcome)[0].status).toBe('rejected');
    await expectPoisoned(log, ['a'], /EIO/);
    disk.queue.mode = 'immediate';
    await log.close();
    disk.powerCut(undefined, { pages: 'lost', sizes: 'old' });
    wipeCore(core);
    expectRecovered(['a'], 0);
  });

  it('that is started by the log itself poisons it too', async () => {
    const log = open();
    disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO', times: Infinity });
    const list = texts(20, 60_000);
    let last = 0;
    let refused: unknown;
    for (const text of list) {
      try {
        last = log.append(text);
      } catch (error) {
        refused = error;
      }
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    expect(refused).toMatchObject({ code: 'ERR_VARVE_POISONED' });
    await expectPoisoned(log, list.slice(0, last), /EIO/);
    await log.close();
  });

  it('that nobody was told of is told by closing, once', async () => {
    for (const blocking of [false, true]) {
      disk = new SimulatedDisk();
      const log = open();
      // Enough sealed segments, each of one record, for the log to begin a sync by itself.
      for (const text of texts(18, 60_000)) log.append(text);
      const plan = disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO', times: Infinity });
      log.append(texts(1, 60_000)[0]!);
      for (let turn = 0; turn < 20 && !log.poisoned; turn++) await new Promise((resolve) => { setImmediate(resolve); });
      expect(log.poisoned).toBe(true);
      if (blocking) failure('ERR_VARVE_POISONED', () => log.closeSync());
      else await rejection('ERR_VARVE_POISONED', log.close());
      expect(log.closed).toBe(true);
      await log.close();
      plan.cancel();
      const again = open();
      expect(again.lastLsn).toBeGreaterThan(0);
      again.closeSync();
    }
  });

  it('leaves nothing in the cache alone that the next opening calls durable', () => {
    const log = open();
    const list = texts(30, 3000);
    for (const text of list) log.append(text);
    const plan = disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO', times: Infinity });
    failure('ERR_VARVE_IO', () => log.syncNow());
    log.closeSync();
    plan.cancel();
    // The pages are still in the cache, and clean; then they go, and the power with them.
    const again = open();
    const { length } = again;
    expect(length).toBe(30);
    expect(again.durableLsn).toBe(30);
    disk.evictFailedPages();
    disk.powerCut(undefined, { pages: 'lost', sizes: 'old', names: 'lost' });
    wipeCore(core);
    expectRecovered(list, 30);
  });
});

describe('a disk without room', () => {
  it('refuses the append that needs a segment, leaves nothing behind, and takes it when there is room', () => {
    const log = open();
    const list = texts(40, 3000);
    let at = 0;
    for (let segments = 0; segments < 3; segments++) {
      for (; at < list.length && (at + 1) % 20 !== 0; at++) log.append(list[at]!);
      disk.capacity = disk.paths().reduce((sum, path) => sum + Math.ceil(disk.read(path)!.length / 4096) * 4096, 8192);
      const before = disk.paths();
      const room = 'L'.repeat(70_000);
      for (let again = 0; again < 3; again++) {
        expect(failure('ERR_VARVE_DISK_FULL', () => log.append(room)).details).toMatchObject({ errno: 'ENOSPC' });
        failure('ERR_VARVE_DISK_FULL', () => log.appendBatch([room, room]));
        failure('ERR_VARVE_DISK_FULL', () => log.rotate());
        tally.add('faults.failing call', 3);
      }
      expect([log.poisoned, log.lastLsn, disk.paths()]).toEqual([false, at, before]);
      expect([...log].map(textOf)).toEqual(list.slice(0, at));
      disk.capacity = Infinity;
      log.rotate();
      if (at < list.length) log.append(list[at++]!);
      tally.count('retried');
    }
    log.closeSync();
    expectRecovered(list.slice(0, at), at);
  });

  it('keeps the log readable, and writable again after it was opened with room', () => {
    const log = open();
    log.append('a');
    log.closeSync();
    disk.capacity = 8 * 4096;
    const again = open();
    expect([...again].map(textOf)).toEqual(['a']);
    failure('ERR_VARVE_DISK_FULL', () => again.append('b'));
    expect([...again].map(textOf)).toEqual(['a']);
    disk.capacity = Infinity;
    expect(again.append('b')).toBe(2);
    again.closeSync();
    expectRecovered(['a', 'b'], 2);
  });

  it('refuses to cut where there is no room for what stays, and cuts nothing', () => {
    const log = open();
    for (const text of texts(10, 3000)) log.append(text);
    disk.capacity = disk.paths().reduce((sum, path) => sum + Math.ceil(disk.read(path)!.length / 4096) * 4096, 4096);
    failure('ERR_VARVE_DISK_FULL', () => log.truncateAfter(5));
    expect([log.poisoned, log.lastLsn]).toEqual([false, 10]);
    disk.capacity = Infinity;
    log.truncateAfter(5);
    log.closeSync();
    expectRecovered(texts(5, 3000), 5);
  });
});

describe('a failure of any call', () => {
  const list = texts(60, 3000);

  interface Progress { durable: number; model: string[]; before: string[] }

  /** What the log can hold at most. */
  function longest({ model, before }: Progress): string[] {
    return model.length > before.length ? model : before;
  }

  /** Appends, syncs, rotates, drops, cuts, closes and opens again; tells how far it came. */
  function work(progress: Progress): void {
    const step = (change: (model: string[]) => void, run: () => void) => {
      progress.before = [...progress.model];
      change(progress.model);
      run();
    };
    let log = open();
    try {
      for (let at = 0; at < 30; at++) step((model) => model.push(list[at]!), () => { log.append(list[at]!); });
      log.syncNow();
      progress.durable = 30;
      step((model) => model.push(...list.slice(30, 45)), () => { log.appendBatch(list.slice(30, 45)); });
      // Large enough for the stage.
      const large = texts(30, 3000, 100);
      step((model) => model.push(...large), () => { log.appendBatch(large); });
      log.rotate();
      progress.durable = 28;
      step((model) => { model.length = 28; }, () => log.truncateAfter(28));
      step((model) => model.push('x'), () => { log.append('x'); });
      log.syncNow();
      progress.durable = 29;
      log.closeSync();
      log = open();
      step((model) => model.push('y'), () => { log.append('y'); });
      log.closeSync();
      progress.durable = 30;
    } catch (error) {
      try {
        expect([...log].map(textOf)).toEqual(longest(progress).slice(0, log.length));
      } catch (reading) {
        expect(reading).toMatchObject({ code: expect.stringMatching(/^ERR_VARVE_(CLOSED|IO|DISK_FULL)$/) as string });
      }
      if (log.poisoned) {
        tally.count('poisoned');
        failure('ERR_VARVE_POISONED', () => log.append('no'));
      }
      try {
        log.closeSync();
      } catch (closing) {
        expect(VarveError.is(closing)).toBe(true);
      }
      throw error;
    }
  }

  for (const operation of ['sync', 'allocate', 'map', 'create', 'open', 'write', 'truncate', 'rename', 'remove',
    'syncDirectory', 'size', 'read', 'list', 'exists', 'createDirectory'] as const) {
    it(`(${operation}) is a typed error, and loses nothing durable`, () => {
      for (let nth = 1; ; nth++) {
        disk = new SimulatedDisk();
        const progress: Progress = { durable: 0, model: [], before: [] };
        const error = ['allocate', 'write', 'create'].includes(operation) && nth % 2 === 0 ? 'ENOSPC' : 'EIO';
        const plan = disk.failAt({ operation, nth, error });
        let thrown: unknown;
        try {
          work(progress);
        } catch (caught) {
          thrown = caught;
        }
        plan.cancel();
        if (plan.fired === 0) {
          expect(thrown).toBeUndefined();
          break;
        }
        tally.count('faults.failing call');
        if (thrown !== undefined) {
          expect(thrown, `${operation} ${nth}`).toMatchObject({ code: expect.stringMatching(/^ERR_VARVE_/) as string });
        }
        // What was closed is given back, whatever failed.
        const left = core.memory.largestFree();
        const lived = disk.clone();
        expect(left, `${operation} ${nth}`).toBe(core.memory.bytes.length - STATIC_END);
        disk.evictFailedPages();
        disk.powerCut(undefined, { pages: 'lost', sizes: 'old', names: 'lost' });
        for (const each of [lived, disk]) {
          disk = each;
          const durable = Math.min(progress.durable, progress.model.length, progress.before.length);
          expectRecovered(longest(progress), durable);
        }
      }
    });
  }
});
