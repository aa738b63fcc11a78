/**
 * The simulated disk keeps its promises: what a power cut may and may not take, what faults do, and that mapped ranges
 * behave like shared pages as far as plain memory can. Everything that fault simulation proves rests on these.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { CoreMemory } from '../host/core/memory.ts';
import { VarveError } from '../host/errors/varve-error.ts';
import type { StoredFile } from '../host/io/storage.ts';
import { Random, forEachSeed } from './support/random.ts';
import {
  type CutPolicy, type SimulatedStorage, SimulatedDisk, SimulatedPowerCut, SimulatedViolation,
} from './support/simulated-disk.ts';

const PAGE = 4096;
const SECTOR = 512;
const memory = new CoreMemory(32 << 20);
const [A, B, C] = [memory.reserve(1 << 20), memory.reserve(1 << 20), memory.reserve(1 << 20)];

let disk: SimulatedDisk;
let storage: SimulatedStorage;

beforeEach(() => {
  disk = new SimulatedDisk();
  storage = disk.storage();
  storage.createDirectory('/d');
  storage.syncDirectoryNow('/');
});

function filled(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

/** A file whose name and zeroed bytes are durable. */
function durableFile(path: string, length: number): StoredFile {
  const file = storage.create(path);
  file.allocate(length);
  file.syncNow();
  storage.syncDirectoryNow(path.slice(0, path.lastIndexOf('/')));
  return file;
}

/** The error of a call that must fail. */
function failure(call: () => unknown): VarveError {
  try {
    call();
  } catch (error) {
    return error as VarveError;
  }
  throw new Error('the call did not fail');
}

/** The set of byte values in each unit of the content. */
function valuesBy(unit: number, bytes: Uint8Array): number[][] {
  return Array.from({ length: bytes.length / unit }, (_, at) => (
    [...new Set(bytes.subarray(at * unit, (at + 1) * unit))]));
}

describe('power cut', () => {
  test('keeps synced bytes, lengths and names whatever it chooses', async () => {
    const policies: CutPolicy[] = [{}, { pages: 'lost', sizes: 'old', names: 'lost' }, { metadata: 'any' }];
    await forEachSeed(60, async (random, seed) => {
      const file = storage.create(`/d/${seed}`);
      const content = random.bytes(random.between(1, 3 * PAGE));
      file.write(content, 0);
      await file.sync();
      await storage.syncDirectory('/d');
      disk.powerCut(random, policies[seed % policies.length]);
      storage = disk.storage();
      expect(Buffer.compare(disk.read(`/d/${seed}`) as Uint8Array, content)).toBe(0);
    });
    expect(disk.paths()).toHaveLength(60);
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
    storage = disk.storage();
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
    const mapping = file.map(memory, A, PAGE, true);
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
      () => mapping.populate(0, 1), () => storage.wake(memory, A),
    ];
    for (const call of calls) expect(call).toThrow(SimulatedPowerCut);
    expect(disk.storage().list('/d')).toEqual(['a']);
  });

  test('can strike at any call, and loses what is stored into mapped memory afterwards', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, true);
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
    file.map(memory, A, PAGE, true);
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
    expect(failure(() => file.map(memory, A, PAGE, true)).details['errno']).toBe('EACCES');
    expect(disk.paths()).toEqual(['/d/a']);
  });

  test('decays where tampered with, durably and in every mapping', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, true);
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
    file.map(memory, A, PAGE, true);
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

