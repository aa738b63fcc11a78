/**
 * TypedStore: typed records of one length in one mapped file, shared between processes. Arguments and states are
 * checked here; the file is host/typed/typed-file.ts's, the fields are host/typed/access.ts's.
 */
import { TypedView } from '../core/typed-view.ts';
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import type { FieldAccessor, Means } from './access.ts';
import { accessorOf } from './accessors.ts';
import { Answers } from './answers.ts';
import { checkRecords, type TypedCheck } from './check.ts';
import { Column, type NumericFields } from './columns.ts';
import { layoutOf, type Layout } from './layout.ts';
import { MIGRATE_OPTIONS, migrateFile, type MigrateOptions, type Migration } from './migrate.ts';
import { openTypedFile } from './open.ts';
import { checkOptions, type TypedStoreOptions } from './options.ts';
import { Records, type AnyRecord } from './records.ts';
import type { TypedRecovery } from './recovery.ts';
import { RowAccessor } from './row-access.ts';
import { RowColumn } from './row-columns.ts';
import { Row } from './row.ts';
import type { RowImage } from './row-image.ts';
import { defineSchema, isNumeric, type Fields, type RecordOf, type Schema } from './schema.ts';
import { Texts } from './text.ts';
import type { TypedFile } from './typed-file.ts';
import { isIndex } from './values.ts';
import { Watchers, type WatchOptions } from './watchers.ts';
import type { Watcher } from './watch.ts';

/** What a store consists of, as far as it can be used without this class. */
export interface StoreParts {
  /** Single fields; sees nothing where they are only good with their record. */
  readonly fieldView: TypedView;
  /** Whole records, to the row and from it; sees nothing of a ring, whose indices are others. */
  readonly rowView: TypedView;
  readonly row: RowImage;
  readonly records: Records;
  readonly layout: Layout;
}

/** Accessors by the names of the fields. */
export type FieldsOf<F extends Fields> = { readonly [K in keyof F]: FieldAccessor<RecordOf<F>[K]> };

/**
 * Typed records of fixed length, in a file that is mapped by all who use it: reading a field is one call without a
 * copy, a lock or a system call, and what one process writes, all others see at once.
 *
 * Each record is consistent by itself: readers see a `set`, an `update` or an `append` whole or not at all. It survives
 * the death of the process when the call returns, and the death of the machine when a `sync` that was called afterwards
 * has resolved. Records have an index, from 0; they are never removed.
 *
 * @example
 * const Tick = defineSchema('Tick', { version: 1, fields: { symbol: str(8), price: f64, volume: u32 } });
 * const store = await TypedStore.open('./ticks.varve', Tick);
 * const at = store.append({ symbol: 'VRV', price: 12.5, volume: 100 });
 * store.fields.price.set(at, 12.75);
 * console.log(store.get(at)); // { symbol: 'VRV', price: 12.75, volume: 100 }
 * await store.close();
 */
export class TypedStore<F extends Fields = Fields> {
  /** The schema that the store was opened with. */
  readonly schema: Schema<F>;
  /** Each field of all records, by its name: `store.fields.price.get(7)`. The fastest way to one value. */
  readonly fields: FieldsOf<F>;
  private readonly file: TypedFile;
  private readonly answers: Answers;
  private readonly records: Records;
  /** Whether fields are only ever reached through a copy of their record. */
  private readonly wholeRecords: boolean;
  /** What generated classes work with; not for others. */
  protected readonly parts: StoreParts;
  private readonly watchers: Watchers;

