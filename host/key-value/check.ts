/**
 * Checking a key-value store: the frames of its log, and the key directory against a second one that is made of these
 * frames alone. Changes nothing, and reports all damage that it finds instead of throwing.
 *
 * Where a record is damaged, what the log says of the keys before it can no longer be told: a difference between the
 * two directories is reported only where no damaged record comes behind it.
 */
import { FRAMES_OFFSET, FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, KEY_OFFSET, Status } from '../generated/abi.ts';
import { checkLog, type CheckReport, type Damage } from '../log/check.ts';
import type { Segment } from '../log/segment.ts';
import { locationOf, offsetOf, segmentOf } from './expiry.ts';
import type { LogSource } from './source.ts';
import type { KeyTable } from './table.ts';
import type { KeyValueCheckOptions } from './types.ts';

/** A damaged record, or several in a row. */
export interface KeyValueDamage<K> extends Damage {
  /** Whose record it is, where that can be told. */
  readonly key?: K;
}

/** Where the key directory is not what the log makes it. */
export interface KeydirFault<K> {
  /**
   * `stale`: it leads to a record that is not the newest of a key; `missing`: it does not lead to the newest record of
   * this key; `unreachable`: it has the record, but not where the key is looked for; `account`: its numbers of live
   * records and bytes of a segment, or of keys, are wrong.
   */
  readonly problem: 'stale' | 'missing' | 'unreachable' | 'account';
  /** The segment's file; the store's directory where the segment is gone, or none is concerned. */
  readonly path: string;
  /** Base LSN of the segment, and offset and LSN of the record; 0 where there is none. */
  readonly segment: number;
  readonly offset: number;
  readonly lsn: number;
  readonly key?: K;
}

/** What `check` found. */
export interface KeyValueCheck<K> extends Omit<CheckReport, 'damaged'> {
  readonly damaged: readonly KeyValueDamage<K>[];
  /** Keys that the key directory holds. */
  readonly keys: number;
  /** What is wrong with the key directory. A store that is closed and opened without its `KEYDIR` makes it anew. */
  readonly keydir: readonly KeydirFault<K>[];
}

/** What is checked. */
export interface CheckParts<K> {
  readonly source: LogSource;
  readonly table: KeyTable;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly keyOf: (bytes: Buffer) => K;
}

/** Checks a store whose table has taken in all of the log. Errors: ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO */
export function checkStore<K>(parts: CheckParts<K>, options: KeyValueCheckOptions): KeyValueCheck<K> {
  return new StoreCheck(parts).run(options);
}

class StoreCheck<K> {
  private readonly parts: CheckParts<K>;
  private readonly list: readonly Segment[];
  private readonly faults: KeydirFault<K>[] = [];

  constructor(parts: CheckParts<K>) {
    this.parts = parts;
    this.list = [...parts.source.segments().list];
  }

  run(options: KeyValueCheckOptions): KeyValueCheck<K> {
    const { source, table } = this.parts;
    const report = checkLog(source.segments(), source.reader?.finding, options);
    const damaged = report.damaged.map((damage): KeyValueDamage<K> => {
      const key = this.keyOfDamaged(damage);
      return key === undefined ? damage : { ...damage, key };
    });
    const damagedLsn = Math.max(0, ...report.damaged.map(({ lsn, records }) => lsn + records - 1));
    this.compare(this.found(), this.expected(), damagedLsn);
    const isWrong = this.faults.length > 0;
    return {
      ...report, damaged, keys: table.count, keydir: this.faults,
      outcome: isWrong ? 'corrupt' : report.outcome,
      because: isWrong && report.outcome !== 'corrupt' ? 'the key directory is not what the log makes it' : report.because,
    };
  }

  /** The key of a damaged record, where the key directory leads from the key that stands there to this record. */
  private keyOfDamaged({ segment: baseLsn, offset }: Damage): K | undefined {
    const { source, table } = this.parts;
    const segment = this.list.find((each) => each.baseLsn === baseLsn);
    if (segment === undefined || offset < FRAMES_OFFSET) return undefined;
    if (offset + FRAME_HEADER_BYTES > source.pool.view(segment).dataEnd) return undefined;
    const key = this.keyAt(segment, offset);
    if (key === undefined) return undefined;
    const { dir } = table;
    if (this.find(key) === Status.Absent) return undefined;
    return dir.segment === table.numberOf(segment) && dir.offset === offset ? this.parts.keyOf(key) : undefined;
  }

