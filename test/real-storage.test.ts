/** The real storage: names, bytes, allocation and mappings, on the file system of the temporary directory. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CoreMemory, RANGE_ALIGNMENT } from '../host/core/memory.ts';
import { posix } from '../host/io/posix.ts';
import { realStorage, unsupportedReason } from '../host/io/real-storage.ts';
import { childKit, failure, kernel, scratch } from './support/real-storage.ts';

const MIB = 1 << 20;
const storage = realStorage();
const memory = new CoreMemory();
let place: ReturnType<typeof scratch>;

beforeEach(() => { place = scratch(); });
afterEach(() => place.remove());

describe('names', () => {
  it('is one shared object on a supported platform', () => {
    expect(realStorage()).toBe(storage);
    expect(unsupportedReason()).toBeUndefined();
    expect(storage.pid).toBe(process.pid);
  });

  it('makes directories with their parents and tells which it made', () => {
    expect(storage.createDirectory(place.file('a/b/c'))).toEqual(['a', 'a/b', 'a/b/c'].map(place.file));
    expect(storage.createDirectory(place.file('a/b/d/'))).toEqual([place.file('a/b/d')]);
    expect(storage.createDirectory(place.file('a/b'))).toEqual([]);
  });

  it('refuses to make a directory where a file is', () => {
    writeFileSync(place.file('a'), '');
    expect(failure('ERR_VARVE_IO', () => storage.createDirectory(place.file('a'))).details)
      .toEqual({ path: place.file('a'), syscall: 'mkdir', errno: 'EEXIST' });
  });

  it('lists sorted names, and nothing where there is no directory', () => {
    for (const name of ['b', 'c', 'B', 'a']) storage.create(place.file(name)).close();
    expect(storage.list(place.path)).toEqual(['B', 'a', 'b', 'c']);
    expect(storage.list(place.file('none'))).toBeUndefined();
    expect(failure('ERR_VARVE_IO', () => storage.list(place.file('a'))).details['errno']).toBe('ENOTDIR');
  });

  it('creates only what is not there and opens only what is', () => {
    storage.create(place.file('a')).close();
    expect(failure('ERR_VARVE_IO', () => storage.create(place.file('a'))).details['errno']).toBe('EEXIST');
    const missing = failure('ERR_VARVE_NOT_FOUND', () => storage.open(place.file('b'), 'read'));
    expect(missing.details).toEqual({ path: place.file('b'), syscall: 'open', errno: 'ENOENT' });
    expect(missing.message).toContain(place.file('b'));
    failure('ERR_VARVE_NOT_FOUND', () => storage.create(place.file('no/such/directory')));
    expect(failure('ERR_VARVE_IO', () => storage.open(place.path, 'write')).details['errno']).toBe('EISDIR');
    expect(failure('ERR_VARVE_IO', () => storage.open(place.file('a/b'), 'read')).details['errno']).toBe('ENOTDIR');
  });

  it('says whether there is a file', () => {
    storage.create(place.file('a')).close();
    expect(['a', 'b', '.', 'a/b'].map((name) => storage.exists(place.file(name)))).toEqual([true, false, false, false]);
    symlinkSync('nowhere', place.file('dangling'));
    expect(storage.exists(place.file('dangling'))).toBe(false);
  });

  it('renames over an existing file', () => {
    writeFileSync(place.file('a'), 'new');
    writeFileSync(place.file('b'), 'old');
    storage.rename(place.file('a'), place.file('b'));
    expect(storage.list(place.path)).toEqual(['b']);
    expect(readFileSync(place.file('b'), 'utf8')).toBe('new');
    failure('ERR_VARVE_NOT_FOUND', () => storage.rename(place.file('a'), place.file('b')));
  });

  it('renames a directory over an empty one alone, and removes empty ones', () => {
    for (const name of ['a', 'b', 'full']) storage.createDirectory(place.file(name));
    writeFileSync(place.file('a/one'), '1');
    writeFileSync(place.file('full/two'), '2');
    failure('ERR_VARVE_IO', () => { storage.rename(place.file('a'), place.file('full')); });
    storage.rename(place.file('a'), place.file('b'));
    expect([storage.list(place.path), storage.list(place.file('b'))]).toEqual([['b', 'full'], ['one']]);
    failure('ERR_VARVE_IO', () => { storage.removeDirectory(place.file('b')); });
    storage.remove(place.file('b/one'));
    for (let twice = 0; twice < 2; twice++) storage.removeDirectory(place.file('b'));
    expect(storage.list(place.path)).toEqual(['full']);
  });

  it('removes a file, or does nothing where there is none', () => {
    storage.create(place.file('a')).close();
    storage.remove(place.file('a'));
    storage.remove(place.file('a'));
    expect(existsSync(place.file('a'))).toBe(false);
    failure('ERR_VARVE_IO', () => storage.remove(place.path));
  });

  it('removes a file off the event loop, or does nothing where there is none', async () => {
    storage.create(place.file('a')).close();
    const removed = storage.removeLater(place.file('a'));
    await removed;
    await storage.removeLater(place.file('a'));
    expect(existsSync(place.file('a'))).toBe(false);
    await expect(storage.removeLater(place.path)).rejects.toMatchObject({ code: 'ERR_VARVE_IO' });
    await expect(storage.removeLater('a')).rejects.toMatchObject({ code: 'ERR_VARVE_INTERNAL' });
  });

  it('syncs directories and refuses missing ones', async () => {
    await storage.syncDirectory(place.path);
    storage.syncDirectoryNow(place.path);
    failure('ERR_VARVE_NOT_FOUND', () => storage.syncDirectoryNow(place.file('a')));
    await expect(storage.syncDirectory(place.file('a'))).rejects.toMatchObject({ code: 'ERR_VARVE_NOT_FOUND' });
  });

  it('refuses relative paths', () => {
    failure('ERR_VARVE_INTERNAL', () => storage.create('a'));
  });

  it('fills with random bytes', () => {
    const bytes = new Uint8Array(64);
    storage.random(bytes);
    expect(bytes.some((byte) => byte !== 0)).toBe(true);
  });
});

describe('bytes', () => {
  it('reads what was written and stops at the end of the file', () => {
    const file = storage.create(place.file('a'));
    file.write(Buffer.from('hello'), 3);
    const target = new Uint8Array(10);
    expect(file.read(target, 1)).toBe(7);
    expect(Buffer.from(target).toString('latin1')).toBe('\0\0hello\0\0\0');
    expect(file.read(target, 100)).toBe(0);
    file.truncate(4);
    expect(file.size()).toBe(4);
    file.close();
  });

  it('syncs on and off the event loop, also when it is closed meanwhile', async () => {
    const file = storage.create(place.file('a'));
    file.write(Buffer.from('hello'), 0);
    file.syncNow();
    const syncs = [file.sync(), file.sync()];
    file.close();
    await Promise.all(syncs);
    file.close();
    await expect(file.sync()).rejects.toMatchObject({ code: 'ERR_VARVE_INTERNAL' });
    failure('ERR_VARVE_INTERNAL', () => file.size());
  });

  it('refuses to write through a file that was opened for reading', () => {
    writeFileSync(place.file('a'), 'hello');
    const file = storage.open(place.file('a'), 'read');
    const error = failure('ERR_VARVE_IO', () => file.write(Buffer.from('x'), 0));
    expect(error.details).toEqual({ path: place.file('a'), syscall: 'write', errno: 'EBADF' });
    failure('ERR_VARVE_IO', () => file.allocate(100));
    file.close();
  });
});

describe('allocating', () => {
  it('gives every block to the file, those of holes too, and keeps a longer file', () => {
    const file = storage.create(place.file('a'));
    file.truncate(MIB);
    file.write(Buffer.from('kept'), 8192);
    file.allocate(3 * MIB);
    expect(file.size()).toBe(3 * MIB);
    expect(statSync(place.file('a')).blocks * 512).toBeGreaterThanOrEqual(3 * MIB);
    file.allocate(MIB);
    expect(file.size()).toBe(3 * MIB);
    const bytes = new Uint8Array(4);
    file.read(bytes, 8192);
    expect(Buffer.from(bytes).toString()).toBe('kept');
    file.close();
  });

  it('is refused beyond the file-size limit of the process, which survives, with the length restored', async () => {
    const kit = await childKit(place.path);
    const child = kit.start(`
      const file = storage.create(${JSON.stringify(place.file('a'))});
      file.allocate(65536);
      const code = codeOf(() => file.allocate(16 << 20));
      tell([code, file.size(), codeOf(() => file.allocate(131072)), file.size()]);
    `, { shell: 'ulimit -f 1024' });
    expect(await child.told()).toEqual(['ERR_VARVE_DISK_FULL', 65536, 'none', 131072]);
    expect(await child.ended).toEqual([0, null]);
  });

  describe('on a full disk', () => {
    let disk: ReturnType<typeof scratch>;
    let mounted = false;
    beforeAll(() => {
      disk = scratch();
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk.path], { stdio: 'ignore' });
        mounted = true;
      } catch {
        // Only root may mount: the tests skip themselves.
      }
    });
    afterAll(() => {
      if (mounted) execFileSync('umount', ['-l', disk.path]);
      disk.remove();
    });

    it('is refused with the length restored, and works again when there is room', (context) => {
      if (!mounted) return context.skip('only root can mount a small file system');
      const file = storage.create(disk.file('a'));
      file.allocate(256 * 1024);
      const error = failure('ERR_VARVE_DISK_FULL', () => file.allocate(4 * MIB));
      expect(error.details).toEqual({ path: disk.file('a'), syscall: 'fallocate', errno: 'ENOSPC' });
      expect(file.size()).toBe(256 * 1024);
      file.allocate(512 * 1024);
      failure('ERR_VARVE_DISK_FULL', () => file.write(new Uint8Array(2 * MIB), 0));
      file.close();
      storage.remove(disk.file('a'));
    });

    it('does not keep the lock from being taken', (context) => {
      if (!mounted) return context.skip('only root can mount a small file system');
      const file = storage.create(disk.file('b'));
      failure('ERR_VARVE_DISK_FULL', () => file.write(new Uint8Array(2 * MIB), 0));
      const lock = storage.lock(disk.file('LOCK'));
      failure('ERR_VARVE_LOCKED', () => storage.lock(disk.file('LOCK')));
      lock.release();
      file.close();
    });
  });
});

describe('mapping', () => {
  it('shows the same bytes as read and write, both ways, at an odd length', () => {
    const file = storage.create(place.file('a'));
    file.allocate(100_001);
    const address = memory.reserve(100_001);
    const mapping = file.map(memory, address, 100_001, 'write');
    expect([mapping.address, mapping.length]).toEqual([address, 100_001]);
    memory.bytes.set(Buffer.from('by store'), address + 99_990);
    file.write(Buffer.from('by write'), 5000);
    const bytes = new Uint8Array(8);
    file.read(bytes, 99_990);
    expect(Buffer.from(bytes).toString()).toBe('by store');
    expect(Buffer.from(memory.bytes.slice(address + 5000, address + 5008)).toString()).toBe('by write');
    mapping.unmap();
    memory.release(address, 100_001);
    file.close();
  });

  it('reads as zeros after unmapping, which leaves the file alone and may be repeated', () => {
    const file = storage.create(place.file('a'));
    file.write(Buffer.alloc(70_000, 7), 0);
    const address = memory.reserve(70_000);
    const mapping = file.map(memory, address, 70_000, 'write');
    expect(memory.bytes[address + 69_999]).toBe(7);
    mapping.unmap();
    mapping.unmap();
    expect(memory.bytes.subarray(address, address + 131_072).some((byte) => byte !== 0)).toBe(false);
    memory.bytes[address] = 1;
    mapping.populate(0, 70_000);
    mapping.advise(0, 70_000, 'dontneed');
    mapping.unmap();
    expect(memory.bytes[address]).toBe(1);
    memory.bytes[address] = 0;
    expect(readFileSync(place.file('a'))[0]).toBe(7);
    memory.release(address, 70_000);
    file.close();
  });

  it('outlives the descriptor and the name of its file', () => {
    const file = storage.create(place.file('a'));
    file.write(Buffer.alloc(8192, 7), 0);
    const address = memory.reserve(8192);
    const mapping = file.map(memory, address, 8192, 'read');
    file.close();
    storage.remove(place.file('a'));
    expect(memory.bytes[address + 8191]).toBe(7);
    mapping.unmap();
    memory.release(address, 8192);
  });

  it('grows in place when it is mapped again, and the older mapping can do no harm then', () => {
    const file = storage.create(place.file('a'));
    file.allocate(MIB);
    const address = memory.reserve(MIB);
    const older = file.map(memory, address, 65_536, 'write');
    memory.bytes[address] = 9;
    const newer = file.map(memory, address, MIB, 'write');
    older.unmap();
    memory.bytes[address + MIB - 1] = 9;
    const bytes = readFileSync(place.file('a'));
    expect([bytes[0], bytes[MIB - 1], memory.bytes[address]]).toEqual([9, 9, 9]);
    const shorter = file.map(memory, address, 65_536, 'write');
    expect([memory.bytes[address], memory.bytes[address + MIB - 1]]).toEqual([9, 0]);
    newer.unmap();
    shorter.unmap();
    memory.release(address, MIB);
    file.close();
  });

  it('shows a part of the file, from a multiple of 64 KiB on, and no other', () => {
    const file = storage.create(place.file('part'));
    file.allocate(200_000);
    file.write(Uint8Array.of(1), 65535);
    file.write(Uint8Array.of(2, 3), 65536);
    const address = memory.reserve(2 * RANGE_ALIGNMENT);
    const mapping = file.map(memory, address, 100_000, 'write', RANGE_ALIGNMENT);
    expect([...memory.bytes.subarray(address, address + 2)]).toEqual([2, 3]);
    memory.bytes[address + 99_999] = 4;
    const target = new Uint8Array(1);
    expect([file.read(target, 165_535), ...target]).toEqual([1, 4]);
    const next = file.map(memory, address, 68_928, 'write', 2 * RANGE_ALIGNMENT);
    expect(memory.bytes[address + 34_463]).toBe(4);
    mapping.unmap();
    expect(memory.bytes[address + 34_463]).toBe(4);
    failure('ERR_VARVE_INTERNAL', () => file.map(memory, address, 68_929, 'write', 2 * RANGE_ALIGNMENT));
    failure('ERR_VARVE_INTERNAL', () => file.map(memory, address, 4096, 'write', 4096));
    next.unmap();
    memory.release(address, 2 * RANGE_ALIGNMENT);
    file.close();
  });

  it('refuses what would fault or leave the memory', () => {
    const file = storage.create(place.file('a'));
    file.allocate(65_536);
    const top = memory.bytes.length;
    for (const [address, length] of [
      [MIB, 65_537], [MIB, 0], [MIB, -1], [MIB, Number.NaN], [MIB + 4096, 4096], [-65_536, 4096], [top, 4096],
      [top - 65_536, 65_537], [MIB + 0.5, 4096], [2 ** 53, 4096],
    ] as const) failure('ERR_VARVE_INTERNAL', () => file.map(memory, address, length, 'write'));
    file.map(memory, top - 65_536, 65_536, 'write').unmap();
    file.close();
  });

  it('takes every kind of advice', () => {
    const file = storage.create(place.file('a'));
    file.write(Buffer.alloc(MIB, 7), 0);
    const address = memory.reserve(MIB);
    const mapping = file.map(memory, address, MIB, 'write');
    for (const pattern of ['normal', 'random', 'sequential', 'willneed', 'dontneed'] as const) {
      mapping.advise(5, MIB, pattern);
      mapping.advise(4096, 0, pattern);
    }
    expect(memory.bytes[address + MIB - 1]).toBe(7);
    mapping.unmap();
    memory.release(address, MIB);
    file.close();
  });
});

describe('populating', () => {
  // The storage comes first: only who loads the first library may say how many calls koffi has at hand.
  posix();
  const system = kernel();

  // Calls count as running until the event loop has had a turn.
  afterEach(() => new Promise((resolve) => setTimeout(resolve, 10)));

  /** Resident bytes of the mapping that begins at `address` of the core's memory, from its page tables. */
  function residentBytes(address: number): number {
    const start = (system.address(memory.bytes) + address).toString(16);
    const map = readFileSync('/proc/self/smaps', 'utf8').split(new RegExp(`^${start}-`, 'm'))[1] ?? '';
    return Number(/^Rss:\s+(\d+) kB/m.exec(map)?.[1] ?? 0) * 1024;
  }

  it('makes the pages present that it is told, and no others', (context) => {
    if (!posix().canPopulate) return context.skip('this kernel cannot populate');
    const file = storage.create(place.file('a'));
    file.allocate(8 * MIB);
    const address = memory.reserve(8 * MIB);
    const mapping = file.map(memory, address, 8 * MIB, 'write');
    expect(residentBytes(address)).toBe(0);
    mapping.populate(4 * MIB, 2 * MIB);
    expect(residentBytes(address)).toBe(2 * MIB);
    mapping.populate(7 * MIB, 100 * MIB);
    expect(residentBytes(address)).toBe(3 * MIB);
    mapping.unmap();
    memory.release(address, 8 * MIB);
    file.close();
  });

  it('never fails, however often it is called', async () => {
    mkdirSync(place.file('d'));
    const file = storage.create(place.file('d/a'));
    file.allocate(MIB);
    const address = memory.reserve(MIB);
    const mapping = file.map(memory, address, MIB, 'read');
    for (let call = 0; call < 100; call++) mapping.populate(0, MIB);
    mapping.populate(-5, 10);
    mapping.populate(MIB, 4096);
    await storage.syncDirectory(place.path);
    mapping.unmap();
    memory.release(address, MIB);
    file.close();
  });
});
