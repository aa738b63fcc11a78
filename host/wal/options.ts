/**
 * Checking what a write-ahead log group is told. Everything wrong is found here, before anything is touched.
 */
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { GROUP_CORES_MAX, Kind } from '../generated/abi.ts';
import {
  checkDirectory, checkLogOptions, flag, integer, requireKnown, type CheckedLogOptions,
} from '../log/options.ts';
import type { WalCheckOptions } from './check.ts';
import { checkState } from './checkpoint-state.ts';
import { commitBytes, type CommitOffsets } from './commit.ts';
import type { RecoveryEnd } from './recover.ts';
import type { WalRepairOptions } from './repair.ts';
import type { ReplayWish } from './replay.ts';
import type {
  AskOptions, CheckpointOptions, RecoverOptions, SyncPolicy, WalCreateOptions, WalGroupOptions, WalMergeOptions,
  WalWriterOptions,
} from './types.ts';

/** When to sync: 0 for never. */
export interface CheckedSync {
  /** Whether every entry is synced before its call returns. */
  readonly blocking: boolean;
  readonly entries: number;
  readonly ms: number;
}

/** Options with their defaults. */
export interface CheckedWalOptions extends CheckedLogOptions {
  readonly sync: CheckedSync;
  /** Absent where the system's clock tells the time. */
  readonly now: (() => number) | undefined;
  readonly checkpointsKept: number;
}

const TIMEOUT_MS_DEFAULT = 10_000;
const TIMER_MS_MAX = 2 ** 31 - 1;
const CHECKPOINTS_DEFAULT = 2;
const CHECKPOINTS_MAX = 1_000_000;
const USER_KIND_MAX = 127;
const EPOCH_MAX = 0xffffffff;
const WRITER = ['segmentBytes', 'mappedBytesMax', 'core', 'storage', 'sync', 'now'] as const;
const WRITER_OPTIONS: ReadonlySet<string> = new Set(WRITER);
const GROUP_OPTIONS: ReadonlySet<string> = new Set([...WRITER, 'readOnly', 'checkpointsKept']);
const CREATE_OPTIONS: ReadonlySet<string> = new Set([...GROUP_OPTIONS, 'cores']);
const SYNC: ReadonlySet<string> = new Set(['entries', 'ms']);
const ASK: ReadonlySet<string> = new Set(['timeoutMs']);
const CHECKPOINT: ReadonlySet<string> = new Set(['state', 'offsets', 'watermark', 'timeoutMs']);
const RECOVER: ReadonlySet<string> = new Set(['upTo']);
const MERGE: ReadonlySet<string> = new Set(['upTo', 'core', 'from']);
const CHECK: ReadonlySet<string> = new Set(['onProgress']);
const REPAIR: ReadonlySet<string> = new Set(['dryRun', 'mappedBytesMax', 'core', 'storage']);

/** Checks what `WalGroup.create` was given. */
export function checkCreate(
  directory: unknown, options: WalCreateOptions,
): { readonly cores: number; readonly options: CheckedWalOptions } {
  checkDirectory(directory);
  requireKnown('options', options, CREATE_OPTIONS);
  const cores = integer('options.cores', options.cores, 1, GROUP_CORES_MAX);
  if (options.readOnly === true) throw outOfRange('options.readOnly', 'false where a group is made', true);
  return { cores, options: checked(directory, options) };
}

/** Checks what `WalGroup.open` was given. */
export function checkOpen(directory: unknown, options: WalGroupOptions): CheckedWalOptions {
  checkDirectory(directory);
  requireKnown('options', options, GROUP_OPTIONS);
  return checked(directory, options);
}

/** Checks what `WalGroup.attach` was given. */
export function checkAttach(directory: unknown, options: WalWriterOptions): CheckedWalOptions {
  checkDirectory(directory);
  requireKnown('options', options, WRITER_OPTIONS);
  return checked(directory, options);
}

function checked(directory: unknown, options: WalGroupOptions): CheckedWalOptions {
  const { segmentBytes, mappedBytesMax, core, storage, readOnly, checkpointsKept = CHECKPOINTS_DEFAULT, now } = options;
  if (now !== undefined && typeof now !== 'function') throw wrongType('options.now', 'a function', now);
  return {
    ...checkLogOptions(directory, {
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
      ...(mappedBytesMax === undefined ? {} : { mappedBytesMax }),
      ...(core === undefined ? {} : { core }),
      ...(storage === undefined ? {} : { storage }),
      ...(readOnly === undefined ? {} : { readOnly }),
    }),
    sync: checkSync(options.sync ?? 'explicit'),
    now,
    checkpointsKept: integer('options.checkpointsKept', checkpointsKept, 1, CHECKPOINTS_MAX),
  };
}