  /** The key that stands in a frame, as far as it lies in the segment. */
  private keyAt(segment: Segment, offset: number): Buffer | undefined {
    const { source: { pool, context: { core: { memory } } } } = this.parts;
    const view = pool.view(segment);
    const at = view.base + offset;
    const length = memory.unsigned[(at + Frame.info) / 4]! & INFO_KEY_MASK;
    if (length === 0 || offset + FRAME_HEADER_BYTES + length > view.dataEnd) return undefined;
    return Buffer.from(memory.bytes.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length));
  }

  /** Looks a key up; the place that was looked at last stands in the table's result. */
  private find(key: Uint8Array): number {
    const { source: { context: { core: { memory } } }, table } = this.parts;
    for (;;) {
      memory.bytes.set(key, KEY_OFFSET);
      const status = table.dir.find(key.length, false);
      if (status !== Status.Unmapped) return status;
      table.map(table.dir.segment);
    }
  }

  /** The places that the key directory leads to, in the order of the log; what is wrong with its numbers is noted. */
  private found(): Float64Array {
    const { source, table } = this.parts;
    const records = new Map<number, number>();
    const bytes = new Map<number, number>();
    let count = 0;
    for (const { segment, stride } of table.dir.entries()) {
      count++;
      records.set(segment, (records.get(segment) ?? 0) + 1);
      bytes.set(segment, (bytes.get(segment) ?? 0) + stride);
    }
    const none = { segment: 0, offset: 0, lsn: 0 };
    if (count !== table.count) {
      this.faults.push({ problem: 'account', path: source.context.directory, ...none });
    }
    for (const segment of this.list) {
      const number = table.numberOf(segment);
      const right = table.dir.liveRecords(number) === (records.get(number) ?? 0)
        && table.dir.liveBytes(number) === (bytes.get(number) ?? 0);
      if (!right) this.faults.push({ problem: 'account', path: segment.path, ...none, segment: segment.baseLsn });
    }
    return placesOf(table, this.list);
  }

  /** The places that a directory leads to that is made of the log alone. */
  private expected(): Float64Array {
    const { source, now } = this.parts;
    const table = source.makeTable();
    try {
      for (const segment of this.list) {
        const { dataEnd } = source.pool.view(segment);
        if (dataEnd > FRAMES_OFFSET) table.applyChecked(segment, FRAMES_OFFSET, dataEnd, 0);
      }
      table.expire(now);
      return placesOf(table, this.list);
    } finally {
      table.release();
    }
  }

  private compare(found: Float64Array, expected: Float64Array, damagedLsn: number): void {
    let at = 0;
    for (const location of found) {
      for (; at < expected.length && expected[at]! < location; at++) this.note('missing', expected[at]!, damagedLsn);
      if (expected[at] === location) {
        at++;
        this.requireReachable(location);
      } else {
        this.note('stale', location, damagedLsn);
      }
    }
    for (; at < expected.length; at++) this.note('missing', expected[at]!, damagedLsn);
  }

  private requireReachable(location: number): void {
    const segment = this.list[segmentOf(location)]!;
    const key = this.keyAt(segment, offsetOf(location));
    if (key === undefined) return;
    const status = this.find(key);
    const { table: { dir } } = this.parts;
    const isThere = dir.segment === this.parts.table.numberOf(segment) && dir.offset === offsetOf(location);
    if (status === Status.Absent || (status === Status.Ok && !isThere)) this.note('unreachable', location, 0);
  }

  private note(problem: KeydirFault<K>['problem'], location: number, damagedLsn: number): void {
    const { source } = this.parts;
    const offset = offsetOf(location);
    const segment = this.list[segmentOf(location)];
    if (segment === undefined) {
      this.faults.push({ problem, path: source.context.directory, segment: 0, offset, lsn: 0 });
      return;
    }
    const view = source.pool.view(segment);
    if (offset + FRAME_HEADER_BYTES > view.dataEnd) {
      this.faults.push({ problem, path: segment.path, segment: segment.baseLsn, offset, lsn: 0 });
      return;
    }
    const word = source.context.core.memory.unsigned[(view.base + offset + Frame.lsn) / 4]!;
    const lsn = segment.baseLsn + ((word - segment.baseLsn) >>> 0);
    if (lsn <= damagedLsn) return;
    const key = this.keyAt(segment, offset);
    this.faults.push({
      problem, path: segment.path, segment: segment.baseLsn, offset, lsn,
      ...key === undefined ? {} : { key: this.parts.keyOf(key) },
    });
  }
}

/**
 * The places that a directory leads to, in the order of the log: locations with the place of the segment in the list.
 */
export function placesOf(table: KeyTable, list: readonly Segment[]): Float64Array {
  const ranks = new Map(list.map((segment, rank) => [table.numberOf(segment), rank]));
  const places: number[] = [];
  for (const { segment, offset } of table.dir.entries()) {
    places.push(locationOf(ranks.get(segment) ?? list.length, offset));
  }
  return Float64Array.from(places).sort();
}
