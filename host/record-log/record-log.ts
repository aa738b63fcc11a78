/**
 * RecordLog: the append-only log as its users see it. Arguments and states are checked here; the work is host/log's.
 */
import { Core } from '../core/core.ts';
import { VarveError, wrongType } from '../errors/varve-error.ts';
import { STORE_KIND_RECORD_LOG } from '../generated/abi.ts';
import { realStorage } from '../io/real-storage.ts';
import type { RecordInput } from '../log/appender.ts';
import { checkLog, type CheckOptions, type CheckReport } from '../log/check.ts';
import { openReader, openWriter, repairLog } from '../log/open.ts';
import type { PoolCounters, SegmentPool } from '../log/pool.ts';
import type { LogReader } from '../log/reader.ts';
import type { LogRecord, RecordRef } from '../log/record.ts';
import type { RepairReport } from '../log/repair.ts';
import type { RecoveryReport } from '../log/report.ts';
import { Scanner } from '../log/scanner.ts';
import type { LogContext } from '../log/segment.ts';
import type { LogWriter } from '../log/writer.ts';
import {
  areBytes, checkData, checkKind, checkLsn, checkOptions, checkRecord, checkRef, type CheckedOptions,
  type RecordLogOptions,
} from './options.ts';

/** What `append` can be told about a record. */
export interface AppendOptions {
  /** What the record is, 0 to 127; 0 raw, 1 put and 2 delete have names. Default 0. */
  readonly kind?: number;
  /** A key of at most 64 KiB; text becomes UTF-8. Default: none. */
  readonly key?: Uint8Array | string;
}

/** What a read can be told. */
export interface ReadOptions {
  /**
   * Returns key and payload as parts of a private mapping of the segment instead of copies. They stay valid, with the
   * bytes that they had, for as long as anyone holds them, even when the records are cut or the log is closed. Writing
   * into them changes neither the file nor the log. Default false.
   */
  readonly view?: boolean;
}

/** What a scan can be told. */
export interface ScanOptions extends ReadOptions {
  /** First LSN; default `firstLsn`. `lastLsn + 1` gives nothing; beyond is an error, and so is below `firstLsn`. */
  readonly from?: number;
  /** Last LSN, inclusive; default, and at most, what `lastLsn` is when the scan begins. */
  readonly to?: number;
  /** From the last to the first. Default false. */
  readonly reverse?: boolean;
}

/** LSNs of a batch. */
export interface BatchResult {
  readonly firstLsn: number;
  readonly lastLsn: number;
}

function contextOf(options: CheckedOptions): LogContext {
  return {
    core: options.core ?? Core.shared(),
    storage: options.storage ?? realStorage(),
    directory: options.directory,
    readOnly: options.readOnly,
  };
}

/**
 * A checksummed, segmented, append-only log in a directory.
 *
 * One writer, in one process, has it open for writing; any number of readers, in any process, beside it. A record is
 * *committed* when `append` returns: every reader sees it, and it survives the death of the process. It is *durable*,
 * and survives the death of the machine, when a `sync` that was called afterwards has resolved.
 *
 * @example
 * const log = await RecordLog.open('./orders');
 * const lsn = log.append('first order');
 * await log.sync();
 * console.log(new TextDecoder().decode(log.read(lsn).payload)); // first order
 * await log.close();
 */
export class RecordLog {
  /** The directory, as an absolute path. */
  readonly directory: string;
  /** What opening found and did. */
  readonly recovery: RecoveryReport;
  private readonly writer: LogWriter | undefined;
  private readonly reader: LogReader | undefined;
  private readonly pool: SegmentPool;
  private isClosed = false;

  private constructor(options: CheckedOptions) {
    this.directory = options.directory;
    const context = contextOf(options);
    if (options.readOnly) {
      const { reader, pool } = openReader(context, options.mappedBytesMax, STORE_KIND_RECORD_LOG);
      this.reader = reader;
      this.pool = pool;
      this.recovery = reader.report;
    } else {
      const { writer, pool, report } = openWriter(context, { ...options, storeKind: STORE_KIND_RECORD_LOG });
      this.writer = writer;
      this.pool = pool;
      this.recovery = report;
    }
  }

