/**
 * Checking a group: every frame of every core, every checkpoint with its state, whether both join on to each other, and
 * what GROUP says the group is. Changes nothing, takes no lock; damage is reported and gone on behind.
 */
import { join } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import { Status } from '../generated/abi.ts';
import { checkLog, type CheckReport, type Damage } from '../log/check.ts';
import { requireIdentity } from '../log/control.ts';
import { newerVersion } from '../log/load.ts';
import { ATTEMPTS, type LogReader } from '../log/reader.ts';
import { statusName } from '../log/segments.ts';
import { hasLog } from './attach.ts';
import {
  infoOf, isUnusable, type Checkpoint, type CheckpointInfo, type UnusableCheckpoint,
} from './checkpoint-file.ts';
import type { Checkpoints } from './checkpoints.ts';
import { withRoom } from './core-log.ts';
import { corePath, GROUP_NAME } from './names.ts';
import { beginningOf, lastEndedEpoch, planRecovery, type CheckpointCut } from './plan.ts';
import { lookAt, readCore, type ReplaySource } from './replay.ts';

/** A place where something valid should be and is not. */
export interface WalDamage {
  /** `undefined` where it concerns the whole group. */
  readonly core: number | undefined;
  readonly path: string;
  /** Offset in the file, in bytes. */
  readonly offset: number;
  /** Sequence of the first entry that is damaged or missing there; `undefined` where it is no entry. */
  readonly sequence: number | undefined;
  /** Entries that are, one behind the other. */
  readonly entries: number;
  /** What is wrong: the name of a status, see docs/format.md. */
  readonly status: string;
  /** The same in words. */
  readonly because: string;
}

/** What was found of one core. */
export interface CoreCheck {
  readonly core: number;
  /** The directory of its log. */
  readonly path: string;
  /** `absent` where the core was never attached; else as `RecordLog.check` says it. */
  readonly outcome: 'absent' | CheckReport['outcome'];
  readonly segments: number;
  /** Entries whose checksum is right, and the bytes of their frames. */
  readonly entries: number;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Epochs of the first and the last entry that can be told; 0 where there is none. */
  readonly firstEpoch: number;
  readonly lastEpoch: number;
  /** The last epoch that it has ended. */
  readonly endedEpoch: number;
  /** Sequences that an earlier repair has given up. */
  readonly lostSequences: readonly number[];
  /** What an interrupted write has left behind the last entry. */
  readonly tornBytes: number;
  readonly tornAt: CheckReport['tornAt'];
}

/** What `WalGroup.check` found. */
export interface WalCheck {
  /** `ok`, `torn` where interrupted writes lie behind the last entries, `corrupt` where synced bytes are damaged. */
  readonly outcome: 'ok' | 'torn' | 'corrupt';
  /** Why, in words. */
  readonly because: string;
  /** The last epoch that every core has ended; 0 for none. */
  readonly completeEpoch: number;
  readonly cores: readonly CoreCheck[];
  /** Checkpoints that are whole, their states too, oldest first. */
  readonly checkpoints: readonly CheckpointInfo[];
  /** Those that cannot be used. */
  readonly unusable: readonly UnusableCheckpoint[];
  /** Whether every log joins on to the newest whole checkpoint: whether a recovery has all that it needs. */
  readonly joined: boolean;
  /** Entries that a recovery would replay now; `undefined` where damage is in its way, or writers were faster. */
  readonly replay: number | undefined;
  /** Everything that is damaged or missing but for the checkpoints. */
  readonly damaged: readonly WalDamage[];
}

/** What a check can be told. */
export interface WalCheckOptions {
  /** Told now and then how many bytes were checked, of how many. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** Checks a group. */
export function checkGroup(source: ReplaySource, checkpoints: Checkpoints, options: WalCheckOptions): WalCheck {
  const check = new GroupCheck(source, options);
  try {
    return check.run(checkpoints);
  } finally {
    check.close();
  }
}

class GroupCheck {
  private readonly source: ReplaySource;
  private readonly options: WalCheckOptions;
  private readonly logs: (LogReader | undefined)[] = [];
  private readonly damaged: WalDamage[] = [];
  private readonly whole: Checkpoint[] = [];
  private readonly unusable: UnusableCheckpoint[] = [];
  private doneBytes = 0;
  private totalBytes = 0;

  constructor(source: ReplaySource, options: WalCheckOptions) {
    this.source = source;
    this.options = options;
  }

