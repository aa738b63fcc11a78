/**
 * WalGroup: a write-ahead log with one writer per thread, as its users see it. This is opening, epochs, asking all
 * writers for something, and closing; what a writer does is writer.ts, arguments are options.ts.
 */
import { dirname, join } from 'node:path';
import { Core } from '../core/core.ts';
import { CORE_STATE } from '../core/group-page.ts';
import { VarveError } from '../errors/varve-error.ts';
import { STORE_KIND_GROUP_CORE } from '../generated/abi.ts';
import { realStorage } from '../io/real-storage.ts';
import type { Lock } from '../io/storage.ts';
import { LOCK_NAME, replacementPath } from '../log/names.ts';
import { openReader } from '../log/open.ts';
import type { LogReader } from '../log/reader.ts';
import type { LogContext } from '../log/segment.ts';
import { askAll, type Attacher } from './asking.ts';
import { attachCore, coreContext } from './attach.ts';
import { endedEpoch } from './epochs.ts';
import { GroupFile } from './group-file.ts';
import { CHECKPOINTS_NAME, corePath, GROUP_NAME } from './names.ts';
import {
  checkAsk, checkAttach, checkCore, checkCreate, checkOpen, type CheckedWalOptions,
} from './options.ts';
import type {
  AskOptions, CorePosition, EpochCut, WalCreateOptions, WalGroupOptions, WalWriterOptions,
} from './types.ts';
import type { WalWriter } from './writer.ts';

function contextOf(options: CheckedWalOptions): LogContext {
  return {
    core: options.core ?? Core.shared(), storage: options.storage ?? realStorage(), directory: options.directory,
    readOnly: options.readOnly,
  };
}

/** Makes the directory of a new group. Errors: ERR_VARVE_EXISTS, ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_IO */
function prepareDirectory({ storage, directory }: LogContext): void {
  const names = storage.list(directory) ?? [];
  if (names.includes(GROUP_NAME)) {
    throw new VarveError('ERR_VARVE_EXISTS', `there is a group in ${directory} already; open it with WalGroup.open`,
      { path: directory });
  }
  const own = new Set([LOCK_NAME, CHECKPOINTS_NAME, replacementPath(GROUP_NAME)]);
  const foreign = names.filter((name) => !own.has(name));
  if (foreign.length > 0) {
    throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
      `${directory} holds ${foreign.length} file(s) that are no part of a new group, such as '${foreign[0]}'; choose an `
      + 'empty directory', { path: directory, names: foreign.slice(0, 10) });
  }
  for (const made of storage.createDirectory(directory)) storage.syncDirectoryNow(dirname(made));
}

/**
 * A group of write-ahead logs, one for each writer, which share an epoch: the writers append without a lock and without
 * a message between them, each from a thread or a process of its own, and what they have written is cut, recovered and
 * replayed as one.
 *
 * Whoever has the group open is its coordinator; there is one at a time. Cores are attached by whoever writes to them,
 * in this thread by `writer`, in others by `WalGroup.attach`.
 *
 * @example
 * const group = await WalGroup.create('./wal', { cores: 2 });
 * group.writer(0).put('balance/17', '250');
 * group.writer(1).put('balance/18', '75');
 * await group.checkpoint({ state: JSON.stringify({ 17: 250, 18: 75 }) });
 * await group.close();
 */
export class WalGroup {
  /** The directory, as an absolute path. */
  readonly directory: string;
  /** Number of writers. */
  readonly cores: number;
  private readonly options: CheckedWalOptions;
  private readonly file: GroupFile;
  private readonly lock: Lock | undefined;
  private readonly writers = new Map<number, WalWriter>();
  private readonly attacher: Attacher;
  private isClosed = false;

  private constructor(options: CheckedWalOptions, open: (context: LogContext) => GroupFile) {
    const context = contextOf(options);
    this.options = options;
    this.directory = context.directory;
    if (!options.readOnly) this.lock = context.storage.lock(join(context.directory, LOCK_NAME));
    try {
      this.file = open(context);
    } catch (error) {
      this.lock?.release();
      throw error;
    }
    this.cores = this.file.facts.cores;
    this.attacher = {
      own: (core) => this.writers.get(core),
      tryAttach: (core) => this.tryAttach(core),
    };
    try {
      if (!options.readOnly) this.restoreAll();
    } catch (error) {
      this.giveBack();
      throw error;
    }
  }

  /**
   * Makes a group.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_EXISTS, ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_LOCKED,
   *   ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_UNSUPPORTED, ERR_VARVE_IO
   */
  static async create(directory: string, options: WalCreateOptions): Promise<WalGroup> {
    return WalGroup.createSync(directory, options);
  }

