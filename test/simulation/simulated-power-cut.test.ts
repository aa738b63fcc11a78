/**
 * What a power cut may and may not take: pages, sectors, lengths and names. Everything that fault simulation proves
 * rests on these promises of the simulated disk.
 */
import { describe, expect, test } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import { Random, forEachSeed } from '../support/random.ts';
import { type CutPolicy, SimulatedDisk, SimulatedPowerCut } from '../support/simulated-disk.ts';
import {
  A, PAGE, SECTOR, disk, durableFile, failure, filled, memory, restart, storage, valuesBy,
} from '../support/simulated-fixture.ts';

describe('power cut', () => {
  test('keeps synced bytes, lengths and names whatever it chooses', async () => {
    const policies: CutPolicy[] = [{}, { pages: 'lost', sizes: 'old', names: 'lost' }, { metadata: 'any' }];
    let files = 0;
    await forEachSeed(60, async (random, seed) => {
      files += 1;
      const file = storage.create(`/d/${seed}`);
      const content = random.bytes(random.between(1, 3 * PAGE));
      file.write(content, 0);
      await file.sync();
      await storage.syncDirectory('/d');
      disk.powerCut(random, policies[seed % policies.length]);
      restart();
      expect(Buffer.compare(disk.read(`/d/${seed}`) as Uint8Array, content)).toBe(0);
    });
    expect(disk.paths()).toHaveLength(files);
  });

  test('keeps or loses each unsynced page by itself', () => {
    durableFile('/d/a', 16 * PAGE).write(filled(16 * PAGE, 7), 0);
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 40; seed++) {
      const copy = disk.clone();
      copy.powerCut(new Random(seed), { keep: 0.5, tear: 0 });
      const pages = valuesBy(PAGE, copy.read('/d/a') as Uint8Array);
      expect(pages.every((values) => values.length === 1 && (values[0] === 0 || values[0] === 7))).toBe(true);
      outcomes.add(pages.join());
    }
    expect(outcomes.size).toBeGreaterThan(30);
  });

  test('tears pages at sectors only', () => {
    durableFile('/d/a', 4 * PAGE).write(filled(4 * PAGE, 7), 0);
    const tally = disk.powerCut(new Random(3), { keep: 0, tear: 1 });
    const content = disk.read('/d/a') as Uint8Array;
    expect(tally.pagesTorn).toBe(4);
    expect(valuesBy(SECTOR, content).every((values) => values.length === 1)).toBe(true);
    expect(valuesBy(PAGE, content).some((values) => values.length === 2)).toBe(true);
  });

  test('loses or keeps all of what is unsynced where told so', () => {
    const file = durableFile('/d/a', PAGE);
    file.write(filled(2 * PAGE, 7), 0);
    const kept = disk.clone();
    kept.powerCut(new Random(1), { pages: 'kept', sizes: 'new' });
    expect(kept.read('/d/a')).toEqual(filled(2 * PAGE, 7));
    disk.powerCut(new Random(1), { pages: 'lost', sizes: 'old' });
    expect(disk.read('/d/a')).toEqual(filled(PAGE, 0));
  });

  test('may keep a new length without its bytes, which are zeros then', () => {
    const file = durableFile('/d/a', PAGE);
    file.write(filled(PAGE, 7), PAGE);
    disk.powerCut(new Random(1), { pages: 'lost', sizes: 'new' });
    expect(disk.read('/d/a')).toEqual(filled(2 * PAGE, 0));
  });

  test('brings back the old bytes, zeros or the new ones after a cut and a regrown tail, never a mix of lives', () => {
    const file = storage.create('/d/a');
    file.write(filled(2 * PAGE, 1), 0);
    file.syncNow();
    storage.syncDirectoryNow('/d');
    file.truncate(PAGE);
    file.write(filled(PAGE, 2), PAGE);
    const tails = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const copy = disk.clone();
      copy.powerCut(new Random(seed), { tear: 0 });
      const content = copy.read('/d/a') as Uint8Array;
      expect(valuesBy(PAGE, content)[0]).toEqual([1]);
      tails.add(valuesBy(PAGE, content.subarray(PAGE)).join('|'));
    }
    expect([...tails].sort()).toEqual(['', '0', '1', '2']);
  });

  test('reaches back to what a cut during a sync took away', async () => {
    disk.queue.mode = 'manual';
    const file = durableFile('/d/a', PAGE);
    file.write(filled(PAGE, 1), PAGE);
    const sync = file.sync();
    file.truncate(PAGE);
    file.write(filled(PAGE, 2), PAGE);
    disk.completeSyncs();
    await sync;
    const tails = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const copy = disk.clone();
      copy.powerCut(new Random(seed), { tear: 0 });
      tails.add(valuesBy(PAGE, (copy.read('/d/a') as Uint8Array).subarray(PAGE)).join('|'));
    }
    expect([...tails].sort()).toEqual(['', '0', '1', '2']);
  });

  test('leaves nothing past an old length that a longer file would show again', () => {
    const file = durableFile('/d/a', 10);
    file.write(filled(2 * PAGE, 7), 0);
    disk.powerCut(new Random(1), { pages: 'kept', sizes: 'old' });
    restart();
    expect(disk.read('/d/a')).toEqual(filled(10, 7));
    storage.open('/d/a', 'write').allocate(2 * PAGE);
    expect(disk.read('/d/a')?.subarray(10)).toEqual(filled(2 * PAGE - 10, 0));
  });

  test('may keep what a sync under way had taken down instead of what was written since', () => {
    disk.queue.mode = 'manual';
    const file = durableFile('/d/a', PAGE);
    file.write(filled(PAGE, 1), 0);
    file.sync().catch(() => undefined);
    file.write(filled(PAGE, 2), 0);
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 40; seed++) {
      const copy = disk.clone();
      copy.powerCut(new Random(seed), { tear: 0 });
      outcomes.add(valuesBy(PAGE, copy.read('/d/a') as Uint8Array).join());
    }
    expect([...outcomes].sort()).toEqual(['0', '1', '2']);
  });

  test('drops the planned faults', () => {
    disk.failAt({ error: 'EIO', times: Infinity });
    expect(() => storage.list('/d')).toThrow(VarveError);
    disk.powerCut();
    expect(disk.storage().list('/d')).toEqual([]);
  });

  test('gives the same result for the same seed', () => {
    const run = (seed: number): string => {
      const random = new Random(seed);
      const other = new SimulatedDisk({ random: random.fork() });
      const process = other.storage();
      for (let name = 0; name < 6; name++) {
        const file = process.create(`/${name}`);
        file.write(random.bytes(5 * PAGE), random.integer(PAGE));
        if (random.chance(0.5)) file.syncNow();
        if (random.chance(0.5)) process.syncDirectoryNow('/');
      }
      const salt = new Uint8Array(8);
      process.random(salt);
      other.powerCut(random);
      return `${other.digest()} ${salt.join()}`;
    };
    expect(run(11)).toBe(run(11));
    expect(run(11)).not.toBe(run(12));
  });

  test('ends every process: each later call throws and pending waits and syncs are rejected', async () => {
    const file = durableFile('/d/a', PAGE);
    const mapping = file.map(memory, A, PAGE, 'write');
    const waiting = storage.wait(memory, A, 0, 1000);
    const syncing = file.sync();
    disk.powerCut();
    await expect(waiting).rejects.toThrow(SimulatedPowerCut);
    await expect(syncing).rejects.toThrow(SimulatedPowerCut);
    await expect(file.sync()).rejects.toThrow(SimulatedPowerCut);
    await expect(storage.syncDirectory('/d')).rejects.toThrow(SimulatedPowerCut);
    await expect(storage.wait(memory, A, 0, 1)).rejects.toThrow(SimulatedPowerCut);
    const calls = [
      () => storage.list('/d'), () => storage.open('/d/a', 'read'), () => storage.now(), () => storage.lock('/d/l'),
      () => file.size(), () => file.write(filled(1, 1), 0), () => file.close(), () => mapping.unmap(),
      () => mapping.populate(0, 1),
    ];
    for (const call of calls) expect(call).toThrow(SimulatedPowerCut);
    // A wake may come from the end of a turn, where nobody could catch it.
    storage.wake(memory, A);
    expect(disk.storage().list('/d')).toEqual(['a']);
  });

  test('can strike at any call, and loses what is stored into mapped memory afterwards', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, 'write');
    memory.bytes[A] = 1;
    disk.failAt({ operation: 'size', nth: 2, error: 'power-cut' });
    expect(file.size()).toBe(PAGE);
    expect(() => file.size()).toThrow(SimulatedPowerCut);
    memory.bytes[A + 1] = 1;
    expect(() => disk.storage()).toThrow('no power');
    disk.powerCut(new Random(1), { pages: 'kept' });
    expect([...(disk.read('/d/a') as Uint8Array).subarray(0, 2)]).toEqual([1, 0]);
  });
});

