/**
 * The simulated disk's syncs and faults: what becomes durable and when, failing and short calls, full disks, killed
 * processes; and the seeded numbers that everything is drawn from.
 */
import { describe, expect, test } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import { Random, forEachSeed } from '../support/random.ts';
import { SimulatedPowerCut } from '../support/simulated-disk.ts';
import { A, PAGE, disk, durableFile, failure, filled, memory, storage, valuesBy } from '../support/simulated-fixture.ts';

describe('sync', () => {
  test('makes durable what was visible when it was submitted, and only once it completes', async () => {
    disk.queue.mode = 'manual';
    const file = durableFile('/d/a', 2 * PAGE);
    file.write(filled(PAGE, 1), 0);
    const sync = file.sync();
    file.write(filled(PAGE, 2), PAGE);
    const before = disk.clone();
    before.powerCut(new Random(1), { pages: 'lost' });
    expect(before.read('/d/a')).toEqual(filled(2 * PAGE, 0));
    expect(disk.completeSyncs()).toBe(1);
    await sync;
    disk.powerCut(new Random(1), { pages: 'lost' });
    expect(valuesBy(PAGE, disk.read('/d/a') as Uint8Array)).toEqual([[1], [0]]);
  });

  test('never takes back what a later sync has made durable', async () => {
    disk.queue.mode = 'manual';
    const file = durableFile('/d/a', PAGE);
    file.write(filled(PAGE, 1), 0);
    const early = file.sync();
    file.write(filled(PAGE, 2), 0);
    file.syncNow();
    disk.completeSyncs();
    await early;
    expect(disk.read('/d/a', 'durable')).toEqual(filled(PAGE, 2));
  });

  test('covers stores into mapped memory', async () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, 'write');
    memory.bytes[A + 100] = 9;
    await file.sync();
    memory.bytes[A + 100] = 10;
    disk.powerCut(new Random(1), { pages: 'lost' });
    expect((disk.read('/d/a') as Uint8Array)[100]).toBe(9);
  });

  test('that fails leaves pages which later syncs take for clean, until they change', () => {
    const file = durableFile('/d/a', 2 * PAGE);
    file.write(filled(2 * PAGE, 1), 0);
    disk.failAt({ operation: 'sync', error: 'EIO' });
    expect(failure(() => file.syncNow())).toMatchObject({
      code: 'ERR_VARVE_IO', details: { errno: 'EIO', path: '/d/a' },
    });
    file.write(filled(1, 2), 0);
    file.syncNow();
    expect(disk.read('/d/a')?.subarray(PAGE)).toEqual(filled(PAGE, 1));
    const evicted = disk.clone();
    evicted.evictFailedPages();
    expect(evicted.read('/d/a')?.subarray(PAGE)).toEqual(filled(PAGE, 0));
    disk.powerCut(new Random(1), { pages: 'lost' });
    const content = disk.read('/d/a') as Uint8Array;
    expect([content[0], content[1], content[PAGE]]).toEqual([2, 1, 0]);
  });

  test('that fails may leave its pages dirty, where told so, for the next one', () => {
    const file = durableFile('/d/a', PAGE);
    file.write(filled(PAGE, 1), 0);
    disk.failAt({ operation: 'sync', error: 'EIO', dirtyPages: 'kept' });
    expect(() => file.syncNow()).toThrow(VarveError);
    file.syncNow();
    expect(disk.read('/d/a', 'durable')).toEqual(filled(PAGE, 1));
  });

  test('reaches nothing any more from the k-th on when the disk is frozen there', async () => {
    const file = durableFile('/d/a', 3);
    const first = disk.syncCount;
    disk.freezeAtSync(first + 2);
    for (let step = 0; step < 3; step++) {
      file.write(filled(1, step + 1), step);
      await file.sync();
      expect(disk.frozen).toBe(step >= 1);
    }
    expect([...disk.read('/d/a') as Uint8Array]).toEqual([1, 2, 3]);
    const kept = disk.clone();
    kept.powerCut(new Random(1), { pages: 'kept' });
    expect([...kept.read('/d/a') as Uint8Array]).toEqual([1, 2, 0]);
    disk.powerCut(new Random(1), { pages: 'lost' });
    expect([...disk.read('/d/a') as Uint8Array]).toEqual([1, 0, 0]);
    expect(disk.frozen).toBe(false);
  });

  test('is not needed for what the kernel writes back by itself', () => {
    const file = durableFile('/d/a', PAGE);
    file.write(filled(PAGE, 1), 0);
    disk.writeBack(new Random(1), { pages: 'kept' });
    file.write(filled(PAGE, 2), 0);
    disk.powerCut(new Random(1), { pages: 'lost' });
    expect(disk.read('/d/a')).toEqual(filled(PAGE, 1));
  });
});

