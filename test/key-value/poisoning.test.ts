/**
 * What a key-value store does when the operating system fails it, at each single call of each kind, in a put, a batch,
 * a compaction, a close: a typed error, gets that go on and give what was put, writes that are refused with the reason
 * or that succeed when tried again. What is opened afterwards has all that was durable, nothing half-done, and takes
 * writes.
 */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import { failure, giveCore, rejection, takeCore, wipeCore } from '../support/log-fixture.ts';
import { SimulatedDisk, type FaultPlan } from '../support/simulated-disk.ts';
import { newTally } from '../support/tally.ts';

const DIRECTORY = '/store';
const core = takeCore('simd', 64 << 20);
const tally = newTally('single failing calls under a key-value store');
afterAll(() => {
  giveCore(core);
  tally.report();
});

type Texts = KeyValueStore<string, string>;
type State = ReadonlyMap<string, string>;

let disk: SimulatedDisk;
let now: number;
beforeEach(() => {
  disk = new SimulatedDisk();
  now = 1000;
  wipeCore(core);
});

function open(options: object = {}): Texts {
  return KeyValueStore.openSync(DIRECTORY, {
    core, storage: disk.storage(), segmentBytes: 65536, mappedBytesMax: 65536, values: 'utf8', autoCompact: false,
    now: () => now, ...options,
  });
}

/** So many entries of about `bytes` bytes each. */
function entries(count: number, bytes: number, mark = 'value'): [string, string][] {
  return Array.from({ length: count }, (_, at) => [`key ${at}`, `${mark} ${at} `.padEnd(bytes, '-')]);
}

function expectState(store: Texts, state: State): void {
  for (const [key, value] of state) expect(store.get(key), key).toBe(value);
  expect(new Map(store)).toEqual(state);
  expect(store.size).toBe(state.size);
}

/** Checks that a poisoned store refuses every write with the reason, and that every read gives what it should. */
async function expectPoisoned(store: Texts, state: State, reason: RegExp): Promise<void> {
  expect(store.poisoned).toBe(true);
  const [first = 'none'] = state.keys();
  for (const write of [() => store.put('x', 'y'), () => store.put('x', 'y', { ttl: 5, durable: true }), () => store.delete(first),
    () => store.putMany([['x', 'y']]), () => store.batch([{ type: 'put', key: 'x', value: 'y' }]),
    () => store.update(first, () => 'z'), () => store.clear(), () => store.syncNow()]) {
    const error = failure('ERR_VARVE_POISONED', write);
    expect(error.message).toMatch(reason);
    expect(VarveError.is(error.cause)).toBe(true);
  }
  await rejection('ERR_VARVE_POISONED', store.sync());
  expectState(store, state);
  expect(store.getView(first)?.toString()).toBe(state.get(first));
  expect(store.check()).toMatchObject({ outcome: 'ok', damaged: [], keydir: [] });
}

