/**
 * What recovery has to know before it reads: up to which epoch each core is complete, where each log is to be cut and
 * where its replay begins, and what the commits in between say. It changes nothing and keeps nothing of the logs.
 *
 * Commits are found by a walk over the headers alone. A walk that damage has led astray does not end where the index
 * says and is an error; damage that a walk cannot see, the merge finds, which checks every frame.
 */
import { VarveError } from '../errors/varve-error.ts';
import { BarrierEntry, Kind, Status } from '../generated/abi.ts';
import { sizeAt, type LogRecord } from '../log/record.ts';
import { corruptFrame } from '../log/segments.ts';
import { decodeCommit } from './commit.ts';
import { partsOf, withRoom, type CoreLog, type LogPart } from './core-log.ts';
import { notAnEntry } from './entry.ts';

/** What a plan needs of a checkpoint. */
export interface CheckpointCut {
  /** The epoch that it ends. */
  readonly epoch: number;
  /** Of each core in order: the sequence of its barrier, 0 where it had none. All up to there is covered. */
  readonly cores: readonly { readonly sequence: number }[];
  readonly offsets?: ReadonlyMap<string, number | bigint>;
  readonly watermark?: number | bigint | undefined;
}

export interface PlanOptions {
  /** The opened log of each core, in order; `undefined` where it has none yet. */
  readonly cores: readonly (CoreLog | undefined)[];
  readonly checkpoint?: CheckpointCut | undefined;
  /** An epoch that every core is known to have ended, whatever its log shows. Default 0. */
  readonly complete?: number;
  /** Where the replay ends: with all that is there, with the last complete epoch, or with this one. Default `end`. */
  readonly upTo?: 'end' | 'epoch' | number;
}

/** One core of a plan. */
export interface CorePlan {
  readonly core: number;
  /** `undefined` where the core has no log. */
  readonly log: CoreLog | undefined;
  /** The last epoch that it has ended; 0 for none. */
  readonly endedEpoch: number;
  /** First and last sequence of the replay, inclusive; where there is none, `to` is `from - 1`. */
  readonly from: number;
  readonly to: number;
  /** Entries of the replay, without placeholders; commits are among them. */
  readonly entries: number;
  readonly commits: number;
  /** Placeholders of a repair: entries that were lost to damage. */
  readonly lost: number;
  /** Bytes of the replay's frames. */
  readonly bytes: number;
  /** Epochs of the first and the last entry, or placeholder, of the replay; 0 where there is none. */
  readonly firstEpoch: number;
  readonly lastEpoch: number;
  /** Entries behind the end of the replay. */
  readonly beyond: number;
}

export interface RecoveryPlan {
  /** The last epoch that every core has ended; 0 for none. */
  readonly completeEpoch: number;
  readonly cores: readonly CorePlan[];
  /** The latest of each source, in the order of a merge, over those of the checkpoint. */
  readonly offsets: Map<string, number | bigint>;
  /** The greatest of all, that of the checkpoint included. */
  readonly watermark: number | bigint | undefined;
}

/** The record of an LSN; `undefined` where it is damaged, lost or not there. */
function recordOf(log: CoreLog, lsn: number): LogRecord | undefined {
  try {
    return log.reading?.(lsn, (segments) => segments.read(lsn, false)) ?? log.segments.read(lsn, false);
  } catch (error) {
    const known = ['ERR_VARVE_CORRUPT', 'ERR_VARVE_RECORD_LOST', 'ERR_VARVE_OUT_OF_RANGE'] as const;
    if (known.some((code) => VarveError.is(error, code))) return undefined;
    throw error;
  }
}

/** The epoch that an intact barrier ends; `undefined` where the record is none. */
function endedBy(log: CoreLog, lsn: number): number | undefined {
  const record = recordOf(log, lsn);
  if (record?.kind !== Kind.Barrier || record.payload.length < BarrierEntry.BYTES) return undefined;
  const { payload: { buffer, byteOffset } } = record;
  return Number(new DataView(buffer, byteOffset).getBigUint64(BarrierEntry.ended, true));
}

/** The last LSN from `high` down to `low` whose epoch can be told, or `low - 1`. */
function lastTold(log: CoreLog, low: number, high: number): number {
  let lsn = high;
  while (lsn >= low && log.epochOf(lsn) === undefined) lsn--;
  return lsn;
}

/**
 * The last epoch that a core has ended: nothing of it, or of one before, will ever be appended behind. 0 for none.
 *
 * @param log `undefined` where the core has none yet
 * @param lastLsn where the log is taken to end
 */
export function lastEndedEpoch(log: CoreLog | undefined, checkpoint?: CheckpointCut, lastLsn = log?.lastLsn): number {
  const least = checkpoint?.epoch ?? 0;
  if (log === undefined || lastLsn === undefined) return least;
  // What is damaged says nothing, but what stands before it holds.
  const lsn = lastTold(log, log.firstLsn, lastLsn);
  if (lsn < log.firstLsn) return least;
  return Math.max(least, endedBy(log, lsn) ?? log.epochOf(lsn)! - 1);
}

