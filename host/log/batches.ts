/**
 * Appending batches: all of their records are in the log, or none. Their frames are put in place, or on the stage, from
 * where one write takes them to the segment; in both cases the core seals them all before it publishes the first.
 *
 * Invariant: a batch lies in one segment.
 */
import {
  FRAME_HEADER_BYTES, Frame, INFO_KIND_SHIFT, Kind, PAYLOAD_BYTES_MAX, PUT_META_BYTES, STAGE_BYTES, STAGE_OFFSET,
} from '../generated/abi.ts';
import { Appender, byteLength, bytesMax, strideOf, type RecordInput } from './appender.ts';
import { checkSizes, tooLarge } from './tail.ts';

/** A record of a batch; that of kind `PutMeta` has version and expiry, 0 where not given, in front of its payload. */
export interface BatchRecord extends RecordInput {
  readonly version?: number | undefined;
  readonly expiresAt?: number | undefined;
}

const SIZE_WORD = Frame.size / 4;
const INFO_WORD = Frame.info / 4;
/**
 * From here on a batch is put together on the stage and written by one call, up to the size of the stage: its pages are
 * then never mapped dirty, which makes both the append and the sync behind it cheaper. docs/decisions/0004.
 */
const STAGED_BYTES_MIN = 65536;

export abstract class BatchAppender extends Appender {
  /** Appends payloads without keys, of kind 0, as one batch; returns the LSN of the last. */
  appendPayloads(payloads: readonly Uint8Array[]): number {
    const count = payloads.length;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const { length } = payloads[i]!;
      if (length > PAYLOAD_BYTES_MAX) checkSizes(0, length);
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
  appendBatch(records: readonly BatchRecord[]): number {
    const sizes = new Array<number>(records.length * 2);
    let total = 0;
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      const keyBytes = record.key === undefined ? 0 : byteLength(record.key);
      const payloadBytes = byteLength(record.payload) + metaBytesOf(record);
      checkSizes(keyBytes, payloadBytes);
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
      const body = at + FRAME_HEADER_BYTES + keyBytes;
      if (keyBytes > 0) this.put(record.key!, body - keyBytes);
      if (record.kind === Kind.PutMeta) this.putMeta(record.version ?? 0, record.expiresAt ?? 0, body);
      this.put(record.payload, body + metaBytesOf(record));
      at += (size + 7) & ~7;
    }
    return this.endBatch(first, total, records.length);
  }

  /** Bytes and records that `stageKeyed` has put on the stage since `appendKeyedRun`. */
  private stagedBytes = 0;
  private stagedCount = 0;

  /**
   * Puts one record with a key on the stage, for `appendKeyedRun`; with an expiry, of kind `PutMeta`. False where it
   * has no room for it. Nothing else may use the stage in between.
   */
  stageKeyed(key: Uint8Array | string, expiresAt: number, payload: Uint8Array | string): boolean {
    const most = strideOf(bytesMax(key) + PUT_META_BYTES + bytesMax(payload));
    if (this.stagedBytes + most > STAGE_BYTES) return false;
    const at = STAGE_OFFSET + this.stagedBytes;
    const keyBytes = this.putShort(key, at + FRAME_HEADER_BYTES);
    let body = at + FRAME_HEADER_BYTES + keyBytes;
    if (expiresAt !== 0) {
      this.putMeta(0, expiresAt, body);
      body += PUT_META_BYTES;
    }
    const size = body + this.put(payload, body) - at;
    this.words[at / 4 + SIZE_WORD] = size;
    this.words[at / 4 + INFO_WORD] = ((expiresAt === 0 ? Kind.Put : Kind.PutMeta) << INFO_KIND_SHIFT) | keyBytes;
    this.stagedBytes += (size + 7) & ~7;
    this.stagedCount++;
    return true;
  }

  /** Appends what `stageKeyed` has staged as one batch; false where that is nothing. */
  appendKeyedRun(): boolean {
    const { stagedBytes, stagedCount } = this;
    this.stagedBytes = 0;
    this.stagedCount = 0;
    if (stagedCount === 0) return false;
    this.appendStaged(stagedBytes, stagedCount);
    return true;
  }

  /**
   * Appends as one batch the `count` frames that stand on the stage, one behind the other at multiples of 8: in each,
   * `size` and `info` (without flags), key and payload are in place. `bytes` is what they take, paddings included.
   * Returns the LSN of the last. What stands on the stage afterwards is not said.
   */
  appendStaged(bytes: number, count: number): number {
    if (bytes > STAGE_BYTES) throw tooLarge('staged batch', bytes, STAGE_BYTES);
    this.makeRoom(bytes, count);
    return this.endBatch(STAGE_OFFSET, bytes, count);
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
    this.lastFrame = this.tail;
    this.tail += total;
    if (staged) this.pages.passed(this.tail);
    this.waker.later();
    return staged ? view.publishBatch(count, this.tail) : view.appendBatch(count);
  }
}

function metaBytesOf(record: BatchRecord): number {
  return record.kind === Kind.PutMeta ? PUT_META_BYTES : 0;
}
