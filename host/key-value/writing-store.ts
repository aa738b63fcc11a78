/**
 * The writing half of a KeyValueStore: puts, deletes, batches. Each appends to the log and then has the table take in
 * what was appended; from the append on it is committed, whatever comes of the rest.
 */
import { VarveError, wrongType } from '../errors/varve-error.ts';
import { Kind } from '../generated/abi.ts';
import type { BatchRecord } from '../log/batches.ts';
import type { Segment } from '../log/segment.ts';
import { lsnAt } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import { batchRecords, encodeBytes } from './batch-records.ts';
import { Compactor } from './compaction.ts';
import { HintKeeper } from './hints.ts';
import { checkKey } from './keys.ts';
import {
  checkBatchOptions, checkChange, checkDelete, checkEntry, checkEntryKey, checkIterable, checkPut, checkPutMany,
  type CheckedKeyValueOptions, type CheckedPut,
} from './options.ts';
import { MovingStore } from './moving-store.ts';
import type {
  DeleteOptions, Key, KeyValueBatchResult, KeyValueOperation, PutManyOptions, PutOptions,
} from './types.ts';

/** A run of `putMany`: so many records, or so many bytes, whichever comes first. */
const RUN_RECORDS = 1024;
const RUN_BYTES = 512 << 10;

export abstract class WritingStore<K extends Key, V> extends MovingStore<K, V> {
  protected readonly compactor: Compactor;
  protected readonly hints: HintKeeper;
  private active: Segment | undefined;

  protected constructor(options: CheckedKeyValueOptions<V>) {
    super(options);
    this.hints = new HintKeeper(this.source, this.table);
    this.compactor = new Compactor({
      source: this.source, table: this.table, hints: this.hints, ready: () => { this.ready(); },
      policy: options.autoCompact,
    });
    try {
      if (this.source.writer !== undefined) this.hints.tidy(this.recovery.ignored);
    } catch (error) {
      // A store that could not be opened must not keep the lock.
      this.endReading();
      this.hints.close();
      this.table.release();
      this.source.closeNow();
      throw error;
    }
  }

  protected get writable(): LogWriter {
    if (this.closed) throw this.closedError();
    const { writer } = this.source;
    if (writer === undefined) {
      throw new VarveError('ERR_VARVE_READ_ONLY', `${this.directory} was opened with readOnly: true`,
        { path: this.directory });
    }
    if (this.missingFrom !== 0) this.takeMissing();
    return writer;
  }

  /**
   * Gives a key a value and returns the version: the LSN of this write. It is committed when the call returns.
   *
   * @param key text or bytes, 1 byte to 64 KiB
   * @param value what the codec takes, at most 64 MiB less 16 bytes; it is copied
   * @param options.ttl milliseconds from now until it is gone; default: it stays
   * @param options.expiresAt the same as a time, in milliseconds since 1970
   * @param options.ifVersion writes only where `versionOf(key)` is this, 0 standing for no such key
   * @param options.ifAbsent writes only where there is no such key
   * @param options.durable gives a promise that resolves with the version when the write is on disk
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_RECORD_TOO_LARGE, ERR_VARVE_CONFLICT (nothing was written;
   *   `details.actual` is the version), ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED,
   *   ERR_VARVE_DISK_FULL (nothing was written; it can be tried again), ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO, what the
   *   codec throws
   */
  put(key: K | Key, value: V, options: PutOptions & { readonly durable: true }): Promise<number>;
  put(key: K | Key, value: V, options?: PutOptions & { readonly durable?: false }): number;
  put(key: K | Key, value: V, options: PutOptions): number | Promise<number>;
  put(key: K | Key, value: V, options?: PutOptions): number | Promise<number> {
    const { writable } = this;
    checkKey(key);
    if (options !== undefined) return this.putWith(key, value, checkPut(options, this.now));
    const lsn = writable.appendKeyed(Kind.Put, key, this.codec.encode(value));
    this.takeIn(writable);
    return lsn;
  }

  private putWith(key: Key, value: V, { expiresAt, ifVersion, durable }: CheckedPut): number | Promise<number> {
    const { writable } = this;
    const bytes = this.codec.encode(value);
    this.requireVersion(key, ifVersion);
    const lsn = expiresAt === 0 ? writable.appendKeyed(Kind.Put, key, bytes)
      : writable.appendKeyedMeta(Kind.PutMeta, key, 0, expiresAt, bytes);
    this.takeIn(writable);
    return durable ? this.durably(lsn) : lsn;
  }