describe('names', () => {
  test('are durable only once their directory is synced, and the file\'s sync does not do it', () => {
    const file = storage.create('/d/a');
    file.write(filled(10, 1), 0);
    file.syncNow();
    const copy = disk.clone();
    copy.powerCut(new Random(1), { names: 'lost' });
    expect(copy.paths()).toEqual([]);
    storage.syncDirectoryNow('/d');
    disk.powerCut(new Random(1), { names: 'lost' });
    expect(disk.paths()).toEqual(['/d/a']);
  });

  test('that were removed or renamed without a sync may come back with their durable bytes', () => {
    const [a, b] = [durableFile('/d/a', 1), durableFile('/d/b', 2)];
    storage.rename('/d/a', '/d/b');
    a.close();
    b.close();
    expect(storage.list('/d')).toEqual(['b']);
    expect(disk.read('/d/b')).toHaveLength(1);
    const renamed = disk.clone();
    renamed.powerCut(new Random(1), { names: 'kept' });
    expect([renamed.paths(), renamed.read('/d/b')?.length]).toEqual([['/d/b'], 1]);
    storage.remove('/d/b');
    disk.powerCut(new Random(1), { names: 'lost' });
    expect([disk.read('/d/a')?.length, disk.read('/d/b')?.length]).toEqual([1, 2]);
  });

  test('made after their directory\'s sync was submitted are not covered by it', async () => {
    disk.queue.mode = 'manual';
    storage.create('/d/a');
    const sync = storage.syncDirectory('/d');
    storage.create('/d/b');
    expect(disk.paths('durable')).toEqual([]);
    disk.completeSyncs();
    await sync;
    expect(disk.paths('durable')).toEqual(['/d/a']);
  });

  test('survive as a first part of their order with a journal, and in any selection without one', () => {
    for (const name of ['a', 'b', 'c', 'd']) storage.create(`/d/${name}`);
    const outcomes = (metadata: 'ordered' | 'any'): string[] => [...new Set(Array.from({ length: 200 }, (_, seed) => {
      const copy = disk.clone();
      copy.powerCut(new Random(seed), { metadata });
      return copy.paths().map((path) => path.slice(3)).join('');
    }))].sort();
    expect(outcomes('ordered')).toEqual(['', 'a', 'ab', 'abc', 'abcd']);
    expect(outcomes('any')).toHaveLength(16);
  });

  test('go through their changes in order: what was written back earlier is not undone by a sync', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const copy = disk.clone();
      const process = copy.storage();
      process.create('/d/a').write(filled(1, 1), 0);
      process.remove('/d/a');
      process.create('/d/a').write(filled(2, 2), 0);
      copy.writeBack(new Random(seed), { metadata: 'any', pages: 'kept', sizes: 'new' });
      process.syncDirectoryNow('/d');
      process.open('/d/a', 'read').syncNow();
      copy.powerCut(new Random(seed));
      expect(copy.read('/d/a')).toEqual(filled(2, 2));
    }
  });

  test('in a directory whose own name is not durable are lost with it', () => {
    expect(storage.createDirectory('/d/e/f')).toEqual(['/d/e', '/d/e/f']);
    expect(storage.createDirectory('/d/e/f')).toEqual([]);
    storage.create('/d/e/f/a').syncNow();
    storage.syncDirectoryNow('/d/e/f');
    storage.syncDirectoryNow('/d/e');
    disk.powerCut(new Random(1), { names: 'lost' });
    expect(disk.storage().list('/d')).toEqual([]);
  });

  test('lead to typed errors where there is nothing, or something else', () => {
    storage.create('/d/a');
    expect(failure(() => storage.open('/d/none', 'read')).code).toBe('ERR_VARVE_NOT_FOUND');
    expect(failure(() => storage.create('/none/a')).code).toBe('ERR_VARVE_NOT_FOUND');
    expect(failure(() => storage.create('/d/a')).details).toMatchObject({ path: '/d/a', errno: 'EEXIST' });
    expect(failure(() => storage.open('/d', 'read')).details['errno']).toBe('EISDIR');
    expect(storage.list('/none')).toBeUndefined();
    expect([storage.exists('/d/a'), storage.exists('/d/b')]).toEqual([true, false]);
    storage.remove('/d/none');
  });
});
