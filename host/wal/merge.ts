/**
 * Reading the logs of many cores as one, in the order (epoch, sequence, core): a streaming merge of cursors, each over
 * runs of frames that were checked. Clocks have no part in it.
 *
 * Memory: one run for each core, of 64 KiB with up to 64 cores and of 16 KiB with 256 and more (a larger record makes a
 * run of its own), whatever the logs' size. Runs that are delivered live for as long as their entries. Mapped segments
 * are bounded by each log's pool; where the address space is full all the same, the segment that will be needed last is
 * unmapped.
 *
 * Invariants: along one core neither epoch nor sequence falls; what was delivered was checked; after an error the merge
 * says the same again, and never goes on behind the gap.
 */
import { VarveError } from '../errors/varve-error.ts';
import { Frame, INFO_KIND_SHIFT, Kind } from '../generated/abi.ts';
import { sizeAt } from '../log/record.ts';
import { Scanner, type FrameRun } from '../log/scanner.ts';
import type { CoreLog } from './core-log.ts';
import { WalEntry } from './entry.ts';

/** One core of a merge. The log must stay open until the merge is done. */
export interface MergeSource {
  /** Number of the core. */
  readonly core: number;
  readonly log: CoreLog;
  /** First and last sequence, inclusive. Default: all that the log holds now. */
  readonly from?: number;
  readonly to?: number;
}

export interface MergeOptions {
  /** Asked before each run: the error to throw where the merge must not go on. */
  readonly ended?: () => VarveError | undefined;
}

/** What a merge has met of one core so far. */
export interface MergeTally {
  readonly core: number;
  /** Entries that were delivered. */
  readonly entries: number;
  /** Placeholders of a repair that were passed over. */
  readonly lost: number;
}

/** Bytes of all runs together, unless each would be too short to be worth the calls. */
const RUNS_BYTES = 4 << 20;
const RUN_BYTES_MIN = 16384;
const RUN_BYTES_MAX = 65536;
/** Most entries of a batch; and it ends when so many bytes were read for it. */
const BATCH_ENTRIES = 1024;
const BATCH_BYTES = 1 << 20;
const EPOCH = Frame.epoch / 4;
const INFO = Frame.info / 4;
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** One core: the entry that comes next stands at `at` of the run. */
class Cursor {
  readonly core: number;
  readonly log: CoreLog;
  private readonly scanner: Scanner;
  run: FrameRun | undefined;
  at = 0;
  private end = 0;
  sequence = 0;
  kind = 0;
  entries = 0;
  lost = 0;
  /** When it was loaded last, of all loads of the merge. What it has mapped before the first may be somebody else's. */
  loadedAt = 0;
  /** Whether its log may have something mapped that it can spare. */
  sparing = true;

  constructor(source: MergeSource, runBytes: number, options: MergeOptions) {
    const { core, log } = source;
    const { firstLsn, lastLsn } = log;
    const { from = firstLsn, to = lastLsn } = source;
    if (from <= to && (from < firstLsn || to > lastLsn)) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `the merge would read ${from} to ${to} of core ${core}, whose log holds ${firstLsn} to ${lastLsn}`,
        { core, from, to, firstLsn, lastLsn });
    }
    this.core = core;
    this.log = log;
    const guard = log.scanGuard?.();
    this.scanner = new Scanner(log.segments, {
      from, to, reverse: false, view: false, runBytes,
      ended: () => options.ended?.() ?? guard?.before(),
      failed: guard?.failed,
    });
  }

  /** Makes the next entry the current one; false where the run is used up. */
  step(): boolean {
    const { run } = this;
    if (run === undefined) return false;
    const { words } = run;
    while (this.at !== this.end) {
      this.kind = words[(this.at >> 2) + INFO]! >>> INFO_KIND_SHIFT;
      // A placeholder of a repair holds nothing of the user's.
      if (this.kind !== Kind.Lost) return true;
      this.lost++;
      this.skip();
    }
    return false;
  }

  /** Goes behind the current frame. */
  skip(): void {
    this.at += (sizeAt(this.run!.words, this.at) + 7) & ~7;
    this.sequence++;
  }

  /** Takes the next run; false where there is none. */
  load(): boolean {
    const run = this.scanner.nextFrames();
    this.run = run;
    this.at = 0;
    this.end = run?.end ?? 0;
    this.sequence = run?.lsn ?? 0;
    return run !== undefined;
  }

  get epoch(): number { return this.run!.words[(this.at >> 2) + EPOCH]!; }

  close(): void {
    this.scanner.return();
    this.run = undefined;
    this.at = this.end = 0;
  }
}

export class WalMerge implements IterableIterator<WalEntry, undefined> {
  private readonly cursors: readonly Cursor[];
  /** Of the entry that is next of each cursor; infinite where there is none. */
  private readonly epochs: Float64Array;
  private readonly sequences: Float64Array;
  /** A tournament: at 1 and on who lost there, at 0 who won it all. Cursor i begins at (i + cursors) >> 1. */
  private readonly tree: Int32Array;
  private state: 'new' | 'waiting' | 'taken' | 'failed' | 'done' = 'new';
  private failure: unknown;
  private loads = 0;
  private bytes = 0;

