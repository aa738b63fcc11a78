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

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * An endless iteration over a log's records; made by `log.follow()`.
 *
 * It ends by `return()` (leaving a `for await` loop calls it), by its signal, with an error, or when the log is closed.
 */
export class Follower implements AsyncIterableIterator<LogRecord, undefined> {
  private readonly log: Followable;
  private readonly bounds: FollowBounds;
  private scanner: Scanner | undefined;
  private next_: number;
  /** The last delivered record, or the one before the first to be delivered; without an epoch where that is gone. */
  private anchor: { lsn: number; epoch: number | undefined };
  private generation: number;
  private isEnded = false;
  /** What the next call throws. */
  private failure: { readonly error: unknown } | undefined;
  /** The last call that has to wait; calls that come meanwhile wait behind it. */
  private waiting: Promise<unknown> | undefined;
  /** Looks in a row that met a log that was just being cut. */
  private looks = 0;
  private wake: () => void = () => undefined;
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

  private readonly abort = (): void => { this.stop(this.bounds.signal!.reason); };

  constructor(log: Followable, bounds: FollowBounds) {
    this.log = log;
    this.bounds = bounds;
    this.next_ = bounds.from;
    this.anchor = { lsn: bounds.from - 1, epoch: log.epochOf(bounds.from - 1) };
    this.generation = log.generation;
    bounds.signal?.addEventListener('abort', this.abort, { once: true });
    if (bounds.signal?.aborted === true) this.abort();
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

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Resolves with the next record, as soon as there is one.
   *
   * @throws (rejects with) ERR_VARVE_TRUNCATED, ERR_VARVE_CORRUPT, ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL,
   *   ERR_VARVE_IO; the signal's reason. Afterwards it is done.
   */
  next(): Promise<IteratorResult<LogRecord, undefined>> {
    if (this.waiting === undefined) {
      try {
        const step = this.step();
        if (step !== undefined) return Promise.resolve(step);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.later(() => this.step());
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

  /** Ends the iteration; a call that waits for a record is done. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.finish();
    return DONE;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.finish();
  }

  /** Ends the iteration with an error, which the next call throws, or the one that waits. */
  stop(error: unknown): void {
    if (this.isEnded) return;
    this.failure ??= { error };
    this.wake();
  }

  private finish(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.scanner = undefined;
    this.bounds.signal?.removeEventListener('abort', this.abort);
    this.bounds.ended(this);
    this.wake();
  }

  /** Runs `take` until it gives something, asleep in between, and behind all calls that wait already. */
  private later<T>(take: () => T | undefined): Promise<T> {
    const run = async (): Promise<T> => {
      for (;;) {
        const taken = take();
        if (taken !== undefined) return taken;
        await this.sleep();
      }
    };
    const turn = this.waiting === undefined ? run() : this.waiting.then(run, run);
    this.waiting = turn;
    const done = () => { if (this.waiting === turn) this.waiting = undefined; };
    turn.then(done, done);
    return turn;
  }

  /** Nothing may be done between the look that found nothing and this call, or a wake-up is lost. */
  private sleep(): Promise<void> {
    const duration = this.looks === 0 ? SLEEP_MS_MAX : Math.min(SLEEP_MS_MAX, CUTTING_MS * 2 ** (this.looks - 1));
    return new Promise((resolve, reject) => {
      this.wake = resolve;
      this.log.changed(duration).then(resolve, reject);
    });
  }

  /** All records of a run, none where it has ended; `undefined` where there is nothing yet. */
  private stepBatch(): LogRecord[] | undefined {
    return this.take(this.takeRun, []);
  }

  private deliver(record: LogRecord): void {
    this.next_ = record.lsn + 1;
    this.anchor.lsn = record.lsn;
    this.anchor.epoch = record.epoch;
  }

  /** The next record, or the end; `undefined` where there is nothing yet. */
  private step(): IteratorResult<LogRecord, undefined> | undefined {
    return this.take<IteratorResult<LogRecord, undefined>>(this.takeRecord, DONE);
  }

  /**
   * What `from` takes from the scan, or from the next ones while it takes nothing; `end` where the follower has ended,
   * `undefined` where there is nothing yet.
   */
  private take<T>(from: (scanner: Scanner) => T | undefined, end: T): T | undefined {
    if (this.isEnded) return end;
    try {
      if (this.failure !== undefined) throw this.failure.error;
      for (;;) {
        const taken = this.scanner === undefined ? undefined : from(this.scanner);
        if (taken !== undefined) return taken;
        const more = this.scanMore();
        this.looks = 0;
        if (!more) return undefined;
      }
    } catch (error) {
      if (this.isMomentary(error)) return undefined;
      this.finish();
      throw error;
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
      this.failure = { error: loss };
      throw loss;
    }
    const { limit } = this;
    if (this.next_ > limit) return false;
    this.scanner = this.bounds.scan(this.next_, limit);
    return true;
  }

  /** Whether an error says no more than that another process is cutting the log just now: look again later. */
  private isMomentary(error: unknown): boolean {
    if (this.failure !== undefined) return false;
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