function checkSync(policy: SyncPolicy): CheckedSync {
  if (policy === 'explicit') return { blocking: false, entries: 0, ms: 0 };
  if (policy === 'entry') return { blocking: true, entries: 1, ms: 0 };
  if (typeof policy === 'string') throw outOfRange('options.sync', "'explicit', 'entry' or {entries, ms}", policy);
  requireKnown('options.sync', policy, SYNC);
  const { entries, ms } = policy;
  if (entries === undefined && ms === undefined) throw wrongType('options.sync', '{entries, ms}, one at least', policy);
  return {
    blocking: false,
    entries: entries === undefined ? 0 : integer('options.sync.entries', entries, 1, Number.MAX_SAFE_INTEGER),
    ms: ms === undefined ? 0 : integer('options.sync.ms', ms, 1, TIMER_MS_MAX),
  };
}

/** Checks the number of a core. */
export function checkCore(core: unknown, cores: number, name = 'core'): number {
  return integer(name, core, 0, cores - 1);
}

/** Checks what an asking was given; returns when it is over, by `performance.now()`. */
export function checkAsk(options: AskOptions): number {
  requireKnown('options', options, ASK);
  return performance.now() + checkTimeout(options.timeoutMs);
}

/** Checks how long whoever is asked may take. */
function checkTimeout(timeoutMs: unknown): number {
  return integer('options.timeoutMs', timeoutMs ?? TIMEOUT_MS_DEFAULT, 1, TIMER_MS_MAX);
}

/** What a checkpoint is to be made of, checked as far as it can be before it is made. */
export interface CheckedCheckpoint {
  readonly state: NonNullable<CheckpointOptions['state']>;
  readonly offsets: CommitOffsets;
  readonly watermark: number | bigint | undefined;
  readonly timeoutMs: number;
}

/** Checks what `checkpoint` was given. */
export function checkCheckpoint(options: CheckpointOptions): CheckedCheckpoint {
  requireKnown('options', options, CHECKPOINT);
  const { state = '', offsets = {}, watermark, timeoutMs } = options;
  commitBytes(offsets, watermark);
  if (typeof state !== 'function') checkState(state);
  return { state, offsets, watermark, timeoutMs: checkTimeout(timeoutMs) };
}

/** Checks what `recover` was given. */
export function checkRecover(options: RecoverOptions): RecoveryEnd {
  requireKnown('options', options, RECOVER);
  const { upTo = 'end' } = options;
  if (upTo !== 'end' && upTo !== 'epoch') throw outOfRange('options.upTo', "'end' or 'epoch'", upTo);
  return upTo;
}

/** Checks what `merge` was given. */
export function checkMerge(options: WalMergeOptions, cores: number): ReplayWish {
  requireKnown('options', options, MERGE);
  const { upTo = 'end', core, from } = options;
  if (typeof upTo === 'string' && upTo !== 'end' && upTo !== 'epoch') {
    throw outOfRange('options.upTo', "'end', 'epoch' or an epoch", upTo);
  }
  if (from !== undefined && core === undefined) throw outOfRange('options.from', 'given together with options.core', from);
  return {
    upTo: typeof upTo === 'string' ? upTo : integer('options.upTo', upTo, 0, EPOCH_MAX),
    core: core === undefined ? undefined : checkCore(core, cores, 'options.core'),
    from: from === undefined ? undefined : integer('options.from', from, 1, Number.MAX_SAFE_INTEGER),
  };
}

/** Checks what `check` was given. */
export function checkWalCheck(options: WalCheckOptions): void {
  requireKnown('options', options, CHECK);
  const { onProgress } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw wrongType('options.onProgress', 'a function', onProgress);
  }
}

/** Checks what `WalGroup.repair` was given. A dry run is read-only. */
export function checkRepair(directory: unknown, options: WalRepairOptions): CheckedWalOptions {
  checkDirectory(directory);
  requireKnown('options', options, REPAIR);
  const { dryRun = false, ...rest } = options;
  return checked(directory, { ...rest, readOnly: flag('options.dryRun', dryRun) });
}

/** Checks an epoch that is to begin. */
export function checkEpoch(epoch: unknown, least: number): number {
  return integer('to', epoch, least, EPOCH_MAX);
}

/** Checks a kind of the user's own; a put and a delete have calls of their own. */
export function checkUserKind(kind: unknown): number {
  const checkedKind = integer('kind', kind, 0, USER_KIND_MAX);
  if (checkedKind === Kind.Put || checkedKind === Kind.Delete) {
    throw outOfRange('kind', 'neither 1 nor 2, for which there are put and delete', kind);
  }
  return checkedKind;
}

/** Checks bytes or text. */
export function checkData(name: string, value: unknown): Uint8Array | string {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  throw wrongType(name, 'a Uint8Array or a string', value);
}

/** Checks an integer from 0 on. */
export function checkWhole(name: string, value: unknown): number {
  return integer(name, value, 0, Number.MAX_SAFE_INTEGER);
}