  /** The same as `create`, without a promise. */
  static createSync(directory: string, options: WalCreateOptions): WalGroup {
    const { cores, options: checked } = checkCreate(directory, options);
    prepareDirectory(contextOf(checked));
    return new WalGroup(checked, (context) => GroupFile.create(context, cores));
  }

  /**
   * Opens a group as its coordinator, or, read-only, beside one. The epoch is restored from the logs: no entry that is
   * appended from now on comes before one that is there.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_NOT_FOUND, ERR_VARVE_LOCKED (somebody else is the
   *   coordinator), ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION, ERR_VARVE_MEMORY_FULL, ERR_VARVE_UNSUPPORTED,
   *   ERR_VARVE_IO
   */
  static async open(directory: string, options: WalGroupOptions = {}): Promise<WalGroup> {
    return WalGroup.openSync(directory, options);
  }

  /** The same as `open`, without a promise. */
  static openSync(directory: string, options: WalGroupOptions = {}): WalGroup {
    const checked = checkOpen(directory, options);
    const context = contextOf(checked);
    // Before the lock, whose file would be made.
    if (!GroupFile.exists(context)) GroupFile.open(context);
    return new WalGroup(checked, (each) => GroupFile.open(each));
  }

  /**
   * Attaches a core from any thread of any process, beside the group's coordinator. Close the writer, or end the
   * process, to let others have the core.
   *
   * @param core from 0
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_NOT_FOUND, ERR_VARVE_LOCKED (the core is attached
   *   elsewhere; `details.pid`), ERR_VARVE_CORRUPT, ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION,
   *   ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_UNSUPPORTED, ERR_VARVE_IO
   */
  static async attach(directory: string, core: number, options: WalWriterOptions = {}): Promise<WalWriter> {
    return WalGroup.attachSync(directory, core, options);
  }

