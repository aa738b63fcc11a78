/**
 * An open file of the real storage: bytes, length, durability. It owns the descriptor; mappings and views made of it
 * live on without it. It never makes a file shorter than what it was asked for, and a failed `allocate` leaves the
 * length as it was.
 *
 * A descriptor whose number were used again would sync another file, so `close` waits for what is under way.
 *
 * Linux tells of a failed write-back once per open file. Syncs off the event loop have an open file of their own, so
 * that a failure that one of them was told of, but not yet its caller, fails a blocking sync too.
 */
import {
  closeSync, fdatasync, fdatasyncSync, fstatSync, ftruncate, ftruncateSync, openSync, readSync, renameSync, writeSync,
  type NoParamCallback,
} from 'node:fs';
import { constants } from 'node:os';
import type { CoreMemory } from '../core/memory.ts';
import { attempt, CANNOT, errnoName, misuse, refused, translated } from './errors.ts';
import { mapFile, type MappedFile } from './mapping.ts';
import { LOCK_EXCLUSIVE, LOCK_NONE, posix } from './posix.ts';
import type { Mapping, MappingAccess, StoredFile } from './storage.ts';
import { viewFile } from './views.ts';
import { FileWatch } from './watch.ts';

const { EINTR, ENXIO } = constants.errno;
/** Interrupted allocations are begun again so often; on some file systems each begins from nothing. */
const INTERRUPTIONS_MAX = 1000;
/** Node.js refuses transfers of 2 GiB and more. */
const TRANSFER_BYTES_MAX = 1 << 30;
/** A file of more ranges with holes between counts as data from end to end. */
const DATA_RANGES_MAX = 64;
/** What a notice writes. */
const NOTHING = new Uint8Array(4);