  private constructor(path: string, schema: Schema<F>, options: TypedStoreOptions) {
    const [context, fileOptions] = checkOptions(path, options);
    if (typeof schema !== 'object' || schema === null) throw wrongType('schema', 'a schema', schema);
    this.schema = defineSchema(schema.name, schema);
    const { core } = context;
    this.file = openTypedFile(context, layoutOf(core, this.schema), { ...fileOptions, notesWrites: true });
    const { view, layout } = this.file;
    this.watchers = new Watchers(this.file);
    this.answers = new Answers(this.file, this.watchers.waker);
    const texts = new Texts(core.memory);
    const row = new Row(core.memory, texts, this.answers);
    this.records = new Records(layout, row);
    const means: Means = {
      view, answers: this.answers, texts, bytes: core.memory.bytes, row, stride: layout.stride,
    };
    // Checksums cover whole records, and a record of a ring may go while it is read.
    this.wholeRecords = layout.checksumAt !== 0 || this.file.isRing;
    const nothing = TypedView.ofNothing(core);
    this.parts = {
      fieldView: this.wholeRecords ? nothing : view, rowView: this.file.isRing ? nothing : view, row, layout,
      records: this.records,
    };
    const accessors = layout.fields.map((field) => (
      [field.name, this.wholeRecords ? new RowAccessor(means, field) : accessorOf(means, field)] as const));
    this.fields = Object.freeze(Object.fromEntries(accessors)) as FieldsOf<F>;
  }

  /**
   * Opens the store in the file `path`; makes it where there is none, and mends it where a writer died. Which records
   * that writer may have left half-written stands in `recovery`.
   *
   * @param schema what `defineSchema` returned; the file must have been made with the same fields in the same order
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_LOCKED, ERR_VARVE_SCHEMA_MISMATCH,
   *   ERR_VARVE_NOT_FOUND, ERR_VARVE_FORMAT, ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL,
   *   ERR_VARVE_MEMORY_FULL, ERR_VARVE_UNSUPPORTED, ERR_VARVE_IO
   */
  static async open<F extends Fields>(
    path: string, schema: Schema<F>, options: TypedStoreOptions = {},
  ): Promise<TypedStore<F>> {
    return new TypedStore(path, schema, options);
  }

  /** The same as `open`, without a promise. */
  static openSync<F extends Fields>(path: string, schema: Schema<F>, options: TypedStoreOptions = {}): TypedStore<F> {
    return new TypedStore(path, schema, options);
  }

  /**
   * Brings the file of a store to a schema that appends to its own: fields behind the last, values behind the last of
   * an enum, more room for text and bytes, a higher version. A new file is made and takes the place of the old one in
   * one step, synced: whatever happens, the path leads to one of them, whole. It takes the lock of a writer, and twice
   * the room for a while. Whoever reads the old file goes on reading it; his watches end with ERR_VARVE_REPLACED.
   *
   * @returns what was done; where the file has the schema already, nothing
   * @throws (rejects with) ERR_VARVE_SCHEMA_MISMATCH (`details.differences` are those that stand in the way),
   *   ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_VALUE_TOO_LONG, ERR_VARVE_LOCKED, ERR_VARVE_NOT_FOUND, ERR_VARVE_FORMAT,
   *   ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_UNSUPPORTED,
   *   ERR_VARVE_IO. Nothing has changed then, but for an ERR_VARVE_IO of the last sync: either file may be there.
   */
  static async migrate<F extends Fields>(
    path: string, schema: Schema<F>, options: MigrateOptions<F> & Pick<TypedStoreOptions, 'core' | 'storage'> = {},
  ): Promise<Migration> {
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
    const opening = Object.entries(options).filter(([name]) => !MIGRATE_OPTIONS.includes(name));
    const [context] = checkOptions(path, Object.fromEntries(opening) as TypedStoreOptions);
    if (typeof schema !== 'object' || schema === null) throw wrongType('schema', 'a schema', schema);
    return migrateFile(context, defineSchema(schema.name, schema), options);
  }

  /** The file, as an absolute path. */
  get path(): string { return this.file.path; }
  /** Whether it was opened with `readOnly: true`. */
  get readOnly(): boolean { return this.file.readOnly; }
  /** Whether it was closed. */
  get closed(): boolean { return this.file.closed; }
  /** What the file keeps for its user, as it was given when the file was made. */
  get metadata(): Uint8Array { return this.file.metadata.slice(); }
  /** What opening found that a dead writer had left: `torn` are the indices of records that may be half-written. */
  get recovery(): TypedRecovery { return this.file.recovery; }

