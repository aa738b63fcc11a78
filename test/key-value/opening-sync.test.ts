/**
 * Opening a store whose writer died leaves the sync of what that had not synced to the background: nothing is called
 * durable before it is, everything is afterwards, and what was durable stays so whenever the power fails.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import { closeWhateverFails } from '../support/kv-onlooker.ts';
import { failure, giveCore, rejection, takeCore, wipeCore } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const core = takeCore('simd', 64 << 20);
afterAll(() => { giveCore(core); });

/** Records that are synced, and all of them. */
const SYNCED = 100;
const ALL = 900;
const VALUE = Buffer.alloc(200, 7);

let disk: SimulatedDisk;
/** Stores of processes that may still live. */
const stores: KeyValueStore[] = [];
beforeEach(() => {
  disk = new SimulatedDisk({ syncs: 'manual' });
  wipeCore(core);
});

function open(): KeyValueStore {
  const storage = disk.storage();
  // A process that has ended in the midst of a turn rings for nobody.
  storage.wake = () => undefined;
  const store = KeyValueStore.openSync('/store', { core, storage, segmentBytes: 65536, autoCompact: false });
  stores.push(store);
  return store;
}

/** What dead processes were about to do must not be done to the memory of the next one. */
function bury(): void {
  for (const store of stores.splice(0)) closeWhateverFails(store);
  wipeCore(core);
}

function end(): void {
  disk.processCrash();
  bury();
}

/** Leaves what a writer has left that was killed after it had synced a part. */
function killed(synced = SYNCED): void {
  const store = open();
  for (let at = 0; at < synced; at++) store.put(`key ${at}`, VALUE);
  store.syncNow();
  for (let at = synced; at < ALL; at++) store.put(`key ${at}`, VALUE);
  end();
}

/** Cuts the power; what no sync has covered is gone. */
function cutPower(): void {
  disk.powerCut(new Random(1), { pages: 'lost', sizes: 'old', names: 'lost' });
  bury();
}

/** Lets the background work, and the disk answer. */
async function settled(store: KeyValueStore): Promise<void> {
  for (let i = 0; i < 200 && store.durableLsn < store.lastLsn; i++) {
    await turn();
    disk.completeSyncs();
  }
}

describe('after a writer was killed, an opening', () => {
  it('calls nothing durable that was not, until the sync that it begins by itself has ended', async () => {
    killed();
    const store = open();
    expect(store.recovery.log.outcome).toBe('whole');
    expect(store.stats().segments).toBeGreaterThan(3);
    expect([store.lastLsn, store.durableLsn, store.size]).toEqual([ALL, SYNCED, ALL]);
    await turn();
    expect(store.durableLsn).toBe(SYNCED);
    await settled(store);
    expect(store.durableLsn).toBe(ALL);
    cutPower();
    const again = open();
    expect([again.size, again.lastLsn]).toEqual([ALL, ALL]);
    again.closeSync();
  });

  it('keeps what was durable when the power fails before that, and goes on from there', () => {
    killed();
    const store = open();
    store.put('later', VALUE);
    cutPower();
    const again = open();
    expect(again.lastLsn).toBeGreaterThanOrEqual(SYNCED);
    expect(again.lastLsn).toBeLessThan(ALL);
    for (let at = 0; at < SYNCED; at++) expect(again.get(`key ${at}`)).toEqual(VALUE);
    expect(again.get('later')).toBeUndefined();
    again.put('other', VALUE);
    again.syncNow();
    cutPower();
    const last = open();
    expect(last.get('other')).toEqual(VALUE);
    last.closeSync();
    disk.check();
  });

  it('covers by a sync of the user what the writer before had left', async () => {
    for (const how of ['blocking', 'group', 'durable put', 'close'] as const) {
      disk = new SimulatedDisk({ syncs: 'immediate' });
      wipeCore(core);
      killed();
      const store = open();
      if (how === 'blocking') expect(store.syncNow()).toBe(ALL);
      else if (how === 'group') expect(await store.sync()).toBe(ALL);
      else if (how === 'durable put') await store.put('later', VALUE, { durable: true });
      else store.closeSync();
      cutPower();
      const again = open();
      expect(again.size, how).toBe(how === 'durable put' ? ALL + 1 : ALL);
      again.closeSync();
    }
  });

  it('writes again what the failed sync of a writer before has lost from the cache', async () => {
    const first = open();
    for (let at = 0; at < ALL; at++) first.put(`key ${at}`, VALUE);
    const plan = disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO', dirtyPages: 'dropped', times: 40 });
    failure('ERR_VARVE_IO', () => first.syncNow());
    plan.cancel();
    end();
    const store = open();
    expect(store.durableLsn).toBe(0);
    await settled(store);
    expect(store.durableLsn).toBe(ALL);
    cutPower();
    const again = open();
    expect(again.size).toBe(ALL);
    again.closeSync();
  });

  it('is poisoned by a failure in the background, tells of it once asked, and has lost nothing', async () => {
    killed();
    const store = open();
    const plan = disk.failAt({ operation: 'sync', path: /seg$/, error: 'EIO', times: 1 });
    await settled(store);
    expect(plan.fired).toBe(1);
    expect(store.durableLsn).toBe(SYNCED);
    expect(store.get(`key ${ALL - 1}`)).toEqual(VALUE);
    failure('ERR_VARVE_POISONED', () => store.put('later', VALUE));
    await store.close();
    const again = open();
    await settled(again);
    expect([again.size, again.durableLsn]).toEqual([ALL, ALL]);
    again.closeSync();
  });

  it('leaves alone what is dropped, cut off or closed meanwhile', async () => {
    killed();
    const store = open();
    await turn();
    store.clear();
    const compacting = store.compact();
    for (let i = 0; i < 50; i++) {
      await turn();
      disk.completeSyncs();
    }
    await compacting;
    expect(store.size).toBe(0);
    expect(store.durableLsn).toBe(store.lastLsn);
    await store.close();
    await rejection('ERR_VARVE_CLOSED', store.sync());
    disk.check();
  });

  it('syncs before it returns where it had to cut', () => {
    killed();
    const path = disk.paths().filter((each) => each.endsWith('.seg')).at(-1)!;
    const file = disk.storage().open(path, 'write');
    file.write(Buffer.alloc(100, 1), file.size() - 4096);
    file.close();
    const store = open();
    expect(store.recovery.log.outcome).toBe('cut');
    expect(store.durableLsn).toBe(store.lastLsn);
    cutPower();
    const again = open();
    expect(again.size).toBe(ALL);
    again.closeSync();
  });
});
