/**
 * WalGroup: a write-ahead log with one writer per thread, as its users see it. This is opening, epochs, asking all
 * writers for something, and closing; what a writer does is writer.ts, arguments are options.ts.
 */
import { dirname, join } from 'node:path';
import { Core } from '../core/core.ts';
import { VarveError } from '../errors/varve-error.ts';
import { realStorage } from '../io/real-storage.ts';
import type { Lock } from '../io/storage.ts';
import { LOCK_NAME, replacementPath } from '../log/names.ts';
import type { LogContext } from '../log/segment.ts';
import { attachCore } from './attach.ts';
import type { Checkpoint, CheckpointInfo, UnusableCheckpoint } from './checkpoint-file.ts';
import { Checkpoints } from './checkpoints.ts';
import { Coordinator } from './coordinator.ts';
import { GroupFile } from './group-file.ts';
import { CHECKPOINTS_NAME, GROUP_NAME } from './names.ts';
import {
  checkAsk, checkAttach, checkCheckpoint, checkCore, checkCreate, checkOpen, checkRecover, checkWhole,
  type CheckedCheckpoint, type CheckedWalOptions,
} from './options.ts';
import { inspectLogs, recoverLogs, type WalRecovery } from './recover.ts';
import type {
  AskOptions, CheckpointOptions, EpochCut, RecoverOptions, WalCreateOptions, WalGroupOptions, WalWriterOptions,
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
  private readonly coordinator: Coordinator;
  private readonly checkpointSet: Checkpoints;
  /** Ends when the last checkpoint that was asked for has ended. */
  private lastCheckpoint: Promise<unknown> = Promise.resolve();
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
    const source = {
      group: this.file, mappedBytesMax: options.mappedBytesMax,
      ended: () => (this.isClosed ? this.closedError() : undefined),
    };
    this.coordinator = new Coordinator(this.file, options, source, () => { this.requireOpen(); });
    this.checkpointSet = new Checkpoints(context, this.file.facts);
    try {
      if (!options.readOnly) {
        this.checkpointSet.removeUnfinished();
        this.coordinator.restoreAll();
      }
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

  /**
   * The writer of a core, attached by this thread at the first call and closed with the group.
   *
   * @throws as `attach`, and ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY
   */
  writer(core: number): WalWriter {
    this.requireWritable();
    return this.coordinator.attach(checkCore(core, this.cores));
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
    return this.coordinator.completeEpoch;
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
    return this.coordinator.endEpoch(until);
  }

  /**
   * Syncs every core, all at the same time: what they have appended before the call is on disk when it resolves.
   * Errors: as `barrierAll`
   */
  async syncAll(options: AskOptions = {}): Promise<void> {
    const until = checkAsk(options);
    this.requireWritable();
    await this.coordinator.sync(until);
  }

  /**
   * Makes a checkpoint: ends the epoch on every core, syncs all of them, writes the checkpoint, durably and whole or
   * not at all, and lets the writers drop the segments that nothing needs any more. Where it fails, the logs have what
   * they had, and the checkpoints before it stand. One is made at a time.
   *
   * Recovery gives `state` back, and then the entries behind the cut: so the state must be what all entries up to the
   * cut have made. Where the writers go on meanwhile, give a function, which is called with the cut when it is durable.
   *
   * @throws (rejects with) as `barrierAll`, and ERR_VARVE_RECORD_TOO_LARGE (offsets), ERR_VARVE_DISK_FULL,
   *   ERR_VARVE_IO, what the function or the iterator of the state throws
   */
  async checkpoint(options: CheckpointOptions = {}): Promise<CheckpointInfo> {
    const checked = checkCheckpoint(options);
    this.requireWritable();
    const made = this.lastCheckpoint.then(() => this.makeCheckpoint(checked));
    this.lastCheckpoint = made.catch(() => undefined);
    return made;
  }

  private async makeCheckpoint({ state, offsets, watermark, timeoutMs }: CheckedCheckpoint): Promise<CheckpointInfo> {
    this.requireWritable();
    const { coordinator, checkpointSet } = this;
    const until = performance.now() + timeoutMs;
    const { epoch, cores } = await coordinator.endEpoch(until);
    const synced = coordinator.sync(until);
    // The file of a state that is there already is written while the logs are synced.
    const whole = typeof state === 'function' ? await synced.then(() => state({ epoch, cores })) : state;
    const contents = { epoch, cores, offsets, watermark, state: whole };
    CANARY: if (globalThis.varveCanary === 'cover') await coordinator.drop(contents);
    const made = await checkpointSet.write(contents, synced);
    await this.dropCovered();
    return made;
  }

  /** Removes the checkpoints that are not kept, and what the logs need for none of the others. */
  private async dropCovered(): Promise<void> {
    const { kept } = await this.checkpointSet.keepNewest(this.options.checkpointsKept);
    const [oldest] = kept;
    if (!this.isClosed && oldest !== undefined && kept.length === this.options.checkpointsKept) {
      await this.coordinator.drop(oldest);
    }
  }

  /**
   * Drops all checkpoints before one, and of each core's log the whole segments that it covers; writers in other
   * threads do so in their own time.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT (there is no such checkpoint), ERR_VARVE_CORRUPT (it is damaged;
   *   nothing was dropped), ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO
   */
  async dropBefore(checkpointId: number): Promise<void> {
    checkWhole('checkpointId', checkpointId);
    this.requireWritable();
    const { kept } = await this.checkpointSet.removeBefore(checkpointId);
    this.requireOpen();
    await this.coordinator.drop(kept[0]!);
  }

  /** The checkpoints that are there, oldest first, without a look at their states. Errors: ERR_VARVE_CLOSED, _IO */
  checkpoints(): (Checkpoint | UnusableCheckpoint)[] {
    this.requireOpen();
    return this.checkpointSet.list();
  }

  /**
   * A checkpoint by its id, or the newest one that is whole; `undefined` where there is none.
   *
   * @throws (rejects with) ERR_VARVE_CLOSED, ERR_VARVE_CORRUPT (the one of this id is damaged),
   *   ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO
   */
  async loadCheckpoint(id?: number): Promise<Checkpoint | undefined> {
    this.requireOpen();
    if (id !== undefined) return this.checkpointSet.load(checkWhole('id', id));
    return (await this.checkpointSet.newest()).checkpoint;
  }

  /**
   * Finds the state to begin with: the newest checkpoint that is whole, the entries that follow it, in order, what
   * their commits say, and what was found of each core. The logs' torn tails are repaired. To be called before the
   * cores are attached; who attaches a core before accepts all that is in its log.
   *
   * @param options.upTo `end`, the default: all that the logs hold is replayed. `epoch`: entries behind the last epoch
   *   that every core has ended are cut off, durably, so that every core ends at the same barrier. Read-only, nothing
   *   is changed, and the entries end there.
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_LOCKED (a core is attached, by this group or
   *   elsewhere), ERR_VARVE_CORRUPT (synced entries are damaged, or are missing between the checkpoint and the logs),
   *   ERR_VARVE_CLOSED, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
   */
  async recover(options: RecoverOptions = {}): Promise<WalRecovery> {
    const upTo = checkRecover(options);
    this.requireOpen();
    const newest = await this.checkpointSet.newest();
    this.requireOpen();
    const { coordinator: { source }, options: opening } = this;
    if (opening.readOnly) return inspectLogs(source, newest, upTo);
    const recovery = recoverLogs(source, opening, newest, upTo);
    this.coordinator.restoreAll();
    return recovery;
  }

  /** Whether it was opened read-only. */
  get readOnly(): boolean { return this.options.readOnly; }
  /** Whether it was closed. */
  get closed(): boolean { return this.isClosed; }

  private closedError(): VarveError {
    return new VarveError('ERR_VARVE_CLOSED', `the group in ${this.directory} is closed; open it again`,
      { path: this.directory });
  }

  private requireOpen(): void {
    if (this.isClosed) throw this.closedError();
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
    const closings = await Promise.allSettled([...this.coordinator.writers.values()].map((writer) => writer.close()));
    this.giveBack();
    for (const closing of closings) if (closing.status === 'rejected') throw closing.reason;
  }

  /** The same as `close`, but blocks the thread until it is done. */
  closeSync(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const failures: unknown[] = [];
    for (const writer of [...this.coordinator.writers.values()]) {
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
