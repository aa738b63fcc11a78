/**
 * Visiting records in order, forwards or backwards.
 *
 * The core checks a run of frames at a time; the run is copied out of the mapped window at once (or viewed), so that
 * nothing between two steps of the caller can pull it away. The records of a run share one buffer.
 */
import { VarveError } from '../errors/varve-error.ts';
import { FRAMES_OFFSET, Kind, Status } from '../generated/abi.ts';
import { copyRun } from './copies.ts';
import { bytesOf, kindAt, recordIn, sizeAt, type Bytes, type LogRecord } from './record.ts';
import type { Segment } from './segment.ts';
import { corruptFrame, type SegmentSet } from './segments.ts';

/** Bytes of a run, unless a single record is larger. */
const RUN_BYTES_MAX = 65536;
const RUN_RECORDS_MAX = 4096;

/** What a scan runs over. */
export interface ScanBounds {
  /** First and last LSN, inclusive. */
  readonly from: number;
  readonly to: number;
  readonly reverse: boolean;
  /** Whether records are views instead of copies. */
  readonly view: boolean;
  /** Asked before each run: the error to throw where the log was closed, or records were cut, meanwhile. */
  readonly ended: () => VarveError | undefined;
  /** Reader: what to throw where a run could not be read; a record that is being cut is not damaged. */
  readonly failed: ((error: unknown) => unknown) | undefined;
  /** Forwards: bytes of a run, unless a single record is larger. Default 65,536. */
  readonly runBytes?: number;
}

/** Checked frames that stand one behind the other, copied; placeholders of a repair among them. */
export interface FrameRun extends Bytes {
  /** Bytes of the frames, which begin at 0 of the words. */
  readonly end: number;
  /** LSN of the first frame. */
  readonly lsn: number;
  /** Position of the first frame in the log, in bytes. */
  readonly position: number;
  /** Where the first frame stands: the file, its base LSN, and the offset in it. */
  readonly path: string;
  readonly segment: number;
  readonly offset: number;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

const NO_RUN = bytesOf(new ArrayBuffer(0), 0, 0);

export class Scanner implements IterableIterator<LogRecord, undefined> {
  private readonly segments: SegmentSet;
  private readonly bounds: ScanBounds;
  private run: Bytes = NO_RUN;
  /** Forwards: offset of the next frame in the run. */
  private cursor = 0;
  private runEnd = 0;
  /** Forwards: LSN behind the last record of the run. */
  private runLsnEnd = 0;
  /** Where the run stands. */
  private runSegment: Segment | undefined;
  private runOffset = 0;
  private next_: number;
  /** Cuts of the log before the scan began. */
  private readonly cutsBefore: number;
  /** Backwards: offsets of the frames of the run. */
  private readonly offsets: number[] = [];

