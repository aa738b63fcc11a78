/**
 * A lock: an flock on a file. It belongs to the open descriptor, so that it dies with the process, however the process
 * ends, and a second attempt within the same process is refused as well. Node.js opens every descriptor close-on-exec:
 * children do not inherit the lock.
 *
 * The file ends with the owner's process id, for the message of those who come second; nothing is ever decided by it.
 * Only the owner of the lock may remove the file. A lock on a removed file would exclude nobody: whoever gets one
 * begins again.
 */
import { closeSync, constants as flags, fstatSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { VarveError } from '../errors/varve-error.ts';
import { attempt, CANNOT, errnoName, refused } from './errors.ts';
import { LOCK_EXCLUSIVE_NOW, posix } from './posix.ts';
import type { Lock } from './storage.ts';

const { EWOULDBLOCK, EINTR } = constants.errno;

/**
 * Takes the lock without waiting. Errors: ERR_VARVE_LOCKED with details {path, pid}, and those of opening the file.
 *
 * @param ownerAt where in the file the owner's process id stands; nothing may be behind it
 */
export function lockFile(path: string, ownerAt: number): Lock {
  for (;;) {
    const fd = lockedDescriptor(path, ownerAt);
    if (isAt(fd, path)) {
      writeOwner(fd, ownerAt);
      return new HeldLock(fd, ownerAt);
    }
    // Its owner removed it after it was opened here and before its lock was taken.
    closeSync(fd);
  }
}

function lockedDescriptor(path: string, ownerAt: number): number {
  const system = posix();
  const fd = attempt(path, () => openSync(path, flags.O_RDWR | flags.O_CREAT, 0o666));
  let errno: number;
  do errno = system.flock(fd, LOCK_EXCLUSIVE_NOW); while (errno === EINTR);
  if (errno === 0) return fd;
  const owner = errno === EWOULDBLOCK ? readOwner(fd, ownerAt) : undefined;
  closeSync(fd);
  if (errno === EWOULDBLOCK) throw locked(path, owner);
  const name = errnoName(errno);
  throw refused('flock', path, name, CANNOT.has(name) ? 'ERR_VARVE_UNSUPPORTED' : undefined);
}

/** Whether an open file is still the one that its path leads to. */
function isAt(fd: number, path: string): boolean {
  const mine = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === mine.ino && there.dev === mine.dev;
}

class HeldLock implements Lock {
  private fd: number | undefined;
  private readonly ownerAt: number;

  constructor(fd: number, ownerAt: number) {
    this.fd = fd;
    this.ownerAt = ownerAt;
  }

  release(): void {
    if (this.fd === undefined) return;
    const fd = this.fd;
    this.fd = undefined;
    // The next owner is not to be mistaken for this process in the moment before it has written its own id.
    quietly(() => ftruncateSync(fd, this.ownerAt));
    closeSync(fd);
  }
}

function locked(path: string, pid: number | undefined): VarveError {
  const owner = pid === undefined ? 'another process' : pid === process.pid ? 'this process' : `process ${pid}`;
  return new VarveError('ERR_VARVE_LOCKED',
    `${owner} has ${path} locked${pid === process.pid ? ` (pid ${pid})` : ''}; stop it, or open read-only`,
    { path, pid });
}

/** A full disk must not keep anyone from opening: the lock holds without the name of its owner. */
function writeOwner(fd: number, ownerAt: number): void {
  quietly(() => {
    ftruncateSync(fd, ownerAt);
    writeSync(fd, `${process.pid}\n`, ownerAt);
  });
}

function readOwner(fd: number, ownerAt: number): number | undefined {
  const text = Buffer.alloc(32);
  const length = quietly(() => readSync(fd, text, 0, text.length, ownerAt)) ?? 0;
  const match = /^(\d+)\n/.exec(text.toString('latin1', 0, length));
  return match === null ? undefined : Number(match[1]);
}

function quietly<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch {
    return undefined;
  }
}
