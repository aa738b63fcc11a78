/**
 * The end of an open log: the segment that is appended to, how far, and one segment after the other.
 *
 * A record that ends below `softEnd` may be appended without further thought. Whatever is rarer - a new chunk of pages,
 * a new segment, a closed or poisoned log - is behind it; state that forbids appending sets it to 0.
 *
 * Invariant: only the last segment is appended to. What is appended is host/log/appender.ts and host/log/batches.ts;
 * durability, truncation and closing are host/log/writer.ts.
 */
import { join } from 'node:path';
import type { ControlPage } from '../core/control-page.ts';
import { FOOTER_BYTES, indexBytesFor, writeHeader } from '../core/segment-file.ts';
import type { SegmentView } from '../core/segment-view.ts';
import { VarveError } from '../errors/varve-error.ts';
import {
  FRAMES_OFFSET, FRAME_HEADER_BYTES, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX,
} from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { replacementPath, segmentName } from './names.ts';
import type { SegmentPool } from './pool.ts';
import { ReadyPages } from './ready-pages.ts';
import type { Recovered } from './recovery.ts';
import { Segment, type LogContext } from './segment.ts';
import { Spare } from './spare.ts';
import { SegmentSet } from './segments.ts';
import { Waker } from './waker.ts';

/** Share of a segment that is filled when the file of the next one is made. */
const SPARE_SHARE = 0.5;

/** The error for what is above a limit of the format. */
export function tooLarge(what: string, bytes: number, limit: number): VarveError {
  return new VarveError('ERR_VARVE_RECORD_TOO_LARGE', `${what} of ${bytes} bytes is above the limit of ${limit} bytes`,
    { what, bytes, limit });
}

/** Refuses a record that the format has no room for. Errors: ERR_VARVE_RECORD_TOO_LARGE */
export function checkSizes(keyBytes: number, payloadBytes: number): void {
  if (keyBytes > KEY_BYTES_MAX) throw tooLarge('key', keyBytes, KEY_BYTES_MAX);
  if (payloadBytes > PAYLOAD_BYTES_MAX) throw tooLarge('payload', payloadBytes, PAYLOAD_BYTES_MAX);
}

export abstract class LogTail {
  readonly segments: SegmentSet;
  readonly page: ControlPage;
  /** The epoch of what is appended; rises with each cut. */
  epoch: number;
  protected readonly context: LogContext;
  protected readonly recovered: Recovered;
  protected readonly pool: SegmentPool;
  protected readonly segmentBytes: number;
  protected readonly bytes: Uint8Array;
  protected readonly words: Uint32Array;
  protected readonly data: DataView;

  /** The active segment's view and numbers; without a segment to append to, `softEnd` is 0. */
  protected view: SegmentView | undefined;
  protected base = 0;
  /** Position of the active segment's first byte. */
  private basePosition = 0;
  protected tail = 0;
  protected softEnd = 0;
  protected readonly pages = new ReadyPages();
  /** Offset of the first frame of the last append or batch, in the segment that was the active one then. */
  protected lastFrame = 0;

  /** What comes next, while no segment is active. */
  protected nextLsn: number;
  protected nextPosition: number;
  /** Sealed segments that no sync has covered yet. */
  protected readonly unsynced = new Set<Segment>();
  /** Names that were made in the directory, and how many of them a sync has covered. */
  protected namesMade = 0;
  protected namesSynced = 0;
  protected readonly waker: Waker;
  readonly spare: Spare;
  /** Where the active segment is so full that the file of the next one is made. */
  private spareFrom = Infinity;

  constructor(context: LogContext, pool: SegmentPool, recovered: Recovered, segmentBytes: number) {
    this.context = context;
    this.recovered = recovered;
    this.pool = pool;
    this.segmentBytes = segmentBytes;
    this.bytes = context.core.memory.bytes;
    this.words = context.core.memory.unsigned;
    this.data = new DataView(context.core.memory.buffer);
    this.segments = new SegmentSet(recovered.segments, pool, context.core);
    this.page = recovered.control.page;
    this.waker = new Waker(recovered.control.bell);
    this.spare = new Spare(context);
    this.epoch = recovered.epoch;
    this.nextLsn = recovered.nextLsn;
    this.nextPosition = recovered.nextPosition;
  }

  /** Refuses a write to a poisoned log. */
  abstract requireOpen(): void;
  /** Stops all writing after a failure that leaves what is on disk unknown. */
  protected abstract poisonWith(cause: unknown): void;
  /** Whether all of a segment that is about to be appended to is known to be on disk, and everything before it. */
  protected abstract isDurable(lsn: number): boolean;
  /** Told when a sealed segment has joined those that wait for a sync. */
  protected abstract segmentSealed(): void;