  run(checkpoints: Checkpoints): WalCheck {
    const { group: { facts } } = this.source;
    this.checkIdentity();
    for (let core = 0; core < facts.cores; core++) this.logs.push(this.open(core));
    const found = checkpoints.list();
    for (const log of this.logs) this.totalBytes += bytesOf(log);
    for (const { bytes = 0 } of found as Partial<Checkpoint>[]) this.totalBytes += bytes;
    for (const each of found) this.checkCheckpoint(each);
    const cores = this.logs.map((log, core) => this.checkCore(log, core, this.whole.at(-1)));
    const joined = this.checkJoints(checkpoints);
    const replay = this.damaged.some(({ core }) => core !== undefined) ? undefined : this.countReplay(checkpoints);
    return {
      ...this.verdict(cores), cores, joined, replay,
      completeEpoch: Math.max(
        this.source.group.page.complete, Math.min(...cores.map(({ endedEpoch }) => endedEpoch))),
      checkpoints: this.whole.map(infoOf), unusable: this.unusable, damaged: this.damaged,
    };
  }

  close(): void {
    for (const log of this.logs) log?.close();
  }

  private verdict(cores: readonly CoreCheck[]): Pick<WalCheck, 'outcome' | 'because'> {
    const [first] = this.damaged;
    if (first !== undefined) return { outcome: 'corrupt', because: first.because };
    const [unusable] = this.unusable;
    if (unusable !== undefined) {
      return { outcome: 'corrupt', because: `checkpoint ${unusable.id} cannot be used: ${unusable.because}` };
    }
    const torn = cores.find(({ outcome }) => outcome === 'torn');
    if (torn === undefined) return { outcome: 'ok', because: 'every frame and every checkpoint is valid' };
    return { outcome: 'torn', because: `an interrupted write lies behind the last entry of core ${torn.core}` };
  }

  private checkIdentity(): void {
    const { page, context: { directory } } = this.source.group;
    const path = join(directory, GROUP_NAME);
    for (const { offset, status } of page.copies()) {
      if (status === Status.Ok) continue;
      this.note({
        core: undefined, path, offset, sequence: undefined, entries: 0, status: statusName(status),
        because: 'one of the two copies of what the group is does not match its checksum',
      });
    }
  }

  private note(damage: WalDamage): void {
    this.damaged.push(damage);
  }

  /** Takes an error for the damage that it tells of; throws any other one. */
  private noteError(core: number, error: unknown): void {
    if (!VarveError.is(error) || !['ERR_VARVE_CORRUPT', 'ERR_VARVE_FOREIGN_DIRECTORY'].includes(error.code)) throw error;
    const { path, offset, lsn, status } = error.details as Partial<Record<string, unknown>>;
    this.note({
      core,
      path: typeof path === 'string' ? path : this.path(core),
      offset: typeof offset === 'number' ? offset : 0,
      sequence: typeof lsn === 'number' ? lsn : undefined,
      entries: typeof lsn === 'number' ? 1 : 0,
      status: typeof status === 'string' ? status
        : statusName(error.code === 'ERR_VARVE_CORRUPT' ? Status.Absent : Status.ForeignStore),
      because: error.message,
    });
  }

  private path(core: number): string {
    return corePath(this.source.group.context.directory, core);
  }

  /** The log of a core; `undefined` where there is none, or it is another one's. */
  private open(core: number): LogReader | undefined {
    const { group } = this.source;
    if (!hasLog(group, core)) return undefined;
    let log: LogReader | undefined;
    try {
      log = readCore(this.source, core);
      const { identity } = log;
      if (identity !== undefined) requireIdentity(this.path(core), identity, group.identityOf(core));
      return log;
    } catch (error) {
      log?.close();
      this.noteError(core, error);
      return undefined;
    }
  }

  private checkCheckpoint(found: Checkpoint | UnusableCheckpoint): void {
    if (isUnusable(found)) {
      if (found.reason === 'newer-version') throw newerVersion(found.path);
      this.unusable.push(found);
      return;
    }
    const { id, path } = found;
    try {
      found.verifyNow();
      this.whole.push(found);
    } catch (error) {
      // It was removed meanwhile.
      if (VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) return;
      const reason = VarveError.is(error, 'ERR_VARVE_CORRUPT') ? 'damaged' : 'unreadable';
      if (reason === 'unreadable' && !VarveError.is(error, 'ERR_VARVE_IO')) throw error;
      this.unusable.push({ id, path, reason, because: (error as Error).message });
    }
    this.progress(found.bytes);
  }

  private progress(bytes: number): void {
    this.doneBytes += bytes;
    this.options.onProgress?.(this.doneBytes, this.totalBytes);
  }

