/**
 * The file of a cursor: reading the position that it holds, and storing another one so that a crash at any step leaves
 * a position that was stored, never older than the last durable one. docs/format.md, "Cursor".
 *
 * What a crash can leave, step by step:
 * - Opening has made the file: it is empty, or its slots are zeros. That is a cursor that has stored nothing.
 * - Its name, or that of the directory, is not durable: both directories are synced before `open` returns, at every
 *   opening, because whoever made the names may have died before. So no position is promised under a name that can go.
 * - A save has written a slot and was not synced: the slot is as before, or new, or torn, which its checksum shows. The
 *   other slot is durable: a slot is written only after the other one was synced.
 * - The newest slot was written by a process that died before its sync, or whose sync failed: after that it may be in
 *   the page cache alone, in a page that counts as clean. So opening writes it once more and syncs, before anything.
 * - `remove`: the file is there with its position, or it is not.
 */
import { join } from 'node:path';
import type { StoreIdentity } from '../core/control-page.ts';
import type { Core } from '../core/core.ts';
import { decodeSlot, encodeSlot, type SlotFields } from '../core/cursor-slot.ts';
import { VarveError } from '../errors/varve-error.ts';
import { CURSOR_BYTES, CURSOR_SLOT_BYTES, CURSOR_SLOT_STRIDE, Status } from '../generated/abi.ts';
import type { Lock, StoredFile } from '../io/storage.ts';
import { newerVersion } from './load.ts';
import { CURSORS_NAME, cursorFileName } from './names.ts';
import type { LogContext } from './segment.ts';
import { statusName } from './segments.ts';
import { Syncer } from './syncer.ts';

/** What a cursor stores. */
export interface Position {
  readonly lsn: number;
  /** Epoch of the record of `lsn`; 0 where the log holds no such record. */
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
}

/** A position in its slot. */
interface Saved extends Position {
  readonly sequence: number;
  readonly slot: number;
}

/** The path of a cursor's file. */
export function cursorPath(directory: string, name: string): string {
  return join(directory, CURSORS_NAME, cursorFileName(name));
}

/**
 * Returns what a cursor file holds, or `undefined` where nothing was ever stored. Changes nothing.
 *
 * Errors: ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION
 */
export function readCursor(
  core: Core, file: StoredFile, identity: StoreIdentity, name: string,
): Saved | undefined {
  const bytes = new Uint8Array(CURSOR_BYTES);
  file.read(bytes, 0);
  let newest: (SlotFields & { readonly slot: number }) | undefined;
  let damage: number = Status.Ok;
  for (const slot of [0, 1]) {
    const at = slot * CURSOR_SLOT_STRIDE;
    const part = bytes.subarray(at, at + CURSOR_SLOT_BYTES);
    if (part.every((byte) => byte === 0)) continue;
    const fields = decodeSlot(core, part);
    if (fields === Status.NewerVersion) throw newerVersion(file.path);
    if (typeof fields === 'number') damage = fields;
    else if (newest === undefined || fields.sequence > newest.sequence) newest = { ...fields, slot };
  }
  if (newest === undefined && damage === Status.Ok) return undefined;
  if (newest === undefined) throw damaged(file.path, name, damage);
  const { storeIdLow, storeIdHigh } = newest;
  const mine = storeIdLow === identity.idLow && storeIdHigh === identity.idHigh;
  if (!mine || !Buffer.from(name).equals(newest.name)) throw damaged(file.path, name, Status.ForeignStore);
  const { lsn, epoch, savedAt, sequence, slot } = newest;
  return { lsn, epoch, savedAt, sequence, slot };
}

function damaged(path: string, name: string, status: number): VarveError {
  const what = status === Status.ForeignStore ? 'belongs to another store or has another name' : 'is damaged';
  return new VarveError('ERR_VARVE_CORRUPT',
    `the cursor '${name}' in ${path} ${what} (${statusName(status)}); restore a copy, or remove the file and begin again`,
    { path, name, status: statusName(status) });
}

export class CursorFile {
  private readonly context: LogContext;
  private readonly identity: StoreIdentity;
  private readonly name: string;
  private readonly file: StoredFile;
  private readonly lock: Lock;
  private readonly syncer: Syncer;
  /** What was written last, and what was durable last. */
  private written: Saved | undefined;
  private stored: Saved | undefined;
  /** What the next sync of group commit is to make durable. */
  private wanted: Position | undefined;
  private failure: unknown;
  private closed = false;