  /**
   * Opens the log in `directory`; makes it where there is none, and recovers it where its writer died. What recovery
   * found stands in `recovery`.
   *
   * Recovery keeps the longest valid prefix and never gives up a durable record. It runs on this thread and costs what
   * the unsealed tail costs: at most one segment, some 25 to 70 ms for 64 MiB.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_LOCKED, ERR_VARVE_CORRUPT, ERR_VARVE_NOT_FOUND,
   *   ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL,
   *   ERR_VARVE_UNSUPPORTED, ERR_VARVE_IO
   */
  static async open(directory: string, options: RecordLogOptions = {}): Promise<RecordLog> {
    return new RecordLog(checkOptions(directory, options));
  }

  /** The same as `open`, without a promise. */
  static openSync(directory: string, options: RecordLogOptions = {}): RecordLog {
    return new RecordLog(checkOptions(directory, options));
  }

  /**
   * Repairs the log in `directory`, which must not be open for writing, as far as it can be: the only call that gives
   * up records that had been durable. Damaged records are replaced by placeholders, which keep their LSNs: `read`
   * throws ERR_VARVE_RECORD_LOST for them, `scan` passes over them. What is overwritten is saved in `.cut` files first.
   *
   * @param options.dryRun says what it would do and changes nothing; default false
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_NOT_FOUND, ERR_VARVE_LOCKED, ERR_VARVE_CORRUPT (the
   *   damage cannot be bridged), ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL,
   *   ERR_VARVE_IO
   */
  static async repair(
    directory: string, { dryRun = false, ...options }: RecordLogOptions & { readonly dryRun?: boolean } = {},
  ): Promise<RepairReport> {
    const checked = checkOptions(directory, options);
    return repairLog(contextOf({ ...checked, readOnly: dryRun }), { ...checked, storeKind: STORE_KIND_RECORD_LOG });
  }

  private get source(): LogWriter | LogReader {
    if (this.isClosed) throw this.closedError();
    if (this.writer !== undefined) return this.writer;
    this.reader!.refresh();
    return this.reader!;
  }

  private get writable(): LogWriter {
    if (this.isClosed) throw this.closedError();
    if (this.writer === undefined) {
      throw new VarveError('ERR_VARVE_READ_ONLY', `${this.directory} was opened with readOnly: true`,
        { path: this.directory });
    }
    return this.writer;
  }

  private closedError(): VarveError {
    return new VarveError('ERR_VARVE_CLOSED', `the log in ${this.directory} is closed; open it again`,
      { path: this.directory });
  }

  /**
   * Appends one record and returns its LSN. The record is committed: visible to every reader, and safe from the death
   * of this process. `sync` makes it durable.
   *
   * @param data the payload, at most 64 MiB; text becomes UTF-8. It is copied; the caller may change it afterwards.
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_RECORD_TOO_LARGE, ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY,
   *   ERR_VARVE_POISONED, ERR_VARVE_DISK_FULL (nothing was appended; it can be tried again), ERR_VARVE_MEMORY_FULL,
   *   ERR_VARVE_IO
   */
  append(data: Uint8Array | string, options?: AppendOptions): number {
    const writer = this.isClosed || this.writer === undefined ? this.writable : this.writer;
    if (options === undefined) {
      if (typeof data === 'string') return writer.appendText(data, 0);
      if (data instanceof Uint8Array) return writer.append(data, 0);
      throw wrongType('data', 'a Uint8Array or a string', data);
    }
    checkData('data', data);
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
    const kind = options.kind === undefined ? 0 : checkKind('options.kind', options.kind);
    if (options.key === undefined) {
      return typeof data === 'string' ? writer.appendText(data, kind) : writer.append(data, kind);
    }
    return writer.appendRecord({ payload: data, kind, key: checkData('options.key', options.key) });
  }