describe('a mapping', () => {
  test('shows the file\'s bytes, and zeros where blocks were allocated and never written', () => {
    const file = durableFile('/d/a', 2 * PAGE);
    file.write(filled(10, 3), 0);
    memory.bytes.fill(0xee, A, A + 2 * PAGE);
    file.map(memory, A, 2 * PAGE, false);
    expect(memory.bytes.subarray(A, A + 10)).toEqual(filled(10, 3));
    expect(memory.bytes.subarray(A + 10, A + 2 * PAGE)).toEqual(filled(2 * PAGE - 10, 0));
  });

  test('shares stores with read, write, view and the clone at once', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, true);
    memory.bytes[A] = 1;
    const target = new Uint8Array(2);
    file.write(filled(1, 2), 1);
    expect(memory.bytes[A + 1]).toBe(2);
    expect([storage.open('/d/a', 'read').read(target, 0), ...target]).toEqual([2, 1, 2]);
    expect([...file.view(2)]).toEqual([1, 2]);
    expect(disk.clone().read('/d/a')?.[0]).toBe(1);
  });

  test('and a second one of the same file agree after any call of the interface, or a refresh', () => {
    const file = durableFile('/d/a', 4 * PAGE);
    const reader = disk.storage().open('/d/a', 'read');
    const other = new CoreMemory(16 << 20);
    const there = other.reserve(4 * PAGE);
    file.map(memory, A, 4 * PAGE, true);
    file.map(memory, B, 3 * PAGE, false);
    reader.map(other, there, 4 * PAGE, false);
    memory.bytes[A + 2 * PAGE] = 1;
    storage.exists('/d/a');
    expect([memory.bytes[B + 2 * PAGE], other.bytes[there + 2 * PAGE]]).toEqual([1, 1]);
    memory.bytes[A + 3 * PAGE] = 2;
    disk.refresh();
    expect(other.bytes[there + 3 * PAGE]).toBe(2);
  });

  test('merges the stores of several writers, and reports two different values for one byte', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, true);
    file.map(memory, B, PAGE, true);
    file.map(memory, C, PAGE, true);
    memory.bytes[A] = 1;
    memory.bytes[B + 1] = 2;
    memory.bytes[C + 2] = 3;
    disk.refresh();
    for (const at of [A, B, C]) expect([...memory.bytes.subarray(at, at + 3)]).toEqual([1, 2, 3]);
    memory.bytes[A] = 8;
    memory.bytes[B] = 9;
    expect(() => disk.refresh()).toThrow(/stored different values at offset 0/);
  });

  test('that is read-only catches stores, for good, even where the error is swallowed', () => {
    const file = durableFile('/d/a', PAGE);
    const mapping = file.map(memory, A, PAGE, false);
    memory.bytes[A + 7] = 1;
    expect(() => mapping.unmap()).toThrow(SimulatedViolation);
    expect(memory.bytes[A + 7]).toBe(0);
    expect(disk.read('/d/a')?.[7]).toBe(0);
    expect(() => disk.check()).toThrow(/read-only mapping of \/d\/a at offset 7/);
  });

  test('is refused beyond the end of the file', () => {
    const file = durableFile('/d/a', PAGE);
    expect(failure(() => file.map(memory, A, PAGE + 1, true)).code).toBe('ERR_VARVE_INTERNAL');
    expect(failure(() => file.view(PAGE + 1)).code).toBe('ERR_VARVE_INTERNAL');
    expect(() => file.map(memory, A + PAGE, PAGE, true)).toThrow(VarveError);
  });

  test('catches stores into what a truncation took away, and shows no zeros there', () => {
    const file = durableFile('/d/a', 3 * PAGE);
    file.map(memory, A, 3 * PAGE, true);
    file.truncate(PAGE + 10);
    expect([memory.bytes[A + PAGE + 10], memory.bytes[A + 2 * PAGE]]).toEqual([0, 0xa5]);
    memory.bytes[A + 2 * PAGE + 3] = 0;
    expect(() => disk.refresh()).toThrow(/beyond the end of \/d\/a .* at offset 8195/);
    memory.bytes[A + PAGE + 10] = 1;
    expect(() => disk.refresh()).toThrow(/at offset 4106 is lost/);
    file.allocate(3 * PAGE);
    expect(memory.bytes.subarray(A + PAGE, A + 3 * PAGE)).toEqual(filled(2 * PAGE, 0));
  });

  test('catches stores into pages without a block', () => {
    const file = storage.create('/d/a');
    file.truncate(PAGE);
    file.map(memory, A, PAGE, true);
    memory.bytes[A] = 1;
    expect(() => disk.refresh()).toThrow(/has no block/);
    const full = new SimulatedDisk({ capacity: 0, holes: 'allowed' });
    const sparse = full.storage().create('/a');
    sparse.truncate(PAGE);
    sparse.map(memory, B, PAGE, true);
    memory.bytes[B] = 1;
    expect(() => full.refresh()).toThrow(/the disk is full/);
  });

  test('grows in place when mapped again, and its range reads as zeros once it is unmapped', () => {
    const file = durableFile('/d/a', PAGE);
    const small = file.map(memory, A, PAGE, true);
    memory.bytes[A] = 1;
    file.allocate(2 * PAGE);
    const large = file.map(memory, A, 2 * PAGE, true);
    small.unmap();
    memory.bytes[A + PAGE] = 2;
    expect([disk.read('/d/a')?.[0], disk.read('/d/a')?.[PAGE]]).toEqual([1, 2]);
    expect(() => file.map(memory, A + 65536, PAGE, true)).not.toThrow();
    large.unmap();
    large.unmap();
    expect(memory.bytes.subarray(A, A + 2 * PAGE)).toEqual(filled(2 * PAGE, 0));
  });

  test('of another file at the same address replaces it and keeps what was stored', () => {
    const [a, b] = [durableFile('/d/a', 2 * PAGE), durableFile('/d/b', PAGE)];
    a.map(memory, A, 2 * PAGE, true);
    memory.bytes[A] = 1;
    memory.bytes[A + PAGE] = 1;
    b.map(memory, A, PAGE, true);
    expect([memory.bytes[A], memory.bytes[A + PAGE]]).toEqual([0, 0]);
    memory.bytes[A] = 2;
    expect([disk.read('/d/a')?.[0], disk.read('/d/a')?.[PAGE], disk.read('/d/b')?.[0]]).toEqual([1, 1, 2]);
  });

  test('outlives its handle and the file\'s name', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, true);
    const second = storage.open('/d/a', 'read');
    file.close();
    storage.remove('/d/a');
    memory.bytes[A] = 1;
    const target = new Uint8Array(1);
    second.read(target, 0);
    expect([...target]).toEqual([1]);
    expect(failure(() => file.size()).details['errno']).toBe('EBADF');
  });
});

