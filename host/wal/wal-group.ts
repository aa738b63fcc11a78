/**
 * WalGroup: a write-ahead log with one writer per thread, as its users see it. This is opening, epochs, asking all
 * writers for something, and closing; what only reads is readable-group.ts, what a writer does is writer.ts, arguments
 * are options.ts.
 */
import { dirname, join } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import type { Lock } from '../io/storage.ts';
import { LOCK_NAME, replacementPath } from '../log/names.ts';
import type { LogContext } from '../log/segment.ts';
import { attachCore } from './attach.ts';
import type { Checkpoint, CheckpointInfo } from './checkpoint-file.ts';
import type { NewestCheckpoint } from './checkpoints.ts';
import { greater, overlaid } from './commit.ts';
import { Coordinator } from './coordinator.ts';
import { GroupFile } from './group-file.ts';
import { CHECKPOINTS_NAME, GROUP_NAME } from './names.ts';
import {
  checkAsk, checkAttach, checkCheckpoint, checkCore, checkCreate, checkEpoch, checkOpen, checkRepair, checkWhole,
  type CheckedCheckpoint, type CheckedWalOptions,
} from './options.ts';
import { contextOf, ReadableGroup } from './readable-group.ts';
import { recoverLogs, type RecoveryEnd, type WalRecovery } from './recover.ts';
import { repairGroup, type WalRepair, type WalRepairOptions } from './repair.ts';
import type {
  AskOptions, CheckpointOptions, EpochCut, WalCreateOptions, WalGroupOptions, WalWriterOptions,
} from './types.ts';
import type { WalWriter } from './writer.ts';

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

/** A group's file, and the coordinator's lock. */
interface OpenGroup {
  readonly file: GroupFile;
  /** Absent where the group is only read. */
  readonly lock: Lock | undefined;
}

