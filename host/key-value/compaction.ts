/**
 * Compaction: the live records of the oldest segments are appended anew, and when these copies are durable the segments
 * are dropped. docs/decisions/0009.
 *
 * What a crash can leave, at any step: copies beside their sources, which agree, so that it does not matter which of
 * both a replay sees last. Sources go by the log's `dropBefore`, all records of a segment at once, and always the
 * oldest ones: so whatever a tombstone has removed is gone before the tombstone is.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { VarveError } from '../errors/varve-error.ts';
import {
  FRAMES_OFFSET, FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, Kind, PUT_META_BYTES, STAGE_BYTES, STAGE_OFFSET, Status,
} from '../generated/abi.ts';
import type { Segment } from '../log/segment.ts';
import { corruptFrame, lsnAt } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import { placeBehind } from './damaged-frames.ts';
import { locationOf } from './expiry.ts';
import type { HintKeeper } from './hints.ts';
import type { CheckedCompact } from './options.ts';
import type { LogSource } from './source.ts';
import type { KeyTable } from './table.ts';
import type { AutoCompactOptions } from './types.ts';

/** Bytes that are copied at a time, and bytes that are looked through. */
const SLICE_BYTES = 128 << 10;
const LOOK_BYTES = 256 << 10;
/** Milliseconds at a time of a compaction that nobody has asked for. */
const BUDGET_MS = 1;
/** How often it is looked whether the last iteration over the store has ended. */
const WAIT_MS = 10;

/** What a compaction has done. */
export interface CompactionReport {
  /** Segments that were dropped. */
  readonly segments: number;
  /** Records, and bytes of frames, that were copied forward. */
  readonly copiedRecords: number;
  readonly copiedBytes: number;
  /** Bytes of frames by which the log is smaller now. */
  readonly freedBytes: number;
}

/** A compaction under way. */
interface Work extends CheckedCompact {
  readonly writer: LogWriter;
  segments: number;
  copiedRecords: number;
  copiedBytes: number;
  droppedBytes: number;
  doneBytes: number;
  totalBytes: number;
  /** When the event loop had its turn last. */
  turnAt: number;
}

/** What a compactor works on. */
export interface CompactorParts {
  readonly source: LogSource;
  readonly table: KeyTable;
  readonly hints: HintKeeper;
  /** Throws where the store was closed; lets keys expire. */
  readonly ready: () => void;
  /** When it works by itself. */
  readonly policy: Required<AutoCompactOptions> | undefined;
}

export class Compactor {
  private readonly parts: CompactorParts;
  private readonly source: LogSource;
  private readonly table: KeyTable;
  /** Resolves when what runs is over. */
  private running: Promise<unknown> = Promise.resolve();
  private isScheduled = false;

  constructor(parts: CompactorParts) {
    this.parts = parts;
    this.source = parts.source;
    this.table = parts.table;
  }

  /** Compacts in the background where enough is dead; to be asked when a segment has been sealed. */
  compactWhereDue(): void {
    const { policy } = this.parts;
    if (policy === undefined || this.isScheduled) return;
    const { bytes, liveBytes } = this.source.account(this.table);
    const dead = bytes - liveBytes;
    if (dead < policy.minBytes || dead < bytes * policy.minDeadRatio) return;
    this.isScheduled = true;
    const work = { minDeadRatio: policy.minDeadRatio, budgetMs: BUDGET_MS, signal: undefined, onProgress: undefined };
    this.runUnasked(work).finally(() => { this.isScheduled = false; });
  }

  /** Drops in the background what holds nothing that is alive. */
  dropDead(): void {
    const work = { minDeadRatio: 1, budgetMs: BUDGET_MS, signal: undefined, onProgress: undefined };
    void this.runUnasked(work);
  }

  /**
   * Compacts what nobody has asked for. What stops it is told to whoever compacts by hand: no record is lost by not
   * compacting. But where it was a sync that failed, what was written before is not durable either.
   */
  private runUnasked(work: CheckedCompact): Promise<unknown> {
    const writer = this.source.writer!;
    return this.run(writer, work).catch(() => { writer.leaveUntold(); });
  }

  /** Resolves when nothing runs any more; what runs ends as soon as it notices that the store is closed. */
  async idle(): Promise<void> {
    await this.running.catch(() => undefined);
  }

  /** Compacts when what runs is over. */
  run(writer: LogWriter, options: CheckedCompact): Promise<CompactionReport> {
    const result = this.running.catch(() => undefined).then(() => this.compact(writer, options));
    this.running = result.catch(() => undefined);
    return result;
  }