describe('a view', () => {
  test('follows the file, but keeps the pages its holder wrote, which nobody else sees', () => {
    const file = durableFile('/d/a', 2 * PAGE);
    file.map(memory, A, 2 * PAGE, true);
    const view = file.view(2 * PAGE);
    view[0] = 9;
    memory.bytes[A + 1] = 1;
    memory.bytes[A + PAGE] = 1;
    disk.refresh();
    expect([view[0], view[1], view[PAGE]]).toEqual([9, 0, 1]);
    expect([memory.bytes[A], disk.read('/d/a')?.[0]]).toEqual([0, 0]);
  });
});

describe('time and waiting', () => {
  test('a wait ends by a wake through any mapping of the word, with the new bytes there', async () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, true);
    const reader = disk.storage();
    reader.open('/d/a', 'read').map(memory, B, PAGE, false);
    let woken = false;
    const waiting = reader.wait(memory, B + 8, 0, 1000).then(() => { woken = true; });
    memory.words[(A + 8) >> 2] = 5;
    await Promise.resolve();
    expect([woken, disk.waiters.count]).toEqual([false, 1]);
    storage.wake(memory, A + 4);
    expect(disk.waiters.count).toBe(1);
    storage.wake(memory, A + 8);
    await waiting;
    expect(memory.words[(B + 8) >> 2]).toBe(5);
  });

  test('a wait ends at once on a different word, and when the clock reaches its end', async () => {
    const start = storage.now();
    memory.words[C >> 2] = 7;
    await storage.wait(memory, C, 6, 1000);
    const waiting = storage.wait(memory, C, 7, 1000);
    disk.clock.advance(999);
    expect(disk.waiters.count).toBe(1);
    disk.clock.advance(-5000);
    disk.clock.advance(1);
    await waiting;
    expect(storage.now() - start).toBe(-4000);
  });

  test('a wait ends when its file is unmapped', async () => {
    const mapping = durableFile('/d/a', PAGE).map(memory, A, PAGE, false);
    const waiting = storage.wait(memory, A, 0, Infinity);
    mapping.unmap();
    await waiting;
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
