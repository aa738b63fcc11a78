/**
 * The appending half of a log's writer: records into the active segment, and one segment after the other.
 *
 * The hot path is `append`: one comparison, one copy into the mapping, one call of the core. Whatever is rarer - a new
 * chunk of pages, a new segment, a closed or poisoned log - is behind `softEnd`: the offset up to which a record fits
 * without further thought. State that forbids appending sets it to 0.
 *
 * Invariant: only the last segment is appended to. Durability, truncation and closing are host/log/writer.ts.
 */
import { join } from 'node:path';
import type { ControlPage } from '../core/control-page.ts';
import { FOOTER_BYTES, indexBytesFor, writeHeader } from '../core/segment-file.ts';
import type { SegmentView } from '../core/segment-view.ts';
import { VarveError } from '../errors/varve-error.ts';
import {
  FRAMES_OFFSET, FRAME_HEADER_BYTES, Frame, INFO_KIND_SHIFT, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX,
  STAGE_BYTES, STAGE_OFFSET,
} from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { segmentName } from './names.ts';
import type { SegmentPool } from './pool.ts';
import { ReadyPages } from './ready-pages.ts';
import type { Recovered } from './recovery.ts';
import { Segment, type LogContext } from './segment.ts';
import { SegmentSet } from './segments.ts';
import { utf8BytesMax, writeUtf8 } from './utf8.ts';
import { Waker } from './waker.ts';

/** One record to be appended. */
export interface RecordInput {
  readonly payload: Uint8Array | string;
  readonly kind?: number | undefined;
  readonly key?: Uint8Array | string | undefined;
}

const SIZE_WORD = Frame.size / 4;
const INFO_WORD = Frame.info / 4;
const NO_KEY = new Uint8Array(0);
/**
 * From here on a batch is put together on the stage and written by one call, up to the size of the stage: its pages are
 * then never mapped dirty, which makes both the append and the sync behind it cheaper. docs/decisions/0004.
 */
const STAGED_BYTES_MIN = 65536;

function strideOf(bytes: number): number {
  return (FRAME_HEADER_BYTES + bytes + 7) & ~7;
}

function tooLarge(what: string, bytes: number, limit: number): VarveError {
  return new VarveError('ERR_VARVE_RECORD_TOO_LARGE', `${what} of ${bytes} bytes is above the limit of ${limit} bytes`,
    { what, bytes, limit });
}

export abstract class Appender {
  readonly segments: SegmentSet;
  readonly page: ControlPage;
  /** The epoch of what is appended; rises with each cut. */
  epoch: number;
  protected readonly context: LogContext;
  protected readonly recovered: Recovered;
  protected readonly pool: SegmentPool;
  protected readonly segmentBytes: number;
  private readonly bytes: Uint8Array;
  private readonly words: Uint32Array;

  /** The active segment's view and numbers; without a segment to append to, `softEnd` is 0. */
  protected view: SegmentView | undefined;
  private base = 0;
  protected tail = 0;
  protected softEnd = 0;
  protected readonly pages = new ReadyPages();

  /** What comes next, while no segment is active. */
  protected nextLsn: number;
  protected nextPosition: number;
  /** Sealed segments that no sync has covered yet. */
  protected readonly unsynced = new Set<Segment>();
  /** Names that were made in the directory, and how many of them a sync has covered. */
  protected namesMade = 0;
  protected namesSynced = 0;
  protected readonly waker: Waker;

