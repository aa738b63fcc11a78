/**
 * Following a log: what is there, and then what comes, one record behind the other without a gap.
 *
 * A follower holds no resource but a place in the log: it looks when it is asked for a record, takes a run of records
 * at a time as a scan does, and sleeps on the log's wake word when there is nothing. So it is as fast as a scan while
 * it is behind, and costs nothing while nothing happens. Who consumes slowly is never given more than was asked for.
 *
 * Invariant: what was delivered is a prefix, from where it began, of what the log holds. Where that cannot be kept -
 * a delivered record was cut, or one that was not delivered yet was dropped - it ends with an error. Whether a cut went
 * through what was delivered shows in the last delivered record, the *anchor*: records appended after a cut have a
 * higher epoch than any before it.
 */
import { VarveError } from '../errors/varve-error.ts';
import { LiveIteration } from './live-iteration.ts';
import type { LogRecord } from './record.ts';
import type { Scanner } from './scanner.ts';

/** A log that can be followed: its writer, or a reader beside it. */
export interface Followable {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly durableLsn: number;
  /** Changes with each truncation. */
  readonly generation: number;
  /** Takes notice of what was done since. */
  refresh(): void;
  /** Resolves when something may have been done since the last `refresh`, at the latest after so many milliseconds. */
  changed(milliseconds: number): Promise<void>;
  /** The epoch of a record; `undefined` where it is not there. */
  epochOf(lsn: number): number | undefined;
}

/** What a follower is told. */
export interface FollowBounds {
  readonly from: number;
  readonly durable: boolean;
  readonly signal: AbortSignal | undefined;
  /** Makes a scan of [from, to]. */
  readonly scan: (from: number, to: number) => Scanner;
  /** Told when it has ended, however. */
  readonly ended: (follower: Follower) => void;
}

/** Longest sleep: nothing is missed in it, it only bounds what a lost wake-up could cost. */
const SLEEP_MS_MAX = 1000;
/** First sleep while another process is cutting the log; each further one is twice as long. */
const CUTTING_MS = 5;
/** Looks at a log that lacks a file, before the file is taken for missing. */
const LOOKS_MAX = 20;

/**
 * An endless iteration over a log's records; made by `log.follow()`.
 *
 * It ends by `return()` (leaving a `for await` loop calls it), by its signal, with an error, or when the log is closed.
 */
export class Follower extends LiveIteration<LogRecord> {
  private readonly log: Followable;
  private readonly bounds: FollowBounds;
  private scanner: Scanner | undefined;
  private next_: number;
  /** The last delivered record, or the one before the first to be delivered; without an epoch where that is gone. */
  private anchor: { lsn: number; epoch: number | undefined };
  private generation: number;
  /** Looks in a row that met a log that was just being cut. */
  private looks = 0;
  private readonly takeRecord = (scanner: Scanner): IteratorYieldResult<LogRecord> | undefined => {
    const step = scanner.next();
    if (step.done === true) return undefined;
    this.deliver(step.value);
    return step;
  };

  private readonly takeRun = (scanner: Scanner): LogRecord[] | undefined => {
    const run = scanner.nextRun();
    const last = run.at(-1);
    if (last === undefined) return undefined;
    this.deliver(last);
    return run;
  };

  private readonly lookForRun = (): LogRecord[] | undefined => this.fromScan(this.takeRun);

  constructor(log: Followable, bounds: FollowBounds) {
    super({ signal: bounds.signal, ended: () => { bounds.ended(this); } });
    this.log = log;
    this.bounds = bounds;
    this.next_ = bounds.from;
    this.anchor = { lsn: bounds.from - 1, epoch: log.epochOf(bounds.from - 1) };
    this.generation = log.generation;
    this.begin();
  }

  /** LSN up to which all records were delivered; `from - 1` at first. */
  get lsn(): number { return this.next_ - 1; }

  /** Committed records - durable ones, where it follows these - that were not delivered yet. */
  get lag(): number {
    this.log.refresh();
    return Math.max(0, this.limit - this.lsn);
  }