  /** Refuses a write where the key has another version than was asked for; -1 stands for any, 0 for none. */
  private requireVersion(key: Key, expected: number): void {
    if (expected < 0) return;
    const actual = this.versionOf(key) ?? 0;
    if (actual === expected) return;
    const what = actual === 0 ? 'there is no such key' : `its version is ${actual}`;
    throw new VarveError('ERR_VARVE_CONFLICT',
      `the key was to have ${expected === 0 ? 'no value' : `version ${expected}`}, but ${what}; read it and decide again`,
      { expected, actual });
  }

  /** Of what is committed already: whatever the table lacks is of no concern to the disk. */
  private async durably<T>(result: T): Promise<T> {
    await this.source.writer!.sync();
    return result;
  }

  /**
   * Takes into the table what was appended last. It is committed whatever comes of that: where a segment that the table
   * needs cannot be mapped, the next call tries again, and fails where it cannot either.
   */
  private takeIn(writer: LogWriter): void {
    const segment = writer.activeSegment!;
    try {
      this.table.apply(segment, writer.lastOffset, segment.view!.dataEnd);
    } catch (error) {
      if (this.missingFrom === 0) this.missingFrom = lsnAt(segment, writer.lastOffset);
      if (!VarveError.is(error)) throw error;
    }
    if (segment !== this.active) this.rotated(segment);
  }

  private rotated(segment: Segment): void {
    const isFirst = this.active === undefined;
    this.active = segment;
    // Recovery and closing seal what is appended to now.
    this.hints.forget(segment);
    if (isFirst) return;
    this.hints.look();
    this.compactor.compactWhereDue();
  }

  /**
   * Removes a key. It is committed when the call returns.
   *
   * @returns whether it was there; where it was not, nothing is written
   * @throws as `put`
   */
  delete(key: K | Key, options: DeleteOptions & { readonly durable: true }): Promise<boolean>;
  delete(key: K | Key, options?: DeleteOptions & { readonly durable?: false }): boolean;
  delete(key: K | Key, options: DeleteOptions): boolean | Promise<boolean>;
  delete(key: K | Key, options: DeleteOptions = {}): boolean | Promise<boolean> {
    const { writable } = this;
    const { ifVersion, durable } = checkDelete(options);
    this.requireVersion(key, ifVersion);
    const found = this.find(key, false);
    if (found) {
      writable.appendKeyed(Kind.Delete, key, '');
      this.takeIn(writable);
    }
    return durable ? this.durably(found) : found;
  }

  /**
   * Puts many entries, faster than one by one, in runs of up to 1,024 records or 512 KiB, each of which is atomic; one
   * that a large record brings above 1 MiB is written in parts.
   *
   * @returns how many there were
   * @throws as `put`; the runs before are committed then
   */
  putMany(
    entries: Iterable<readonly [K | Key, V]>, options: PutManyOptions & { readonly durable: true },
  ): Promise<number>;
  putMany(entries: Iterable<readonly [K | Key, V]>, options?: PutManyOptions & { readonly durable?: false }): number;
  putMany(entries: Iterable<readonly [K | Key, V]>, options: PutManyOptions = {}): number | Promise<number> {
    if (this.writable.poisoned) this.writable.requireOpen();
    const { expiresAt, durable } = checkPutMany(options, this.now);
    // Whole runs are taken before any of them is staged: iterators and codecs run the user's code. A generator may fill
    // the same buffers again for each entry.
    const isKept = Array.isArray(entries) || entries instanceof Map;
    const keys: Key[] = [];
    const values: (Uint8Array | string)[] = [];
    let bytes = 0;
    let count = 0;
    for (const entry of checkIterable('entries', entries)) {
      const [key, value] = checkEntry(count, entry);
      const payload = isKept ? this.encoded(value) : copyOf(this.codec.encode(value));
      keys.push(isKept ? checkEntryKey(count, key) : copyOf(checkEntryKey(count, key)));
      values.push(payload);
      bytes += payload.length;
      count++;
      if (keys.length === RUN_RECORDS || bytes >= RUN_BYTES) {
        this.putRun(keys, values, expiresAt);
        bytes = 0;
      }
    }
    this.putRun(keys, values, expiresAt);
    return durable ? this.durably(count) : count;
  }

