/**
 * The reading half of a KeyValueStore, the same for its writer and for a reader beside it: gets, iteration, what is
 * known of a key. A reader takes in what the writer has done since before it answers.
 */
import { Core } from '../core/core.ts';
import { VarveError } from '../errors/varve-error.ts';
import { Frame, KEY_OFFSET, Status } from '../generated/abi.ts';
import { realStorage } from '../io/real-storage.ts';
import type { PoolCounters } from '../log/pool.ts';
import { ATTEMPTS, isMoved } from '../log/reader.ts';
import type { RecordRef } from '../log/record.ts';
import type { LogContext } from '../log/segment.ts';
import { lsnAt, statusName } from '../log/segments.ts';
import type { CompiledCodec } from './codec.ts';
import { writeKey } from './keys.ts';
import { TableLoader, type KeyValueRecovery } from './load.ts';
import { checkIterable, checkIteration, checkWatch, type CheckedKeyValueOptions } from './options.ts';
import { Snapshot, type Piece } from './snapshot.ts';
import { LogSource } from './source.ts';
import type { KeyTable } from './table.ts';
import type { IterationOptions, Key, KeyValueWatchOptions } from './types.ts';
import { KeyValueWatcher } from './watch.ts';

/** Numbers about a store, as `stats` gives them. */
export interface KeyValueStats extends PoolCounters {
  /** Keys. */
  readonly keys: number;
  /** Segments of the log. */
  readonly segments: number;
  /** Bytes of all frames. */
  readonly bytes: number;
  /** Bytes of the frames that are their keys' newest; the rest is dead. */
  readonly liveBytes: number;
  /** Bytes of the key directory, and how full it is. */
  readonly tableBytes: number;
  readonly tableLoad: number;
}

/** What a store works on. */
export function contextOf(
  { core, storage, directory, readOnly }: Pick<CheckedKeyValueOptions<never>, 'core' | 'storage' | 'directory' | 'readOnly'>,
): LogContext {
  return { core: core ?? Core.shared(), storage: storage ?? realStorage(), directory, readOnly };
}

export abstract class ReadableStore<K extends Key, V> {
  /** The directory, as an absolute path. */
  readonly directory: string;
  /** What opening found and did. */
  readonly recovery: KeyValueRecovery;
  protected readonly source: LogSource;
  protected readonly table: KeyTable;
  protected readonly codec: CompiledCodec<V>;
  protected readonly now: () => number;
  private readonly bytes: Uint8Array;
  private readonly buffer: ArrayBuffer;
  /** The whole memory, for codecs that take what they need out of it. */
  private readonly memory: Buffer;
  private readonly asText: boolean;
  private readonly loader: TableLoader;
  /** Writer: LSN from which the table may lack what was committed; 0 where it lacks nothing. */
  protected missingFrom = 0;
  private keyBytes = 0;
  /** How often the writer was faster, without a pause. */
  private overtaken = 0;
  private isClosed = false;

  protected constructor(options: CheckedKeyValueOptions<V>) {
    const context = contextOf(options);
    this.directory = context.directory;
    this.codec = options.codec;
    this.now = options.now ?? (() => context.storage.now());
    this.asText = options.keys === 'utf8';
    this.bytes = context.core.memory.bytes;
    this.buffer = context.core.memory.buffer;
    this.memory = Buffer.from(this.buffer);
    this.source = new LogSource(context, options);
    let table: KeyTable | undefined;
    try {
      table = this.source.makeTable();
      this.table = table;
      this.loader = new TableLoader(this.source, table);
      this.recovery = this.loader.load();
    } catch (error) {
      table?.release();
      this.source.closeNow();
      throw error;
    }
  }

  /** Before every call: refuses a closed store, takes in what the writer has done since, and lets keys expire. */
  protected ready(): void {
    if (this.isClosed) throw this.closedError();
    if (this.source.reader !== undefined) this.loader.catchUp();
    if (this.missingFrom !== 0) this.takeMissing();
    if (this.table.expiry.size > 0) this.table.expire(this.now());
  }

  /** Whether `ready` has something to do. */
  private get unready(): boolean {
    return this.isClosed || this.source.reader !== undefined || this.table.expiry.size > 0 || this.missingFrom !== 0;
  }

  /** Takes into the table what was committed and could not be taken in then. */
  protected takeMissing(): void {
    for (const { segment, offset, end } of this.source.runs(this.missingFrom, this.source.lastLsn)) {
      this.table.apply(segment, offset, end);
    }
    this.missingFrom = 0;
  }

  protected closedError(): VarveError {
    return new VarveError('ERR_VARVE_CLOSED', `the store in ${this.directory} is closed; open it again`,
      { path: this.directory });
  }

