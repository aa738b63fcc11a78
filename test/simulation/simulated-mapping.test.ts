/**
 * Mapped ranges of the simulated disk behave like shared pages as far as plain memory can, and whatever would have
 * killed a real process is caught; waiting follows a clock that only tests move.
 */
import { describe, expect, test } from 'vitest';
import { CoreMemory } from '../../host/core/memory.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import { SimulatedDisk, SimulatedViolation } from '../support/simulated-disk.ts';
import { A, B, C, PAGE, disk, durableFile, failure, filled, memory, storage } from '../support/simulated-fixture.ts';

describe('a mapping', () => {
  test('shows the file\'s bytes, and zeros where blocks were allocated and never written', () => {
    const file = durableFile('/d/a', 2 * PAGE);
    file.write(filled(10, 3), 0);
    memory.bytes.fill(0xee, A, A + 2 * PAGE);
    file.map(memory, A, 2 * PAGE, 'read');
    expect(memory.bytes.subarray(A, A + 10)).toEqual(filled(10, 3));
    expect(memory.bytes.subarray(A + 10, A + 2 * PAGE)).toEqual(filled(2 * PAGE - 10, 0));
  });

  test('shares stores with read, write, view and the clone at once', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, 'write');
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
    file.map(memory, A, 4 * PAGE, 'write');
    file.map(memory, B, 3 * PAGE, 'read');
    reader.map(other, there, 4 * PAGE, 'read');
    memory.bytes[A + 2 * PAGE] = 1;
    storage.exists('/d/a');
    expect([memory.bytes[B + 2 * PAGE], other.bytes[there + 2 * PAGE]]).toEqual([1, 1]);
    memory.bytes[A + 3 * PAGE] = 2;
    disk.refresh();
    expect(other.bytes[there + 3 * PAGE]).toBe(2);
  });

  test('of a part of the file shows that part, and shares its stores with those of other parts', () => {
    const file = durableFile('/d/a', 20 * PAGE);
    file.write(filled(1, 2), 65536);
    file.map(memory, A, 4 * PAGE, 'write', 65536);
    file.map(memory, B, 20 * PAGE, 'write');
    expect([memory.bytes[A], memory.bytes[B + 65536]]).toEqual([2, 2]);
    memory.bytes[A + 3 * PAGE] = 3;
    memory.bytes[B + 65536 + 1] = 4;
    disk.refresh();
    expect([memory.bytes[B + 65536 + 3 * PAGE], memory.bytes[A + 1], disk.read('/d/a')![65537]]).toEqual([3, 4, 4]);
    expect(failure(() => file.map(memory, C, 4 * PAGE + 1, 'write', 65536)).code).toBe('ERR_VARVE_INTERNAL');
    expect(failure(() => file.map(memory, C, PAGE, 'write', PAGE)).code).toBe('ERR_VARVE_INTERNAL');
  });

  test('that is private keeps its stores to itself, and a cut of the power takes them', () => {
    const file = durableFile('/d/a', 20 * PAGE);
    file.write(filled(1, 2), 65536);
    const shared = file.map(memory, A, 20 * PAGE, 'write');
    const own = storage.open('/d/a', 'read').map(memory, B, 4 * PAGE, 'private', 65536);
    expect(memory.bytes[B]).toBe(2);
    memory.bytes[B + 1] = 3;
    memory.bytes[A + 65536 + 2] = 4;
    disk.refresh();
    file.syncNow();
    expect([...memory.bytes.subarray(A + 65536, A + 65536 + 3)]).toEqual([2, 0, 4]);
    expect([...memory.bytes.subarray(B, B + 2)]).toEqual([2, 3]);
    expect([...disk.read('/d/a')!.subarray(65536, 65536 + 3)]).toEqual([2, 0, 4]);
    shared.unmap();
    own.unmap();
    expect([...memory.bytes.subarray(B, B + 2)]).toEqual([0, 0]);
    disk.check();
  });

  test('is not given back as a range without a file is, which reads as zeros', () => {
    const file = durableFile('/d/a', PAGE);
    memory.bytes.fill(0xee, B, B + 65536);
    storage.adviseHuge(memory, B, 65536);
    storage.discard(memory, B, 65536);
    expect(memory.bytes.subarray(B, B + 65536).every((byte) => byte === 0)).toBe(true);
    for (const access of ['read', 'private'] as const) {
      const mapping = file.map(memory, A, PAGE, access);
      expect(failure(() => storage.discard(memory, A, 65536)).code).toBe('ERR_VARVE_INTERNAL');
      expect(failure(() => storage.adviseHuge(memory, A, 65536)).code).toBe('ERR_VARVE_INTERNAL');
      mapping.unmap();
    }
  });

  test('merges the stores of several writers, and reports two different values for one byte', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, 'write');
    file.map(memory, B, PAGE, 'write');
    file.map(memory, C, PAGE, 'write');
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
    const mapping = file.map(memory, A, PAGE, 'read');
    memory.bytes[A + 7] = 1;
    expect(() => mapping.unmap()).toThrow(SimulatedViolation);
    expect(memory.bytes[A + 7]).toBe(0);
    expect(disk.read('/d/a')?.[7]).toBe(0);
    expect(() => disk.check()).toThrow(/read-only mapping of \/d\/a at offset 7/);
  });

  test('is refused beyond the end of the file', () => {
    const file = durableFile('/d/a', PAGE);
    expect(failure(() => file.map(memory, A, PAGE + 1, 'write')).code).toBe('ERR_VARVE_INTERNAL');
    expect(failure(() => file.view(PAGE + 1)).code).toBe('ERR_VARVE_INTERNAL');
    expect(() => file.map(memory, A + PAGE, PAGE, 'write')).toThrow(VarveError);
  });

  test('catches stores into what a truncation took away, and shows no zeros there', () => {
    const file = durableFile('/d/a', 3 * PAGE);
    file.map(memory, A, 3 * PAGE, 'write');
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
    file.map(memory, A, PAGE, 'write');
    memory.bytes[A] = 1;
    expect(() => disk.refresh()).toThrow(/has no block/);
    const full = new SimulatedDisk({ capacity: 0, holes: 'allowed' });
    const sparse = full.storage().create('/a');
    sparse.truncate(PAGE);
    sparse.map(memory, B, PAGE, 'write');
    memory.bytes[B] = 1;
    expect(() => full.refresh()).toThrow(/the disk is full/);
  });

  test('grows in place when mapped again, and its range reads as zeros once it is unmapped', () => {
    const file = durableFile('/d/a', PAGE);
    const small = file.map(memory, A, PAGE, 'write');
    memory.bytes[A] = 1;
    file.allocate(2 * PAGE);
    const large = file.map(memory, A, 2 * PAGE, 'write');
    small.unmap();
    memory.bytes[A + PAGE] = 2;
    expect([disk.read('/d/a')?.[0], disk.read('/d/a')?.[PAGE]]).toEqual([1, 2]);
    expect(() => file.map(memory, A + 65536, PAGE, 'write')).not.toThrow();
    large.unmap();
    large.unmap();
    expect(memory.bytes.subarray(A, A + 2 * PAGE)).toEqual(filled(2 * PAGE, 0));
  });

  test('of another file at the same address replaces it and keeps what was stored', () => {
    const [a, b] = [durableFile('/d/a', 2 * PAGE), durableFile('/d/b', PAGE)];
    a.map(memory, A, 2 * PAGE, 'write');
    memory.bytes[A] = 1;
    memory.bytes[A + PAGE] = 1;
    b.map(memory, A, PAGE, 'write');
    expect([memory.bytes[A], memory.bytes[A + PAGE]]).toEqual([0, 0]);
    memory.bytes[A] = 2;
    expect([disk.read('/d/a')?.[0], disk.read('/d/a')?.[PAGE], disk.read('/d/b')?.[0]]).toEqual([1, 1, 2]);
  });

  test('outlives its handle and the file\'s name', () => {
    const file = durableFile('/d/a', PAGE);
    file.map(memory, A, PAGE, 'write');
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
    file.map(memory, A, 2 * PAGE, 'write');
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
    file.map(memory, A, PAGE, 'write');
    const reader = disk.storage();
    reader.open('/d/a', 'read').map(memory, B, PAGE, 'read');
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
    const mapping = durableFile('/d/a', PAGE).map(memory, A, PAGE, 'read');
    const waiting = storage.wait(memory, A, 0, Infinity);
    mapping.unmap();
    await waiting;
  });
});