  get firstLsn(): number { return this.segments.first?.baseLsn ?? this.nextLsn; }
  get lastLsn(): number { return this.view === undefined ? this.nextLsn - 1 : this.activeLsn; }

  private get activeLsn(): number {
    return this.segments.last!.baseLsn + this.view!.records - 1;
  }

  /** The segment that was appended to last, while it can be appended to further. */
  get activeSegment(): Segment | undefined { return this.view === undefined ? undefined : this.segments.last; }
  /** Offset in the active segment of the frame of the last append, or of the first frame of the last batch. */
  get lastOffset(): number { return this.lastFrame; }

  get position(): number {
    if (this.view === undefined) return this.nextPosition;
    return this.segments.last!.header.basePosition + this.tail - FRAMES_OFFSET;
  }

  /** Position of the frame of the last append, or of the first frame of the last batch. */
  get lastPosition(): number { return this.basePosition + this.lastFrame; }

  /** Lets what is appended from now on be of a higher epoch, below 2^32; a lower one changes nothing. */
  raiseEpoch(epoch: number): void {
    if (epoch <= this.epoch) return;
    this.epoch = epoch;
    this.view?.setWriter(this.page.at, epoch);
  }

  /** Makes sure that `need` bytes of frames fit behind the tail, in this segment or in a new one. */
  protected makeRoom(need: number, records: number): void {
    this.requireOpen();
    if (this.view === undefined) this.activate();
    if (this.view === undefined || !this.hasRoom(need, records)) this.startSegment(need, records);
    if (this.tail >= this.spareFrom) {
      this.spareFrom = Infinity;
      this.spare.prepare(this.segmentBytes, this.epoch);
    }
  }

  /** Makes room, and the pages ready that the frames will be stored to. */
  protected makeReady(need: number, records: number): void {
    this.makeRoom(need, records);
    this.waker.pause();
    const reach = this.tail + need;
    const ready = this.pages.upTo(this.segments.last!, reach);
    const { mapped, records: known } = this;
    const end = Math.max(reach, Math.min(ready, mapped));
    const worst = indexBytesFor(known + records + Math.ceil((end - this.tail) / FRAME_HEADER_BYTES)) + FOOTER_BYTES;
    this.softEnd = Math.max(0, Math.min(end, mapped - worst));
  }

  private get mapped(): number { return this.segments.last!.mapping!.length; }
  private get records(): number { return this.view!.records; }

  private hasRoom(need: number, records: number): boolean {
    return this.tail + need + indexBytesFor(this.records + records) + FOOTER_BYTES <= this.mapped;
  }

  /** Makes the last segment the active one, if there is one with room. */
  private activate(): void {
    const { last } = this.segments;
    if (last === undefined || last.header.capacity - last.dataEnd < FRAMES_OFFSET || last.untrimmed) return;
    const view = last.thaw(this.pool);
    this.adopt(last, view, this.isDurable(last.lastLsn) ? last.dataEnd : 0);
  }

  private adopt(segment: Segment, view: SegmentView, durableOffset: number): void {
    this.pool.pinned = segment;
    view.setWriter(this.page.at, this.epoch);
    view.durable = durableOffset;
    this.view = view;
    this.base = view.base;
    this.basePosition = segment.header.basePosition - FRAMES_OFFSET;
    this.tail = view.dataEnd;
    this.pages.begin(view.dataEnd);
    this.spare.again();
    this.spareFrom = segment.mapping!.length * SPARE_SHARE;
    this.softEnd = 0;
    this.page.segment = segment.baseLsn;
  }

  /** Seals the active segment, if there is one, and starts the next, large enough for `need` bytes of frames. */
  private startSegment(need: number, records: number): void {
    const least = FRAMES_OFFSET + need + indexBytesFor(records) + FOOTER_BYTES;
    if (least > SEGMENT_BYTES_MAX) throw tooLarge('batch', need, SEGMENT_BYTES_MAX - FRAMES_OFFSET);
    const capacity = Math.max(this.segmentBytes, Math.ceil(least / FRAMES_OFFSET) * FRAMES_OFFSET);
    const lsn = this.lastLsn + 1;
    const position = this.position;
    const path = join(this.context.directory, segmentName(lsn));
    const replaces = this.segments.last?.baseLsn === lsn;
    // What can fail for want of room comes before anything is changed.
    const file = this.spare.take(capacity) ?? this.createFile(replaces ? replacementPath(path) : path, capacity);
    if (replaces) this.dropEmpty(file);
    const next = this.createSegment(file, path, { baseLsn: lsn, basePosition: position, capacity });
    try {
      this.sealActive();
      if (next.stored.path !== path) next.stored.rename(path);
    } catch (error) {
      // The old segment is in an unknown state, the new one is not in the log yet.
      this.poisonWith(error);
      this.abandon(next);
      throw error;
    }
    this.namesMade++;
    const sealed = this.segments.last;
    this.segments.push(next);
    this.adopt(next, this.pool.view(next), 0);
    // Where that fails, the next sync tries again.
    sealed?.trimLater().catch(() => undefined);
    this.segmentSealed();
  }