  /**
   * Records that are there now, whoever has appended them; of a ring, all that ever were appended. Errors:
   * ERR_VARVE_CLOSED
   */
  get length(): number { return this.answers.length(); }

  /** Index of the first record that is there now: 0; in a full ring `length - capacity`. Errors as `length`. */
  get first(): number { return this.answers.first(); }

  /**
   * Records that the file has room for now; it grows by itself, unless it is a ring. Errors: ERR_VARVE_CLOSED,
   * ERR_VARVE_CORRUPT
   */
  get capacity(): number {
    this.file.refresh();
    return this.file.capacity;
  }

  /**
   * Appends a record and returns its index. In a ring that is full it takes the place of the oldest; indices rise for
   * ever.
   *
   * @param record all of its fields; without it, zeros, empty text, `false`, first values of enums, and null
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_VALUE_TOO_LONG, ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL,
   *   ERR_VARVE_CONTENTION, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_CLOSED, ERR_VARVE_IO. Nothing was
   *   appended then.
   */
  append(record?: Readonly<RecordOf<F>>): number {
    if (record !== undefined) this.records.write(record as AnyRecord);
    const index = this.file.view.appendRow(record !== undefined);
    return index >= 0 ? index : this.appendAgain(index, record);
  }

  private appendAgain(status: number, record: Readonly<RecordOf<F>> | undefined): number {
    let index = status;
    for (let tries = 0; index < 0; tries++) {
      this.answers.settleAppend(index, tries);
      if (record !== undefined) this.records.write(record as AnyRecord);
      index = this.file.view.appendRow(record !== undefined);
    }
    return index;
  }

  /**
   * Appends records, one after the other, each whole for readers. All of them are checked before the first is appended,
   * and room is made for all; with many writers, records of others may come in between.
   *
   * @returns the index of the first; `length` where there is none
   * @throws as `append`; nothing was appended then, but for ERR_VARVE_CONTENTION
   */
  appendMany(records: readonly Readonly<RecordOf<F>>[]): number {
    if (!Array.isArray(records)) throw wrongType('records', 'an array', records);
    for (const record of records) this.records.write(record as AnyRecord);
    this.file.requireWritable();
    let first = this.length;
    this.file.grow(first + records.length);
    for (let at = 0; at < records.length; at++) {
      const index = this.append(records[at]);
      if (at === 0) first = index;
    }
    return first;
  }

  /**
   * Reads a record, all fields of one state, into a new object or into one that is reused.
   *
   * @param into gets the fields and is returned; where an error is thrown, some fields may be there already
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CONTENTION, ERR_VARVE_BAD_VALUE,
   *   ERR_VARVE_INEXACT, ERR_VARVE_CORRUPT (its checksum is wrong), ERR_VARVE_CLOSED
   */
  get(index: number): RecordOf<F>;
  get<T extends Partial<RecordOf<F>>>(index: number, into: T): RecordOf<F> & T;
  get(index: number, into: object = {}): object {
    if (!isIndex(index)) this.answers.requireIndex(index);
    if (typeof into !== 'object' || into === null) throw wrongType('into', 'an object', into);
    let status = this.file.view.readRow(index);
    while (status !== 0) {
      this.answers.settle(status, index);
      status = this.file.view.readRow(index);
    }
    this.records.read(into as AnyRecord, index);
    return into;
  }

  /**
   * Replaces a record, as one change. Every field is checked before anything is written.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT (also for a field that is missing or unknown), ERR_VARVE_VALUE_TOO_LONG,
   *   ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CONTENTION, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_CLOSED,
   *   ERR_VARVE_IO (the first write after opening syncs)
   */
  set(index: number, record: Readonly<RecordOf<F>>): void {
    if (!isIndex(index)) this.answers.requireIndex(index);
    this.records.write(record as AnyRecord);
    let status = this.file.view.writeRow(index);
    while (status !== 0) {
      this.answers.settle(status, index);
      this.records.write(record as AnyRecord);
      status = this.file.view.writeRow(index);
    }
  }