  constructor(context: LogContext, pool: SegmentPool, recovered: Recovered, segmentBytes: number) {
    this.context = context;
    this.recovered = recovered;
    this.pool = pool;
    this.segmentBytes = segmentBytes;
    this.bytes = context.core.memory.bytes;
    this.words = context.core.memory.unsigned;
    this.segments = new SegmentSet(recovered.segments, pool, context.core);
    this.page = recovered.control.page;
    this.waker = new Waker(recovered.control.bell);
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

  get position(): number {
    if (this.view === undefined) return this.nextPosition;
    return this.segments.last!.header.basePosition + this.tail - FRAMES_OFFSET;
  }

  /** Appends one record of bytes without a key; the payload was checked to be a Uint8Array. */
  append(payload: Uint8Array, kind: number): number {
    const { length } = payload;
    const body = this.tail + FRAME_HEADER_BYTES;
    const end = body + length;
    if (end > this.softEnd) return this.appendSlow(payload, kind, NO_KEY);
    this.bytes.set(payload, this.base + body);
    this.tail = (end + 7) & ~7;
    if (!this.waker.pending) this.waker.later();
    return this.view!.append(kind << INFO_KIND_SHIFT, length);
  }

  /** Appends one record of text without a key. */
  appendText(text: string, kind: number): number {
    if (this.tail + strideOf(utf8BytesMax(text)) > this.softEnd) return this.appendSlow(text, kind, NO_KEY);
    const length = writeUtf8(this.bytes, this.base + this.tail + FRAME_HEADER_BYTES, text);
    this.tail += strideOf(length);
    if (!this.waker.pending) this.waker.later();
    return this.view!.append(kind << INFO_KIND_SHIFT, length);
  }

  /** Appends one record with all that it can have. */
  appendRecord(record: RecordInput): number {
    return this.appendSlow(record.payload, record.kind ?? 0, record.key ?? NO_KEY);
  }

  private appendSlow(payload: Uint8Array | string, kind: number, key: Uint8Array | string): number {
    const keyBytes = byteLength(key);
    const payloadBytes = byteLength(payload);
    this.checkSizes(keyBytes, payloadBytes);
    this.makeReady(strideOf(keyBytes + payloadBytes), 1);
    const body = this.base + this.tail + FRAME_HEADER_BYTES;
    this.put(key, body);
    this.put(payload, body + keyBytes);
    this.tail += strideOf(keyBytes + payloadBytes);
    this.waker.later();
    return this.view!.append((kind << INFO_KIND_SHIFT) | keyBytes, payloadBytes);
  }

  /** Appends payloads without keys, of kind 0, as one batch; returns the LSN of the last. */
  appendPayloads(payloads: readonly Uint8Array[]): number {
    const count = payloads.length;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const { length } = payloads[i]!;
      if (length > PAYLOAD_BYTES_MAX) this.checkSizes(0, length);
      total += strideOf(length);
    }
    const first = this.beginBatch(total, count);
    const { bytes, words } = this;
    let at = first;
    for (let i = 0; i < count; i++) {
      const payload = payloads[i]!;
      const size = FRAME_HEADER_BYTES + payload.length;
      const word = at / 4;
      words[word + SIZE_WORD] = size;
      words[word + INFO_WORD] = 0;
      bytes.set(payload, at + FRAME_HEADER_BYTES);
      at += (size + 7) & ~7;
    }
    return this.endBatch(first, total, count);
  }