  private async compact(writer: LogWriter, options: CheckedCompact): Promise<CompactionReport> {
    this.proceed(options.signal);
    const work: Work = {
      ...options, writer, segments: 0, copiedRecords: 0, copiedBytes: 0, droppedBytes: 0, doneBytes: 0, totalBytes: 0,
      turnAt: performance.now(),
    };
    const sources = this.choose(writer, options.minDeadRatio);
    work.totalBytes = sources.reduce((sum, { dataEnd }) => sum + dataEnd - FRAMES_OFFSET, 0);
    // While one segment is copied, the copies of the one before become durable.
    let before: Promise<void> = Promise.resolve();
    for (const segment of sources) {
      await this.copySegment(segment, work);
      this.parts.hints.look();
      await before;
      before = this.dropWhenDurable(segment, work);
      before.catch(() => undefined);
    }
    await before;
    const { segments, copiedRecords, copiedBytes, droppedBytes } = work;
    return { segments, copiedRecords, copiedBytes, freedBytes: Math.max(0, droppedBytes - copiedBytes) };
  }

  /** Ends it where the store was closed or its caller wants it to. */
  private proceed(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    this.parts.ready();
  }

  /** The oldest segments, up to the last of which the share of dead bytes in all of them is large enough. */
  private choose(writer: LogWriter, minDeadRatio: number): Segment[] {
    const { list } = writer.segments;
    let bytes = 0;
    let dead = 0;
    let count = 0;
    for (const [at, segment] of list.entries()) {
      segment.noteEnd();
      const size = segment.dataEnd - FRAMES_OFFSET;
      const waste = size - this.table.dir.liveBytes(this.table.numberOf(segment));
      bytes += size;
      dead += waste;
      if (waste > 0 && dead >= bytes * minDeadRatio) count = at + 1;
    }
    const chosen = list.slice(0, count);
    // What is being appended to cannot be a source.
    if (chosen.includes(list.at(-1)!)) writer.rotate();
    return chosen;
  }

  private async copySegment(segment: Segment, work: Work): Promise<void> {
    const { table, source: { pool } } = this;
    let offset: number = FRAMES_OFFSET;
    let ordinal = 0;
    let end = segment.dataEnd;
    for (;;) {
      await this.turn(work);
      // Whatever was awaited, the store may have been closed since, and its memory be another's.
      this.proceed(work.signal);
      // Where the next segment could not be made, this one was appended to again.
      if (work.writer.segments.last === segment) work.writer.rotate();
      end = segment.dataEnd;
      // A segment with nothing alive is dropped as it is.
      if (offset >= end || table.dir.liveRecords(table.numberOf(segment)) === 0) break;
      pool.hold(segment);
      try {
        ({ offset, ordinal } = this.copySlice(segment, { offset, end, ordinal }, work));
      } finally {
        pool.release(segment);
      }
      this.tell(work, offset - FRAMES_OFFSET);
    }
    work.doneBytes += end - FRAMES_OFFSET;
    this.tell(work, 0);
  }

  private tell({ onProgress, doneBytes, totalBytes, copiedRecords, copiedBytes }: Work, bytes: number): void {
    onProgress?.({ doneBytes: doneBytes + bytes, totalBytes, copiedRecords, copiedBytes });
  }

  /** Gives the event loop its turn where the budget is used up. */
  private async turn(work: Work): Promise<void> {
    if (performance.now() - work.turnAt < work.budgetMs) return;
    await setImmediate();
    work.turnAt = performance.now();
  }

  /** Copies the live ones of the next records; returns where the rest begins. */
  private copySlice(
    segment: Segment, { offset, end, ordinal }: { offset: number; end: number; ordinal: number }, work: Work,
  ): { offset: number; ordinal: number } {
    const { table } = this;
    const { dir } = table;
    const number = table.numberOf(segment);
    let status = dir.copy(number, offset, end, ordinal, SLICE_BYTES, LOOK_BYTES);
    if (status === Status.Full) status = dir.copy(number, offset, end, ordinal, STAGE_BYTES, LOOK_BYTES);
    const { listed, valueBytes: bytes, records, offset: next } = dir;
    if (listed > 0) {
      work.writer.appendStaged(bytes, listed);
      const target = work.writer.activeSegment!;
      this.noteMoves(number, table.numberOf(target), work.writer.lastOffset, listed);
      dir.moved(number, table.numberOf(target), work.writer.lastOffset, listed);
      table.sweepExpiry(listed);
      work.copiedRecords += listed;
      work.copiedBytes += bytes;
    }
    const at = { offset: next, ordinal: ordinal + records };
    if (status === Status.Ok) return at;
    if (status === Status.Full) return this.copyLarge(segment, at, work);
    return this.passOver(segment, at, end, status);
  }