  private constructor(context: LogContext, identity: StoreIdentity, name: string, file: StoredFile, lock: Lock) {
    this.context = context;
    this.identity = identity;
    this.name = name;
    this.file = file;
    this.lock = lock;
    this.syncer = new Syncer({
      isDurable: () => this.wanted === undefined,
      durableLsn: () => this.stored?.lsn ?? 0,
      syncFiles: () => this.storeWanted(),
      failed: (error) => { this.failure ??= error; },
    });
    const found = readCursor(context.core, file, identity, name);
    file.allocate(CURSOR_BYTES);
    if (found !== undefined) this.put(found);
    file.syncNow();
    this.written = this.stored = found;
  }

  /**
   * Opens the cursor's file, made where it is missing, with its lock. Blocks; the file's name is durable then.
   *
   * Errors: ERR_VARVE_LOCKED, ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL, ERR_VARVE_IO
   */
  static open(context: LogContext, identity: StoreIdentity, name: string): CursorFile {
    const { storage, directory } = context;
    const folder = join(directory, CURSORS_NAME);
    const path = cursorPath(directory, name);
    storage.createDirectory(folder);
    const lock = takeLock(context, path, name);
    let file: StoredFile | undefined;
    try {
      file = storage.open(path, 'write');
      const opened = new CursorFile(context, identity, name, file, lock);
      storage.syncDirectoryNow(folder);
      storage.syncDirectoryNow(directory);
      return opened;
    } catch (error) {
      file?.close();
      lock.release();
      throw error;
    }
  }

  /** The last position that is durable. */
  get position(): Position | undefined { return this.stored; }

  /** Resolves when `position`, or one that was given later, is durable. */
  async save(position: Position): Promise<void> {
    this.requireIntact();
    this.wanted = position;
    await this.syncer.sync();
  }

  /** Stores `position`, blocking. */
  saveNow(position: Position): void {
    this.requireIntact();
    this.wanted = undefined;
    try {
      // The slot of a save that is under way must be durable before the other one is written.
      if (this.written !== this.stored) this.file.syncNow();
      this.stored = this.written;
      const saved = this.write(position);
      this.file.syncNow();
      this.stored = saved;
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }

  private async storeWanted(): Promise<void> {
    this.requireIntact();
    const saved = this.write(this.wanted!);
    this.wanted = undefined;
    await this.file.sync();
    // A blocking save that came in between has gone further.
    if (saved === this.written) this.stored = saved;
  }

  /** Writes a position over the older slot. */
  private write(position: Position): Saved {
    const { sequence, slot } = this.written ?? { sequence: 0, slot: 1 };
    const saved = { ...position, sequence: sequence + 1, slot: 1 - slot };
    this.put(saved);
    this.written = saved;
    return saved;
  }

  private put(saved: Saved): void {
    const { idLow: storeIdLow, idHigh: storeIdHigh } = this.identity;
    const bytes = encodeSlot(this.context.core, { ...saved, storeIdLow, storeIdHigh, name: Buffer.from(this.name) });
    this.file.write(bytes, saved.slot * CURSOR_SLOT_STRIDE);
  }

  private requireIntact(): void {
    if (this.closed) throw closedCursor(this.name);
    if (this.failure === undefined) return;
    const reason = this.failure instanceof Error ? this.failure.message : String(this.failure);
    throw new VarveError('ERR_VARVE_POISONED',
      `an earlier save of the cursor '${this.name}' failed (${reason}), so nothing is stored any more; close it and open `
      + 'it again', { path: this.file.path, name: this.name }, this.failure);
  }

  /** Waits until no save is under way. */
  idle(): Promise<void> {
    return this.syncer.idle();
  }

  /** Removes the file; the name is gone for good once the directory has been synced. */
  remove(): void {
    this.context.storage.remove(this.file.path);
  }

  /** Gives the lock back. A save that waits for another one fails. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.file.close();
    } finally {
      this.lock.release();
    }
  }
}

/** The error of a call on a cursor that was closed. */
export function closedCursor(name: string): VarveError {
  return new VarveError('ERR_VARVE_CLOSED', `the cursor '${name}' is closed; open it again`, { name });
}

function takeLock({ storage }: LogContext, path: string, name: string): Lock {
  try {
    return storage.lock(path, CURSOR_BYTES);
  } catch (error) {
    if (!VarveError.is(error, 'ERR_VARVE_LOCKED')) throw error;
    const { pid } = error.details;
    const owner = typeof pid === 'number' ? `process ${pid}` : 'another process';
    throw new VarveError('ERR_VARVE_LOCKED',
      `${owner} has the cursor '${name}' open, in ${path}; stop it, or use another name`, { path, pid, name }, error);
  }
}
