/**
 * The reading half of a RecordLog, the same for its writer and for a reader beside it: records, scans, followers,
 * positions, events. Arguments and states are checked here; the work is host/log's.
 */
import { EventEmitter } from 'node:events';
import { VarveError, wrongType } from '../errors/varve-error.ts';
import { checkLog, type CheckOptions, type CheckReport } from '../log/check.ts';
import { CursorSet, type Cursor, type CursorInfo } from '../log/cursor.ts';
import type { Follower } from '../log/follower.ts';
import { Followers } from '../log/followers.ts';
import type { PoolCounters, SegmentPool } from '../log/pool.ts';
import type { LogReader } from '../log/reader.ts';
import type { LogRecord, RecordRef } from '../log/record.ts';
import type { RecoveryReport } from '../log/report.ts';
import { Scanner } from '../log/scanner.ts';
import type { LogContext } from '../log/segment.ts';
import type { LogWriter } from '../log/writer.ts';
import { checkFollow, checkLsn, checkRef } from './options.ts';
import type { FollowOptions, ReadOptions, RecordLogEvents, ScanOptions } from './types.ts';

/** A log as `openWriter` or `openReader` has opened it. */
export interface OpenLog {
  readonly context: LogContext;
  readonly writer: LogWriter | undefined;
  readonly reader: LogReader | undefined;
  readonly pool: SegmentPool;
  readonly report: RecoveryReport;
}

/** How long a log with listeners sleeps at most before it looks whether records were cut off or dropped. */
const WATCH_MS = 1000;

export abstract class ReadableLog extends EventEmitter<RecordLogEvents> {
  /** The directory, as an absolute path. */
  readonly directory: string;
  /** What opening found and did. */
  readonly recovery: RecoveryReport;
  protected readonly writer: LogWriter | undefined;
  protected readonly reader: LogReader | undefined;
  private readonly pool: SegmentPool;
  protected readonly cursorSet: CursorSet;
  private readonly followers = new Followers();
  private isWatching = false;
  private isClosed = false;

  protected constructor({ context, writer, reader, pool, report }: OpenLog) {
    super();
    this.directory = context.directory;
    this.writer = writer;
    this.reader = reader;
    this.pool = pool;
    this.recovery = report;
    this.cursorSet = new CursorSet({
      context, source: () => this.source, follow: (options) => this.follow(options),
    });
    if (reader === undefined) return;
    // Noticed in the midst of a read: listeners come when it is over.
    reader.noticed = ({ event, ...now }) => { queueMicrotask(() => this.emit(event, now)); };
    (this as unknown as EventEmitter).on('newListener', () => { void this.watch(); });
  }

  private get source(): LogWriter | LogReader {
    if (this.isClosed) throw this.closedError();
    if (this.writer !== undefined) return this.writer;
    this.reader!.refresh();
    return this.reader!;
  }

  protected closedError(): VarveError {
    return new VarveError('ERR_VARVE_CLOSED', `the log in ${this.directory} is closed; open it again`,
      { path: this.directory });
  }

  /**
   * Reads one record. Its checksum is computed again at every read.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CORRUPT, ERR_VARVE_RECORD_LOST,
   *   ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
   */
  read(lsn: number, options?: ReadOptions): LogRecord {
    const { source } = this;
    checkLsn('lsn', lsn);
    const view = options?.view === true;
    if (this.reader === undefined) return source.segments.read(lsn, view);
    return this.reader.reading(lsn, (segments) => segments.read(lsn, view));
  }

  /** Where a record lies, for `readRef`. Errors as `read`. */
  refOf(lsn: number): RecordRef {
    const { source } = this;
    if (this.reader === undefined) return source.segments.refOf(checkLsn('lsn', lsn));
    return this.reader.reading(checkLsn('lsn', lsn), (segments) => segments.refOf(lsn));
  }

  /** Reads the record that a reference leads to; ERR_VARVE_OUT_OF_RANGE where it was cut since. Errors as `read`. */
  readRef(ref: RecordRef, options?: ReadOptions): LogRecord {
    const { source } = this;
    checkRef(ref);
    const view = options?.view === true;
    if (this.reader === undefined) return source.segments.readRef(ref, view);
    return this.reader.reading(ref.lsn, (segments) => segments.readRef(ref, view));
  }

