/**
 * Cursors: the named, durable positions of those who follow a log. Storing is host/log/cursor-file.ts's; here is what a
 * position means to the log, and which cursors a log has open.
 *
 * A position names the record that the follower is done with, by its LSN and its epoch. No two records of one LSN have
 * the same epoch, so that a record which was cut and followed by others is noticed.
 */
import { join } from 'node:path';
import type { StoreIdentity } from '../core/control-page.ts';
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import { CURSOR_NAME_BYTES_MAX } from '../generated/abi.ts';
import { closedCursor, CursorFile, cursorPath, readCursor, type Position } from './cursor-file.ts';
import type { Follower } from './follower.ts';
import { CURSORS_NAME, cursorNameOf } from './names.ts';
import type { LogContext } from './segment.ts';

/** One of the cursors in a log's directory, as `RecordLog.cursors` lists them. */
export interface CursorInfo {
  readonly name: string;
  /** The LSN that it has stored; `undefined` where it has stored nothing, or is damaged. */
  readonly lsn?: number | undefined;
  /** When that was, in milliseconds since 1970. */
  readonly savedAt?: number | undefined;
  /** There where the file cannot be used: its slots are damaged, or it is another store's or a later version's. */
  readonly damaged?: true;
}

/** What `Cursor.follow` can be told: the same as `RecordLog.follow`, but for where to begin. */
export interface CursorFollowOptions {
  readonly view?: boolean;
  readonly durable?: boolean;
  readonly signal?: AbortSignal;
}

/** What a follower is done with: a record as it was delivered, or an LSN. */
export type Done = number | { readonly lsn: number; readonly epoch: number };

/** How often a cursor that seems to be damaged is looked at: its owner may be just saving. */
const ATTEMPTS = 3;

/** The log that a cursor is a position in; writers and readers are. */
interface Source {
  readonly identity: StoreIdentity | undefined;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** Epoch of a record; `undefined` where there is none. */
  epochOf(lsn: number): number | undefined;
}

/** What cursors need of their log. */
export interface CursorLog {
  readonly context: LogContext;
  /** The log as it is now. Errors: ERR_VARVE_CLOSED */
  source(): Source;
  follow(options: CursorFollowOptions & { readonly from: number }): Follower;
}

/**
 * The named position of a follower, stored durably in the log's directory. Whoever has it open holds its lock: one
 * follower, in one process.
 *
 * Save what is processed, after it is processed: a follower that dies in between sees a few records again when it
 * resumes, and never misses one.
 *
 * @example
 * const cursor = log.cursor('mailer');
 * for await (const record of cursor.follow()) {
 *   await send(record);
 *   await cursor.save(record);
 * }
 */
export class Cursor {
  readonly name: string;
  private readonly log: CursorLog;
  private readonly file: CursorFile;
  private readonly ended: (cursor: Cursor) => void;
  private isClosed = false;

  /** For `CursorSet`. */
  constructor(log: CursorLog, name: string, file: CursorFile, ended: (cursor: Cursor) => void) {
    this.log = log;
    this.name = name;
    this.file = file;
    this.ended = ended;
  }

  /** The LSN that is stored durably; `undefined` where nothing was ever stored. */
  get lsn(): number | undefined { return this.file.position?.lsn; }
  /** Epoch of the record of `lsn`; 0 where the log held no such record, `undefined` where nothing was ever stored. */
  get epoch(): number | undefined { return this.file.position?.epoch; }
  /** Whether it was closed, by itself or with its log. */
  get closed(): boolean { return this.isClosed; }

  /**
   * Stores the last record that is done with. Resolves when it is durable, or when a position that was given after it
   * is: concurrent saves share a sync of the disk, which runs off the event loop, and the latest one counts. Going back
   * is allowed.
   *
   * Give it the record that was delivered: where another one has taken its place meanwhile, `follow` will say so. An
   * LSN alone means the record that has it now.
   *
   * The position can be ahead of what is durable of the log. Where a power cut takes the record, `follow` says so;
   * follow with `durable: true` to rule it out.
   *
   * @param done a record, or an LSN: 0, or from `firstLsn - 1` to `lastLsn` of the log
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CLOSED, ERR_VARVE_IO (the
   *   position that was stored before stays, and the cursor must be opened again), ERR_VARVE_POISONED
   */
  async save(done: Done): Promise<void> {
    await this.file.save(this.positionOf(done));
  }