/** Opens a group's file, as its coordinator or read-only. */
function openFile(options: CheckedWalOptions, open: (context: LogContext) => GroupFile): OpenGroup {
  const context = contextOf(options);
  const lock = options.readOnly ? undefined : context.storage.lock(join(context.directory, LOCK_NAME));
  try {
    return { file: open(context), lock };
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** What commits have said where they count no more. */
const NOTHING = { offsets: new Map<string, number | bigint>(), watermark: undefined } as const;

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
export class WalGroup extends ReadableGroup {
  private readonly lock: Lock | undefined;
  private readonly coordinator: Coordinator;
  /** Ends when the last checkpoint that was asked for has ended. */
  private lastCheckpoint: Promise<unknown> = Promise.resolve();
  /** The newest checkpoint, once one was made. */
  private newestMade: Checkpoint | undefined;
  /** How many commits had been counted when it was begun. */
  private commitsCovered = 0;

  private constructor(options: CheckedWalOptions, { file, lock }: OpenGroup) {
    super(options, file);
    this.lock = lock;
    this.coordinator = new Coordinator(file, options, this.source, () => { this.requireOpen(); });
    try {
      if (!options.readOnly) {
        this.checkpointSet.removeUnfinished();
        this.coordinator.restoreAll();
      }
    } catch (error) {
      this.end();
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
    return new WalGroup(checked, openFile(checked, (context) => GroupFile.create(context, cores)));
  }

  /**
   * Opens a group as its coordinator, or, read-only, beside one. The epoch is restored from the logs: no entry that is
   * appended from now on comes before one that is there.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_NOT_FOUND, ERR_VARVE_FOREIGN_DIRECTORY (there is
   *   another store), ERR_VARVE_LOCKED (somebody else is the coordinator), ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION,
   *   ERR_VARVE_MEMORY_FULL, ERR_VARVE_UNSUPPORTED, ERR_VARVE_IO
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
    return new WalGroup(checked, openFile(checked, (each) => GroupFile.open(each)));
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
   * Repairs the logs of all cores, as `RecordLog.repair` does one: damaged entries become placeholders, which a
   * recovery counts and passes over; what is overwritten or cut is saved beside it. Makes the copies of what the group
   * is agree. Damaged checkpoints stay: a recovery walks over them. What is missing between a checkpoint and a log, no
   * repair can mend. Nobody may have the group or a core open, unless it is a dry run.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_NOT_FOUND, ERR_VARVE_LOCKED, ERR_VARVE_CORRUPT (both
   *   copies of what the group is are damaged, or a log has another kind of damage than a repair can mend),
   *   ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
   */
  static async repair(directory: string, options: WalRepairOptions = {}): Promise<WalRepair> {
    const checked = checkRepair(directory, options);
    if (!GroupFile.exists(contextOf(checked))) GroupFile.open(contextOf(checked));
    const { file, lock } = openFile(checked, (context) => GroupFile.open(context));
    try {
      return repairGroup(file, checked);
    } finally {
      file.close();
      lock?.release();
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

  /**
   * Begins a new epoch and returns it. Every writer ends the one before with a barrier, at its next entry or when it is
   * woken.
   *
   * @param to the new epoch, above the one of now and at most 2^32 - 1. Default: the next one.
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY
   */
  advanceEpoch(to?: number): number {
    this.requireWritable();
    const { page } = this.file;
    const epoch = checkEpoch(to ?? page.epoch + 1, page.epoch + 1);
    page.raiseEpoch(epoch);
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
    return this.inTurn(() => this.makeCheckpoint(checked));
  }

  /** Runs what makes a checkpoint when the one that was asked for before has ended. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const made = this.lastCheckpoint.then(work);
    this.lastCheckpoint = made.catch(() => undefined);
    return made;
  }

  /** `anew`: what commits said until now counts no more. */
  private async makeCheckpoint(checked: CheckedCheckpoint, anew = false): Promise<CheckpointInfo> {
    this.requireWritable();
    const { page } = this.file;
    page.isCutting = true;
    try {
      return await this.cutAndWrite(checked, anew);
    } finally {
      if (!this.closed) page.isCutting = false;
    }
  }

  private async cutAndWrite(
    { state, offsets, watermark, timeoutMs }: CheckedCheckpoint, anew: boolean,
  ): Promise<CheckpointInfo> {
    const { coordinator, checkpointSet } = this;
    const until = performance.now() + timeoutMs;
    const before = anew ? undefined : this.newestMade ?? (await checkpointSet.newest()).checkpoint;
    // Before the epoch ends: commits that are counted now are covered.
    const commits = coordinator.commits();
    const { epoch, cores } = await coordinator.endEpoch(until);
    const synced = coordinator.sync(until);
    // It may fail before anybody waits for it.
    synced.catch(() => undefined);
    const isSame = this.newestMade !== undefined && coordinator.commits() === this.commitsCovered;
    const said = anew ? NOTHING : isSame ? before! : coordinator.commitsUpTo(epoch, before);
    // The file of a state that is there already is written while the logs are synced.
    const whole = typeof state === 'function' ? await synced.then(() => state({ epoch, cores })) : state;
    CANARY: if (globalThis.varveCanary === 'cover') await coordinator.drop({ cores });
    const made = await checkpointSet.write({
      epoch, cores, state: whole,
      offsets: overlaid(said.offsets, offsets), watermark: greater(said.watermark, watermark),
      // Whoever has the group when it was closed may be making one of this name.
    }, () => synced.then(() => { this.requireOpen(); }));
    this.newestMade = made;
    this.commitsCovered = commits;
    await this.dropCovered();
    return made;
  }

  /** Removes the checkpoints that are not kept, and what the logs need for none of the others. */
  private async dropCovered(): Promise<void> {
    const { kept } = await this.checkpointSet.keepNewest(this.options.checkpointsKept, false);
    const [oldest] = kept;
    if (!this.closed && oldest !== undefined && kept.length === this.options.checkpointsKept) {
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

  /**
   * Lets go of everything that was appended before the call, wherever the writers are, and of all checkpoints: makes an
   * empty checkpoint and drops what is before it. Epochs, sequences and positions go on; a recovery finds that
   * checkpoint, with no state, no offsets and no watermark, and what was appended since. A crash leaves either all, or
   * a group that was reset. `merge` still gives what lies in the last segment of each core.
   *
   * @throws (rejects with) as `checkpoint`
   */
  async reset(options: AskOptions = {}): Promise<CheckpointInfo> {
    checkAsk(options);
    this.requireWritable();
    return this.inTurn(async () => {
      const made = await this.makeCheckpoint(checkCheckpoint(options), true);
      await this.dropBefore(made.id);
      return made;
    });
  }

  protected override recoverWriting(newest: NewestCheckpoint, upTo: RecoveryEnd): WalRecovery {
    const recovery = recoverLogs(this.source, this.options, newest, upTo);
    this.coordinator.restoreAll();
    return recovery;
  }

  /**
   * Closes the writers that this group has attached, each synced, and lets others coordinate. Writers in other threads
   * go on; a checkpoint that is being made fails with ERR_VARVE_CLOSED, and is waited for. Idempotent.
   *
   * @throws (rejects with) ERR_VARVE_IO, ERR_VARVE_DISK_FULL, of the first writer that fails; everything is closed then
   */
  async close(): Promise<void> {
    if (!this.end()) return;
    await this.lastCheckpoint;
    const closings = await Promise.allSettled([...this.coordinator.writers.values()].map((writer) => writer.close()));
    this.giveBack();
    for (const closing of closings) if (closing.status === 'rejected') throw closing.reason;
  }

  /** The same as `close`, but blocks the thread until it is done. */
  closeSync(): void {
    if (!this.end()) return;
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