  /** Finds the record of a key; what it holds then stands in the table's result. False where there is no such key. */
  protected find(key: Key, check: boolean): boolean {
    if (this.unready) this.ready();
    this.keyBytes = writeKey(this.bytes, KEY_OFFSET, key);
    const status = this.table.dir.find(this.keyBytes, check);
    return status === Status.Ok || (status !== Status.Absent && this.findAgain(status, check));
  }

  private findAgain(first: number, check: boolean): boolean {
    const { dir } = this.table;
    let status = first;
    try {
      while (status === Status.Unmapped) {
        this.mapFound(dir.segment);
        status = dir.find(this.keyBytes, check);
      }
    } finally {
      this.table.letGo();
    }
    if (status === Status.Ok || status === Status.Absent) return status === Status.Ok;
    throw this.damaged(status);
  }

  /** Maps the segment of a number; a reader looks anew where the writer has just dropped it. */
  private mapFound(number: number): void {
    try {
      this.table.map(number);
    } catch (error) {
      if (this.source.reader === undefined || !isMoved(error) || ++this.overtaken > ATTEMPTS) throw error;
      this.loader.catchUp();
      return;
    }
    this.overtaken = 0;
  }

  /** The error for a record that is not what the table says. */
  private damaged(status: number): VarveError {
    const { segment: number, offset } = this.table.dir;
    const segment = this.table.segmentOf(number)!;
    const lsn = lsnAt(segment, offset);
    return new VarveError('ERR_VARVE_CORRUPT',
      `the record of this key is damaged (${statusName(status)}) at offset ${offset} of ${segment.path}; other keys are `
      + 'not touched by it: put the key anew, or restore a copy',
      { path: segment.path, segment: segment.baseLsn, offset, lsn, status: statusName(status) });
  }

  /**
   * Returns the value of a key; `undefined` where there is none. The record is checked at every get: checksum, kind,
   * key and length. The bytes are a copy.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_RECORD_TOO_LARGE (the key), ERR_VARVE_CORRUPT (of this key alone),
   *   ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO, what the codec throws
   */
  get(key: K | Key): V | undefined {
    return this.find(key, true) ? this.value() : undefined;
  }

  /** The value that was found. */
  protected value(): V {
    const { codec } = this;
    const { valueAt, valueBytes } = this.table.dir;
    if (codec.text) return codec.decodeWithin(this.memory, valueAt, valueAt + valueBytes);
    // Code of a user's never gets the mapped file itself, which it might write to.
    if (codec.copies) return codec.decode(this.view());
    const copy = Buffer.allocUnsafe(valueBytes);
    copy.set(new Uint8Array(this.buffer, valueAt, valueBytes));
    return codec.decode(copy);
  }

  /**
   * Returns the bytes of a key's value without copying them, whatever the codec; `undefined` where there is none. The
   * view stays valid, and unchanged, for as long as anyone holds it, also after the store is closed; while it is held,
   * its whole segment stays mapped. What is written into it changes neither the store nor other processes' views.
   *
   * @throws as `get`
   */
  getView(key: K | Key): Buffer | undefined {
    return this.find(key, true) ? this.view() : undefined;
  }

  /** A private view of the value that was found. */
  private view(): Buffer {
    const { segment: number, valueAt, valueBytes } = this.table.dir;
    const segment = this.table.segmentOf(number)!;
    const { buffer, start } = segment.privateView();
    return Buffer.from(buffer, start + valueAt - segment.view!.base, valueBytes);
  }

  /** Returns the values of several keys, in their order; `undefined` for those that are not there. Errors: as `get` */
  getMany(keys: Iterable<K | Key>): (V | undefined)[] {
    return Array.from(checkIterable('keys', keys), (key) => this.get(key));
  }

  /** Whether there is such a key. Its key is compared, its value is not looked at. Errors: as `get` */
  has(key: K | Key): boolean {
    return this.find(key, false);
  }

  /** Returns the LSN of the write that gave the key its value; `undefined` where there is none. Errors: as `get` */
  versionOf(key: K | Key): number | undefined {
    return this.find(key, true) ? this.table.dir.version : undefined;
  }

  /**
   * Returns where the record of a key stands; `undefined` where there is none. Valid until the key is written again or
   * compaction moves it. Errors: as `get`
   */
  refOf(key: K | Key): RecordRef | undefined {
    if (!this.find(key, true)) return undefined;
    const { segment: number, offset, lsn } = this.table.dir;
    const segment = this.table.segmentOf(number)!;
    const size = this.source.context.core.memory.unsigned[(segment.view!.base + offset + Frame.size) / 4]!;
    return { lsn, segment: segment.baseLsn, offset, size };
  }