  constructor(segments: SegmentSet, bounds: ScanBounds) {
    this.segments = segments;
    this.bounds = bounds;
    this.next_ = bounds.reverse ? bounds.to : bounds.from;
    this.cutsBefore = segments.cuts.length;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<LogRecord, undefined> {
    for (;;) {
      const at = this.bounds.reverse ? this.stepBack() : this.stepForth();
      if (at < 0) return DONE;
      const lsn = this.bounds.reverse ? this.next_-- : this.next_++;
      // A placeholder of a repair holds nothing of the user's.
      if (kindAt(this.run.words, at) !== Kind.Lost) return { done: false, value: recordIn(this.run, at, lsn) };
    }
  }

  /** LSN of the record that comes next; where it is done, the one behind the last. */
  get position(): number { return this.next_; }

  /** Forwards: the next record and all others of its run; none where it is done. */
  nextRun(): LogRecord[] {
    for (;;) {
      if (this.cursor === this.runEnd) {
        if (this.next_ > this.bounds.to) return [];
        this.load();
      }
      const records = this.takeRecords();
      if (records.length > 0) return records;
    }
  }

  /** Forwards, of copies: the next run as it is; `undefined` where it is done. Not to be mixed with the others. */
  nextFrames(): FrameRun | undefined {
    if (this.next_ > this.bounds.to) return undefined;
    const lsn = this.next_;
    this.load();
    const { runOffset: offset, runEnd: end, run: { buffer, start, words } } = this;
    const { header: { basePosition }, path, baseLsn: segment } = this.runSegment!;
    this.next_ = this.runLsnEnd;
    this.cursor = end;
    return { buffer, start, words, end, lsn, position: basePosition + offset - FRAMES_OFFSET, path, segment, offset };
  }

  /** What is left of the run. */
  private takeRecords(): LogRecord[] {
    const { run, runEnd } = this;
    const records = new Array<LogRecord>(this.runLsnEnd - this.next_);
    let count = 0;
    let lsn = this.next_;
    for (let at = this.cursor; at !== runEnd; at += (sizeAt(run.words, at) + 7) & ~7) {
      if (kindAt(run.words, at) !== Kind.Lost) records[count++] = recordIn(run, at, lsn);
      lsn++;
    }
    this.next_ = lsn;
    this.cursor = runEnd;
    records.length = count;
    return records;
  }

  return(): IteratorReturnResult<undefined> {
    this.next_ = this.bounds.reverse ? this.bounds.from - 1 : this.bounds.to + 1;
    this.cursor = this.runEnd;
    this.offsets.length = 0;
    return DONE;
  }

  private stepForth(): number {
    if (this.cursor === this.runEnd) {
      if (this.next_ > this.bounds.to) return -1;
      this.load();
    }
    const at = this.cursor;
    this.cursor = at + ((sizeAt(this.run.words, at) + 7) & ~7);
    return at;
  }

  private stepBack(): number {
    if (this.offsets.length === 0) {
      if (this.next_ < this.bounds.from) return -1;
      this.load();
    }
    return this.offsets.pop()!;
  }

  private load(): void {
    const { reverse, failed } = this.bounds;
    this.requireGoing();
    try {
      if (reverse) this.loadBack();
      else this.loadForth();
    } catch (error) {
      throw failed === undefined ? error : failed(error);
    }
    // Asked again: a truncation in between has put another file in the place of the one that was read.
    this.requireGoing();
  }

  private requireGoing(): void {
    const end = this.bounds.ended();
    if (end !== undefined) throw end;
  }

  /** The last LSN that no cut since has touched; behind it, other records may stand under the same LSNs by now. */
  private get uncut(): number {
    const { cuts } = this.segments;
    return cuts.length === this.cutsBefore ? Infinity : Math.min(...cuts.slice(this.cutsBefore));
  }

  private segmentOf(lsn: number): Segment {
    const segment = lsn > this.uncut ? undefined : this.segments.find(lsn);
    const view = segment === undefined ? undefined : this.segments.pool.view(segment);
    if (segment !== undefined && lsn - segment.baseLsn < view!.records) return segment;
    const missing = lsn > this.uncut ? undefined : this.segments.missing(lsn);
    if (missing !== undefined) throw missing;
    throw new VarveError('ERR_VARVE_TRUNCATED',
      `record ${lsn} was cut off or dropped while the log was being scanned; start again from firstLsn or lastLsn`,
      { lsn });
  }

  private loadForth(): void {
    const segment = this.segmentOf(this.next_);
    const view = segment.view!;
    const ordinal = this.next_ - segment.baseLsn;
    const wanted = Math.min(RUN_RECORDS_MAX, Math.min(this.bounds.to, this.uncut) - this.next_ + 1);
    const bytesMax = this.bounds.runBytes ?? RUN_BYTES_MAX;
    const damaged = this.takeRun(segment, ordinal, wanted, bytesMax, view.locate(ordinal));
    if (damaged === ordinal) throw this.damage(segment, ordinal);
  }

  private loadBack(): void {
    const segment = this.segmentOf(this.next_);
    const view = segment.view!;
    const last = this.next_ - segment.baseLsn;
    const end = last + 1 < view.records ? view.locate(last + 1) : view.dataEnd;
    let count = Math.min(RUN_RECORDS_MAX, last + 1, this.next_ - this.bounds.from + 1);
    let offset = view.locate(last - count + 1);
    while (count > 1 && end - offset > RUN_BYTES_MAX) {
      count = count >> 1;
      offset = view.locate(last - count + 1);
    }
    // Where a frame is damaged, the intact ones behind it are visited before the error is thrown.
    let first = last - count + 1;
    let damaged = this.takeRun(segment, first, last - first + 1, 0xffffffff, offset);
    while (damaged >= 0) {
      if (damaged === last) throw this.damage(segment, damaged);
      first = damaged + 1;
      damaged = this.takeRun(segment, first, last - first + 1, 0xffffffff, view.locate(first));
    }
    for (let at = this.cursor; at < this.runEnd; at += (sizeAt(this.run.words, at) + 7) & ~7) this.offsets.push(at);
  }

  private damage(segment: Segment, ordinal: number): VarveError {
    const view = segment.view!;
    const offset = view.locate(ordinal);
    const status = offset < 0 ? offset : view.readAt(offset, ordinal);
    return corruptFrame(segment, Math.max(0, offset), segment.baseLsn + ordinal, status);
  }

  /**
   * Checks a run of at most `wanted` records from `offset` on and makes what is valid the current one.
   *
   * @returns the ordinal of the frame that is damaged, or -1 where none is
   */
  private takeRun(segment: Segment, ordinal: number, wanted: number, bytesMax: number, offset: number): number {
    const view = segment.view!;
    if (offset < 0) return ordinal;
    const count = view.scan(offset, ordinal, wanted, bytesMax);
    const end = view.resultOffset;
    const damaged = view.resultStatus !== Status.Ok;
    this.runLsnEnd = segment.baseLsn + ordinal + count;
    this.runSegment = segment;
    this.runOffset = offset;
    if (this.bounds.view) {
      this.run = segment.privateView();
      this.cursor = offset;
      this.runEnd = end;
    } else {
      const copy = copyRun(view.core.memory.buffer, view.base + offset, view.base + end);
      this.run = bytesOf(copy.buffer, copy.byteOffset, copy.length);
      this.cursor = 0;
      this.runEnd = end - offset;
    }
    return damaged ? ordinal + count : -1;
  }
}
