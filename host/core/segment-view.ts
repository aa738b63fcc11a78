/**
 * The typed handle of a `SegmentView` (assembly/layout/view.ts): one mapped segment, as the core sees it.
 *
 * A view must be released before its segment is unmapped, and nothing may be called on it afterwards. Offsets are bytes
 * in the segment; ordinals count its records from 0.
 */
import {
  FRAME_CRC_FROM, FRAME_HEADER_BYTES, Flag, Frame, INFO_FLAGS_SHIFT, SCRATCH_OFFSET, ScanResult, SegmentView as Layout,
} from '../generated/abi.ts';
import type { Core, CoreExports } from './core.ts';

const U32 = 4;
const DATA_END = Layout.dataEnd / U32;
const RECORDS = Layout.records / U32;
const EPOCH = Layout.epoch / U32;
const DURABLE = Layout.durable / U32;
const RESULT = SCRATCH_OFFSET / U32;

/** What the host knows when it maps a segment. */
export interface ViewFields {
  readonly base: number;
  readonly mapped: number;
  readonly baseLsn: number;
  readonly basePosition: number;
  readonly salt: number;
  readonly index: number;
  readonly epoch: number;
}

export class SegmentView {
  readonly core: Core;
  readonly base: number;
  /** Mapped bytes of the file. */
  readonly mapped: number;
  readonly at: number;
  private readonly exports: CoreExports;
  private readonly words: Uint32Array;
  private readonly slot: number;
  private readonly salt: number;
  /** The epoch when the segment was made. */
  private readonly firstEpoch: number;

  constructor(core: Core, fields: ViewFields) {
    this.core = core;
    this.base = fields.base;
    this.mapped = fields.mapped;
    this.exports = core.exports;
    this.words = core.memory.unsigned;
    this.at = core.takeSlot();
    this.slot = this.at / U32;
    this.salt = fields.salt;
    this.firstEpoch = fields.epoch;
    this.set(Layout.base, fields.base);
    this.set(Layout.mapped, fields.mapped);
    this.set(Layout.salt, fields.salt);
    this.set(Layout.index, fields.index);
    this.set(Layout.epoch, fields.epoch);
    core.exports.storeWord(this.at + Layout.baseLsn, fields.baseLsn);
    core.exports.storeWord(this.at + Layout.basePosition, fields.basePosition);
  }

  private set(offset: number, value: number): void {
    this.words[this.slot + offset / U32] = value;
  }

  /** Offset just past the last known frame. */
  get dataEnd(): number { return this.words[this.slot + DATA_END]!; }
  /** Known records. */
  get records(): number { return this.words[this.slot + RECORDS]!; }
  /** Epoch of the last known record. */
  get epoch(): number { return this.words[this.slot + EPOCH]!; }

  /** Tells the view how far its frames reach, from a footer or after a truncation. */
  setEnd(records: number, dataEnd: number, epoch: number): void {
    this.set(Layout.records, records);
    this.set(Layout.dataEnd, dataEnd);
    this.set(Layout.epoch, epoch);
  }

  /** Moves the view to another index. */
  setIndex(address: number): void {
    this.set(Layout.index, address);
  }

  /** Makes the view one that can be appended to. */
  setWriter(control: number, epoch: number): void {
    this.set(Layout.control, control);
    this.set(Layout.writerEpoch, epoch);
  }

  /** Tells the view up to which offset the segment is known to be on disk. */
  set durable(offset: number) {
    this.words[this.slot + DURABLE] = offset;
  }

  append(info: number, payloadBytes: number): number {
    return this.exports.append(this.at, info, payloadBytes);
  }

  appendBatch(count: number): number {
    return this.exports.appendBatch(this.at, count);
  }

  /** Seals a batch at an address outside of the segment; `publishBatch` commits it when it is in its place. */
  sealBatch(at: number, count: number): void {
    this.exports.sealBatch(this.at, at, count);
  }

  publishBatch(count: number, dataEnd: number): number {
    return this.exports.publishBatch(this.at, count, dataEnd);
  }

  /** Publishes the end of the view as the committed watermark. */
  commit(): void {
    this.exports.commit(this.at);
  }

  advance(records: number): number {
    return this.exports.advance(this.at, records);
  }

  locate(ordinal: number): number {
    return this.exports.locate(this.at, ordinal);
  }

  read(ordinal: number): number {
    return this.exports.read(this.at, ordinal);
  }

  readAt(offset: number, ordinal: number): number {
    return this.exports.readAt(this.at, offset, ordinal);
  }

  scan(offset: number, ordinal: number, recordsMax: number, bytesMax: number): number {
    return this.exports.scan(this.at, offset, ordinal, recordsMax, bytesMax) >>> 0;
  }

  /**
   * Offset of the next record of a kind below the `to`-th, or a negative status. Headers are not checked. The walk
   * ended at the record of ordinal `resultRecords`, at `resultOffset`.
   */
  findKind(offset: number, ordinal: number, to: number, kind: number): number {
    return this.exports.findKind(this.at, offset, ordinal, to, kind);
  }

  /** Finds the longest valid prefix anew, from the first frame on, whatever the view knew before. */
  recover(limit: number, recordsMax: number): number {
    // The core leaves the epoch of the last record behind; the first may be of any epoch from the segment's on.
    this.set(Layout.epoch, this.firstEpoch);
    return this.exports.recover(this.at, limit, recordsMax);
  }

  findLater(from: number, limit: number, ordinal: number): number {
    return this.exports.findLater(this.at, from, limit, ordinal) >>> 0;
  }

  fillLost(offset: number, end: number, ordinal: number, count: number, epoch: number): number {
    return this.exports.fillLost(this.at, offset, end, ordinal, count, epoch);
  }

  /**
   * Returns the header that makes the valid frame at `offset` the last one of its batch, or `undefined` where it is
   * that already. Changes nothing.
   */
  endedBatchHeader(offset: number): Uint8Array | undefined {
    const { bytes } = this.core.memory;
    const at = this.base + offset;
    const header = bytes.slice(at, at + FRAME_HEADER_BYTES);
    const words = new Uint32Array(header.buffer);
    const more = Flag.More << INFO_FLAGS_SHIFT;
    if ((words[Frame.info / U32]! & more) === 0) return undefined;
    words[Frame.info / U32]! &= ~more;
    bytes.set(header, SCRATCH_OFFSET);
    const crc = this.exports.crc32c(this.salt, SCRATCH_OFFSET + FRAME_CRC_FROM, FRAME_HEADER_BYTES - FRAME_CRC_FROM);
    words[Frame.crc / U32] = this.exports.crc32c(
      crc, at + FRAME_HEADER_BYTES, words[Frame.size / U32]! - FRAME_HEADER_BYTES);
    return header;
  }

  /** Offset just past the last 8 bytes in [from, to) that are not zero, or `from`. */
  endOfBytes(from: number, to: number): number {
    return (this.exports.endOfBytes(this.base + from, this.base + to) >>> 0) - this.base;
  }

  /** The result of the last call that leaves one; valid until the next call. */
  get resultStatus(): number { return this.words[RESULT + ScanResult.status / U32]! | 0; }
  get resultRecords(): number { return this.words[RESULT + ScanResult.records / U32]!; }
  get resultOffset(): number { return this.words[RESULT + ScanResult.offset / U32]!; }
  get resultLost(): number { return this.words[RESULT + ScanResult.lost / U32]!; }
  get resultDurable(): number { return this.words[RESULT + ScanResult.durable / U32]!; }

  /** Gives the slot back. */
  release(): void {
    this.core.releaseSlot(this.at);
  }
}
