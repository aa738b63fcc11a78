/**
 * The reading half of a WalGroup, the same for its coordinator and for a reader beside it: checkpoints, what recovery
 * would replay, all entries, what is damaged, who has which core. Arguments and states are checked here.
 */
import { Core } from '../core/core.ts';
import { VarveError } from '../errors/varve-error.ts';
import { realStorage } from '../io/real-storage.ts';
import { ATTEMPTS } from '../log/reader.ts';
import type { LogContext } from '../log/segment.ts';
import { checkGroup, type WalCheck, type WalCheckOptions } from './check.ts';
import type { Checkpoint, UnusableCheckpoint } from './checkpoint-file.ts';
import { Checkpoints, type NewestCheckpoint } from './checkpoints.ts';
import type { GroupFile } from './group-file.ts';
import { checkMerge, checkRecover, checkWalCheck, checkWhole, type CheckedWalOptions } from './options.ts';
import { inspectLogs, type RecoveryEnd, type WalRecovery } from './recover.ts';
import { replayAll, type ReplaySource, type WalReplay } from './replay.ts';
import { statsOf, type WalStats } from './stats.ts';
import type { RecoverOptions, WalMergeOptions } from './types.ts';

/** What a group is worked on with. */
export function contextOf(options: CheckedWalOptions): LogContext {
  return {
    core: options.core ?? Core.shared(), storage: options.storage ?? realStorage(), directory: options.directory,
    readOnly: options.readOnly,
  };
}

export abstract class ReadableGroup {
  /** The directory, as an absolute path. */
  readonly directory: string;
  /** Number of writers. */
  readonly cores: number;
  protected readonly options: CheckedWalOptions;
  protected readonly file: GroupFile;
  protected readonly source: ReplaySource;
  protected readonly checkpointSet: Checkpoints;
  private isClosed = false;

  protected constructor(options: CheckedWalOptions, file: GroupFile) {
    const { context, facts } = file;
    this.options = options;
    this.file = file;
    this.directory = context.directory;
    this.cores = facts.cores;
    this.source = {
      group: file, mappedBytesMax: options.mappedBytesMax,
      ended: () => (this.isClosed ? this.closedError() : undefined),
    };
    this.checkpointSet = new Checkpoints(context, facts);
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
    const durable = Array.from({ length: this.cores }, (_, core) => page.durable(core));
    CANARY: if (globalThis.varveCanary === 'complete') return Math.max(...durable);
    return Math.max(page.complete, Math.min(...durable));
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
   *   ERR_VARVE_TRUNCATED (read-only: the writers are faster), ERR_VARVE_CLOSED, ERR_VARVE_NEWER_VERSION,
   *   ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
   */
  async recover(options: RecoverOptions = {}): Promise<WalRecovery> {
    const upTo = checkRecover(options);
    this.requireOpen();
    for (let attempt = 1; ; attempt++) {
      const latest = this.checkpointSet.latest()?.id;
      const newest = await this.checkpointSet.newest();
      this.requireOpen();
      if (!this.readOnly) return this.recoverWriting(newest, upTo);
      try {
        return inspectLogs(this.source, newest, upTo);
      } catch (error) {
        // Whoever writes has cut something meanwhile, or has made a checkpoint and dropped what follows the one before.
        const isOvertaken = VarveError.is(error, 'ERR_VARVE_TRUNCATED')
          || (VarveError.is(error, 'ERR_VARVE_CORRUPT') && this.checkpointSet.latest()?.id !== latest);
        if (!isOvertaken) throw error;
        if (attempt === ATTEMPTS) {
          throw new VarveError('ERR_VARVE_TRUNCATED',
            `the writers of ${this.directory} make checkpoints, and drop what they cover, faster than they are read; keep `
            + 'more of them (checkpointsKept)', { path: this.directory }, error);
        }
      }
    }
  }

  /** Recovers the logs for writing. */
  protected abstract recoverWriting(newest: NewestCheckpoint, upTo: RecoveryEnd): WalRecovery;

  /**
   * All entries that the logs still hold, in the order (epoch, sequence, core), whether a checkpoint covers them or
   * not; beside writers, wherever they are. The end is fixed by this call. Which entries of the past are there differs
   * from core to core: logs are cut by whole segments.
   *
   * @param options.upTo `end`, the default; `epoch`: up to the last epoch that every core has ended; or the number of
   *   the last epoch
   * @param options.core only the entries of this core
   * @param options.from with `core`: the first sequence
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE (`from` is not in the log), ERR_VARVE_CLOSED,
   *   ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO; while iterating, as
   *   the entries of `recover`
   * @example
   * for (const { core, epoch, key, value } of group.merge({ upTo: 'epoch' })) console.log(core, epoch, key, value);
   */
  merge(options: WalMergeOptions = {}): WalReplay {
    const checked = checkMerge(options, this.cores);
    this.requireOpen();
    return replayAll(this.source, checked, this.checkpointSet.latest());
  }

  /**
   * Checks every frame of every core, every checkpoint with its state, whether the logs join on to the newest whole
   * checkpoint, and both copies of what the group is; goes on behind damage and says all of it. Changes nothing; works
   * beside writers, whose later entries are not looked at. Blocks for as long as reading all of it takes.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED, ERR_VARVE_NEWER_VERSION, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO;
   *   damage is reported, not thrown
   */
  check(options: WalCheckOptions = {}): WalCheck {
    checkWalCheck(options);
    this.requireOpen();
    return checkGroup(this.source, this.checkpointSet, options);
  }

  /**
   * What the group and each core are like now: who has it, sequences, positions, epochs, size; of cores that other
   * threads or processes have too, and of those that nobody has. Costs as much as opening every log for reading.
   *
   * @throws ERR_VARVE_CLOSED, ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
   */
  stats(): WalStats {
    this.requireOpen();
    return statsOf(this.source, this.checkpointSet);
  }

  /** Whether it was opened read-only. */
  get readOnly(): boolean { return this.options.readOnly; }
  /** Whether it was closed. */
  get closed(): boolean { return this.isClosed; }

  private closedError(): VarveError {
    return new VarveError('ERR_VARVE_CLOSED', `the group in ${this.directory} is closed; open it again`,
      { path: this.directory });
  }

  protected requireOpen(): void {
    if (this.isClosed) throw this.closedError();
  }

  protected requireWritable(): void {
    this.requireOpen();
    if (!this.options.readOnly) return;
    throw new VarveError('ERR_VARVE_READ_ONLY',
      `the group in ${this.directory} was opened read-only; open it for writing`, { path: this.directory });
  }

  /** Ends what is under way; false where it was closed before. */
  protected end(): boolean {
    if (this.isClosed) return false;
    this.isClosed = true;
    return true;
  }
}