  /**
   * Changes some fields of a record, as one change for readers. The other fields keep what they have, also where
   * another writer changes them at the same time: nothing is read before and written back. Errors as `set`, and
   * ERR_VARVE_CORRUPT where the record's checksum is wrong.
   */
  update(index: number, partial: Readonly<Partial<RecordOf<F>>>): void {
    if (!isIndex(index)) this.answers.requireIndex(index);
    this.records.writeSome(partial as AnyRecord);
    let status = this.file.view.patchRow(index);
    while (status !== 0) {
      this.answers.settle(status, index);
      this.records.writeSome(partial as AnyRecord);
      status = this.file.view.patchRow(index);
    }
  }

  /**
   * Visits the records that are there at the first step, each in one state, as `get` returns it; of a ring, those of
   * them that were not overwritten before their turn. Errors as `get`.
   */
  * [Symbol.iterator](): Generator<RecordOf<F>, undefined> {
    const { length } = this;
    for (let index = this.first; index < length; index++) {
      const record = this.unlessOverwritten(index);
      if (record !== undefined) yield record;
      // The next that is there may be far ahead.
      else index = this.first - 1;
    }
    return undefined;
  }

  private unlessOverwritten(index: number): RecordOf<F> | undefined {
    try {
      return this.get(index);
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_OUT_OF_RANGE') && index < this.first) return undefined;
      throw error;
    }
  }

  /**
   * Looks at every record that is there: at its checksum, where it has one, and at the values of its fields. Blocks
   * the thread until it is done; others may write meanwhile. Errors: ERR_VARVE_CLOSED
   */
  check(): TypedCheck {
    return checkRecords(this.file, this.answers, this.records);
  }

  /**
   * The numbers of one field, of all records or of a range of them: sums, extremes, counts, selections.
   *
   * @param name a field of numbers or timestamps, or of null in their place; 64-bit integers take part as the nearest
   *   numbers
   * @throws ERR_VARVE_INVALID_ARGUMENT
   */
  column(name: NumericFields<F>): Column {
    if (typeof name !== 'string') throw wrongType('name', 'the name of a field', name);
    const field = this.file.layout.fields.find((one) => one.name === name);
    if (field === undefined || !isNumeric(field)) throw outOfRange('name', 'a field of numbers', name);
    return new (this.wholeRecords ? RowColumn : Column)(this.file, this.answers, field);
  }

  /**
   * Watches records: an endless iteration over the ranges that have changed or were appended since the call, whoever
   * has done it, in any process. While nothing happens it sleeps, costs nothing and keeps the process alive; files of
   * format `'mmfg-1'` are looked at from time to time.
   *
   * Every change is reported at least once. Changes that come faster than they are asked for are reported together,
   * and a range says that there is something new, not what: read the records, which may be newer still. A range may be
   * reported twice. Ends by `return()` (leaving a `for await` loop calls it), by its signal, or when the store is
   * closed.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL. The iteration rejects with
   *   ERR_VARVE_CLOSED, ERR_VARVE_REPLACED, ERR_VARVE_CORRUPT, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO; the signal's reason
   * @example
   * for await (const { from, to, kind } of store.watch()) console.log(kind, from, to, store.get(to));
   */
  watch(options: WatchOptions = {}): Watcher {
    return this.watchers.watch(options);
  }

  /**
   * Resolves once everything that was written before the call is on disk. Concurrent callers share one sync of the
   * disk, which runs off the event loop.
   *
   * @throws (rejects with) ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_IO (the store is
   *   poisoned: it reads, and refuses to write)
   */
  async sync(): Promise<void> {
    await this.file.sync();
  }

  /** The same as `sync`, but blocks the thread until it is done. */
  syncNow(): void {
    this.file.syncNow();
  }

  /**
   * Syncs, unless nothing was written, and gives the file and the lock back. Does nothing where it is closed. Errors as
   * `sync`.
   */
  async close(): Promise<void> {
    this.closeSync();
  }

  /** The same as `close`, without a promise. */
  closeSync(): void {
    this.watchers.close();
    this.file.close();
  }
}
