/**
 * What is done where the core answers with a status instead of a value: it looks again where that may help, and throws
 * a typed error where it does not. Everything here is off the fast paths, which only ask whether there was a value.
 */
import { VarveError } from '../errors/varve-error.ts';
import { Status } from '../generated/abi.ts';
import type { TypedFile } from './typed-file.ts';
import { refuseIndex, refuseSequence } from './values.ts';
import type { WatchWaker } from './watch-wake.ts';

/**
 * How often a record is looked at again that somebody is writing, each time after a pause of a millisecond, on top of
 * the thousands of looks that the core has taken: more than a writer that lives is ever interrupted for.
 */
const PAUSES_MAX = 100;
const PAUSE_MS = 1;
/** A word that nobody changes, to sleep on. */
const pause = new Int32Array(new SharedArrayBuffer(4));

export class Answers {
  readonly file: TypedFile;
  private readonly waker: WatchWaker | undefined;

  /** `waker` is that of a store that writes. */
  constructor(file: TypedFile, waker?: WatchWaker) {
    this.file = file;
    this.waker = waker;
  }

  /** Throws where a value is no index of any record. Asked for those alone that do not fit into 32 bits. */
  requireIndex(index: unknown): void {
    if (!this.file.isRing) refuseIndex(index);
    if (!Number.isSafeInteger(index) || (index as number) < 0) refuseSequence(index);
  }

  /** Records that are there now, as far as this process can see. Throws where the store is closed. */
  length(): number {
    const { file } = this;
    if (file.closed) throw closed(file);
    return file.count;
  }

  /** Index of the first record that is there now. Throws where the store is closed. */
  first(): number {
    const { file } = this;
    if (file.closed) throw closed(file);
    return file.first;
  }

  /**
   * Whether what a getter gave is a value; throws where it never will be. Where it is none, the getter is worth another
   * call.
   */
  isValue(index: number, field: string): boolean {
    const status = this.file.view.takeStatus();
    if (status === Status.Ok) return true;
    this.settle(status, index, field);
    return false;
  }

  /** Does what makes another call worth while after a status; throws where there is nothing to do. */
  settle(status: number, index: number, field?: string): void {
    const { file } = this;
    file.view.takeStatus();
    if (file.closed) throw closed(file);
    switch (status) {
      case Status.OutOfRange: return this.find(index);
      case Status.Full: return file.makeRoom();
      case Status.Contention: return this.wait(index);
      case Status.Cold: return file.makeReady();
      case Status.Wake:
        file.noteWrite();
        return this.waker?.due();
      case Status.ReadOnly:
        file.requireWritable();
        break;
      case Status.BadValue: throw badValue(file, index, field);
      case Status.Inexact: throw inexact(file, index, field);
      case Status.BadCrc: throw damaged(file, index);
    }
    throw unexplained(file, index, status);
  }

  /**
   * Does what makes another append worth while.
   *
   * @param tries how many have failed already
   */
  settleAppend(status: number, tries: number): void {
    if (status !== Status.Contention || this.file.closed) return this.settle(status, this.file.count);
    // Somebody has the place behind the last record and does not append.
    if (tries >= PAUSES_MAX) throw contention(this.file, this.file.count);
    Atomics.wait(pause, 0, 0, PAUSE_MS);
  }

  /** Shows a record that is there; throws where it is not. */
  private find(index: number): void {
    const { file } = this;
    const { count } = file;
    if (index >= count) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `record ${index} is not in ${file.path}, which holds ${count === 0 ? 'none' : `0 to ${count - 1}`}`,
        { path: file.path, index, length: count });
    }
    const { first } = file;
    if (index < first) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `record ${index} of ${file.path} was overwritten; the ring holds ${first} to ${count - 1}`,
        { path: file.path, index, first, length: count });
    }
    file.refresh();
    file.moveTo(index);
    if (!file.shows(index)) throw unexplained(file, index, Status.OutOfRange);
  }

  /** Waits until nobody writes a record; throws where that takes too long. */
  private wait(index: number): void {
    const { file } = this;
    for (let pauses = 0; pauses < PAUSES_MAX; pauses++) {
      Atomics.wait(pause, 0, 0, PAUSE_MS);
      if (file.view.readRow(index) !== Status.Contention) return;
    }
    throw contention(file, index);
  }
}

function unexplained(file: TypedFile, index: number, status: number): VarveError {
  // Damage to the header from outside, while the store is open, is no bug.
  file.requireSane();
  const { path } = file;
  return new VarveError('ERR_VARVE_INTERNAL',
    `record ${index} of ${path} could not be reached (status ${status}); this is a bug, please report it`,
    { path, index, status });
}

function closed({ path }: TypedFile): VarveError {
  return new VarveError('ERR_VARVE_CLOSED', `the typed store in ${path} is closed; open it again`, { path });
}

function contention({ path }: TypedFile, index: number): VarveError {
  return new VarveError('ERR_VARVE_CONTENTION',
    `record ${index} of ${path} has been in the hands of a writer for longer than a write takes; try again, or open `
    + 'the store for writing where that writer is dead', { path, index });
}

/** The error for a stored value that its type does not allow. */
export function badValue({ path }: TypedFile, index: number, field: string | undefined): VarveError {
  return new VarveError('ERR_VARVE_BAD_VALUE', `field '${field}' of record ${index} of ${path} holds no value of its type`,
    { path, index, field });
}

/** The error for a record whose checksum is wrong. */
function damaged({ path }: TypedFile, index: number): VarveError {
  return new VarveError('ERR_VARVE_CORRUPT',
    `record ${index} of ${path} is damaged: its checksum is wrong; restore a copy, or set all of its fields anew`,
    { path, index });
}

/** The error for a stored 64-bit integer that is no exact number. */
export function inexact({ path }: TypedFile, index: number, field: string | undefined): VarveError {
  return new VarveError('ERR_VARVE_INEXACT',
    `field '${field}' of record ${index} of ${path} is beyond 2^53 - 1 and no exact number; take it as a bigint`,
    { path, index, field });
}