  private checkCore(log: LogReader | undefined, core: number, checkpoint: CheckpointCut | undefined): CoreCheck {
    const path = this.path(core);
    if (log === undefined) {
      return {
        core, path, outcome: this.isDamaged(core) ? 'corrupt' : 'absent', segments: 0, entries: 0, bytes: 0, firstSequence: 1,
        lastSequence: 0, firstEpoch: 0, lastEpoch: 0, endedEpoch: lastEndedEpoch(log, checkpoint), lostSequences: [],
        tornBytes: 0, tornAt: undefined,
      };
    }
    const { outcome, because, segments, records, bytes, damaged, lostLsns, tornBytes, tornAt } = lookAt(log,
      () => withRoom(this.logs, () => checkLog(log.segments, log.finding, {})));
    for (const damage of damaged) this.note(damageOf(core, damage, because));
    this.progress(bytesOf(log));
    const { firstLsn, lastLsn } = log;
    return {
      core, path, outcome, segments, entries: records, bytes, firstSequence: firstLsn, lastSequence: lastLsn,
      firstEpoch: log.epochOf(firstLsn) ?? 0, lastEpoch: log.epochOf(lastLsn) ?? 0,
      endedEpoch: lastEndedEpoch(log, checkpoint), lostSequences: lostLsns, tornBytes, tornAt,
    };
  }

  /** Whether every log joins on to the newest whole checkpoint. */
  private checkJoints(checkpoints: Checkpoints): boolean {
    for (let attempt = 1; ; attempt++) {
      const latest = checkpoints.latest();
      const base = latest === undefined || this.isUnusable(latest) ? this.whole.at(-1) : latest;
      // Opened behind the checkpoint, a log that is written to reaches up to it, even while it is being cut. Its state
      // is read later: by then, what follows it may be dropped.
      for (const { core } of this.openJoints(base)) this.reopen(core);
      const open = this.openJoints(base);
      const isOvertaken = open.length > 0 && checkpoints.latest()?.id !== latest?.id;
      if (base !== undefined && open.length === 0 && !this.whole.some(({ id }) => id === base.id)) {
        this.checkCheckpoint(base);
        // It is damaged, or was removed since: there is another one to begin with.
        if (this.whole.at(-1)?.id !== base.id && attempt < ATTEMPTS) continue;
      }
      if (isOvertaken && attempt < ATTEMPTS) continue;
      for (const { core, error } of open) {
        const { lsn } = error.details as { readonly lsn?: number };
        // What is missing was said already where the frames told of it.
        const isNoted = this.damaged.some((damage) => damage.core === core && damage.sequence === lsn);
        if (!isNoted) this.noteError(core, error);
      }
      return open.length === 0 && this.logs.every((log, core) => log !== undefined || !this.isDamaged(core));
    }
  }

  private reopen(core: number): void {
    this.logs[core]?.close();
    this.logs[core] = undefined;
    this.logs[core] = this.open(core);
  }

  private isUnusable({ id }: Checkpoint): boolean {
    return this.unusable.some((each) => each.id === id);
  }

  private isDamaged(core: number): boolean {
    return this.damaged.some((damage) => damage.core === core);
  }

  /** The cores whose logs do not join on to a checkpoint. */
  private openJoints(base: Checkpoint | undefined): { readonly core: number; readonly error: VarveError }[] {
    const open: { readonly core: number; readonly error: VarveError }[] = [];
    for (const [core, log] of this.logs.entries()) {
      if (log === undefined && this.isDamaged(core)) continue;
      try {
        beginningOf(log, core, base);
      } catch (error) {
        if (!VarveError.is(error, 'ERR_VARVE_CORRUPT')) throw error;
        open.push({ core, error });
      }
    }
    return open;
  }

  /** Entries of a replay; what its commits hold is looked at too. */
  private countReplay(checkpoints: Checkpoints): number | undefined {
    const checkpoint = this.whole.at(-1);
    try {
      const { cores } = planRecovery({ cores: this.logs, checkpoint });
      return cores.reduce((sum, { entries }) => sum + entries, 0);
    } catch (error) {
      // A writer has cut what was to be counted, or dropped it behind a checkpoint that was made since.
      if (VarveError.is(error, 'ERR_VARVE_TRUNCATED') || VarveError.is(error, 'ERR_VARVE_OUT_OF_RANGE')) return undefined;
      if (checkpoints.latest()?.id !== checkpoint?.id && this.unusable.length === 0) return undefined;
      const { core = 0 } = (error instanceof VarveError ? error.details : {}) as { readonly core?: number };
      this.noteError(core, error);
      return undefined;
    }
  }
}

function bytesOf(log: LogReader | undefined): number {
  return log?.segments.list.reduce((sum, { dataEnd }) => sum + dataEnd, 0) ?? 0;
}

function damageOf(core: number, { path, offset, lsn, records, status }: Damage, because: string): WalDamage {
  return { core, path, offset, sequence: lsn, entries: records, status, because: `core ${core}: ${because}` };
}
