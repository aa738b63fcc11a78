/**
 * A lock: an flock on a file. It belongs to the open descriptor, so that it dies with the process, however the process
 * ends, and a second attempt within the same process is refused as well. Node.js opens every descriptor close-on-exec:
 * children do not inherit the lock.
 *
 * The file ends with the owner's process id, for the message of those who come second; nothing is ever decided by it,
 * but for how long somebody waits: those who share a lock write `shared` instead, and whoever wants to share it too
 * waits for one of them that has it alone for a moment.
 * Only the owner of the lock may remove the file. A lock on a removed file would exclude nobody: whoever gets one
 * begins again.
 */
import { closeSync, constants as flags, fstatSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { VarveError } from '../errors/varve-error.ts';
import { attempt, CANNOT, errnoName, refused } from './errors.ts';
import { LOCK_EXCLUSIVE_NOW, LOCK_SHARED_NOW, posix } from './posix.ts';
import type { Lock, SharedLock } from './storage.ts';

const { EWOULDBLOCK, EINTR } = constants.errno;
/** What stands in the file in the place of an owner while it is shared. */
const SHARED = 'shared\n';
/** How often somebody looks whether a lock is shared again, and how long he sleeps in between. */
const LOOKS_MAX = 30_000;
const LOOK_MS = 1;
/** Looks at a file without an owner, who has not come to write his name yet. */
const NAMELESS_LOOKS_MAX = 100;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * Takes the lock without waiting. Errors: ERR_VARVE_LOCKED with details {path, pid}, and those of opening the file.
 *
 * @param ownerAt where in the file the owner's process id stands; nothing may be behind it
 */
export function lockFile(path: string, ownerAt: number): Lock {
  for (;;) {
    const fd = lockedDescriptor(path, ownerAt);
    if (isAt(fd, path)) {
      writeText(fd, `${process.pid}\n`, ownerAt);
      return new HeldLock(fd, ownerAt);
    }
    // Its owner removed it after it was opened here and before its lock was taken.
    closeSync(fd);
  }
}

/**
 * Takes the lock together with others. Errors: ERR_VARVE_LOCKED where somebody has it for himself, and those of opening
 * the file.
 */
export function shareLockFile(path: string): SharedLock {
  const fd = openLock(path);
  try {
    const alone = tryLock(fd, path, LOCK_EXCLUSIVE_NOW);
    if (alone) writeText(fd, SHARED, 0);
    else share(fd, path);
    return new HeldShare(fd, path, alone);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Comes to share a lock; waits while one who is going to share it has it alone. */
function share(fd: number, path: string): void {
  let nameless = 0;
  for (let look = 0; look < LOOKS_MAX; look++) {
    if (tryLock(fd, path, LOCK_SHARED_NOW)) return;
    const text = readText(fd, 0);
    if (text !== SHARED && (text !== '' || ++nameless > NAMELESS_LOOKS_MAX)) break;
    Atomics.wait(nothing, 0, 0, LOOK_MS);
  }
  throw locked(path, ownerIn(readText(fd, 0)));
}

function openLock(path: string): number {
  return attempt(path, () => openSync(path, flags.O_RDWR | flags.O_CREAT, 0o666));
}

/** Whether the lock could be taken. */
function tryLock(fd: number, path: string, operation: number): boolean {
  let errno: number;
  do errno = posix().flock(fd, operation); while (errno === EINTR);
  if (errno === 0 || errno === EWOULDBLOCK) return errno === 0;
  const name = errnoName(errno);
  throw refused('flock', path, name, CANNOT.has(name) ? 'ERR_VARVE_UNSUPPORTED' : undefined);
}

function lockedDescriptor(path: string, ownerAt: number): number {
  const fd = openLock(path);
  try {
    if (tryLock(fd, path, LOCK_EXCLUSIVE_NOW)) return fd;
    throw locked(path, ownerIn(readText(fd, ownerAt)));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
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

/** Whoever releases it last takes the text away. */
class HeldShare implements SharedLock {
  readonly alone: boolean;
  private fd: number | undefined;
  private readonly path: string;

  constructor(fd: number, path: string, alone: boolean) {
    this.fd = fd;
    this.path = path;
    this.alone = alone;
  }

  share(): void {
    // The kernel gives the one lock back before it takes the other.
    if (this.fd !== undefined && this.alone) share(this.fd, this.path);
  }

  release(): void {
    if (this.fd === undefined) return;
    const fd = this.fd;
    this.fd = undefined;
    quietly(() => {
      if (tryLock(fd, this.path, LOCK_EXCLUSIVE_NOW)) ftruncateSync(fd, 0);
    });
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
function writeText(fd: number, text: string, at: number): void {
  quietly(() => {
    // As a rule whoever had it before has left nothing.
    if (fstatSync(fd).size > at) ftruncateSync(fd, at);
    writeSync(fd, text, at);
  });
}

function readText(fd: number, at: number): string {
  const text = Buffer.alloc(32);
  const length = quietly(() => readSync(fd, text, 0, text.length, at)) ?? 0;
  return text.toString('latin1', 0, length);
}

function ownerIn(text: string): number | undefined {
  const match = /^(\d+)\n/.exec(text);
  return match === null ? undefined : Number(match[1]);
}

function quietly<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch {
    return undefined;
  }
}
