/**
 * `compactTo`: the live records of a store, sorted, in a store of their own; or nothing at all, whatever fails.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { Core, KeyValueStore, type KeyValueOptions } from '../../host/index.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { Scratch } from '../support/dwal.ts';
import { wipeCore } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { edit } from '../support/cli.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const scratch = new Scratch('kv-compact-to');
afterAll(() => { scratch.remove(); });

const SMALL = { segmentBytes: 65536, autoCompact: false } as const;

/** A store of several segments with replaced, deleted, expired and large values; what is live in it. */
async function filled(options: KeyValueOptions = SMALL) {
  const store = await KeyValueStore.open(scratch.path(), options);
  const random = new Random(7);
  for (let at = 0; at < 3000; at++) {
    const key = `key ${random.integer(500)}`;
    if (random.chance(0.2)) store.delete(key);
    else store.put(key, Buffer.alloc(random.integer(200), at), random.chance(0.1) ? { expiresAt: 4e12 + at } : {});
  }
  store.put('large', Buffer.alloc(200_000, 'l'));
  store.put('gone', Buffer.from('g'), { expiresAt: 1 });
  return store;
}

/** All that can be asked about each key. */
function contents(store: KeyValueStore) {
  return new Map([...store].map(([key, value]) => (
    [key, { value: value.toString('latin1'), version: store.versionOf(key), expiresAt: store.expiresAtOf(key) }])));
}

