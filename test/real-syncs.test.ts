/** Which open files the syncs of the real storage go by: Linux tells each of them once of a failed write-back. */
import fs, { statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realStorage } from '../host/io/real-storage.ts';
import { scratch } from './support/real-storage.ts';

const storage = realStorage();
let place: ReturnType<typeof scratch>;

beforeEach(() => { place = scratch(); });
afterEach(() => place.remove());

describe('syncs', () => {
  const system = { fdatasync: fs.fdatasync, fdatasyncSync: fs.fdatasyncSync, fsync: fs.fsync, fsyncSync: fs.fsyncSync };
  afterEach(() => {
    Object.assign(fs, system);
    syncBuiltinESMExports();
  });

  /** Runs what syncs, and tells each call: its name, its descriptor, and the inode behind that. */
  function callsOf(run: () => void): { name: string; fd: number; ino: number }[] {
    const calls: { name: string; fd: number; ino: number }[] = [];
    for (const [name, real] of Object.entries(system)) {
      Object.assign(fs, { [name]: (fd: number, ...rest: unknown[]) => {
        calls.push({ name, fd, ino: fs.fstatSync(fd).ino });
        return (real as (...all: unknown[]) => unknown)(fd, ...rest);
      } });
    }
    syncBuiltinESMExports();
    run();
    return calls;
  }

  it('of a file, off the event loop and blocking, are told of failures each by an open file of its own', async () => {
    const file = storage.create(place.file('a'));
    file.write(Buffer.from('x'), 0);
    // The name of the file may be another one's by now.
    storage.rename(place.file('a'), place.file('b'));
    writeFileSync(place.file('a'), 'other');
    let pending: Promise<unknown> | undefined;
    const calls = callsOf(() => {
      pending = Promise.all([file.sync(), file.sync()]);
      file.syncNow();
    });
    const { ino } = statSync(place.file('b'));
    expect(calls.map(({ name }) => name)).toEqual(['fdatasync', 'fdatasync', 'fdatasyncSync']);
    expect(calls.map((call) => call.ino)).toEqual([ino, ino, ino]);
    expect(calls[0]!.fd).toBe(calls[1]!.fd);
    expect(calls[0]!.fd).not.toBe(calls[2]!.fd);
    await pending;
    file.close();
    const open = calls.filter(({ fd }) => {
      try {
        return fs.fstatSync(fd).ino === ino;
      } catch {
        return false;
      }
    });
    expect(open).toEqual([]);
  });

  it('of a directory that block ask an open file from before those that are under way', async () => {
    let pending: Promise<unknown> | undefined;
    const calls = callsOf(() => {
      pending = Promise.all([storage.syncDirectory(place.path), storage.syncDirectory(place.path)]);
      storage.syncDirectoryNow(place.path);
    });
    expect(calls.map(({ name }) => name)).toEqual(['fsync', 'fsync', 'fsyncSync', 'fsyncSync']);
    expect(new Set(calls.map(({ fd }) => fd)).size).toBe(4);
    await pending;
    expect(callsOf(() => { storage.syncDirectoryNow(place.path); })).toHaveLength(1);
  });
});