  /** The same as `save`, but blocks the thread until it is done. */
  saveNow(done: Done): void {
    this.file.saveNow(this.positionOf(done));
  }

  /**
   * Follows the log from behind the stored position on, or from `firstLsn` where nothing was ever stored; see
   * `RecordLog.follow`. The position stays where it is until it is saved.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT; ERR_VARVE_TRUNCATED where the record of the stored position was cut, even if
   *   another one has its LSN now, or where records behind it were dropped: save a position to go on from;
   *   ERR_VARVE_CLOSED; while iterating, as `RecordLog.follow`
   */
  follow(options: CursorFollowOptions = {}): Follower {
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
    const follower = this.log.follow({ ...options, from: this.next() });
    try {
      // A reader may have taken notice of a cut in between: the follower stands on what there is now.
      this.next();
    } catch (error) {
      void follower.return();
      throw error;
    }
    return follower;
  }

  /** The LSN to resume at. Errors: ERR_VARVE_TRUNCATED, ERR_VARVE_CLOSED */
  private next(): number {
    const source = this.openSource();
    const { firstLsn, lastLsn } = source;
    const { position } = this.file;
    if (position === undefined) return firstLsn;
    const { lsn, epoch } = position;
    const details = { name: this.name, lsn, epoch, firstLsn, lastLsn };
    if (lsn < firstLsn - 1) {
      throw new VarveError('ERR_VARVE_TRUNCATED',
        `the cursor '${this.name}' stands at ${lsn}, but the records up to ${firstLsn - 1} were dropped; save firstLsn - 1 `
        + 'to go on with what is left', details);
    }
    const actual = lsn < firstLsn || lsn > lastLsn ? undefined : source.epochOf(lsn);
    if (lsn > lastLsn || (actual !== undefined && epoch !== 0 && actual !== epoch)) {
      throw new VarveError('ERR_VARVE_TRUNCATED',
        `the cursor '${this.name}' stands at record ${lsn} of epoch ${epoch}, which was cut from the log`
        + `${actual === undefined ? '' : `; another one of epoch ${actual} has its place`}; save the LSN to resume behind`,
        { ...details, actual });
    }
    return lsn + 1;
  }

  private openSource(): Source {
    const source = this.log.source();
    if (this.isClosed) throw closedCursor(this.name);
    return source;
  }

