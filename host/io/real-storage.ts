/**
 * `Storage` on the real operating system: names and directories here, files in real-file.ts, mappings in mapping.ts,
 * views in views.ts, the lock in lock.ts, waking in wake.ts, system calls in posix.ts. It holds no state but of syncs
 * that are under way, so that one object serves everybody; it must never return an error that is not a `VarveError`.
 *
 * The platform is checked at the first use, not at import: a program may import varve anywhere.
 */
import { randomFillSync } from 'node:crypto';
import {
  closeSync, fchmodSync, fchownSync, fstatSync, fsync, fsyncSync, mkdirSync, open, openSync, readdirSync, renameSync,
  rmdirSync, statfsSync, statSync, unlink, unlinkSync,
} from 'node:fs';
import { dirname, isAbsolute, normalize } from 'node:path';
import type { CoreMemory } from '../core/memory.ts';
import { VarveError } from '../errors/varve-error.ts';
import { attempt, misuse, translated } from './errors.ts';
import { lockFile, shareLockFile } from './lock.ts';
import { adviseHugePages, discardRange } from './mapping.ts';
import { assertSupported } from './posix.ts';
import { RealFile } from './real-file.ts';
import type { Lock, Notice, SharedLock, Storage, StoredFile } from './storage.ts';
import { isChanged, WAIT_MS_MAX, waitWord, wakeWord } from './wake.ts';

export { unsupportedReason } from './posix.ts';

/** Of a file's mode, what may be set. */
const MODE_BITS = 0o7777;

let shared: Storage | undefined;

/** The storage of this machine; always the same object. */
export function realStorage(): Storage {
  return shared ??= new RealStorage();
}

/**
 * A directory that was opened before a sync of it was started off the event loop. Linux tells each open file once of a
 * failed write-back, and those that are opened afterwards only where nobody was told yet: a blocking sync that comes in
 * between asks this one.
 */
interface Witness {
  readonly fd: number;
  /** Under way. */
  syncs: number;
}

class RealStorage implements Storage {
  readonly pid = process.pid;
  private readonly witnesses = new Map<string, Witness>();

  alive(pid: number): boolean {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      // A process of another user cannot be signalled, but it is there.
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  }

  createDirectory(path: string): string[] {
    return on(path, () => {
      const target = normalize(path).replace(/(?<=.)\/$/, '');
      const first = mkdirSync(target, { recursive: true });
      const made: string[] = [];
      if (first === undefined) return made;
      for (let at = target; at.length >= first.length; at = dirname(at)) made.unshift(at);
      return made;
    });
  }

  freeBytes(directory: string): number {
    try {
      const { bavail, bsize } = statfsSync(directory);
      return bavail * bsize;
    } catch {
      return Infinity;
    }
  }

  list(directory: string): string[] | undefined {
    try {
      return on(directory, () => readdirSync(directory).sort());
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  open(path: string, access: 'read' | 'write'): StoredFile {
    return new RealFile(path, on(path, () => openSync(path, access === 'read' ? 'r' : 'r+')));
  }

  create(path: string, like?: string): StoredFile {
    const descriptor = on(path, () => openSync(path, 'wx+'));
    if (like !== undefined) takeRights(descriptor, like);
    return new RealFile(path, descriptor);
  }

  async createLater(path: string, length: number): Promise<StoredFile> {
    const file = await new Promise<RealFile>((resolve, reject) => {
      on(path, () => open(path, 'wx+', (error, descriptor) => {
        if (error === null) resolve(new RealFile(path, descriptor));
        else reject(translated(error, path));
      }));
    });
    try {
      await file.allocateLater(length);
      return file;
    } catch (error) {
      file.close();
      await this.removeLater(path);
      throw error;
    }
  }

  exists(path: string): boolean {
    try {
      return on(path, () => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
    } catch (error) {
      // ENOTDIR: a file stands where the path wants a directory, so there is nothing behind it.
      if (VarveError.is(error) && ['ENOENT', 'ENOTDIR'].includes(String(error.details['errno']))) return false;
      throw error;
    }
  }

  rename(from: string, to: string): void {
    on(from, () => renameSync(from, to));
  }

  remove(path: string): void {
    try {
      on(path, () => unlinkSync(path));
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) throw error;
    }
  }

  removeLater(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      on(path, () => unlink(path, (error) => {
        if (error === null || error.code === 'ENOENT') resolve();
        else reject(translated(error, path));
      }));
    });
  }

  removeDirectory(path: string): void {
    try {
      on(path, () => rmdirSync(path));
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) throw error;
    }
  }

  syncDirectory(directory: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const fd = on(directory, () => openSync(directory, 'r'));
      let witness: Witness;
      try {
        witness = this.witness(directory);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      fsync(fd, (error) => {
        closeSync(fd);
        if (--witness.syncs === 0) {
          this.witnesses.delete(directory);
          closeSync(witness.fd);
        }
        if (error === null) resolve();
        else reject(translated(error, directory));
      });
    });
  }

  private witness(directory: string): Witness {
    let witness = this.witnesses.get(directory);
    if (witness === undefined) {
      witness = { fd: on(directory, () => openSync(directory, 'r')), syncs: 0 };
      this.witnesses.set(directory, witness);
    }
    witness.syncs++;
    return witness;
  }

  syncDirectoryNow(directory: string): void {
    const witness = this.witnesses.get(directory);
    on(directory, () => {
      if (witness !== undefined) fsyncSync(witness.fd);
      const fd = openSync(directory, 'r');
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
  }

  lock(path: string, ownerAt = 0): Lock {
    return on(path, () => lockFile(path, ownerAt));
  }

  lockShared(path: string): SharedLock {
    return on(path, () => shareLockFile(path));
  }

  discard(memory: CoreMemory, address: number, length: number): void {
    discardRange(memory, address, length);
  }

  adviseHuge(memory: CoreMemory, address: number, length: number): void {
    adviseHugePages(memory, address, length);
  }

  now(): number {
    return Date.now();
  }

  random(target: Uint8Array): void {
    randomFillSync(target);
  }

  wake(memory: CoreMemory, address: number, notice?: Notice): void {
    wakeWord(memory, address);
    if (notice?.file instanceof RealFile) notice.file.notify(notice.position);
  }

  wait(
    memory: CoreMemory, address: number, seen: number, milliseconds: number, notice?: Notice, alive = true,
  ): Promise<void> {
    const watch = notice?.file instanceof RealFile ? notice.file.watch() : undefined;
    // Listening comes before the look at the word: what is written in between is noticed.
    if (watch === undefined || !watch.listen()) return waitWord(memory, address, seen, milliseconds, alive);
    if (!(milliseconds > 0) || isChanged(memory, address, seen)) return Promise.resolve();
    return watch.wait(Math.min(milliseconds, WAIT_MS_MAX), alive);
  }
}

/** Gives a new file mode and owner of another one; the owner only where this process may. */
function takeRights(descriptor: number, like: string): void {
  try {
    const { mode, uid, gid } = on(like, () => statSync(like));
    fchmodSync(descriptor, mode & MODE_BITS);
    const made = fstatSync(descriptor);
    if (made.uid !== uid || made.gid !== gid) fchownSync(descriptor, uid, gid);
  } catch (error) {
    // Who may not give files away keeps his own.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') {
      closeSync(descriptor);
      throw translated(error, like);
    }
  }
}

/** Runs an operation on a path, after the checks that every operation needs. */
function on<T>(path: string, operation: () => T): T {
  assertSupported();
  if (!isAbsolute(path)) throw misuse(`the path ${path} is not absolute`, { path });
  return attempt(path, operation);
}