/** The last epoch that a core has ended, and the barrier that has ended it, where that is the last record; else 0. */
export function lastBarrier(log: CoreLog): { readonly ended: number; readonly sequence: number } {
  const ended = lastEndedEpoch(log);
  const isLast = log.lastLsn >= log.firstLsn && endedBy(log, log.lastLsn) !== undefined;
  return { ended, sequence: isLast ? log.lastLsn : 0 };
}

/** The last epoch that every core has ended; 0 for none. */
export function lastCompleteEpoch(cores: readonly (CoreLog | undefined)[], checkpoint?: CheckpointCut): number {
  let least = cores.length === 0 ? 0 : Infinity;
  CANARY: if (globalThis.varveCanary === 'barrier') cores = cores.filter((log) => lastEndedEpoch(log) > 0);
  for (const log of cores) least = Math.min(least, withRoom(cores, () => lastEndedEpoch(log, checkpoint)));
  return least;
}

/** The first LSN from `low` up to `high` whose epoch can be told, or `high + 1`. */
function firstTold(log: CoreLog, low: number, high: number): number {
  let lsn = low;
  while (lsn <= high && log.epochOf(lsn) === undefined) lsn++;
  return lsn;
}

/**
 * The last LSN of a core that belongs to an epoch or to one before; `firstLsn - 1` where there is none. Of damaged
 * records between two epochs nobody knows the epoch: they are counted in, so that who reads up to here meets them,
 * unless a barrier before them says that they are beyond. A barrier that ends the epoch when the core has left it
 * already, and so is the first entry of the next one, belongs to it.
 */
export function cutOf(log: CoreLog, epoch: number): number {
  const cut = lastWithin(log, epoch);
  return cut < log.lastLsn && (endedBy(log, cut + 1) ?? Infinity) <= epoch ? cut + 1 : cut;
}

/** The last LSN whose epoch is this one or one before, or that may be. */
function lastWithin(log: CoreLog, epoch: number): number {
  const { firstLsn, lastLsn } = log;
  // Whatever can be told up to `within` is, and whatever can be told from `beyond` on is not.
  let within = firstLsn - 1;
  let beyond = lastLsn + 1;
  while (beyond - within > 1) {
    const middle = within + ((beyond - within) >> 1);
    const told = firstTold(log, middle, beyond - 1);
    if (told < beyond && log.epochOf(told)! <= epoch) within = told;
    else beyond = middle;
  }
  const next = firstTold(log, within + 1, lastLsn);
  if (next === within + 1 || (within >= firstLsn && (endedBy(log, within) ?? -1) >= epoch)) return within;
  return next - 1;
}

/** Where the replay of a core begins. Errors: ERR_VARVE_CORRUPT where the log does not join on to the checkpoint */
export function beginningOf(log: CoreLog | undefined, core: number, checkpoint: CheckpointCut | undefined): number {
  const covered = checkpoint?.cores[core]?.sequence ?? 0;
  const firstLsn = log?.firstLsn ?? 1;
  const lastLsn = log?.lastLsn ?? 0;
  if (firstLsn <= covered + 1 && lastLsn >= covered) return covered + 1;
  const has = lastLsn < firstLsn ? 'is empty' : `holds ${firstLsn} to ${lastLsn}`;
  const told = checkpoint === undefined ? 'there is no checkpoint that covers what is missing'
    : `the checkpoint of epoch ${checkpoint.epoch} covers it up to ${covered}`;
  throw new VarveError('ERR_VARVE_CORRUPT',
    `the log of core ${core} ${has}, but ${told}; restore the group from a copy, its logs together with its checkpoints`,
    { core, lsn: covered + 1, firstLsn, lastLsn, epoch: checkpoint?.epoch });
}

/** The error for a part of a log whose headers do not lead from its beginning to its end. */
function strayed({ segment, view, from, to, offset, end }: LogPart): VarveError {
  if (offset < 0) return corruptFrame(segment, 0, segment.baseLsn + from, offset);
  const count = end < 0 ? 0 : view.scan(offset, from, to - from, 0xffffffff);
  const { resultOffset, resultStatus } = view;
  const status = count === to - from || resultStatus === Status.Ok ? Status.BadIndex : resultStatus;
  return corruptFrame(segment, end < 0 ? offset : resultOffset, segment.baseLsn + from + count, status);
}

/** Calls `found` with offset and ordinal of each record of a kind; they are not checked. */
function walk(part: LogPart, kind: number, found: (offset: number, ordinal: number) => void): void {
  const { view, from, to, end } = part;
  let { offset } = part;
  if (offset < 0 || end < 0) throw strayed(part);
  for (let ordinal = from; ; ordinal++) {
    const status = view.findKind(offset, ordinal, to, kind);
    ordinal = view.resultRecords;
    offset = view.resultOffset;
    if (status < 0) {
      if (status !== Status.Absent || ordinal !== to || offset !== end) throw strayed(part);
      return;
    }
    if (view.locate(ordinal) !== offset) throw strayed(part);
    const stride = (sizeAt(view.core.memory.unsigned, view.base + offset) + 7) & ~7;
    found(offset, ordinal);
    offset += stride;
  }
}