  /** Iterates over the keys. See `entries`. */
  keys(options: IterationOptions = {}): IterableIterator<K, undefined> {
    return this.iterate(options, (piece) => this.keyIn(piece));
  }

  /** Iterates over the values. See `entries`. */
  values(options: IterationOptions = {}): IterableIterator<V, undefined> {
    return this.iterate(options, (piece) => this.valueIn(piece));
  }

  /**
   * Iterates over keys and values as they are at the time of this call, whatever is written meanwhile, in the order in
   * which they were written; each record is checked. Lazy: nothing is read before it is asked for. Binary values of a
   * run of 64 KiB share one buffer: copy what you keep for long. Until it is at its end, or left, compaction keeps what
   * it may still need.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED; while iterating, also ERR_VARVE_CORRUPT at a damaged record,
   *   what the codec throws, and for a reader ERR_VARVE_TRUNCATED where the writer has compacted the store meanwhile:
   *   begin again
   */
  entries(options: IterationOptions = {}): IterableIterator<[K, V], undefined> {
    return this.iterate(options, (piece) => [this.keyIn(piece), this.valueIn(piece)]);
  }

  [Symbol.iterator](): IterableIterator<[K, V], undefined> {
    return this.entries();
  }

  private iterate<T>(options: IterationOptions, make: (piece: Piece) => T): IterableIterator<T, undefined> {
    const prefix = checkIteration(options) ?? '';
    this.ready();
    return new Snapshot({ source: this.source, table: this.table, prefix, make, ready: () => { this.ready(); } });
  }

  /**
   * Watches what changes, in this process or in another one: each put, delete and clear, in their order, endlessly;
   * asleep while there is nothing. Values are those of then. What expires is told by nobody. Whoever is slow is given
   * what he has missed, unless compaction has dropped it.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE (`from`), ERR_VARVE_CLOSED; while iterating,
   *   ERR_VARVE_TRUNCATED where compaction has dropped what comes next: read the store anew and watch again;
   *   ERR_VARVE_CORRUPT; ERR_VARVE_CLOSED where this store was closed; the signal's reason
   * @example
   * for await (const change of store.watch({ prefix: 'user/' })) console.log(change.type, change.lsn);
   */
  watch(options: KeyValueWatchOptions = {}): KeyValueWatcher<K, V> {
    const { prefix = '', from, signal } = checkWatch(options);
    this.ready();
    return new KeyValueWatcher<K, V>({
      follower: this.source.follow(from, signal), prefix,
      key: (bytes) => this.keyOf(bytes),
      value: (bytes) => this.codec.decode(bytes),
    });
  }

  /** A key as iterators give it. */
  protected keyOf(bytes: Buffer): K {
    return (this.asText ? bytes.utf8Slice(0, bytes.length) : bytes) as K;
  }

  protected keyIn({ buffer, keyFrom, keyTo }: Piece): K {
    return (this.asText ? buffer.utf8Slice(keyFrom, keyTo) : buffer.subarray(keyFrom, keyTo)) as K;
  }

  private valueIn({ buffer, valueFrom, valueTo }: Piece): V {
    return this.codec.copies ? this.codec.decodeWithin(buffer, valueFrom, valueTo)
      : this.codec.decode(buffer.subarray(valueFrom, valueTo));
  }

  /** Number of keys. */
  get size(): number {
    if (this.unready) this.ready();
    return this.table.count;
  }

  /**
   * LSN up to which every write is known to be on disk. Where the writer before had died, what it had not synced is
   * synced in the background once the store is open, and counts from then on.
   */
  get durableLsn(): number {
    this.ready();
    return this.source.durableLsn;
  }

  /** LSN of the last committed record. */
  get lastLsn(): number {
    this.ready();
    return this.source.lastLsn;
  }

  /** Numbers about the store now. Errors: ERR_VARVE_CLOSED */
  stats(): KeyValueStats {
    this.ready();
    const { table, source } = this;
    const { bytes, liveBytes } = source.account(table);
    return {
      keys: table.count, segments: source.segments().list.length, bytes, liveBytes, tableBytes: table.bytes,
      tableLoad: table.count / table.dir.slots, ...source.pool.counters,
    };
  }

  /** Whether it was opened read-only. */
  get readOnly(): boolean { return this.source.writer === undefined; }
  /** Whether it was closed. */
  get closed(): boolean { return this.isClosed; }
  /** Whether a failed write or sync has stopped all writing. */
  get poisoned(): boolean { return this.source.writer?.poisoned === true; }

  /** Ends all reading; false where it was closed before. */
  protected endReading(): boolean {
    if (this.isClosed) return false;
    this.isClosed = true;
    this.source.stopFollowers(this.closedError());
    return true;
  }
}
