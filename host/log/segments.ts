/**
 * The segments of an open log, in order, and finding records in them.
 */
import type { Core } from '../core/core.ts';
import type { SegmentView } from '../core/segment-view.ts';
import { VarveError } from '../errors/varve-error.ts';
import { FRAMES_OFFSET, Kind, Status } from '../generated/abi.ts';
import type { SegmentPool } from './pool.ts';
import { epochAt, kindAt, recordCopied, recordIn, sizeAt, type Bytes, type LogRecord, type RecordRef } from './record.ts';
import type { Segment } from './segment.ts';

const STATUS_NAMES = new Map<number, string>(Object.entries(Status).map(([name, value]) => [value, name]));

/** What a status says, in words a person can use. */
export function statusName(status: number): string {
  return STATUS_NAMES.get(status) ?? `status ${status}`;
}

/** The error for a frame that should be valid and is not. */
export function corruptFrame(segment: Segment, offset: number, lsn: number, status: number): VarveError {
  return new VarveError('ERR_VARVE_CORRUPT',
    `record ${lsn} is damaged (${statusName(status)}) at offset ${offset} of ${segment.path}; restore a copy, or run `
    + '`varve check` and `varve repair`',
    { path: segment.path, segment: segment.baseLsn, offset, lsn, status: statusName(status) });
}

/** The LSN of the record at an offset of a mapped segment, by the segment's index: the frame itself may be damaged. */
export function lsnAt({ baseLsn, view }: Segment, offset: number): number {
  let low = 0;
  let high = view!.records - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (view!.locate(middle) <= offset) low = middle;
    else high = middle - 1;
  }
  return baseLsn + low;
}

export class SegmentSet {
  /** Ascending by base LSN, each following on the one before. */
  readonly list: Segment[];
  readonly pool: SegmentPool;
  private readonly memory: Bytes;
  private hit: Segment | undefined;
  /** The last LSN that stayed at each cut since the log was opened, so that a scan under way can tell. */
  readonly cuts: number[] = [];

  constructor(list: Segment[], pool: SegmentPool, core: Core) {
    this.list = list;
    this.pool = pool;
    this.memory = { buffer: core.memory.buffer, start: 0, words: core.memory.unsigned };
  }

  get first(): Segment | undefined { return this.list[0]; }
  get last(): Segment | undefined { return this.list.at(-1); }