const sorted = (keys: Iterable<string>) => [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe('compactTo', () => {
  it('gives the live records sorted by key, with versions and expiries, and leaves the source as it was', async () => {
    await using store = await filled();
    const before = contents(store);
    const directory = join(scratch.directory(), 'a', 'copy');
    const report = await store.compactTo(directory);
    expect(report).toMatchObject({ directory, records: before.size });
    expect(contents(store)).toEqual(before);
    await using copy = await KeyValueStore.open(directory);
    expect(contents(copy)).toEqual(before);
    expect([...copy.keys()]).toEqual(sorted(before.keys()));
    expect(copy.stats()).toMatchObject({ keys: before.size, bytes: report.bytes, liveBytes: report.bytes });
    expect(copy.check()).toMatchObject({ outcome: 'ok', keydir: [], damaged: [] });
    expect(copy.recovery.log).toMatchObject({ outcome: 'whole', closedCleanly: true });
    expect(readdirSync(join(directory, '..'))).toEqual(['copy']);
  });

  it('gives later writes of the copy LSNs above every version', async () => {
    await using store = await filled();
    const { lastLsn } = store;
    const { directory } = await store.compactTo(scratch.path());
    await using copy = await KeyValueStore.open(directory);
    expect(Math.max(...[...copy.keys()].map((key) => copy.versionOf(key)!))).toBeLessThanOrEqual(lastLsn);
    expect(copy.put('new', Buffer.from('n'))).toBeGreaterThan(lastLsn);
  });

  it('copies what was live when it was called, whatever is written and compacted meanwhile', async () => {
    await using store = await filled();
    const before = contents(store);
    const copying = store.compactTo(scratch.path());
    const state = { busy: true };
    const writing = (async () => {
      for (let at = 0; state.busy; at++) {
        store.put(`key ${at % 500}`, Buffer.from(`later ${at}`));
        store.delete(`key ${(at * 7) % 500}`);
        if (at % 100 === 0) await setImmediate();
      }
    })();
    const compacting = store.compact();
    const { directory } = await copying;
    state.busy = false;
    await writing;
    await compacting;
    await using copy = await KeyValueStore.open(directory);
    expect(contents(copy)).toEqual(before);
  });

  it('works on a read-only store, and of an empty one makes an empty one', async () => {
    const empty = await KeyValueStore.open(scratch.path());
    await empty.close();
    await using reader = await KeyValueStore.open(empty.directory, { readOnly: true });
    const { directory, ...counts } = await reader.compactTo(scratch.path());
    expect(counts).toEqual({ records: 0, bytes: 0 });
    await using copy = await KeyValueStore.open(directory);
    expect(copy.size).toBe(0);
    await using store = await filled();
    await using beside = await KeyValueStore.open(store.directory, { readOnly: true });
    const made = await beside.compactTo(scratch.path());
    await using second = await KeyValueStore.open(made.directory);
    expect(contents(second)).toEqual(contents(store));
  });

  it('tells of its progress, which ends where it said it would, and lets the event loop have its turns', async () => {
    await using store = await KeyValueStore.open(scratch.path(), SMALL);
    store.putMany(Array.from({ length: 60_000 }, (_, at) => [`key ${at}`, Buffer.alloc(100)] as const));
    const seen: { doneBytes: number; totalBytes: number; copiedRecords: number }[] = [];
    let turns = 0;
    const timer = setInterval(() => { turns++; }, 1);
    await store.compactTo(scratch.path(), { onProgress: (progress) => { seen.push({ ...progress }); } });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
    const done = seen.map(({ doneBytes }) => doneBytes);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    const last = seen.at(-1)!;
    expect(last).toMatchObject({ doneBytes: last.totalBytes, copiedRecords: 60_000 });
  });

  it('takes an empty directory, and refuses one that is not, a store too, and leaves it alone', async () => {
    await using store = await filled();
    const target = scratch.directory();
    await store.compactTo(target);
    await expect(store.compactTo(target)).rejects.toMatchObject({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' });
    await expect(store.compactTo(store.directory)).rejects.toMatchObject({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' });
    const mine = scratch.directory({ mine: 'x' });
    await expect(store.compactTo(mine)).rejects.toMatchObject({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' });
    expect(readdirSync(mine)).toEqual(['mine']);
    await expect(store.compactTo('')).rejects.toMatchObject({ code: 'ERR_VARVE_INVALID_ARGUMENT' });
    await expect(store.compactTo(mine, { budgetMs: 1 } as never)).rejects.toMatchObject({
      code: 'ERR_VARVE_INVALID_ARGUMENT',
    });
    await expect(RecordLog.open(target)).rejects.toMatchObject({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' });
  });

  it('leaves nothing behind where it is aborted, at any slice, or the store is closed', async () => {
    await using store = await filled();
    const parent = scratch.directory();
    const target = join(parent, 'new', 'copy');
    for (let slice = 1; ; slice++) {
      const controller = new AbortController();
      let seen = 0;
      const reason = new Error('enough');
      const copying = store.compactTo(target, {
        signal: controller.signal, onProgress: () => { if (++seen === slice) controller.abort(reason); },
      });
      if (await copying.then(() => true, (error: unknown) => error !== reason)) break;
      expect(readdirSync(parent)).toEqual([]);
    }
    expect(existsSync(target)).toBe(true);
    const aborted = AbortSignal.abort();
    await expect(store.compactTo(join(parent, 'b'), { signal: aborted })).rejects.toBe(aborted.reason);
    const other = await KeyValueStore.open(scratch.path());
    other.putMany(Array.from({ length: 50_000 }, (_, at) => [`${at}`, Buffer.alloc(50)] as const));
    const copying = other.compactTo(join(parent, 'c'));
    await other.close();
    await expect(copying).rejects.toMatchObject({ code: 'ERR_VARVE_CLOSED' });
    expect(readdirSync(parent)).toEqual(['new']);
  });

  it('ends at a damaged record, and leaves nothing behind', async () => {
    const store = await filled();
    const { segment, offset } = store.refOf('large')!;
    await store.close();
    const path = join(store.directory, `${String(segment).padStart(20, '0')}.seg`);
    edit(path, (bytes) => {
      bytes[offset + 1000]! ^= 1;
      return undefined;
    });
    await using again = await KeyValueStore.open(store.directory);
    const target = scratch.path();
    await expect(again.compactTo(target)).rejects.toMatchObject({ code: 'ERR_VARVE_CORRUPT' });
    expect(existsSync(target)).toBe(false);
  });
});

describe('compactTo on a disk that fails', () => {
  /** A disk with a closed store, and a process that has it open for reading. */
  function prepared() {
    const disk = new SimulatedDisk();
    const options = { ...SMALL, core: new Core({ memoryBytes: 64 << 20 }) };
    const store = KeyValueStore.openSync('/source', { ...options, storage: disk.storage() });
    for (let at = 0; at < 300; at++) store.put(`key ${at % 200}`, Buffer.alloc(600, at));
    store.closeSync();
    const storage = disk.storage();
    storage.createDirectory('/copies');
    storage.syncDirectoryNow('/');
    return { disk, options };
  }
  const { disk: original, options } = prepared();

  /** What is at the copy's place, opened as the next process would; `undefined` where there is nothing. */
  function copyOn(disk: SimulatedDisk): number | undefined {
    const storage = disk.storage();
    if (storage.list('/copies/copy') === undefined) return undefined;
    const copy = KeyValueStore.openSync('/copies/copy', { ...options, storage, readOnly: true });
    const { size } = copy;
    expect(copy.check().outcome).toBe('ok');
    copy.closeSync();
    return size;
  }

  async function attempt(disk: SimulatedDisk): Promise<boolean> {
    const store = KeyValueStore.openSync('/source', { ...options, storage: disk.storage(), readOnly: true });
    const made = await store.compactTo('/copies/copy').then(() => true, () => false);
    store.closeSync();
    return made;
  }

  it.each(['EIO', 'ENOSPC'] as const)('makes the copy or leaves nothing, whichever call fails with %s', async (error) => {
    for (let nth = 1, failures = 0; ; nth++) {
      const disk = original.clone();
      const plan = disk.failAt({ nth, error });
      const made = await attempt(disk).catch(() => false);
      if (plan.fired === 0) {
        expect({ made, failures: failures > 20 }).toEqual({ made: true, failures: true });
        break;
      }
      plan.cancel();
      failures++;
      expect(disk.storage().list('/copies')).toEqual(made ? ['copy'] : []);
      if (made) expect(copyOn(disk)).toBe(200);
    }
  });

  it('shows the whole copy or nothing at its place, wherever the power goes', async () => {
    for (let nth = 1; ; nth++) {
      const disk = original.clone();
      const plan = disk.failAt({ nth, error: 'power-cut' });
      const made = await attempt(disk).catch(() => false);
      const wasCut = plan.fired > 0;
      disk.powerCut();
      // The dead give nothing back.
      if (wasCut) wipeCore(options.core);
      const size = copyOn(disk);
      expect({ nth, made, size }).toEqual({ nth, made: !wasCut, size: wasCut && size === undefined ? undefined : 200 });
      if (!wasCut) break;
    }
  });
});