  /** Errors: ERR_VARVE_OUT_OF_RANGE where a log does not hold what is asked of it */
  constructor(sources: Iterable<MergeSource>, options: MergeOptions = {}) {
    const list = [...sources].sort((a, b) => a.core - b.core);
    const count = list.length;
    const runBytes = Math.min(RUN_BYTES_MAX, Math.max(RUN_BYTES_MIN, Math.floor(RUNS_BYTES / count)));
    this.cursors = list.map((source) => new Cursor(source, runBytes, options));
    this.epochs = new Float64Array(count);
    this.sequences = new Float64Array(count);
    this.tree = new Int32Array(Math.max(1, count)).fill(-1);
    if (count === 0) this.state = 'done';
  }

  [Symbol.iterator](): this {
    return this;
  }

  /**
   * The next entry. Errors: ERR_VARVE_CORRUPT with path, segment, offset and lsn; ERR_VARVE_TRUNCATED where a writer
   * has cut or dropped what was to be read; ERR_VARVE_IO
   */
  next(): IteratorResult<WalEntry, undefined> {
    const winner = this.findWinner();
    return winner < 0 ? DONE : { done: false, value: this.take(this.cursors[winner]!) };
  }

  /** The next entries, up to 1,024; none where it is done. Errors: as `next`, behind the last intact entry */
  nextRun(): WalEntry[] {
    const entries: WalEntry[] = [];
    const { cursors } = this;
    const full = this.bytes + BATCH_BYTES;
    try {
      do {
        const winner = this.findWinner();
        if (winner < 0) break;
        entries.push(this.take(cursors[winner]!));
      } while (entries.length < BATCH_ENTRIES && this.bytes < full);
    } catch (error) {
      // What came before it is delivered first; whoever asks again is told.
      if (entries.length === 0) throw error;
    }
    return entries;
  }

  /** Ends the merge and lets go of its memory. */
  return(): IteratorReturnResult<undefined> {
    this.state = 'done';
    for (const cursor of this.cursors) cursor.close();
    return DONE;
  }

  /** What was met of each core so far, in the order of their numbers. */
  tallies(): MergeTally[] {
    return this.cursors.map(({ core, entries, lost }) => ({ core, entries, lost }));
  }

  private take(cursor: Cursor): WalEntry {
    this.state = 'taken';
    cursor.entries++;
    return new WalEntry(cursor.core, cursor.epoch, cursor.sequence, cursor.kind, cursor.run!, cursor.at);
  }

  /** The cursor with the entry that is next, or -1 at the end. */
  private findWinner(): number {
    const { tree, state } = this;
    if (state === 'taken') {
      const last = tree[0]!;
      this.cursors[last]!.skip();
      this.advance(last);
      this.play(last);
      this.state = 'waiting';
    } else if (state !== 'waiting') {
      if (state === 'done') return -1;
      if (state === 'failed') throw this.failure;
      this.begin();
    }
    const winner = tree[0]!;
    if (this.epochs[winner]! === Infinity) {
      this.state = 'done';
      return -1;
    }
    return winner;
  }

  private begin(): void {
    for (let at = 0; at < this.cursors.length; at++) {
      this.advance(at);
      this.play(at);
    }
    this.state = 'waiting';
  }

  /** Moves a cursor to its next entry. */
  private advance(at: number): void {
    const cursor = this.cursors[at]!;
    while (!cursor.step()) {
      if (this.load(cursor)) continue;
      this.epochs[at] = Infinity;
      return;
    }
    this.epochs[at] = cursor.epoch;
    this.sequences[at] = cursor.sequence;
  }

  /** Lets a cursor play its way up from its place; while the tree is being made, until it finds nobody to play. */
  private play(at: number): void {
    const { tree } = this;
    let winner = at;
    for (let node = (at + this.cursors.length) >> 1; node > 0; node >>= 1) {
      const other = tree[node]!;
      if (other < 0) {
        tree[node] = winner;
        return;
      }
      if (this.isBefore(other, winner)) {
        tree[node] = winner;
        winner = other;
      }
    }
    tree[0] = winner;
  }

  private isBefore(a: number, b: number): boolean {
    const { epochs, sequences } = this;
    if (epochs[a]! !== epochs[b]!) return epochs[a]! < epochs[b]!;
    if (sequences[a]! !== sequences[b]!) return sequences[a]! < sequences[b]!;
    return a < b;
  }

  private load(cursor: Cursor): boolean {
    cursor.sparing = false;
    for (;;) {
      try {
        const loaded = cursor.load();
        cursor.loadedAt = ++this.loads;
        cursor.sparing = true;
        if (cursor.run !== undefined) this.bytes += cursor.run.end;
        return loaded;
      } catch (error) {
        if (VarveError.is(error, 'ERR_VARVE_MEMORY_FULL') && this.spare()) continue;
        this.return();
        this.state = 'failed';
        this.failure = error;
        throw error;
      }
    }
  }

  /** Unmaps a segment of the core that was loaded last, as it will be loaded again last; whether there was one. */
  private spare(): boolean {
    for (;;) {
      let victim: Cursor | undefined;
      for (const cursor of this.cursors) {
        if (cursor.sparing && cursor.loadedAt >= (victim?.loadedAt ?? 0)) victim = cursor;
      }
      // Whoever else reads the logs may have mapped something since.
      if (victim === undefined) return this.cursors.some(({ log }) => log.segments.pool.spare());
      if (victim.log.segments.pool.spare()) return true;
      victim.sparing = false;
    }
  }
}