  /** Takes out the last segment, which has no record and is too small: the next one gets its base LSN and its name. */
  private dropEmpty(successor: StoredFile): void {
    this.nextLsn = this.lastLsn + 1;
    this.nextPosition = this.position;
    this.view = undefined;
    this.softEnd = 0;
    const last = this.segments.last!;
    this.unsynced.delete(last);
    this.segments.drop(last);
    try {
      // A reader that has the old file must not wait for records in it; from here on nobody can open it any more.
      this.context.storage.remove(last.path);
    } catch (error) {
      successor.close();
      throw error;
    }
    this.page.generation += 2;
  }

  /** Makes an allocated file a segment, with its header; leaves nothing behind where that fails. */
  private createSegment(
    file: StoredFile, path: string,
    place: { readonly baseLsn: number; readonly basePosition: number; readonly capacity: number },
  ): Segment {
    const { core, storage } = this.context;
    let segment: Segment | undefined;
    try {
      const salt = new Uint32Array(1);
      storage.random(new Uint8Array(salt.buffer));
      const header = {
        identity: this.recovered.identity, ...place, salt: salt[0]!, epoch: this.epoch, createdAt: storage.now(),
      };
      segment = new Segment(this.context, path, header, undefined);
      segment.attach(file);
      const view = this.pool.view(segment);
      writeHeader(core, view.base, header);
      view.setEnd(0, FRAMES_OFFSET, this.epoch);
      segment.noteEnd();
      return segment;
    } catch (error) {
      if (segment !== undefined) this.pool.unmount(segment);
      file.close();
      storage.remove(file.path);
      throw error;
    }
  }

  /** Makes a file of so many bytes; one that was made ahead gives it its room where the disk has none left. */
  private createFile(path: string, capacity: number): StoredFile {
    const { storage } = this.context;
    for (;;) {
      storage.remove(path);
      let file: StoredFile | undefined;
      try {
        file = storage.create(path);
        file.allocate(capacity);
        return file;
      } catch (error) {
        file?.close();
        storage.remove(path);
        if (!VarveError.is(error, 'ERR_VARVE_DISK_FULL') || !this.spare.drop()) throw error;
      }
    }
  }

  /** Takes back a segment that has not become part of the log. */
  private abandon(segment: Segment): void {
    this.pool.unmount(segment);
    segment.closeFile();
  }

  /** Seals the last segment where it is not sealed: the active one, or one that recovery or a cut left as it is. */
  protected sealActive(): void {
    const { last } = this.segments;
    if (last === undefined || last.footer !== undefined) return;
    this.nextLsn = this.lastLsn + 1;
    this.nextPosition = this.position;
    last.seal(this.pool, this.context.storage.now());
    this.unsynced.add(last);
    this.view = undefined;
    this.softEnd = 0;
    this.pool.pinned = undefined;
  }

  /** Seals the last segment and starts a new one; does nothing where the last one is empty. */
  rotate(): void {
    this.requireOpen();
    const records = this.view?.records ?? this.segments.last?.records ?? 0;
    if (records === 0) return;
    this.startSegment(0, 0);
  }

  /** Whether nothing was written yet in this turn of the event loop. */
  get isFirstOfTurn(): boolean { return !this.waker.pending; }

  /** Resolves when something was done since, at the latest after so many milliseconds. */
  changed(milliseconds: number): Promise<void> {
    return this.waker.sleep(milliseconds);
  }

  /** What a follower asks for before it looks; a writer knows all that it does. */
  refresh(): void {
    return;
  }

  /** The epoch of a record; `undefined` where it is not there. */
  epochOf(lsn: number): number | undefined {
    return lsn < this.firstLsn || lsn > this.lastLsn ? undefined : this.segments.epochOf(lsn);
  }
}