  private get limit(): number {
    return this.bounds.durable ? Math.min(this.log.durableLsn, this.log.lastLsn) : this.log.lastLsn;
  }

  /**
   * The same records in the runs in which they are read, at most 64 KiB or 4,096 records each: faster where records are
   * many and small. Ends as the follower does, and ends it.
   */
  async* batches(): AsyncGenerator<LogRecord[], undefined> {
    try {
      for (;;) {
        const batch = await this.later(() => this.stepBatch());
        if (batch.length === 0) return;
        yield batch;
      }
    } finally {
      this.finish();
    }
  }

  protected release(): void {
    this.scanner = undefined;
  }

  protected somethingNew(): Promise<void> {
    const duration = this.looks === 0 ? SLEEP_MS_MAX : Math.min(SLEEP_MS_MAX, CUTTING_MS * 2 ** (this.looks - 1));
    return this.log.changed(duration);
  }

  /** All records of a run, none where it has ended; `undefined` where there is nothing yet. */
  private stepBatch(): LogRecord[] | undefined {
    return this.take(this.lookForRun, []);
  }

  private deliver(record: LogRecord): void {
    this.next_ = record.lsn + 1;
    this.anchor.lsn = record.lsn;
    this.anchor.epoch = record.epoch;
  }

  protected look(): IteratorResult<LogRecord, undefined> | undefined {
    return this.fromScan(this.takeRecord);
  }

  /** What `take` takes from the scan, or from the next ones while it takes nothing; `undefined` where nothing came. */
  private fromScan<T>(take: (scanner: Scanner) => T | undefined): T | undefined {
    for (;;) {
      const taken = this.scanner === undefined ? undefined : take(this.scanner);
      if (taken !== undefined) return taken;
      const more = this.scanMore();
      this.looks = 0;
      if (!more) return undefined;
    }
  }

  /** Begins a scan of what has come; false where nothing has. */
  private scanMore(): boolean {
    const { log } = this;
    // What a repair gave up at the end of a scan was passed over.
    if (this.scanner !== undefined) this.next_ = Math.max(this.next_, this.scanner.position);
    this.scanner = undefined;
    log.refresh();
    const loss = this.loss();
    if (loss !== undefined) {
      // Which is for good, whatever such an error says elsewhere.
      this.stop(loss);
      throw loss;
    }
    const { limit } = this;
    if (this.next_ > limit) return false;
    this.scanner = this.bounds.scan(this.next_, limit);
    return true;
  }

  /** Whether an error says no more than that another process is cutting the log just now: look again later. */
  protected override isMomentary(error: unknown): boolean {
    const isCut = VarveError.is(error, 'ERR_VARVE_TRUNCATED');
    const isGone = VarveError.is(error, 'ERR_VARVE_NOT_FOUND') && this.looks < LOOKS_MAX;
    if (!isCut && !isGone) return false;
    this.scanner = undefined;
    this.looks++;
    return true;
  }

  /** What was lost of what was delivered, or of what was to be. */
  private loss(): VarveError | undefined {
    const { log, anchor } = this;
    const { firstLsn } = log;
    if (firstLsn > this.next_) {
      return this.truncated(`records ${this.next_} to ${firstLsn - 1} were dropped before they were delivered`);
    }
    if (log.generation === this.generation) return undefined;
    // Where the anchor itself was dropped, nothing tells whether it had been cut before.
    if (anchor.epoch !== undefined && log.epochOf(anchor.lsn) !== anchor.epoch) {
      return this.truncated(`record ${anchor.lsn}, which was delivered, was cut off`);
    }
    if (anchor.epoch === undefined && log.lastLsn < anchor.lsn) {
      return this.truncated(`records were cut off in front of ${this.next_}`);
    }
    this.generation = log.generation;
    return undefined;
  }

  private truncated(what: string): VarveError {
    const { firstLsn, lastLsn } = this.log;
    return new VarveError('ERR_VARVE_TRUNCATED',
      `${what}: the log holds ${firstLsn} to ${lastLsn} now; decide what that means and follow again`,
      { lsn: this.lsn, firstLsn, lastLsn });
  }
}