  /**
   * Visits records in order, each checked. What is appended after the call is not visited. The records of a run of up
   * to 64 KiB share one buffer: copy what you keep for long.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CLOSED; while iterating, also
   *   ERR_VARVE_CORRUPT at a damaged record (go on with `from` behind it) and ERR_VARVE_TRUNCATED where records were
   *   cut meanwhile. Records that a repair gave up are passed over.
   */
  scan(options: ScanOptions = {}): IterableIterator<LogRecord, undefined> {
    const { source } = this;
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
    const { firstLsn, lastLsn } = source;
    const from = options.from === undefined ? firstLsn : checkLsn('options.from', options.from);
    const to = Math.min(options.to === undefined ? lastLsn : checkLsn('options.to', options.to), lastLsn);
    if (from < firstLsn || from > lastLsn + 1) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `the scan would begin at ${from}, but the log holds ${firstLsn} to ${lastLsn}`, { lsn: from, firstLsn, lastLsn });
    }
    return this.scanner(source, from, to, options.reverse === true, options.view === true);
  }

  private scanner(
    { segments }: LogWriter | LogReader, from: number, to: number, reverse: boolean, view: boolean,
  ): Scanner {
    const guard = this.reader?.scanGuard();
    return new Scanner(segments, {
      from, to, reverse, view,
      ended: () => (this.isClosed ? this.closedError() : guard?.before()),
      failed: guard?.failed,
    });
  }

  /**
   * Follows the log: what is there from `from` on, and then, endlessly, what comes; beside a writer in another process
   * or in this one. While there is nothing the follower sleeps and is woken, within some tens of microseconds, when
   * something was committed (or synced, with `durable`). It holds back nothing and buffers at most one run of 64 KiB,
   * whose records share one buffer: copy what you keep for long. While it waits, the process stays alive.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CLOSED; while iterating, ERR_VARVE_TRUNCATED
   *   where a delivered record was cut off, or one was dropped before it was delivered; ERR_VARVE_CORRUPT;
   *   ERR_VARVE_CLOSED where this log was closed; the signal's reason
   * @example
   * for await (const { lsn, payload } of log.follow({ from: log.lastLsn + 1 })) console.log(lsn, payload.length);
   */
  follow(options: FollowOptions = {}): Follower {
    const { source } = this;
    const { from = source.firstLsn, durable, view, signal } = checkFollow(options);
    return this.followers.start(source, {
      from, durable, signal, scan: (first, last) => this.scanner(source, first, last, false, view),
    });
  }

  /**
   * Opens the named, durable position of a follower, made where it is missing; see `Cursor`. Blocks. It is the one
   * thing that a read-only log writes, and only when asked to: a file in `cursors`, in the log's directory.
   *
   * @param name any Unicode text of 1 to 64 bytes of UTF-8; it is data, never a path
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_LOCKED (somebody else has it open; `details.pid` says who),
   *   ERR_VARVE_CORRUPT (both of its slots are damaged, or it is another store's), ERR_VARVE_NEWER_VERSION,
   *   ERR_VARVE_CLOSED, ERR_VARVE_DISK_FULL, ERR_VARVE_IO
   */
  cursor(name: string): Cursor {
    return this.cursorSet.cursor(name);
  }

  /** Every cursor in the log's directory, by name, whoever has it open. Errors: ERR_VARVE_CLOSED, ERR_VARVE_IO */
  cursors(): CursorInfo[] {
    return this.cursorSet.list();
  }

  /** Looks for what is to be told to listeners; a writer tells what it does itself. */
  private async watch(): Promise<void> {
    if (this.isWatching) return;
    this.isWatching = true;
    // The listener is added after this was called.
    await Promise.resolve();
    while (!this.isClosed && this.listenerCount('truncate') + this.listenerCount('retain') > 0) {
      try {
        this.reader!.refresh();
      } catch {
        // Whoever reads next is told; here there is nobody to tell.
      }
      if (!await this.sleep(WATCH_MS)) break;
    }
    this.isWatching = false;
  }

  [Symbol.iterator](): IterableIterator<LogRecord, undefined> {
    return this.scan();
  }

  /**
   * Checks every frame, in the core alone, and says what is damaged; goes on behind the damage. Blocks for as long as
   * reading the whole log takes. Records that are appended meanwhile are not looked at.
   *
   * @throws ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO; damage is reported, not thrown
   */
  check(options: CheckOptions = {}): CheckReport {
    return checkLog(this.source.segments, this.reader?.finding, options);
  }

  /** LSN of the oldest record; of the next one where the log is empty. */
  get firstLsn(): number { return this.source.firstLsn; }
  /** LSN of the last committed record; `firstLsn - 1` where the log is empty. */
  get lastLsn(): number { return this.source.lastLsn; }
  /** LSN up to which every record is known to be on disk. */
  get durableLsn(): number { return this.source.durableLsn; }
  /** Bytes of frames since the log began, up to the last committed record. */
  get position(): number { return this.source.position; }
  /** Bytes of frames since the log began, up to the last durable record. */
  get durablePosition(): number { return this.source.durablePosition; }
  /** Number of records. */
  get length(): number {
    const { source } = this;
    return source.lastLsn - source.firstLsn + 1;
  }

  /** Whether it was opened read-only. */
  get readOnly(): boolean { return this.writer === undefined; }
  /** Whether it was closed. */
  get closed(): boolean { return this.isClosed; }
  /** Whether a failed write or sync has stopped all writing. */
  get poisoned(): boolean { return this.writer?.poisoned === true; }

  /** Counters of the mapped window and of group commit. */
  get stats(): PoolCounters & { readonly segments: number; readonly syncs: number } {
    const { source } = this;
    return { ...this.pool.counters, segments: source.segments.list.length, syncs: this.writer?.syncs ?? 0 };
  }

  /** Waits until something may have changed; false where waiting fails. */
  private sleep(milliseconds: number): Promise<boolean> {
    return this.reader!.changed(milliseconds).then(() => true, () => false);
  }

  /** Ends what is under way and gives back what was for reading; false where it was closed before. */
  protected endReading(): boolean {
    if (this.isClosed) return false;
    this.isClosed = true;
    this.followers.stop(this.closedError());
    this.reader?.close();
    return true;
  }
}
