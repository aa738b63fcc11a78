/**
 * The file of the next segment, made ahead: to create and allocate it may wait for the file system's journal, longer
 * than a program should stand still, so it is done off the event loop while the segment before is being filled.
 *
 * Invariants: a spare is never part of the log; it gets its name when it has become a segment, with its header.
 * Whatever happens in making it, nothing fails: without one, the segment is made when it is needed. It is not made
 * where the disk is short of room, gives way where somebody finds it so, and is gone when the log is closed; what a
 * crash leaves of one, the next opening removes.
 */
import { join } from 'node:path';
import type { StoredFile } from '../io/storage.ts';
import { spareName } from './names.ts';
import type { LogContext } from './segment.ts';

/** Smaller segments are made fast enough, and are many. */
const SPARE_BYTES_MIN = 1 << 20;
/** There must be room for so many segments before one is made ahead: others need some too. */
const FREE_SEGMENTS_MIN = 4;

interface Made {
  readonly path: string;
  readonly capacity: number;
  /** Present when it has all its blocks. */
  file: StoredFile | undefined;
}

export class Spare {
  private readonly context: LogContext;
  private made: Made | undefined;
  private making: Promise<void> | undefined;
  private count = 0;
  /** Whether it was tried since `again`. */
  private tried = false;

  constructor(context: LogContext) {
    this.context = context;
  }

  /** Whether there is a file that has all its blocks. */
  get ready(): boolean { return this.made?.file !== undefined; }

  /** Lets one be made for the segment behind the one that has become the active one. */
  again(): void {
    this.tried = false;
  }

  /** Has a file of so many bytes made, where that was not tried yet; never fails. */
  prepare(capacity: number, epoch: number): void {
    if (this.tried || this.making !== undefined) return;
    this.tried = true;
    const { storage, directory } = this.context;
    if (this.made !== undefined || capacity < SPARE_BYTES_MIN) return;
    if (storage.freeBytes(directory) < capacity * FREE_SEGMENTS_MIN) return;
    const path = join(directory, spareName(epoch, ++this.count));
    const made: Made = { path, capacity, file: undefined };
    this.made = made;
    this.making = storage.createLater(path, capacity).then((file) => {
      made.file = file;
      // Where it was dropped meanwhile, nobody wants it any more.
      if (this.made !== made) this.remove(made);
    }, () => {
      if (this.made === made) this.made = undefined;
    }).finally(() => { this.making = undefined; });
  }

  /** Gives away the file, if there is one of so many bytes that is ready; the taker names or removes it. */
  take(capacity: number): StoredFile | undefined {
    const { made } = this;
    if (made?.file === undefined || made.capacity !== capacity) return undefined;
    this.made = undefined;
    return made.file;
  }

  /** Removes the file, so that others can have its room; whether there was one. Never fails. */
  drop(): boolean {
    const { made } = this;
    if (made === undefined) return false;
    this.made = undefined;
    this.remove(made);
    return true;
  }

  private remove({ path, file }: Made): void {
    try {
      this.context.storage.remove(path);
      file?.close();
    } catch {
      // The next opening removes it.
    }
  }

  /** Removes the file, and resolves when nothing is under way any more. */
  async end(): Promise<void> {
    this.tried = true;
    this.drop();
    await this.making;
  }
}