  /** The same as `attach`, without a promise. */
  static attachSync(directory: string, core: number, options: WalWriterOptions = {}): WalWriter {
    const checked = checkAttach(directory, options);
    const file = GroupFile.open(contextOf(checked));
    try {
      return attachCore(file, checkCore(core, file.facts.cores), checked, () => { file.close(); });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Brings GROUP, of which nothing was ever synced, up to date with the logs. */
  private restoreAll(): void {
    this.file.page.forgetAsked();
    for (let core = 0; core < this.cores; core++) this.restore(core);
  }

  /** Brings what GROUP says of a core that nobody has up to date with its log. */
  private restore(core: number): void {
    const { page, context: { storage } } = this.file;
    const directory = corePath(this.directory, core);
    if (storage.list(directory) === undefined) {
      page.setEnded(core, 0, 0, 0);
      page.setDurable(core, 0);
      return;
    }
    if (!this.isFree(directory)) return;
    page.setCoreState(core, CORE_STATE.detached, 0);
    const reader = this.reader(core);
    try {
      const { lastLsn, position } = reader;
      const ended = endedEpoch(reader);
      page.setEnded(core, ended, lastLsn, position);
      page.setDurable(core, reader.durableLsn >= lastLsn ? ended : 0);
      page.raiseEpoch((reader.epochOf(lastLsn) ?? 0) + 1);
    } finally {
      reader.close();
    }
  }

  /** Whether nobody has the core whose log is in a directory. */
  private isFree(directory: string): boolean {
    try {
      this.file.context.storage.lock(join(directory, LOCK_NAME)).release();
      return true;
    } catch (error) {
      if (VarveError.is(error) && error.code === 'ERR_VARVE_LOCKED') return false;
      throw error;
    }
  }

  /** A reader of a core's log, to be closed. */
  private reader(core: number): LogReader {
    return openReader(coreContext(this.file, core, true), this.options.mappedBytesMax, STORE_KIND_GROUP_CORE).reader;
  }

  /**
   * The writer of a core, attached by this thread at the first call and closed with the group.
   *
   * @throws as `attach`, and ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY
   */
  writer(core: number): WalWriter {
    this.requireWritable();
    checkCore(core, this.cores);
    const known = this.writers.get(core);
    if (known !== undefined) return known;
    const writer = attachCore(this.file, core, this.options, () => { this.writers.delete(core); });
    this.writers.set(core, writer);
    return writer;
  }

  private tryAttach(core: number): WalWriter | undefined {
    try {
      return attachCore(this.file, core, { ...this.options, sync: NO_POLICY }, () => undefined);
    } catch (error) {
      if (VarveError.is(error) && error.code === 'ERR_VARVE_LOCKED') return undefined;
      throw error;
    }
  }

  /** The epoch that new entries belong to. Errors: ERR_VARVE_CLOSED */
  get epoch(): number {
    this.requireOpen();
    return this.file.page.epoch;
  }

  /**
   * The last epoch that every core has ended and whose barriers are known to be on disk; 0 where there is none.
   * Errors: ERR_VARVE_CLOSED
   */
  get completeEpoch(): number {
    this.requireOpen();
    const { page } = this.file;
    let complete = Infinity;
    for (let core = 0; core < this.cores; core++) complete = Math.min(complete, page.durable(core));
    return complete;
  }

  /**
   * Begins a new epoch and returns it. Every writer ends the one before with a barrier, at its next entry or when it is
   * woken.
   *
   * @throws ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY
   */
  advanceEpoch(): number {
    this.requireWritable();
    const epoch = this.file.page.epoch + 1;
    this.file.page.raiseEpoch(epoch);
    this.file.ring();
    return epoch;
  }

  /**
   * Ends the epoch on every core, wherever its writer is, and resolves with where. The barriers are committed then;
   * `syncAll` makes them durable.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_CONTENTION (a
   *   writer did not answer in time), ERR_VARVE_POISONED (a writer cannot write any more), and for a core that nobody
   *   has, what `attach` throws
   */
  async barrierAll(options: AskOptions = {}): Promise<EpochCut> {
    const until = checkAsk(options);
    this.requireWritable();
    return this.endEpoch(until);
  }

  /** Ends the epoch on every core. */
  private async endEpoch(until: number): Promise<EpochCut> {
    const { page } = this.file;
    const epoch = page.epoch;
    page.raiseEpoch(epoch + 1);
    page.askBarrier(epoch);
    await askAll(this.file, this.attacher, (core) => page.ended(core) >= epoch, until);
    return { epoch, cores: Array.from({ length: this.cores }, (_, core) => this.cutOf(core, epoch)) };
  }

  /** Where an epoch ends on a core that has ended it. */
  private cutOf(core: number, epoch: number): CorePosition {
    const { page } = this.file;
    const cut = { core, sequence: page.barrierLsn(core), position: page.barrierPosition(core) };
    if (page.ended(core) === epoch) return cut;
    // It has ended a later one since.
    const reader = this.reader(core);
    try {
      const sequence = lastOf(reader, epoch);
      return { core, sequence, position: reader.segments.endPositionOf(sequence) };
    } finally {
      reader.close();
    }
  }

  /**
   * Syncs every core, all at the same time: what they have appended before the call is on disk when it resolves.
   * Errors: as `barrierAll`
   */
  async syncAll(options: AskOptions = {}): Promise<void> {
    const until = checkAsk(options);
    this.requireWritable();
    await this.syncCores(until);
  }

  private async syncCores(until: number): Promise<void> {
    const { page } = this.file;
    const asked = page.askSync();
    await askAll(this.file, this.attacher, (core) => page.synced(core) >= asked, until);
  }

  /** Whether it was opened read-only. */
  get readOnly(): boolean { return this.options.readOnly; }
  /** Whether it was closed. */
  get closed(): boolean { return this.isClosed; }

  private requireOpen(): void {
    if (!this.isClosed) return;
    throw new VarveError('ERR_VARVE_CLOSED', `the group in ${this.directory} is closed; open it again`,
      { path: this.directory });
  }

  private requireWritable(): void {
    this.requireOpen();
    if (!this.options.readOnly) return;
    throw new VarveError('ERR_VARVE_READ_ONLY',
      `the group in ${this.directory} was opened read-only; open it for writing`, { path: this.directory });
  }

  /**
   * Closes the writers that this group has attached, each synced, and lets others coordinate. Writers in other threads
   * go on. Idempotent.
   *
   * @throws (rejects with) ERR_VARVE_IO, ERR_VARVE_DISK_FULL, of the first writer that fails; everything is closed then
   */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    const closings = await Promise.allSettled([...this.writers.values()].map((writer) => writer.close()));
    this.giveBack();
    for (const closing of closings) if (closing.status === 'rejected') throw closing.reason;
  }

  /** The same as `close`, but blocks the thread until it is done. */
  closeSync(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const failures: unknown[] = [];
    for (const writer of [...this.writers.values()]) {
      try {
        writer.closeSync();
      } catch (error) {
        failures.push(error);
      }
    }
    this.giveBack();
    if (failures.length > 0) throw failures[0];
  }

  private giveBack(): void {
    this.isClosed = true;
    this.file.close();
    this.lock?.release();
  }

  [Symbol.dispose](): void {
    this.closeSync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const NO_POLICY = { blocking: false, entries: 0, ms: 0 } as const;

/** Sequence of the last record of an epoch or of one before; one less than the first where there is none. */
function lastOf(log: LogReader, epoch: number): number {
  let low = log.firstLsn - 1;
  let high = log.lastLsn;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((log.epochOf(middle) ?? 0) <= epoch) low = middle;
    else high = middle - 1;
  }
  return low;
}
