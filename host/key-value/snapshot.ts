/**
 * Iterating over a store as it was at one moment. The log is scanned in order, up to its end of then; a record is
 * delivered if the table points at it, or if it was replaced only since then, which the store tells. So nothing is
 * copied when an iteration begins, however many keys there are, and every record is checked.
 *
 * Segments that hold what a snapshot may still deliver are not dropped by compaction while it lasts: until it is at its
 * end, `return` is called, or nobody has it any more.
 */
import { VarveError } from '../errors/varve-error.ts';
import {
  FRAMES_OFFSET, FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, INFO_KIND_SHIFT, KEY_OFFSET, Kind, PUT_META_BYTES, Status,
} from '../generated/abi.ts';
import type { SegmentView } from '../core/segment-view.ts';
import type { SegmentPool } from '../log/pool.ts';
import { isMoved } from '../log/reader.ts';
import { copyRun } from '../log/copies.ts';
import type { Segment } from '../log/segment.ts';
import { corruptFrame } from '../log/segments.ts';
import { locationOf } from './expiry.ts';
import { writeKey } from './keys.ts';
import type { LogSource } from './source.ts';
import type { KeyTable, SnapshotState } from './table.ts';
import type { Key } from './types.ts';

const RUN_BYTES = 65536;

/** Where a record of a run stands in the run's copy. It is another one's after the call that it was given to. */
export interface Piece {
  /** Where it stands in the log, as `locationOf` says it. */
  readonly location: number;
  readonly buffer: Buffer;
  readonly keyFrom: number;
  readonly keyTo: number;
  readonly valueFrom: number;
  readonly valueTo: number;
}

/** The pieces of a run, one after the other. */
class RunPiece implements Piece {
  readonly buffer: Buffer;
  location = 0;
  keyFrom = 0;
  keyTo = 0;
  valueFrom = 0;
  valueTo = 0;
  private readonly words: Uint32Array;
  private readonly first: number;

  constructor(copy: Uint8Array<ArrayBuffer>, first: number) {
    this.buffer = Buffer.from(copy.buffer, copy.byteOffset, copy.length);
    this.words = new Uint32Array(copy.buffer, copy.byteOffset, copy.length >> 2);
    this.first = first;
  }

  moveTo(at: number): void {
    const info = this.words[(at + Frame.info) / 4]!;
    this.location = this.first + at / 8;
    this.keyFrom = at + FRAME_HEADER_BYTES;
    this.keyTo = this.keyFrom + (info & INFO_KEY_MASK);
    this.valueFrom = info >>> INFO_KIND_SHIFT === Kind.PutMeta ? this.keyTo + PUT_META_BYTES : this.keyTo;
    this.valueTo = at + this.words[(at + Frame.size) / 4]!;
  }
}

/** What an iteration is over. */
export interface SnapshotOptions<T> {
  readonly source: LogSource;
  readonly table: KeyTable;
  readonly prefix: Key;
  /** Makes what is delivered of a record. */
  readonly make: (piece: Piece) => T;
  /** Asked before each run: the error to throw where the store was closed meanwhile; removes what has expired. */
  readonly ready: () => void;
}

interface Part {
  readonly segment: Segment;
  readonly end: number;
}

const abandoned = new FinalizationRegistry<() => void>((end) => { end(); });

export class Snapshot<T> implements IterableIterator<T, undefined> {
  private readonly options: SnapshotOptions<T>;
  private readonly state: SnapshotState;
  private readonly parts: Part[];
  private offset: number = FRAMES_OFFSET;
  private ordinal = 0;
  private items: T[] = [];
  private next_ = 0;
  private done = false;
  /** Bytes of frames that were looked at. */
  bytes = 0;