  /** Appends records as one batch; returns the LSN of the last. */
  appendBatch(records: readonly RecordInput[]): number {
    const sizes = new Array<number>(records.length * 2);
    let total = 0;
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      const keyBytes = record.key === undefined ? 0 : byteLength(record.key);
      const payloadBytes = byteLength(record.payload);
      this.checkSizes(keyBytes, payloadBytes);
      sizes[i * 2] = keyBytes;
      sizes[i * 2 + 1] = payloadBytes;
      total += strideOf(keyBytes + payloadBytes);
    }
    const first = this.beginBatch(total, records.length);
    let at = first;
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      const keyBytes = sizes[i * 2]!;
      const size = FRAME_HEADER_BYTES + keyBytes + sizes[i * 2 + 1]!;
      this.words[at / 4 + SIZE_WORD] = size;
      this.words[at / 4 + INFO_WORD] = ((record.kind ?? 0) << INFO_KIND_SHIFT) | keyBytes;
      if (keyBytes > 0) this.put(record.key!, at + FRAME_HEADER_BYTES);
      this.put(record.payload, at + FRAME_HEADER_BYTES + keyBytes);
      at += (size + 7) & ~7;
    }
    return this.endBatch(first, total, records.length);
  }

  /** Makes room for a batch; returns where its frames are to be put: in their place, or on the stage. */
  private beginBatch(total: number, count: number): number {
    const staged = total >= STAGED_BYTES_MIN && total <= STAGE_BYTES;
    if (staged) this.makeRoom(total, count);
    else this.makeReady(total, count);
    return staged ? STAGE_OFFSET : this.base + this.tail;
  }

  /** Commits the batch whose frames were put at `at`; returns the LSN of the last record. */
  private endBatch(at: number, total: number, count: number): number {
    const view = this.view!;
    const staged = at === STAGE_OFFSET;
    if (staged) {
      view.sealBatch(at, count);
      try {
        this.segments.last!.stored.write(this.bytes.subarray(at, at + total), this.tail);
      } catch (error) {
        // A part of it may stand behind the tail, where later frames must not meet it.
        this.poisonWith(error);
        throw error;
      }
    }
    this.tail += total;
    if (staged) this.pages.passed(this.tail);
    this.waker.later();
    return staged ? view.publishBatch(count, this.tail) : view.appendBatch(count);
  }

  private put(data: Uint8Array | string, at: number): void {
    if (typeof data === 'string') writeUtf8(this.bytes, at, data);
    else this.bytes.set(data, at);
  }

  private checkSizes(keyBytes: number, payloadBytes: number): void {
    if (keyBytes > KEY_BYTES_MAX) throw tooLarge('key', keyBytes, KEY_BYTES_MAX);
    if (payloadBytes > PAYLOAD_BYTES_MAX) throw tooLarge('payload', payloadBytes, PAYLOAD_BYTES_MAX);
  }

  /** Makes sure that `need` bytes of frames fit behind the tail, in this segment or in a new one. */
  private makeRoom(need: number, records: number): void {
    this.requireOpen();
    if (this.view === undefined) this.activate();
    if (this.view === undefined || !this.hasRoom(need, records)) this.startSegment(need, records);
  }

  /** Makes room, and the pages ready that the frames will be stored to. */
  private makeReady(need: number, records: number): void {
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
    if (last === undefined || last.header.capacity - last.dataEnd < FRAMES_OFFSET) return;
    const view = last.thaw(this.pool);
    this.adopt(last, view, this.isDurable(last.lastLsn) ? last.dataEnd : 0);
  }

  private adopt(segment: Segment, view: SegmentView, durableOffset: number): void {
    this.pool.pinned = segment;
    view.setWriter(this.page.at, this.epoch);
    view.durable = durableOffset;
    this.view = view;
    this.base = view.base;
    this.tail = view.dataEnd;
    this.pages.begin(view.dataEnd);
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
    if (this.segments.last?.baseLsn === lsn) this.dropEmpty();
    const next = this.createSegment(lsn, position, capacity);
    try {
      this.sealActive();
    } catch (error) {
      // The old segment is in an unknown state, the new one is not in the log yet.
      this.poisonWith(error);
      this.pool.unmount(next);
      next.closeFile();
      throw error;
    }
    this.segments.push(next);
    this.adopt(next, this.pool.view(next), 0);
    this.segmentSealed();
  }

  /** Takes out the last segment, which has no record and is too small: the next one gets its base LSN and its name. */
  private dropEmpty(): void {
    this.nextLsn = this.lastLsn + 1;
    this.nextPosition = this.position;
    this.view = undefined;
    this.softEnd = 0;
    const last = this.segments.last!;
    this.unsynced.delete(last);
    this.segments.drop(last);
    // A reader that has the old file must not wait for records in it; from here on nobody can open it any more.
    this.context.storage.remove(last.path);
    this.page.generation += 2;
  }

  /** Makes the file of a segment, allocated and with its header; leaves nothing behind where that fails. */
  private createSegment(baseLsn: number, basePosition: number, capacity: number): Segment {
    const { core, storage, directory } = this.context;
    const path = join(directory, segmentName(baseLsn));
    storage.remove(path);
    let file: StoredFile | undefined;
    try {
      file = storage.create(path);
      file.allocate(capacity);
      const salt = new Uint32Array(1);
      storage.random(new Uint8Array(salt.buffer));
      const header = {
        identity: this.recovered.identity, baseLsn, basePosition, capacity, salt: salt[0]!, epoch: this.epoch,
        createdAt: storage.now(),
      };
      const segment = new Segment(this.context, path, header, undefined);
      segment.attach(file);
      const view = this.pool.view(segment);
      writeHeader(core, view.base, header);
      view.setEnd(0, FRAMES_OFFSET, this.epoch);
      segment.noteEnd();
      this.namesMade++;
      return segment;
    } catch (error) {
      file?.close();
      storage.remove(path);
      throw error;
    }
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

function byteLength(data: Uint8Array | string): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.length;
}
