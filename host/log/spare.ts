/**
 * The file of the next segment, made ahead: to allocate it waits for the file system's journal, which can take longer
 * than a program may stand still, so it is done off the event loop while the segment before is still being filled.
 *
 * Invariants: a spare is never part of the log; it gets its name when it has become a segment, with its header. Whatever
 * happens to it, nothing fails: without one, the segment is made when it is needed. It takes no room that the disk is
 * short of, and is gone when the log is closed; what a crash leaves of one, the next opening removes.
 */
import { join } from 'node:path';
import type { StoredFile } from '../io/storage.ts';
import { spareName } from './names.ts';
import type { LogContext } from './segment.ts';

/** Smaller segments are made fast enough, and are many. */
const SPARE_BYTES_MIN = 1 << 20;
/** Free room for so many segments must be left before one is made ahead: others need some too. */
const FREE_SEGMENTS_MIN = 4;

interface Made {
  readonly file: StoredFile;
  readonly capacity: number;
  ready: boolean;
}

export class Spare {
  private readonly context: LogContext;
  private made: Made | undefined;
  /** Whether it was tried since `again`. */
  private tried = false;

  constructor(context: LogContext) {
    this.context = context;
  }

  /** Whether there is a file, ready or not. */
  get there(): boolean { return this.made !== undefined; }

  /** Lets one be made for the segment behind the one that has become the active one. */
  again(): void {
    this.tried = false;
  }

  /** Has a file of so many bytes made, where that was not tried yet; never fails. */
  prepare(capacity: number, epoch: number): void {
    if (this.tried) return;
    this.tried = true;
    if (this.made !== undefined || capacity < SPARE_BYTES_MIN) return;
    const { storage, directory } = this.context;
    let file: StoredFile | undefined;
    try {
      if (storage.freeBytes(directory) < capacity * FREE_SEGMENTS_MIN) return;
      // The name is there before anything runs beside: whoever closes can take it away.
      file = storage.create(join(directory, spareName(epoch)));
      const made: Made = { file, capacity, ready: false };
      this.made = made;
      file.allocateLater(capacity).then(() => { made.ready = true; }, () => { this.giveUp(made); });
    } catch {
      this.made = undefined;
      if (file !== undefined) this.remove(file);
    }
  }

  /** Gives away the file, if there is one of so many bytes that has all its blocks; the taker names or removes it. */
  take(capacity: number): StoredFile | undefined {
    const { made } = this;
    if (made?.capacity !== capacity) return undefined;
    try {
      // A loop that never lets go of the event loop is not told that the file is ready.
      if (!made.ready && made.file.size() < capacity) return undefined;
    } catch {
      return undefined;
    }
    this.made = undefined;
    return made.file;
  }

  /** Removes the file, so that others can have its room; whether there was one. */
  drop(): boolean {
    if (this.made === undefined) return false;
    this.giveUp(this.made);
    return true;
  }

  private giveUp(made: Made): void {
    // Where it was taken or dropped meanwhile, it is not ours any more.
    if (this.made !== made) return;
    this.made = undefined;
    this.remove(made.file);
  }

  private remove(file: StoredFile): void {
    try {
      this.context.storage.remove(file.path);
      file.close();
    } catch {
      // The next opening removes it.
    }
  }
}