  constructor(options: SnapshotOptions<T>) {
    this.options = options;
    const { source, table } = options;
    const needed = source.segments().list.filter((segment) => table.dir.liveRecords(table.numberOf(segment)) > 0);
    for (const segment of needed) segment.noteEnd();
    this.parts = needed.map((segment) => ({ segment, end: segment.dataEnd })).reverse();
    const state: SnapshotState = { replaced: new Set(), segments: new Set(needed) };
    this.state = state;
    table.snapshots.add(state);
    abandoned.register(this, () => { table.snapshots.delete(state); }, this);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T, undefined> {
    while (this.next_ === this.items.length) {
      if (this.done || !this.loadOrEnd()) return this.return();
    }
    return { done: false, value: this.items[this.next_++]! };
  }

  /** Gives what the next run holds, which may be nothing; `undefined` at the end. Not to be mixed with `next`. */
  nextRun(): readonly T[] | undefined {
    if (this.done || !this.load()) {
      this.return();
      return undefined;
    }
    const { items } = this;
    this.items = [];
    return items;
  }

  return(): IteratorReturnResult<undefined> {
    if (!this.done) {
      this.done = true;
      abandoned.unregister(this);
      this.options.table.snapshots.delete(this.state);
    }
    this.items = [];
    this.next_ = 0;
    return { done: true, value: undefined };
  }

  /** The same as `load`; what fails is over, and keeps nothing from compaction: a loop would not call `return`. */
  private loadOrEnd(): boolean {
    try {
      return this.load();
    } catch (error) {
      this.return();
      throw error;
    }
  }

  /** Takes the next run; false at the end. */
  private load(): boolean {
    const { options: { ready }, parts } = this;
    ready();
    const part = parts.at(-1);
    if (part === undefined) return false;
    if (this.offset >= part.end) {
      parts.pop();
      this.state.segments.delete(part.segment);
      this.offset = FRAMES_OFFSET;
      this.ordinal = 0;
    } else {
      this.loadRun(part);
    }
    return true;
  }

  private loadRun({ segment, end }: Part): void {
    const { source: { pool, context: { core } }, table, prefix } = this.options;
    const { dir } = table;
    this.requireThere(segment);
    const view = this.mapped(pool, segment);
    const number = table.numberOf(segment);
    const prefixBytes = prefix.length === 0 ? 0 : writeKey(core.memory.bytes, KEY_OFFSET, prefix);
    const from = this.offset;
    const status = dir.walk(number, from, end, this.ordinal, RUN_BYTES, prefixBytes);
    const { listed, records, offset } = dir;
    if (status !== Status.Ok && records === 0) {
      this.passOver(segment, end, status);
      return;
    }
    this.items = listed === 0 ? [] : this.take(number, view.base, from, offset, listed);
    this.next_ = 0;
    this.bytes += offset - from;
    this.offset = offset;
    this.ordinal += records;
  }

  /** Passes over a damaged record that was nobody's when the iteration began; another one is an error. */
  private passOver(segment: Segment, end: number, status: number): void {
    const { table } = this.options;
    const { offset, ordinal, state: { replaced } } = this;
    const number = table.numberOf(segment);
    const view = segment.view!;
    const next = ordinal + 1 < view.records ? view.locate(ordinal + 1) : end;
    const isAlive = table.dir.pointsAt(number, offset) || replaced.has(locationOf(number, offset));
    if (isAlive || next <= offset) throw corruptFrame(segment, offset, segment.baseLsn + ordinal, status);
    this.offset = next;
    this.ordinal++;
  }

  /** What is made of those of the listed records that belong to the snapshot; their bytes are copied at once. */
  private take(number: number, base: number, from: number, to: number, listed: number): T[] {
    const { source: { context: { core } }, table: { dir }, make } = this.options;
    const { replaced } = this.state;
    const items: T[] = [];
    let piece: RunPiece | undefined;
    for (let index = 0; index < listed; index++) {
      const at = dir.offsetAt(index);
      const place = at & ~1;
      if (at === place && !replaced.has(locationOf(number, place))) continue;
      piece ??= new RunPiece(copyRun(core.memory.buffer, base + from, base + to), locationOf(number, from));
      piece.moveTo(place - from);
      items.push(make(piece));
    }
    return items;
  }

  /** A reader cannot keep the writer from dropping what it is about to deliver. */
  private requireThere(segment: Segment): void {
    const { source } = this.options;
    if (source.segments().find(segment.baseLsn) !== segment) throw this.overtaken(segment);
  }

  private mapped(pool: SegmentPool, segment: Segment): SegmentView {
    try {
      return pool.view(segment);
    } catch (error) {
      throw this.options.source.reader !== undefined && isMoved(error) ? this.overtaken(segment) : error;
    }
  }

  private overtaken(segment: Segment): VarveError {
    const { source } = this.options;
    return new VarveError('ERR_VARVE_TRUNCATED',
      `the store in ${source.context.directory} was compacted while it was being iterated over; begin again`,
      { path: segment.path, segment: segment.baseLsn });
  }
}
