/**
 * Entries of a group in order, read beside whoever writes it: a merge over readers of its own, which it closes at its
 * end.
 */
import { VarveError } from '../errors/varve-error.ts';
import { STORE_KIND_GROUP_CORE } from '../generated/abi.ts';
import { openReader } from '../log/open.ts';
import { ATTEMPTS, type LogReader } from '../log/reader.ts';
import { coreContext, hasLog } from './attach.ts';
import { withRoom } from './core-log.ts';
import type { WalEntry } from './entry.ts';
import type { GroupFile } from './group-file.ts';
import { WalMerge, type MergeTally } from './merge.ts';
import { cutOf, lastCompleteEpoch, type CheckpointCut } from './plan.ts';

/** What is read of a core: first and last sequence, inclusive. */
export interface ReplayRange {
  readonly core: number;
  readonly from: number;
  readonly to: number;
  /** Its log, where that is open already; the replay closes it. */
  readonly log?: LogReader;
}

/** What is to be read of all cores. */
export interface ReplayWish {
  readonly upTo: 'end' | 'epoch' | number;
  /** This core alone, from this sequence on. */
  readonly core: number | undefined;
  readonly from: number | undefined;
}

/** What a replay needs of its group. */
export interface ReplaySource {
  readonly group: GroupFile;
  readonly mappedBytesMax: number;
  /** Asked before each run: the error to throw where the group was closed. */
  readonly ended: () => VarveError | undefined;
}

/** How long it is waited for a cut that is under way, before it is looked again. */
const CUT_MS = 2;
const never = new Int32Array(new SharedArrayBuffer(4));

/** Opens a reader of a core's log. Errors: as `RecordLog.open` with `readOnly` */
export function readCore({ group, mappedBytesMax }: ReplaySource, core: number): LogReader {
  return openReader(coreContext(group, core, true), mappedBytesMax, STORE_KIND_GROUP_CORE).reader;
}

/** Looks at an open log, and again where its writer has cut or dropped something meanwhile. Errors: as `look` */
export function lookAt<T>(log: LogReader, look: () => T): T {
  for (let attempt = 1; ; attempt++) {
    const guard = log.scanGuard();
    try {
      const seen = look();
      if (guard.before() === undefined || attempt === ATTEMPTS) return seen;
    } catch (error) {
      const cut = guard.failed(error);
      if (!VarveError.is(cut, 'ERR_VARVE_TRUNCATED') || attempt === ATTEMPTS) throw cut;
      // A cut that is under way takes as long as the disk.
      Atomics.wait(never, 0, 0, CUT_MS);
      log.refresh();
    }
  }
}

/**
 * Reads what the logs hold now, without a checkpoint.
 *
 * @param checkpoint the newest one: it knows of epochs that have no entry any more
 * Errors: ERR_VARVE_OUT_OF_RANGE where `from` is not in the log; as `readCore`
 */
export function replayAll(
  source: ReplaySource, { upTo, core: only, from }: ReplayWish, checkpoint: CheckpointCut | undefined,
): WalReplay {
  const { group } = source;
  const logs: (LogReader | undefined)[] = [];
  try {
    for (let core = 0; core < group.facts.cores; core++) {
      const isWanted = upTo === 'epoch' || only === undefined || only === core;
      logs.push(isWanted && hasLog(group, core) ? readCore(source, core) : undefined);
    }
    const epoch = upTo === 'end' ? Infinity : upTo === 'epoch' ? lastCompleteEpoch(logs, checkpoint) : upTo;
    return new WalReplay(source, logs.flatMap((log, core) => {
      if (log === undefined) return [];
      const { firstLsn, lastLsn } = log;
      if (only !== undefined && only !== core) return { core, log, from: 1, to: 0 };
      if (from !== undefined && (from < firstLsn || from > lastLsn + 1)) throw notThere(core, from, firstLsn, lastLsn);
      const to = epoch === Infinity ? lastLsn : withRoom(logs, () => cutOf(log, epoch));
      return { core, log, from: from ?? firstLsn, to };
    }));
  } catch (error) {
    for (const log of logs) log?.close();
    throw error;
  }
}

function notThere(core: number, lsn: number, firstLsn: number, lastLsn: number): VarveError {
  return new VarveError('ERR_VARVE_OUT_OF_RANGE',
    `entry ${lsn} is not in the log of core ${core}, which holds ${firstLsn} to ${lastLsn}`,
    { core, lsn, firstLsn, lastLsn });
}

/**
 * Entries in the order (epoch, sequence, core), each checked, as they were when the replay was asked for. Lazy: at most
 * 64 KiB of a core are read ahead of what is asked for, whatever the logs' size. Entries of a run share its bytes: copy
 * what you keep for long. Left early, it is to be ended by `return`, as `for` loops do.
 */
export class WalReplay implements IterableIterator<WalEntry, undefined> {
  private readonly readers: LogReader[] = [];
  private readonly merge: WalMerge;

  /** @internal */
  constructor(source: ReplaySource, ranges: readonly ReplayRange[]) {
    for (const { log } of ranges) if (log !== undefined) this.readers.push(log);
    try {
      const sources = ranges.filter(({ from, to }) => from <= to)
        .map(({ core, from, to, log = this.open(source, core) }) => ({ core, log, from, to }));
      this.merge = new WalMerge(sources, { ended: source.ended });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  [Symbol.iterator](): this {
    return this;
  }

  /**
   * The next entry.
   *
   * @throws ERR_VARVE_CORRUPT (a damaged entry: `details` has path, segment, offset and lsn), ERR_VARVE_TRUNCATED (a
   *   writer has cut or dropped what was to be read), ERR_VARVE_CLOSED (the group was), ERR_VARVE_MEMORY_FULL,
   *   ERR_VARVE_IO
   */
  next(): IteratorResult<WalEntry, undefined> {
    try {
      const step = this.merge.next();
      if (step.done === true) this.close();
      return step;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The next entries, up to 1,024; none at the end. Errors: as `next`, behind the entries that are intact */
  nextRun(): WalEntry[] {
    try {
      const entries = this.merge.nextRun();
      if (entries.length === 0) this.close();
      return entries;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Ends it and gives everything back. Entries that were delivered stay valid. */
  return(): IteratorReturnResult<undefined> {
    const done = this.merge.return();
    this.close();
    return done;
  }

  /** How much of each core was delivered so far. */
  tallies(): MergeTally[] {
    return this.merge.tallies();
  }

  private open(source: ReplaySource, core: number): LogReader {
    const log = readCore(source, core);
    this.readers.push(log);
    return log;
  }

  private close(): void {
    for (const reader of this.readers.splice(0)) reader.close();
  }
}
