/**
 * RecordLog: the append-only log as its users see it. This is opening, writing and closing; reading is
 * readable-log.ts. Arguments and states are checked here; the work is host/log's.
 */
import { Core } from '../core/core.ts';
import { VarveError, wrongType } from '../errors/varve-error.ts';
import { STORE_KIND_RECORD_LOG } from '../generated/abi.ts';
import { realStorage } from '../io/real-storage.ts';
import type { RecordInput } from '../log/appender.ts';
import { openReader, openWriter, repairLog } from '../log/open.ts';
import type { RepairReport } from '../log/repair.ts';
import type { LogContext } from '../log/segment.ts';
import type { LogWriter } from '../log/writer.ts';
import {
  areBytes, checkData, checkKind, checkLsn, checkOptions, checkRecord, checkRetain, type CheckedOptions,
  type RecordLogOptions,
} from './options.ts';
import { ReadableLog, type OpenLog } from './readable-log.ts';
import type { AppendOptions, BatchResult, RetainOptions } from './types.ts';

function contextOf(options: CheckedOptions): LogContext {
  return {
    core: options.core ?? Core.shared(),
    storage: options.storage ?? realStorage(),
    directory: options.directory,
    readOnly: options.readOnly,
  };
}

function openLog(options: CheckedOptions): OpenLog {
  const context = contextOf(options);
  if (options.readOnly) {
    const { reader, pool } = openReader(context, options.mappedBytesMax, STORE_KIND_RECORD_LOG);
    return { context, reader, writer: undefined, pool, report: reader.report };
  }
  return { context, reader: undefined, ...openWriter(context, { ...options, storeKind: STORE_KIND_RECORD_LOG }) };
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
export class RecordLog extends ReadableLog {
  private constructor(options: CheckedOptions) {
    super(openLog(options));
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

  private get writable(): LogWriter {
    if (this.closed) throw this.closedError();
    if (this.writer === undefined) {
      throw new VarveError('ERR_VARVE_READ_ONLY', `${this.directory} was opened with readOnly: true`,
        { path: this.directory });
    }
    return this.writer;
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
    const writer = this.closed || this.writer === undefined ? this.writable : this.writer;
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
    return this.drop(() => writable.truncateBefore(lsn));
  }

  /**
   * Drops the oldest segments for as long as the frames of the rest take more than `maxBytes`, or the oldest one was
   * sealed more than `maxAge` milliseconds ago. The active segment stays. Blocks; durable when it returns. A reader
   * that is in a dropped segment is told by ERR_VARVE_OUT_OF_RANGE or ERR_VARVE_TRUNCATED; its views stay valid.
   *
   * @returns the new `firstLsn`
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_IO
   * @example
   * log.retain({ maxBytes: 10 * 2 ** 30, maxAge: 7 * 24 * 60 * 60 * 1000 });
   */
  retain(options: RetainOptions): number {
    const { writable } = this;
    const { maxBytes, maxAge } = checkRetain(options);
    return this.drop(() => writable.truncateBefore(writable.retainedFrom(maxBytes, maxAge)));
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
    const { lastLsn } = writable;
    this.requireWithin(checkLsn('lsn', lsn), writable.firstLsn - 1, lastLsn);
    writable.truncateAfter(lsn);
    if (lsn < lastLsn) this.emit('truncate', { firstLsn: writable.firstLsn, lastLsn: lsn });
  }

  /** Drops every record. The numbering goes on: no LSN is given twice. Blocks; durable when it returns. */
  reset(): void {
    const { writable } = this;
    this.drop(() => writable.reset());
  }

  /** Runs what may drop records, tells listeners, and returns the new `firstLsn`. */
  private drop(run: () => void): number {
    const { writable } = this;
    const before = writable.firstLsn;
    run();
    const { firstLsn, lastLsn } = writable;
    if (firstLsn > before) this.emit('retain', { firstLsn, lastLsn });
    return firstLsn;
  }

  private requireWithin(lsn: number, least: number, most: number): void {
    if (lsn >= least && lsn <= most) return;
    throw new VarveError('ERR_VARVE_OUT_OF_RANGE', `lsn must be from ${least} to ${most}, not ${lsn}`,
      { lsn, least, most });
  }

  /**
   * Syncs, seals the active segment so that the next opening scans nothing, and gives everything back. Idempotent.
   * Records and views that were read stay valid.
   *
   * @throws (rejects with) ERR_VARVE_IO, ERR_VARVE_DISK_FULL, ERR_VARVE_POISONED (a sync that the log began by itself
   *   had failed, and no call has said so yet); the log is closed and the lock free all the same
   */
  async close(): Promise<void> {
    if (!this.endReading()) return;
    try {
      await this.cursorSet.close();
    } finally {
      await this.writer?.close();
    }
  }

  /** The same as `close`, blocking. */
  closeSync(): void {
    if (!this.endReading()) return;
    try {
      this.cursorSet.closeSync();
    } finally {
      this.writer?.closeNow();
    }
  }

  [Symbol.dispose](): void {
    this.closeSync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