/** Opens what a store has left: it is one of `states`, takes writes, and is whole when it was closed. */
function expectRecovered(...states: readonly State[]): void {
  const store = open();
  expect(store.recovery.damaged).toEqual([]);
  const found = new Map(store);
  expect(states.map((state) => [...state].sort())).toContainEqual([...found].sort());
  expectState(store, found);
  store.put('after', 'all');
  store.syncNow();
  store.closeSync();
  const again = open();
  expect(again.recovery).toMatchObject({ keydir: 'loaded', log: { outcome: 'whole' } });
  expectState(again, new Map([...found, ['after', 'all']]));
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
    it(`${name} poisons the store, and nothing durable is lost`, async () => {
      const code = plan.error === 'EIO' ? 'ERR_VARVE_IO' : 'ERR_VARVE_DISK_FULL';
      const ways: readonly ((store: Texts) => Promise<unknown>)[] = [
        (store) => store.sync(),
        async (store) => store.syncNow(),
        (store) => store.put('late', 'one', { durable: true }),
        (store) => store.putMany([['late', 'one']], { durable: true }),
        (store) => store.batch([{ type: 'put', key: 'late', value: 'one' }], { durable: true }),
      ];
      for (const [at, way] of ways.entries()) {
        disk = new SimulatedDisk();
        const store = open();
        const durable = new Map(entries(10, 3000));
        store.putMany(durable);
        await store.sync();
        const state = new Map([...durable, ...entries(40, 3000, 'newer')]);
        for (const [key, value] of entries(40, 3000, 'newer')) store.put(key, value);
        const { durableLsn } = store;
        disk.failAt({ ...plan, times: 3 });
        await rejection(code, way(store));
        if (at >= 2) state.set('late', 'one');
        tally.count('faults.failing call');
        expect(store.durableLsn).toBe(durableLsn);
        await expectPoisoned(store, state, new RegExp(plan.error));
        // Everybody knows: closing does not fail.
        await store.close();
        disk.evictFailedPages();
        disk.powerCut(undefined, { pages: 'lost', sizes: 'old', names: 'lost' });
        wipeCore(core);
        const left = open();
        for (const [key, value] of durable) expect([value, state.get(key)]).toContain(left.get(key));
        for (const [key, value] of left) expect([durable.get(key), state.get(key)]).toContain(value);
        left.put('after', 'all');
        left.syncNow();
        left.closeSync();
      }
    });
  }

  it('fails for all who wait, in one turn and in the next', async () => {
    disk = new SimulatedDisk({ syncs: 'manual' });
    const store = open();
    disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO' });
    const outcomes = Promise.allSettled([
      store.put('a', '1', { durable: true }), store.put('b', '2', { durable: true }), store.sync(),
      store.batch([{ type: 'put', key: 'c', value: '3' }], { durable: true }),
    ]);
    for (let turn = 0; turn < 50; turn++) {
      disk.completeSyncs();
      await Promise.resolve();
    }
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    await expectPoisoned(store, new Map([['a', '1'], ['b', '2'], ['c', '3']]), /EIO/);
    disk.queue.mode = 'immediate';
    await store.close();
    disk.powerCut(undefined, { pages: 'lost', sizes: 'old' });
    wipeCore(core);
    expectRecovered(new Map());
  });

  it('is not passed over by closing, when its caller was not told of it yet', async () => {
    for (const blocking of [true, false]) {
      disk = new SimulatedDisk({ syncs: 'manual' });
      const store = open();
      store.put('a', '1');
      disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO' });
      const outcome = Promise.allSettled([store.sync()]);
      await Promise.resolve();
      disk.completeSyncs();
      disk.queue.mode = 'immediate';
      if (blocking) failure('ERR_VARVE_IO', () => { store.closeSync(); });
      else await rejection('ERR_VARVE_IO', store.close());
      expect((await outcome)[0].status).toBe('rejected');
      expect(disk.paths().some((path) => path.endsWith('KEYDIR'))).toBe(false);
      disk.powerCut(undefined, { pages: 'lost', sizes: 'old' });
      wipeCore(core);
      expectRecovered(new Map());
    }
  });

  it('of a compaction that nobody has asked for is told by closing', async () => {
    for (const blocking of [false, true]) {
      disk = new SimulatedDisk();
      const store = open({ autoCompact: { minBytes: 65536, minDeadRatio: 0.3 } });
      const plan = disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO', times: Infinity });
      const value = 'v'.repeat(9000);
      // It compacts when segments are sealed, so the last put has room in the segment of the one before.
      for (let at = 0; at < 30; at++) store.put(`key ${at % 3}`, value);
      await vi.waitUntil(() => store.poisoned);
      if (blocking) failure('ERR_VARVE_POISONED', () => { store.closeSync(); });
      else await rejection('ERR_VARVE_POISONED', store.close());
      expect(store.closed).toBe(true);
      await store.close();
      plan.cancel();
      expectRecovered(new Map([0, 1, 2].map((at) => [`key ${at}`, value])));
    }
  });
});

describe('a disk without room', () => {
  it('refuses each write whole, keeps what is there, and takes them when there is room', async () => {
    const store = open();
    const state = new Map(entries(100, 600));
    store.putMany(state);
    await store.sync();
    const sizes = (): number[] => disk.paths().map((path) => Math.ceil(disk.read(path)!.length / 4096) * 4096);
    const used = (): number => sizes().reduce((sum, size) => sum + size, 8192);
    const large = 'L'.repeat(70_000);
    const writes: readonly [run: () => unknown, change: readonly (readonly [string, string])[]][] = [
      [() => store.put('put', large), [['put', large]]],
      [() => store.put('expires', large, { ttl: 10 }), [['expires', large]]],
      [() => store.putMany([['many', large]]), [['many', large]]],
      [() => store.batch(['b', 'c'].map((key) => ({ type: 'put', key, value: large }))), [['b', large], ['c', large]]],
      [() => store.update('key 1', () => large), [['key 1', large]]],
    ];
    for (const [run, change] of writes) {
      disk.capacity = used();
      for (let again = 0; again < 2; again++) {
        expect(failure('ERR_VARVE_DISK_FULL', run).details).toMatchObject({ errno: 'ENOSPC' });
        tally.count('faults.failing call');
      }
      expect(store.poisoned).toBe(false);
      expectState(store, state);
      disk.capacity = Infinity;
      run();
      for (const [key, value] of change) state.set(key, value);
      expectState(store, state);
      tally.count('retried');
    }
    disk.capacity = used();
    failure('ERR_VARVE_DISK_FULL', () => store.clear());
    await rejection('ERR_VARVE_DISK_FULL', store.compact());
    expectState(store, state);
    // The log needs no room to be closed; the key directory, for which there is none, is made anew.
    await store.close();
    disk.capacity = Infinity;
    expectRecovered(state);
  });
});