/** What commits say, all in all: of each source the latest, by the order of a merge; the greatest watermark. */
class Commits {
  private readonly latest = new Map<string, { readonly at: readonly number[]; readonly offset: number | bigint }>();
  watermark: number | bigint | undefined;

  constructor(checkpoint: CheckpointCut | undefined) {
    for (const [name, offset] of checkpoint?.offsets ?? []) this.latest.set(name, { at: [0, 0, 0], offset });
    this.watermark = checkpoint?.watermark;
  }

  get offsets(): Map<string, number | bigint> {
    return new Map([...this.latest].map(([name, { offset }]) => [name, offset]));
  }

  take({ epoch, lsn, payload }: LogRecord, core: number): boolean {
    const commit = decodeCommit(payload);
    if (commit === undefined) return false;
    const at = [epoch, lsn, core];
    for (const [name, offset] of commit.offsets) {
      const known = this.latest.get(name);
      if (known === undefined || isBefore(known.at, at)) this.latest.set(name, { at, offset });
    }
    const { watermark } = commit;
    if (watermark !== undefined && !(this.watermark! >= watermark)) this.watermark = watermark;
    return true;
  }
}

/** Compares epoch, sequence and core, in this order. */
function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const differs = a.findIndex((value, at) => value !== b[at]);
  return differs >= 0 && a[differs]! < b[differs]!;
}

/** Counts what lies in a range, and takes its commits in; a range that is begun again is taken in once all the same. */
function tallyOf(log: CoreLog, core: number, from: number, to: number, all: Commits) {
  const tally = { commits: 0, lost: 0, bytes: 0 };
  for (const part of partsOf(log, from, to)) {
    const { segment: { path, baseLsn }, offset: begin, end } = part;
    walk(part, Kind.Commit, (offset, ordinal) => {
      const lsn = baseLsn + ordinal;
      const record = log.segments.read(lsn, false);
      if (!all.take(record, core)) throw notAnEntry({ path, segment: baseLsn, offset, lsn }, core, record.kind);
      tally.commits++;
    });
    walk(part, Kind.Lost, () => { tally.lost++; });
    tally.bytes += end - begin;
  }
  return tally;
}

function planCore(
  log: CoreLog | undefined, core: number, options: PlanOptions, epoch: number, all: Commits,
): CorePlan {
  const from = beginningOf(log, core, options.checkpoint);
  const endedEpoch = Math.max(options.complete ?? 0, lastEndedEpoch(log, options.checkpoint));
  if (log === undefined) {
    return {
      core, log, endedEpoch, from, to: from - 1, entries: 0, commits: 0, lost: 0, bytes: 0, firstEpoch: 0, lastEpoch: 0,
      beyond: 0,
    };
  }
  const { lastLsn } = log;
  const to = epoch === Infinity ? lastLsn : Math.max(from - 1, cutOf(log, epoch));
  const guard = log.scanGuard?.();
  try {
    const { commits, lost, bytes } = tallyOf(log, core, from, to, all);
    const first = firstTold(log, from, to);
    const last = lastTold(log, from, to);
    return {
      core, log, endedEpoch, from, to, entries: to - from + 1 - lost, commits, lost, bytes,
      firstEpoch: first > to ? 0 : log.epochOf(first)!, lastEpoch: last < from ? 0 : log.epochOf(last)!,
      beyond: lastLsn - to,
    };
  } catch (error) {
    throw guard?.failed(error) ?? error;
  }
}

/**
 * Finds out what a recovery from a checkpoint, or from nothing, is to read. Logs that a writer may have open meanwhile
 * are taken as they are now: the ends of the plan are fixed.
 *
 * Errors: ERR_VARVE_CORRUPT where a log begins behind what the checkpoint covers, or ends before it, or is damaged as
 * far as the headers show; ERR_VARVE_TRUNCATED where a writer cuts or drops the records meanwhile; ERR_VARVE_IO
 */
export function planRecovery(options: PlanOptions): RecoveryPlan {
  const { cores: logs, checkpoint, upTo = 'end' } = options;
  for (const [core, log] of logs.entries()) beginningOf(log, core, checkpoint);
  const completeEpoch = Math.max(options.complete ?? 0, lastCompleteEpoch(logs, checkpoint));
  const epoch = upTo === 'end' ? Infinity : upTo === 'epoch' ? completeEpoch : upTo;
  const all = new Commits(checkpoint);
  const cores = logs.map((log, core) => withRoom(logs, () => planCore(log, core, options, epoch, all)));
  return { completeEpoch, cores, offsets: all.offsets, watermark: all.watermark };
}