  /** Puts what was gathered, as one batch where it fits on the stage, and empties both lists. */
  private putRun(keys: Key[], values: (Uint8Array | string)[], expiresAt: number): void {
    const { writable } = this;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const value = values[i]!;
      if (writable.stageKeyed(key, expiresAt, value)) continue;
      if (writable.appendKeyedRun()) this.takeIn(writable);
      if (writable.stageKeyed(key, expiresAt, value)) continue;
      if (expiresAt === 0) writable.appendKeyed(Kind.Put, key, value);
      else writable.appendKeyedMeta(Kind.PutMeta, key, 0, expiresAt, value);
      this.takeIn(writable);
    }
    keys.length = 0;
    values.length = 0;
    if (writable.appendKeyedRun()) this.takeIn(writable);
  }

  /** The bytes of a value that stay what they are while others are encoded. */
  private encoded(value: V): Uint8Array | string {
    const bytes = this.codec.encode(value);
    return this.codec.transient && typeof bytes !== 'string' ? Buffer.from(bytes) : bytes;
  }

  /**
   * Applies puts and deletes as one: readers and recovery see all of them or none, in their order. Together they must
   * fit into a segment of 1 GiB.
   *
   * @returns the LSNs of the first and the last; those of deletes of keys that are not there are counted too
   * @throws as `put`; nothing was written then
   */
  batch(
    operations: readonly KeyValueOperation<V>[], options: { readonly durable: true },
  ): Promise<KeyValueBatchResult>;
  batch(operations: readonly KeyValueOperation<V>[], options?: { readonly durable?: false }): KeyValueBatchResult;
  batch(
    operations: readonly KeyValueOperation<V>[], options: { readonly durable?: boolean } = {},
  ): KeyValueBatchResult | Promise<KeyValueBatchResult> {
    const { writable } = this;
    const durable = checkBatchOptions(options);
    const result = this.appendBatch(writable, batchRecords(operations, this.now, (value) => this.encoded(value)));
    return durable ? this.durably(result) : result;
  }

  /** The same with values that are bytes, whatever the codec of the store: what `sortedPairs` gives. */
  batchBytes(operations: readonly KeyValueOperation<Uint8Array>[]): KeyValueBatchResult {
    return this.appendBatch(this.writable, batchRecords(operations, this.now, encodeBytes));
  }

  private appendBatch(writer: LogWriter, records: readonly BatchRecord[]): KeyValueBatchResult {
    const lastLsn = writer.appendBatch(records);
    this.takeIn(writer);
    return { firstLsn: lastLsn - records.length + 1, lastLsn };
  }

  /**
   * Reads a value, lets `change` make another one of it, and puts that; nobody comes in between. An expiry that the key
   * has stays.
   *
   * @param change gets the value, or `undefined` where there is no such key; what it returns is put, `undefined`
   *   deletes. What it throws comes out, and nothing is written
   * @returns what `change` has returned
   * @throws as `put`; ERR_VARVE_CONFLICT where `change` has itself written the key
   */
  update(key: K | Key, change: (value: V | undefined) => V | undefined): V | undefined {
    const { writable } = this;
    checkChange(change);
    const found = this.find(key, true);
    const { expiresAt, version } = found ? this.table.dir : { expiresAt: 0, version: 0 };
    const before = found ? this.value() : undefined;
    const after = change(before);
    if (after instanceof Promise) throw wrongType('the result of fn', 'a value, at once', after);
    if (after === undefined && !found) return undefined;
    const bytes = after === undefined ? '' : this.codec.encode(after);
    this.requireVersion(key, version);
    if (after === undefined) writable.appendKeyed(Kind.Delete, key, '');
    else if (expiresAt === 0) writable.appendKeyed(Kind.Put, key, bytes);
    else writable.appendKeyedMeta(Kind.PutMeta, key, 0, expiresAt, bytes);
    this.takeIn(writable);
    return after;
  }

  /**
   * Removes every key, by one record: readers and recovery see all gone or nothing. The space comes back in the
   * background.
   *
   * @returns the LSN of that record
   * @throws as `put`
   */
  clear(): number {
    const { writable } = this;
    writable.rotate();
    const lsn = writable.appendKeyed(Kind.Clear, '', '');
    this.takeIn(writable);
    this.compactor.dropDead();
    return lsn;
  }
}

/** Data that stays what it is. */
function copyOf<T extends Uint8Array | string>(data: T): Buffer | T {
  return typeof data === 'string' ? data : Buffer.from(data);
}