describe('keys that expire', () => {
  it('do so although the segment of one of them could not be opened when it was due', () => {
    const store = open();
    for (const [key, value] of entries(40, 9000)) store.put(key, value, { ttl: 10 });
    store.put('stays', '1');
    now += 10;
    const plan = disk.failAt({ operation: ['map', 'open', 'size'], error: 'EIO' });
    failure('ERR_VARVE_IO', () => store.size);
    expect(plan.fired).toBe(1);
    expect(store.size).toBe(1);
    expectState(store, new Map([['stays', '1']]));
    store.closeSync();
  });
});

describe('a failure of any call', () => {
  interface Progress { states: State[]; durable: number }

  /** Puts, batches, updates, compacts, closes and opens again; tells which states there were, and which is durable. */
  async function work(progress: Progress): Promise<void> {
    const { states } = progress;
    let store = open();
    const step = (run: () => unknown, change: (state: Map<string, string>) => void): void => {
      const state = new Map(states.at(-1));
      change(state);
      states.push(state);
      run();
    };
    const durable = (): void => { progress.durable = states.length - 1; };
    try {
      for (const [key, value] of entries(12, 3000)) step(() => store.put(key, value), (state) => state.set(key, value));
      store.syncNow();
      durable();
      const many = entries(60, 3000, 'many');
      step(() => store.putMany(many), (state) => { for (const [key, value] of many) state.set(key, value); });
      step(() => store.batch([{ type: 'put', key: 'b', value: '1' }, { type: 'delete', key: 'key 3' }]),
        (state) => { state.set('b', '1').delete('key 3'); });
      step(() => store.update('key 5', () => 'updated'), (state) => state.set('key 5', 'updated'));
      await store.sync();
      durable();
      // It changes nothing that anybody can see.
      await store.compact();
      step(() => store.delete('key 7'), (state) => state.delete('key 7'));
      await store.close();
      durable();
      store = open();
      step(() => store.put('y', 'z'), (state) => state.set('y', 'z'));
      store.closeSync();
      durable();
    } catch (error) {
      await look(store, states);
      throw error;
    }
  }

  /** A store that has failed gives right values, or errors with a code, and says that it writes no more if so. */
  async function look(store: Texts, states: readonly State[]): Promise<void> {
    try {
      const found = new Map(store);
      expect(states.slice(-2).map((state) => [...state].sort())).toContainEqual([...found].sort());
      for (const [key, value] of found) expect(store.get(key)).toBe(value);
    } catch (reading) {
      expect(reading).toMatchObject({ code: expect.stringMatching(/^ERR_VARVE_(CLOSED|IO|DISK_FULL)$/) as string });
    }
    if (store.poisoned) {
      tally.count('poisoned');
      failure(store.closed ? 'ERR_VARVE_CLOSED' : 'ERR_VARVE_POISONED', () => store.put('no', 'no'));
    }
    await store.close().catch((closing: unknown) => { expect(VarveError.is(closing)).toBe(true); });
  }

  for (const operation of ['sync', 'allocate', 'map', 'create', 'open', 'write', 'truncate', 'rename', 'remove',
    'syncDirectory', 'size', 'read', 'list', 'exists', 'createDirectory'] as const) {
    it(`(${operation}) is a typed error or does no harm, and loses nothing durable`, async () => {
      for (let nth = 1; ; nth++) {
        disk = new SimulatedDisk();
        const progress: Progress = { states: [new Map()], durable: 0 };
        const error = ['allocate', 'write', 'create'].includes(operation) && nth % 2 === 0 ? 'ENOSPC' : 'EIO';
        const plan = disk.failAt({ operation, nth, error });
        const thrown = await work(progress).then(() => undefined, (caught: unknown) => caught);
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
          wipeCore(core);
          expectRecovered(...progress.states.slice(progress.durable));
        }
      }
    });
  }
});