describe('a full or failing disk', () => {
  test('refuses to allocate and leaves the length as it was', () => {
    disk.capacity = 8 * PAGE;
    const file = storage.create('/d/a');
    file.allocate(4 * PAGE);
    expect(failure(() => file.allocate(9 * PAGE))).toMatchObject({
      code: 'ERR_VARVE_DISK_FULL', details: { errno: 'ENOSPC' },
    });
    expect([file.size(), disk.freeBytes()]).toEqual([4 * PAGE, 4 * PAGE]);
    file.allocate(8 * PAGE);
    storage.remove('/d/a');
    expect(disk.freeBytes()).toBe(0);
    file.close();
    expect(disk.freeBytes()).toBe(8 * PAGE);
    for (const name of ['b', 'c']) {
      const other = storage.create(`/d/${name}`);
      other.allocate(PAGE);
      other.close();
    }
    storage.rename('/d/b', '/d/c');
    expect(disk.freeBytes()).toBe(7 * PAGE);
  });

  test('renames a directory over an empty one alone, and removes empty ones', () => {
    for (const name of ['/a', '/b', '/full']) storage.createDirectory(name);
    for (const name of ['/a/one', '/full/two']) storage.create(name).close();
    expect(failure(() => { storage.rename('/a', '/full'); }).code).toBe('ERR_VARVE_IO');
    storage.rename('/a', '/b');
    expect([storage.list('/a'), storage.list('/b')]).toEqual([undefined, ['one']]);
    expect(failure(() => { storage.removeDirectory('/b'); }).code).toBe('ERR_VARVE_IO');
    storage.remove('/b/one');
    for (let twice = 0; twice < 2; twice++) storage.removeDirectory('/b');
    expect(storage.list('/b')).toBe(undefined);
  });

  test('writes what has room and then fails', () => {
    disk.capacity = 2 * PAGE;
    const file = storage.create('/d/a');
    expect(failure(() => file.write(filled(3 * PAGE, 1), 100)).code).toBe('ERR_VARVE_DISK_FULL');
    expect(file.size()).toBe(2 * PAGE);
  });

  test('fails the nth matching call and no other, with the bytes that were asked for written', () => {
    const [a, b] = [storage.create('/d/a'), storage.create('/d/b')];
    const fault = disk.failAt({ operation: ['write', 'read'], path: /b$/, nth: 2, error: 'EIO', written: 3 });
    a.write(filled(10, 1), 0);
    b.write(filled(10, 1), 0);
    a.write(filled(10, 1), 0);
    expect(failure(() => b.write(filled(10, 2), 0)).code).toBe('ERR_VARVE_IO');
    b.read(new Uint8Array(1), 0);
    expect([...disk.read('/d/b') as Uint8Array]).toEqual([2, 2, 2, 1, 1, 1, 1, 1, 1, 1]);
    expect([fault.fired, disk.operations.get('write'), disk.faults.injected.get('EIO')]).toEqual([1, 4, 1]);
  });

  test('fails directory syncs without making names durable', async () => {
    storage.create('/d/a');
    disk.failAt({ operation: 'syncDirectory', error: 'EIO' });
    await expect(storage.syncDirectory('/d')).rejects.toThrow(VarveError);
    expect(disk.paths('durable')).toEqual([]);
    await storage.syncDirectory('/d');
    expect(disk.paths('durable')).toEqual(['/d/a']);
  });

  test('refuses every change where it may only be read', () => {
    durableFile('/d/a', PAGE);
    const reader = disk.storage({ readOnly: true });
    const changes = [
      () => reader.create('/d/b'), () => reader.open('/d/a', 'write'), () => reader.remove('/d/a'),
      () => reader.rename('/d/a', '/d/b'), () => reader.createDirectory('/e'), () => reader.lock('/d/l'),
    ];
    for (const change of changes) expect(failure(change).details['errno']).toBe('EROFS');
    const file = reader.open('/d/a', 'read');
    expect(failure(() => file.write(filled(1, 1), 0)).details['errno']).toBe('EBADF');
    expect(failure(() => file.map(memory, A, PAGE, 'write')).details['errno']).toBe('EACCES');
    expect(disk.paths()).toEqual(['/d/a']);
  });

  test('decays where tampered with, durably and in every mapping', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, 'write');
    disk.tamper('/d/a', 5, filled(1, 0xff));
    expect(memory.bytes[A + 5]).toBe(0xff);
    disk.powerCut(new Random(1), { pages: 'lost' });
    expect(disk.read('/d/a')?.[5]).toBe(0xff);
  });
});

describe('a killed process', () => {
  test('leaves what it wrote and stored to everyone, and its lock to the next', () => {
    const file = storage.create('/d/a');
    file.allocate(PAGE);
    file.map(memory, A, PAGE, 'write');
    storage.lock('/d/LOCK');
    file.write(filled(1, 1), 0);
    memory.bytes[A + 1] = 2;
    const other = disk.storage();
    expect(failure(() => other.lock('/d/LOCK'))).toMatchObject({
      code: 'ERR_VARVE_LOCKED', details: { pid: storage.pid },
    });
    expect(other.alive(storage.pid)).toBe(true);
    disk.processCrash(storage);
    expect([other.alive(storage.pid), other.alive(other.pid)]).toEqual([false, true]);
    expect(() => file.size()).toThrow(SimulatedPowerCut);
    expect([...(disk.read('/d/a') as Uint8Array).subarray(0, 2)]).toEqual([1, 2]);
    other.lock('/d/LOCK').release();
    other.lock('/d/LOCK');
    expect(other.list('/d')).toEqual(['LOCK', 'a']);
  });
});

describe('random numbers', () => {
  test('repeat with their seed, cover their range and name the seed of a failing case', async () => {
    expect([...new Random(5).bytes(9)]).toEqual([...new Random(5).bytes(9)]);
    const random = new Random(5);
    expect(new Set(Array.from({ length: 200 }, () => random.between(3, 6)))).toEqual(new Set([3, 4, 5, 6]));
    expect(random.clone().next()).toBe(random.next());
    expect([random.chance(0), random.chance(1)]).toEqual([false, true]);
    expect(random.shuffled([1, 2, 3, 4]).sort()).toEqual([1, 2, 3, 4]);
    await expect(forEachSeed(1, () => { throw new Error('wrong'); }, 77)).rejects.toThrow('wrong [replay with');
  });
});