  /** The segment that holds `lsn`, or would hold it if it reached so far; `undefined` below the first. */
  find(lsn: number): Segment | undefined {
    const { hit, list } = this;
    if (hit !== undefined && lsn >= hit.baseLsn && lsn < hit.baseLsn + hit.records) return hit;
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle]!.baseLsn <= lsn) low = middle + 1;
      else high = middle;
    }
    this.hit = list[low - 1];
    return this.hit;
  }

  /** Adds a segment behind the last. */
  push(segment: Segment): void {
    this.list.push(segment);
  }

  /** Takes a segment out of the list and out of the memory. */
  drop(segment: Segment): void {
    this.letGo(segment);
    this.list.splice(this.list.indexOf(segment), 1);
    if (this.hit === segment) this.hit = undefined;
  }

  /**
   * Base LSN of the oldest segment that stays where those go that begin before a position or were sealed before a time.
   * Only whole segments go, and never the last; `undefined` where there is none.
   */
  retainedFrom(position: number, oldest: number): number | undefined {
    const { list } = this;
    let at = 0;
    for (; at < list.length - 1; at++) {
      const { header, footer } = list[at]!;
      if (position <= header.basePosition && (footer?.sealedAt ?? Infinity) >= oldest) break;
    }
    return list[at]?.baseLsn;
  }

  /** Takes those before a segment out of the list; they stay mapped where they are until `letGo`. */
  takeBefore(segment: Segment): Segment[] {
    this.hit = undefined;
    return this.list.splice(0, this.list.indexOf(segment));
  }

  /** Takes a segment out of the memory and closes its file. */
  letGo(segment: Segment): void {
    this.pool.unmount(segment);
    segment.closeFile();
  }

  /** The error for a record that lies between two segments: a file is gone, or its end is. */
  missing(lsn: number): VarveError | undefined {
    const after = this.list.find((segment) => segment.baseLsn > lsn);
    const before = this.list.findLast((segment) => segment.baseLsn <= lsn);
    if (after === undefined || before === undefined || lsn <= before.lastLsn) return undefined;
    const { path, baseLsn, dataEnd: offset } = before;
    return new VarveError('ERR_VARVE_CORRUPT',
      `record ${lsn} is missing: ${path} ends at ${before.lastLsn} and the next segment begins at ${after.baseLsn}; `
      + 'restore a copy, or run `varve check` and `varve repair`',
      { path, segment: baseLsn, offset, lsn, status: statusName(Status.Absent) });
  }

  private outOfRange(lsn: number): VarveError {
    const missing = this.missing(lsn);
    if (missing !== undefined) return missing;
    const firstLsn = this.first?.baseLsn ?? 1;
    const view = this.last?.view;
    const lastLsn = this.last === undefined ? 0 : this.last.baseLsn + (view?.records ?? this.last.records) - 1;
    const held = lastLsn < firstLsn ? 'none' : `${firstLsn} to ${lastLsn}`;
    return new VarveError('ERR_VARVE_OUT_OF_RANGE',
      `record ${lsn} is not in the log, which holds ${held}`, { lsn, firstLsn, lastLsn });
  }

  /** Finds and checks the frame of `lsn`. Errors: ERR_VARVE_OUT_OF_RANGE, _CORRUPT, _RECORD_LOST */
  private checked(lsn: number): { readonly segment: Segment; readonly view: SegmentView; readonly offset: number } {
    const segment = this.find(lsn);
    if (segment === undefined) throw this.outOfRange(lsn);
    const view = this.pool.view(segment);
    const offset = view.read(lsn - segment.baseLsn);
    if (offset < 0) throw this.failure(segment, view, lsn, offset);
    if (kindAt(this.memory.words, view.base + offset) === Kind.Lost) throw lostRecord(segment, offset, lsn);
    return { segment, view, offset };
  }

  private failure(segment: Segment, view: SegmentView, lsn: number, status: number): VarveError {
    if (status === Status.OutOfRange) return this.outOfRange(lsn);
    return corruptFrame(segment, Math.max(0, view.locate(lsn - segment.baseLsn)), lsn, status);
  }

  /** Reads one record; its bytes are copied, or parts of a private view. */
  read(lsn: number, asView: boolean): LogRecord {
    const { segment, view, offset } = this.checked(lsn);
    if (asView) return recordIn(segment.privateView(), offset, lsn);
    return recordCopied(this.memory, view.base + offset, lsn);
  }

  /** The epoch of a record, or of what stands in its place; `undefined` where it is not there or damaged. */
  epochOf(lsn: number): number | undefined {
    const segment = this.find(lsn);
    if (segment === undefined) return undefined;
    const view = this.pool.view(segment);
    const offset = view.read(lsn - segment.baseLsn);
    return offset < 0 ? undefined : epochAt(this.memory.words, view.base + offset);
  }

  /** The LSN of the record whose frame begins at a position, `undefined` where none does. */
  lsnAtPosition(position: number): number | undefined {
    const segment = this.list.findLast(({ header }) => header.basePosition <= position);
    if (segment === undefined) return undefined;
    const view = this.pool.view(segment);
    const offset = position - segment.header.basePosition + FRAMES_OFFSET;
    if (view.records === 0 || offset >= view.dataEnd) return undefined;
    const lsn = lsnAt(segment, offset);
    return view.locate(lsn - segment.baseLsn) === offset ? lsn : undefined;
  }

  /** Position just past a record that is there. */
  endPositionOf(lsn: number): number {
    const segment = this.find(lsn)!;
    const view = this.pool.view(segment);
    const next = lsn + 1 - segment.baseLsn;
    const end = next < view.records ? view.locate(next) : view.dataEnd;
    return segment.header.basePosition + end - FRAMES_OFFSET;
  }

  refOf(lsn: number): RecordRef {
    const { segment, view, offset } = this.checked(lsn);
    return { lsn, segment: segment.baseLsn, offset, size: sizeAt(this.memory.words, view.base + offset) };
  }

  readRef(ref: RecordRef, asView: boolean): LogRecord {
    const segment = this.find(ref.lsn);
    if (segment === undefined || segment.baseLsn !== ref.segment) throw this.outOfRange(ref.lsn);
    const view = this.pool.view(segment);
    const offset = view.readAt(ref.offset, ref.lsn - ref.segment);
    if (offset < 0 || sizeAt(this.memory.words, view.base + offset) !== ref.size) {
      // Where the log has a valid record of this LSN elsewhere, or another one here, the reference is one to a record
      // that was cut.
      const actual = view.read(ref.lsn - ref.segment);
      if (offset === Status.OutOfRange || actual >= 0) throw this.outOfRange(ref.lsn);
      throw corruptFrame(segment, ref.offset, ref.lsn, offset < 0 ? offset : Status.BadSize);
    }
    if (kindAt(this.memory.words, view.base + offset) === Kind.Lost) throw lostRecord(segment, offset, ref.lsn);
    if (asView) return recordIn(segment.privateView(), offset, ref.lsn);
    return recordCopied(this.memory, view.base + offset, ref.lsn);
  }
}

function lostRecord(segment: Segment, offset: number, lsn: number): VarveError {
  return new VarveError('ERR_VARVE_RECORD_LOST',
    `record ${lsn} at offset ${offset} of ${segment.path} was lost to damage and replaced by a placeholder`,
    { path: segment.path, segment: segment.baseLsn, offset, lsn });
}