export class RealFile implements StoredFile {
  path: string;
  private readonly descriptor: number;
  private open = true;
  /** Calls that run off the event loop. */
  private underWay = 0;
  /** What syncs off the event loop use; none where the file cannot be opened once more. */
  private second: number | undefined;
  private watched: FileWatch | undefined;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.descriptor = descriptor;
  }

  size(): number {
    return attempt(this.path, () => fstatSync(this.fd()).size);
  }

  endOfData(): number {
    const size = this.size();
    const fd = this.fd();
    const system = posix();
    let end = 0;
    for (let i = 0; i < DATA_RANGES_MAX; i++) {
      const data = system.seekData(fd, end);
      if (data === -ENXIO) return end;
      const hole = data < 0 ? data : system.seekHole(fd, data);
      if (hole <= end) return size;
      end = hole;
      if (end >= size) return size;
    }
    return size;
  }

  isNamed(): boolean {
    return attempt(this.path, () => fstatSync(this.fd()).nlink > 0);
  }

  allocate(length: number, turns = false): void {
    if (!turns) {
      this.grow(length);
      return;
    }
    // Nobody has this lock for longer than this takes, and it dies with its process: waiting for it ends.
    this.flock(LOCK_EXCLUSIVE);
    try {
      this.grow(length);
    } finally {
      this.flock(LOCK_NONE);
    }
  }

  private flock(operation: number): void {
    let errno: number;
    do errno = posix().flock(this.fd(), operation); while (errno === EINTR);
    if (errno !== 0) throw refused('flock', this.path, errnoName(errno));
  }

  private grow(length: number): void {
    const before = this.size();
    if (length <= 0) return;
    let errno = EINTR;
    for (let i = 0; errno === EINTR && i < INTERRUPTIONS_MAX; i++) {
      errno = posix().allocate(this.fd(), before, length);
    }
    // The operating system may have made the file longer before it ran out of room.
    if (errno !== 0) {
      if (this.size() !== before) this.truncate(before);
      throw this.notAllocated(errno);
    }
    if (this.size() < length) this.truncate(length);
  }

  private notAllocated(errno: number): Error {
    const name = errnoName(errno);
    return refused('fallocate', this.path, name, CANNOT.has(name) ? 'ERR_VARVE_UNSUPPORTED' : undefined);
  }

  /** The same, off the event loop, for a new file that nobody else uses; where it fails, its length is not said. */
  async allocateLater(length: number): Promise<void> {
    let errno = EINTR;
    for (let i = 0; errno === EINTR && i < INTERRUPTIONS_MAX; i++) {
      errno = await posix().allocateLater(this.fd(), 0, length);
    }
    if (errno !== 0) throw this.notAllocated(errno);
    if (this.size() < length) this.truncate(length);
  }

  truncate(length: number): void {
    attempt(this.path, () => ftruncateSync(this.fd(), length));
  }

  truncateLater(length: number): Promise<void> {
    return this.later((done) => { ftruncate(this.fd(), length, done); });
  }

  rename(path: string): void {
    attempt(this.path, () => renameSync(this.path, path));
    this.path = path;
  }

  read(target: Uint8Array, position: number): number {
    const fd = this.fd();
    return attempt(this.path, () => {
      let done = 0;
      while (done < target.length) {
        const part = readSync(fd, target, done, Math.min(target.length - done, TRANSFER_BYTES_MAX), position + done);
        if (part === 0) break;
        done += part;
      }
      return done;
    });
  }

  write(source: Uint8Array, position: number): void {
    const fd = this.fd();
    attempt(this.path, () => {
      let done = 0;
      while (done < source.length) {
        done += writeSync(fd, source, done, Math.min(source.length - done, TRANSFER_BYTES_MAX), position + done);
      }
    });
  }

  async sync(): Promise<void> {
    const fd = this.fd();
    const second = this.second ??= openAgain(this.path, fd);
    if (second === undefined) this.syncNow();
    else await this.later((done) => { fdatasync(second, done); });
  }

  private later(call: (done: NoParamCallback) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      call((error) => {
        this.passed();
        if (error === null) resolve();
        else reject(translated(error, this.path));
      });
      this.underWay++;
    });
  }

  /** Told that a call off the event loop is over. */
  private passed(): void {
    if (--this.underWay === 0 && !this.open) this.release();
  }

  syncNow(): void {
    attempt(this.path, () => fdatasyncSync(this.fd()));
  }

  map(memory: CoreMemory, address: number, length: number, access: MappingAccess, offset = 0): Mapping {
    return mapFile(this.facts(), memory, address, length, access, offset);
  }

  view(length: number): Uint8Array {
    return viewFile(this.facts(), length);
  }

  /** Writes 4 bytes that mean nothing, for those who watch the file. Never fails: who is not told looks by himself. */
  notify(position: number): void {
    try {
      writeSync(this.fd(), NOTHING, 0, NOTHING.length, position);
    } catch {
      return;
    }
  }

  /** What waits for this file to be written to; `VARVE_WAIT=futex` does without. */
  watch(): FileWatch | undefined {
    if (this.watched !== undefined) return this.watched;
    if (process.env['VARVE_WAIT'] === 'futex') return undefined;
    return this.watched = new FileWatch(this.fd(), this.path);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.watched?.close();
    if (this.underWay === 0) this.release();
  }

  private facts(): MappedFile {
    return { path: this.path, fd: this.fd(), size: this.size() };
  }

  private fd(): number {
    if (!this.open) throw misuse(`${this.path} was used after it was closed`, { path: this.path });
    return this.descriptor;
  }

  /** The descriptor is gone whatever close says, and what matters was reported by `sync`. */
  private release(): void {
    for (const descriptor of [this.descriptor, this.second]) {
      try {
        if (descriptor !== undefined) closeSync(descriptor);
      } catch {
        continue;
      }
    }
  }
}

/** Opens the file of a descriptor once more, whatever its name is by now; `undefined` where that cannot be done. */
function openAgain(path: string, descriptor: number): number | undefined {
  const { dev, ino } = fstatSync(descriptor);
  for (const name of [`/proc/self/fd/${descriptor}`, path]) {
    let again: number | undefined;
    try {
      again = openSync(name, 'r');
      const found = fstatSync(again);
      if (found.dev === dev && found.ino === ino) return again;
    } catch {
      // There is no such directory, the file has another name, or no descriptor is left.
    }
    if (again !== undefined) closeSync(again);
  }
  return undefined;
}