  private positionOf(done: Done): Position {
    const source = this.openSource();
    const isRecord = typeof done === 'object' && done !== null;
    const lsn = integer('lsn', isRecord ? done.lsn : done, Number.MAX_SAFE_INTEGER);
    const known = isRecord ? integer('epoch', done.epoch, 0xffffffff) : undefined;
    const { firstLsn, lastLsn } = source;
    if (lsn > lastLsn || (lsn < firstLsn - 1 && lsn !== 0)) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `the cursor '${this.name}' cannot stand at ${lsn}: lsn must be 0, or from ${firstLsn - 1} to ${lastLsn}`,
        { lsn, firstLsn, lastLsn });
    }
    const epoch = known ?? source.epochOf(lsn) ?? 0;
    return { lsn, epoch, savedAt: this.log.context.storage.now() };
  }

  /** Waits for the saves under way, then gives the lock back. Idempotent; never fails. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.file.idle();
    this.closeSync();
  }

  /** The same, blocking: a save that waits for another one is rejected with ERR_VARVE_CLOSED. */
  closeSync(): void {
    this.isClosed = true;
    this.ended(this);
    this.file.close();
  }

  /**
   * Waits for the saves under way, then removes the cursor's file and closes the cursor. Resolves when the file is gone
   * for good, power cut or not.
   *
   * @throws (rejects with) ERR_VARVE_CLOSED, ERR_VARVE_IO
   */
  async remove(): Promise<void> {
    if (this.isClosed) throw closedCursor(this.name);
    this.isClosed = true;
    await this.file.idle();
    try {
      // The lock is held until the name is gone, so that nobody else stores anything in a file that is about to go.
      this.file.remove();
    } finally {
      this.closeSync();
    }
    const { storage, directory } = this.log.context;
    await storage.syncDirectory(join(directory, CURSORS_NAME));
  }

  [Symbol.dispose](): void {
    this.closeSync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The cursors of one log. */
export class CursorSet {
  private readonly log: CursorLog;
  private readonly open = new Set<Cursor>();

  constructor(log: CursorLog) {
    this.log = log;
  }

  /** Opens the cursor `name`. Errors: see `RecordLog.cursor`. */
  cursor(name: string): Cursor {
    const identity = this.identity();
    const file = CursorFile.open(this.log.context, identity, checkName(name));
    const cursor = new Cursor(this.log, name, file, (one) => { this.open.delete(one); });
    this.open.add(cursor);
    return cursor;
  }

  /** What is in the directory. Errors: see `RecordLog.cursors`. */
  list(): CursorInfo[] {
    const { identity } = this.log.source();
    const { storage, directory } = this.log.context;
    const names = (storage.list(join(directory, CURSORS_NAME)) ?? []).map(cursorNameOf);
    return names.filter((name) => name !== undefined).sort().flatMap((name) => this.describe(name, identity) ?? []);
  }

  private describe(name: string, identity: StoreIdentity | undefined, attempts = ATTEMPTS): CursorInfo | undefined {
    if (identity === undefined) return { name, damaged: true };
    const { core, storage, directory } = this.log.context;
    try {
      const file = storage.open(cursorPath(directory, name), 'read');
      try {
        const { lsn, savedAt } = readCursor(core, file, identity, name) ?? {};
        return { name, lsn, savedAt };
      } finally {
        file.close();
      }
    } catch (error) {
      // It was removed since it was listed.
      if (VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) return undefined;
      if (!VarveError.is(error, 'ERR_VARVE_CORRUPT') && !VarveError.is(error, 'ERR_VARVE_NEWER_VERSION')) throw error;
      return attempts > 1 ? this.describe(name, identity, attempts - 1) : { name, damaged: true };
    }
  }

  private identity(): StoreIdentity {
    const { identity } = this.log.source();
    if (identity !== undefined) return identity;
    const { directory } = this.log.context;
    throw new VarveError('ERR_VARVE_CORRUPT',
      `neither CONTROL nor a segment in ${directory} is intact enough to tell which store this is; run \`varve check\``,
      { path: directory });
  }

  /** Closes those that are open, after their saves. */
  async close(): Promise<void> {
    await Promise.all([...this.open].map((cursor) => cursor.close()));
  }

  /** The same, blocking. */
  closeSync(): void {
    for (const cursor of [...this.open]) cursor.closeSync();
  }
}

/** Checks an integer from 0. */
function integer(name: string, value: unknown, most: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  if (!Number.isSafeInteger(value) || value < 0 || value > most) {
    throw outOfRange(name, `an integer from 0 to ${most}`, value);
  }
  return value;
}

/** Checks that `name` is Unicode text of 1 to 64 bytes. */
function checkName(name: string): string {
  if (typeof name !== 'string') throw wrongType('name', 'text', name);
  const bytes = Buffer.byteLength(name);
  // Half of a surrogate pair has no UTF-8: two such names would share a file.
  if (bytes === 0 || bytes > CURSOR_NAME_BYTES_MAX || /\p{Surrogate}/u.test(name)) {
    throw outOfRange('name', `Unicode text of 1 to ${CURSOR_NAME_BYTES_MAX} bytes of UTF-8`, name);
  }
  return name;
}