  /**
   * Appends records as one atomic batch: readers and recovery see all of them or none.
   *
   * @param records at least one; each bytes, text, or `{payload, kind?, key?}`. Together they must fit into a segment
   *   of 1 GiB.
   * @returns the LSNs of the first and the last
   * @throws as `append`; nothing was appended then
   */
  appendBatch(records: readonly (Uint8Array | string | RecordInput)[]): BatchResult {
    const { writable } = this;
    if (!Array.isArray(records)) throw wrongType('records', 'an array', records);
    if (records.length === 0) throw wrongType('records', 'an array of at least one record', 'an empty array');
    const lastLsn = areBytes(records) ? writable.appendPayloads(records)
      : writable.appendBatch(Array.from(records, (record, i) => checkRecord(i, record)));
    return { firstLsn: lastLsn - records.length + 1, lastLsn };
  }

  /**
   * Resolves with the durable LSN once every record that is committed now is on disk. Concurrent callers share one sync
   * of the disk, which runs off the event loop.
   *
   * @throws (rejects with) ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_IO (the log is
   *   poisoned)
   */
  async sync(): Promise<number> {
    return this.writable.sync();
  }

  /** The same as `sync`, but blocks the thread until it is done: less latency for one caller, no sharing. */
  syncNow(): number {
    return this.writable.syncNow();
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
    const guard = this.reader?.scanGuard();
    return new Scanner(source.segments, {
      from, to, reverse: options.reverse === true, view: options.view === true,
      ended: () => (this.isClosed ? this.closedError() : guard?.before()),
      failed: guard?.failed,
    });
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

  /**
   * Seals the active segment and starts a new one; does nothing where the active one is empty. Errors as `append`.
   */
  rotate(): void {
    this.writable.rotate();
  }

  /**
   * Drops the oldest segments, those with no record at or above `lsn`. Blocks; durable when it returns.
   *
   * @returns the new `firstLsn`, at most `lsn`
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE (above `lastLsn + 1`), ERR_VARVE_CLOSED,
   *   ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_IO
   */
  truncateBefore(lsn: number): number {
    const { writable } = this;
    this.requireWithin(checkLsn('lsn', lsn), 0, writable.lastLsn + 1);
    writable.truncateBefore(lsn);
    return writable.firstLsn;
  }

  /**
   * Cuts every record above `lsn`; the next append gets `lsn + 1`, in a higher epoch. Blocks; durable when it returns.
   * A crash in between leaves a truncation that the next opening finishes.
   *
   * @param lsn the last record that stays, from `firstLsn - 1` (cuts all) to `lastLsn` (cuts nothing)
   * @throws as `truncateBefore`
   */
  truncateAfter(lsn: number): void {
    const { writable } = this;
    this.requireWithin(checkLsn('lsn', lsn), writable.firstLsn - 1, writable.lastLsn);
    writable.truncateAfter(lsn);
  }

  /** Drops every record. The numbering goes on: no LSN is given twice. Blocks; durable when it returns. */
  reset(): void {
    this.writable.reset();
  }

  private requireWithin(lsn: number, least: number, most: number): void {
    if (lsn >= least && lsn <= most) return;
    throw new VarveError('ERR_VARVE_OUT_OF_RANGE', `lsn must be from ${least} to ${most}, not ${lsn}`,
      { lsn, least, most });
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

  /**
   * Syncs, seals the active segment so that the next opening scans nothing, and gives everything back. Idempotent.
   * Records and views that were read stay valid.
   *
   * @throws (rejects with) ERR_VARVE_IO, ERR_VARVE_DISK_FULL; the log is closed and the lock free all the same
   */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.reader?.close();
    await this.writer?.close();
  }

  /** The same as `close`, blocking. */
  closeSync(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.reader?.close();
    this.writer?.closeNow();
  }

  [Symbol.dispose](): void {
    this.closeSync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