  /** Tells the snapshots and the heap of what expires where records stand now. */
  private noteMoves(from: number, to: number, offset: number, count: number): void {
    const { table } = this;
    if (table.snapshots.size === 0 && table.expiry.size === 0) return;
    const { core: { memory } } = this.source.context;
    const view = new DataView(memory.buffer);
    for (let index = 0; index < count; index++) {
      const move = table.dir.moveAt(index);
      table.tell(locationOf(from, move.offset));
      const frame = STAGE_OFFSET + move.staged;
      const meta = frame + FRAME_HEADER_BYTES + (view.getUint32(frame + Frame.info, true) & INFO_KEY_MASK);
      const expiresAt = Number(view.getBigUint64(meta + 8, true));
      if (expiresAt !== 0) table.expiry.push(expiresAt, locationOf(to, offset + move.staged));
    }
  }

  /** Copies a live record that the stage has no room for. */
  private copyLarge(segment: Segment, { offset, ordinal }: { offset: number; ordinal: number }, { writer }: Work) {
    const { table, source: { context: { core: { memory } } } } = this;
    const at = segment.view!.base + offset;
    const size = memory.unsigned[(at + Frame.size) / 4]!;
    const keyEnd = at + FRAME_HEADER_BYTES + (memory.unsigned[(at + Frame.info) / 4]! & INFO_KEY_MASK);
    const key = memory.bytes.slice(at + FRAME_HEADER_BYTES, keyEnd);
    const isMeta = memory.unsigned[(at + Frame.info) / 4]! >>> 24 === Kind.PutMeta;
    const view = new DataView(memory.buffer);
    const version = isMeta ? Number(view.getBigUint64(keyEnd, true)) : 0;
    const expiresAt = isMeta ? Number(view.getBigUint64(keyEnd + 8, true)) : 0;
    const valueAt = keyEnd + (isMeta ? PUT_META_BYTES : 0);
    writer.appendKeyedMeta(Kind.PutMeta, key, version === 0 ? segment.baseLsn + ordinal : version, expiresAt,
      memory.bytes.subarray(valueAt, at + size));
    const target = writer.activeSegment!;
    table.apply(target, writer.lastOffset, target.view!.dataEnd);
    return { offset: offset + ((size + 7) & ~7), ordinal: ordinal + 1 };
  }

  /** Passes over a damaged record that nothing points at; a live one must not be dropped. */
  private passOver(segment: Segment, at: { offset: number; ordinal: number }, end: number, status: number) {
    const { table } = this;
    if (table.dir.pointsAt(table.numberOf(segment), at.offset)) {
      throw corruptFrame(segment, at.offset, segment.baseLsn + at.ordinal, status);
    }
    const view = segment.view!;
    // A dead frame whose size is damaged leads elsewhere.
    const place = view.locate(at.ordinal);
    if (place > 0 && place !== at.offset) return { offset: place, ordinal: at.ordinal };
    return placeBehind(this.source.context.core, segment, at, end);
  }

  /** The error for a live record that was not copied: nothing could tell that it is its key's, so it is damaged. */
  private leftBehind(segment: Segment): VarveError {
    const { table, source } = this;
    const number = table.numberOf(segment);
    source.pool.view(segment);
    for (const entry of table.dir.entries()) {
      if (entry.segment !== number) continue;
      return corruptFrame(segment, entry.offset, lsnAt(segment, entry.offset), Status.BadCrc);
    }
    return new VarveError('ERR_VARVE_INTERNAL', `${segment.path} still has live records after compaction`);
  }

  private async makeDurable(writer: LogWriter): Promise<void> {
    CANARY: if (globalThis.varveCanary === 'drop') return;
    await writer.sync();
  }

  /** Drops a segment of which nothing is alive any more, when the copies are durable and no snapshot needs it. */
  private async dropWhenDurable(segment: Segment, work: Work): Promise<void> {
    const { table, source } = this;
    await this.makeDurable(work.writer);
    while ([...table.snapshots].some(({ segments }) => segments.has(segment))) {
      await setTimeout(WAIT_MS);
      this.proceed(work.signal);
    }
    this.proceed(work.signal);
    if (table.dir.liveRecords(table.numberOf(segment)) > 0) throw this.leftBehind(segment);
    const { list } = source.segments();
    const next = list[list.indexOf(segment) + 1];
    if (next === undefined) return;
    this.parts.hints.forget(segment);
    await work.writer.dropBefore(next.baseLsn);
    this.parts.ready();
    table.dropMissing();
    work.segments++;
    work.droppedBytes += segment.dataEnd - FRAMES_OFFSET;
  }
}
