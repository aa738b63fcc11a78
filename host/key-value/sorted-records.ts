/**
 * The records of a store in the order of their keys, bytewise, as they are at one moment, whatever is written
 * meanwhile: an iteration over the log gathers where they stand, and these places are sorted; 16 bytes of memory a
 * record. Nothing is copied, and every record is checked once more when its turn comes.
 *
 * Invariant: from the first moment until `release`, compaction drops no segment. A reader cannot keep its writer from
 * that: where a segment is gone that it needs, it ends with ERR_VARVE_TRUNCATED.
 */
import { VarveError } from '../errors/varve-error.ts';
import { FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, INFO_KIND_SHIFT, Kind, PUT_META_BYTES } from '../generated/abi.ts';
import type { SegmentView } from '../core/segment-view.ts';
import type { Segment } from '../log/segment.ts';
import { corruptFrame } from '../log/segments.ts';
import { offsetOf, segmentOf } from './expiry.ts';
import { Snapshot } from './snapshot.ts';
import { KeySort, type KeySource } from './sorted.ts';
import type { LogSource } from './source.ts';
import type { KeyTable, SnapshotState } from './table.ts';
import type { Turns } from './turns.ts';
import type { Key } from './types.ts';

const TWO_TO_32 = 2 ** 32;

/** What is sorted. */
export interface SortedParts {
  readonly source: LogSource;
  readonly table: KeyTable;
  /** Only keys that begin with this; empty for all. */
  readonly prefix: Key;
  /** Throws where the store was closed. */
  readonly requireOpen: () => void;
}

/** One record, by addresses in the core's memory; they hold until the next record or turn. */
export interface PlacedRecord {
  keyAt: number;
  keyEnd: number;
  valueAt: number;
  /** Just past the value. */
  end: number;
  version: number;
  /** Milliseconds since 1970; 0 where it never expires. */
  expiresAt: number;
}

/** Takes no note of what is replaced: all places are known. */
class NoPlaces extends Set<number> {
  override add(): this {
    return this;
  }
}

export class SortedRecords implements KeySource {
  readonly bytes: Uint8Array;
  /** The key that `seek` has found. */
  start = 0;
  end = 0;
  private readonly parts: SortedParts;
  private readonly words: Uint32Array;
  private readonly data: DataView;
  private readonly segments: (Segment | undefined)[] = [];
  private readonly hold: SnapshotState;
  private readonly record: PlacedRecord = { keyAt: 0, keyEnd: 0, valueAt: 0, end: 0, version: 0, expiresAt: 0 };
  private locations: Float64Array;
  private gathered = 0;

  private constructor(parts: SortedParts) {
    const { source, table } = parts;
    const { memory } = source.context.core;
    this.parts = parts;
    this.bytes = memory.bytes;
    this.words = memory.unsigned;
    this.data = new DataView(memory.buffer);
    this.locations = new Float64Array(table.count);
    const { list } = source.segments();
    for (const segment of list) this.segments[table.numberOf(segment)] = segment;
    this.hold = { replaced: new NoPlaces(), segments: new Set(list) };
    table.snapshots.add(this.hold);
  }

  /**
   * Finds and sorts the records that are live now. Whoever has the result gives it back by `release`.
   *
   * Errors: ERR_VARVE_CORRUPT at a damaged record, ERR_VARVE_TRUNCATED, what `turns` throws
   */
  static async of(parts: SortedParts, turns: Turns, looked: (bytes: number) => void): Promise<SortedRecords> {
    const sorted = new SortedRecords(parts);
    try {
      await sorted.gather(turns, looked);
      const sort = new KeySort(sorted.locations, sorted);
      while (!sort.work(turns.until)) await turns.take();
      return sorted;
    } catch (error) {
      sorted.release();
      throw error;
    }
  }

  private async gather(turns: Turns, looked: (bytes: number) => void): Promise<void> {
    const { source, table, prefix, requireOpen: ready } = this.parts;
    const snapshot = new Snapshot({ source, table, prefix, ready, make: ({ location }) => location });
    try {
      for (let run = snapshot.nextRun(); run !== undefined; run = snapshot.nextRun()) {
        for (const location of run) this.locations[this.gathered++] = location;
        if (!turns.due) continue;
        looked(snapshot.bytes);
        await turns.take();
      }
      looked(snapshot.bytes);
    } finally {
      snapshot.return();
    }
    this.locations = this.locations.subarray(0, this.gathered);
  }

  /** How many there are. */
  get count(): number { return this.gathered; }

  /** Finds the key of a location. */
  seek(location: number): void {
    const number = Math.floor(location / TWO_TO_32);
    const view = this.segments[number]!.view ?? this.mount(number);
    const at = view.base + (location - number * TWO_TO_32) * 8;
    this.start = at + FRAME_HEADER_BYTES;
    this.end = this.start + (this.words[(at + Frame.info) / 4]! & INFO_KEY_MASK);
  }

  private mount(number: number): SegmentView {
    const { source } = this.parts;
    const segment = this.segments[number]!;
    if (source.segments().find(segment.baseLsn) !== segment) throw this.gone(segment);
    try {
      return source.pool.view(segment);
    } catch (error) {
      throw VarveError.is(error, 'ERR_VARVE_NOT_FOUND') ? this.gone(segment, error) : error;
    }
  }

  private gone(segment: Segment, cause?: unknown): VarveError {
    return new VarveError('ERR_VARVE_TRUNCATED',
      `the store in ${this.parts.source.context.directory} was compacted while it was being read; begin again`,
      { path: segment.path, segment: segment.baseLsn }, cause);
  }

  /** Goes to the record at an index and checks it. Errors: ERR_VARVE_CORRUPT, ERR_VARVE_TRUNCATED */
  at(index: number): PlacedRecord {
    const location = this.locations[index]!;
    const number = segmentOf(location);
    const segment = this.segments[number]!;
    const view = segment.view ?? this.mount(number);
    const offset = offsetOf(location);
    const at = view.base + offset;
    const ordinal = (this.words[(at + Frame.lsn) / 4]! - segment.baseLsn) >>> 0;
    const status = view.readAt(offset, ordinal);
    if (status < 0) throw corruptFrame(segment, offset, segment.baseLsn + ordinal, status);
    const { record } = this;
    const info = this.words[(at + Frame.info) / 4]!;
    record.keyAt = at + FRAME_HEADER_BYTES;
    record.keyEnd = record.keyAt + (info & INFO_KEY_MASK);
    record.valueAt = record.keyEnd;
    record.end = at + this.words[(at + Frame.size) / 4]!;
    record.version = segment.baseLsn + ordinal;
    record.expiresAt = 0;
    if (info >>> INFO_KIND_SHIFT === Kind.PutMeta) this.takeMeta(record);
    return record;
  }

  private takeMeta(record: PlacedRecord): void {
    const { valueAt } = record;
    record.version = this.integerAt(valueAt) || record.version;
    record.expiresAt = this.integerAt(valueAt + 8);
    record.valueAt = valueAt + PUT_META_BYTES;
  }

  private integerAt(at: number): number {
    return this.data.getUint32(at, true) + this.data.getUint32(at + 4, true) * TWO_TO_32;
  }

  /** Lets the segments go. Idempotent. */
  release(): void {
    this.parts.table.snapshots.delete(this.hold);
  }
}
