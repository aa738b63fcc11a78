/**
 * The typed handle of a `Keydir` (assembly/layout/keydir.ts): the table of a store's keys in the core's memory, and
 * what is known of its segments. One method for each function of the core; nothing else calls those.
 *
 * A key that is looked for stands at `KEY_OFFSET`. Results stand in the scratch area until the next call. The ranges of
 * the table and of the list of segments are the caller's; both begin as zeros.
 */
import {
  HintEntry, KEYDIR_ENTRY_BYTES, KEYDIR_FLAGS_SHIFT, KEYDIR_HINT_BYTES, KEYDIR_MOVE_BYTES, KEYDIR_NO_SEGMENT,
  KEYDIR_SEGMENT_BYTES, KEYDIR_SPARE, KEYDIR_STRIDE_MASK, Keydir as Layout, KeydirEntry, KeydirMove, KeydirResult,
  KeydirSegment, KeydirSegmentFlag, SCRATCH_OFFSET, VALUES_BYTES, VALUES_OFFSET,
} from '../generated/abi.ts';
import type { Core, CoreExports } from './core.ts';

const U32 = 4;
const RESULT = SCRATCH_OFFSET / U32;
const SEGMENT = RESULT + KeydirResult.segment / U32;
const OFFSET = RESULT + KeydirResult.offset / U32;
const VALUE_AT = RESULT + KeydirResult.valueAt / U32;
const VALUE_BYTES = RESULT + KeydirResult.valueBytes / U32;
const SLOT = RESULT + KeydirResult.slot / U32;
const RECORDS = RESULT + KeydirResult.records / U32;
const OLD_SEGMENT = RESULT + KeydirResult.oldSegment / U32;
const OLD_OFFSET = RESULT + KeydirResult.oldOffset / U32;
const STRIDE = RESULT + KeydirResult.stride / U32;
const EXPIRES_AT = (SCRATCH_OFFSET + KeydirResult.expiresAt) / 8;
const VERSION = (SCRATCH_OFFSET + KeydirResult.version) / 8;
const LSN = (SCRATCH_OFFSET + KeydirResult.lsn) / 8;
const VALUES = VALUES_OFFSET / U32;

/** Most hint entries that one call lists. */
export const HINTS_MAX = VALUES_BYTES / KEYDIR_HINT_BYTES;

/** The state of a table, as it is kept in a file. */
export interface TableState {
  readonly slots: number;
  readonly nextSlots: number;
  /** The hash from which on entries have moved, up to 2^32. */
  readonly border: number;
  readonly moved: number;
  readonly count: number;
}

/** A record's place. */
export interface Place {
  /** Number of its segment. */
  readonly segment: number;
  /** Offset of its frame. */
  readonly offset: number;
}

export class Keydir {
  readonly core: Core;
  readonly at: number;
  private readonly exports: CoreExports;
  private readonly words: Uint32Array;
  private readonly doubles: Float64Array;
  private readonly slot: number;
  private readonly segments: number;

  /** `segments` is the address of the list of segments. */
  constructor(core: Core, segments: number, seedLow: bigint, seedHigh: bigint) {
    this.core = core;
    this.exports = core.exports;
    this.words = core.memory.unsigned;
    this.doubles = core.memory.doubles;
    this.at = core.takeSlot();
    this.slot = this.at / U32;
    this.segments = segments / U32;
    this.set(Layout.segments, segments);
    const view = new DataView(core.memory.buffer);
    view.setBigUint64(this.at + Layout.seedLow, seedLow, true);
    view.setBigUint64(this.at + Layout.seedHigh, seedHigh, true);
  }

  private set(offset: number, value: number): void {
    this.words[this.slot + offset / U32] = value;
  }

  private get(offset: number): number {
    return this.words[this.slot + offset / U32]!;
  }

  /** Address of the table. */
  get table(): number { return this.get(Layout.table); }

  /** Gives the table a range of so many bytes; what stands there is the table, or zeros before `reset`. */
  place(address: number, bytes: number): void {
    this.set(Layout.table, address);
    this.set(Layout.room, Math.floor(bytes / KEYDIR_ENTRY_BYTES));
  }

  /** Makes the table, whose range holds zeros, an empty one. */
  reset(): void {
    this.exports.keydirReset(this.at);
  }

  get state(): TableState {
    return {
      slots: this.get(Layout.slots), nextSlots: this.get(Layout.nextSlots), moved: this.get(Layout.moved),
      count: this.count, border: this.exports.loadWord(this.at + Layout.border),
    };
  }

  set state({ slots, nextSlots, border, moved, count }: TableState) {
    this.set(Layout.slots, slots);
    this.set(Layout.nextSlots, nextSlots);
    this.set(Layout.moved, moved);
    this.set(Layout.count, count);
    this.exports.storeWord(this.at + Layout.border, border);
  }

  /** Keys. */
  get count(): number { return this.get(Layout.count); }
  /** Homes now; the table grows at 7/8 of them. */
  get slots(): number { return Math.max(this.get(Layout.slots), this.get(Layout.nextSlots)); }
  /** Entries that the range has room for. */
  get room(): number { return this.get(Layout.room); }

  /** Tells where the `SegmentView` of a segment is; 0 where it is not mapped. */
  setView(number: number, view: number): void {
    this.words[this.segmentWord(number) + KeydirSegment.view / U32] = view;
  }

  private segmentWord(number: number): number {
    return this.segments + number * KEYDIR_SEGMENT_BYTES / U32;
  }

  /** Begins the account of a segment that gets this number. */
  openSegment(number: number, liveBytes = 0, liveRecords = 0): void {
    const word = this.segmentWord(number);
    this.words[word + KeydirSegment.view / U32] = 0;
    this.words[word + KeydirSegment.flags / U32] = 0;
    this.words[word + KeydirSegment.liveBytes / U32] = liveBytes;
    this.words[word + KeydirSegment.liveRecords / U32] = liveRecords;
  }

  /** Marks a segment as dropped: `purge` removes what points at it. */
  dropSegment(number: number): void {
    this.words[this.segmentWord(number) + KeydirSegment.flags / U32] = KeydirSegmentFlag.Dropped;
  }

  /** Bytes of the frames of a segment that are their keys' newest. */
  liveBytes(number: number): number {
    return this.words[this.segmentWord(number) + KeydirSegment.liveBytes / U32]!;
  }

  liveRecords(number: number): number {
    return this.words[this.segmentWord(number) + KeydirSegment.liveRecords / U32]!;
  }

  /** Whether a record of the segment was read since this was asked last. */
  takeUsed(number: number): boolean {
    const word = this.segmentWord(number) + KeydirSegment.flags / U32;
    const flags = this.words[word]!;
    this.words[word] = flags & ~KeydirSegmentFlag.Used;
    return (flags & KeydirSegmentFlag.Used) !== 0;
  }

  /** Finds and checks the record of the key at `KEY_OFFSET`; a `Status`. */
  find(keyBytes: number, check: boolean): number {
    return this.exports.keydirGet(this.at, keyBytes, check ? 1 : 0);
  }

  /** Takes frames in; a `Status`. */
  apply(segment: number, offset: number, end: number, ordinal: number, check: boolean): number {
    return this.exports.keydirApply(this.at, segment, offset, end, ordinal, check ? 1 : 0);
  }

  /** Takes in a damaged frame of this stride; a `Status`. */
  applyDamaged(segment: number, offset: number, stride: number): number {
    return this.exports.keydirApplyDamaged(this.at, segment, offset, stride);
  }

  /** Takes the entries of a hint file in that stand at an address; a `Status`. */
  applyHints(segment: number, at: number, count: number): number {
    return this.exports.keydirApplyHints(this.at, segment, at, count);
  }

  /** Makes room for so many keys at once, at a load of 4/5; a `Status`, `Full` where the range has none. */
  reserve(keys: number): number {
    return this.exports.keydirReserve(this.at, keys);
  }

  /**
   * Copies hint entries from one address to another, in the order of their hashes; those of one key stay as they follow
   * on one another. False where one of them clears the store, and then nothing was copied.
   */
  order(from: number, count: number, to: number): boolean {
    return this.exports.keydirOrder(from, count, to) !== 0;
  }

  /** How many hashes there are among hint entries that the table has no key of. */
  newHashes(at: number, count: number): number {
    const { words } = this;
    const hashes = new Set<number>();
    const end = (at + count * KEYDIR_HINT_BYTES) / U32;
    for (let word = (at + HintEntry.hash) / U32; word < end; word += KEYDIR_HINT_BYTES / U32) hashes.add(words[word]!);
    let found = 0;
    for (const hash of hashes) if (this.exports.keydirHasHash(this.at, hash) === 0) found++;
    return found;
  }

  /** Lists frames as hint entries at `VALUES_OFFSET`; returns how many. */
  hints(segment: number, offset: number, end: number): number {
    return this.exports.keydirHints(this.at, segment, offset, end);
  }

  /** Whether an entry points at a record; 1, 0 or `Unmapped`. Leaves results of other calls alone. */
  holds({ segment, offset }: Place): number {
    return this.exports.keydirHolds(this.at, segment, offset);
  }

  /** Removes the entry that points at a record, if that expires at this time; 1, 0 or `Unmapped`. */
  expire({ segment, offset }: Place, expiresAt: number): number {
    return this.exports.keydirExpire(this.at, segment, offset, expiresAt);
  }

  /** Removes the entries of dropped segments; returns how many. */
  purge(): number {
    return this.exports.keydirPurge(this.at);
  }

  /** Lists puts, with whether they are live, for `listed`; a `Status`. */
  walk(segment: number, offset: number, end: number, ordinal: number, bytesMax: number, prefixBytes: number): number {
    return this.exports.keydirWalk(this.at, segment, offset, end, ordinal, bytesMax, prefixBytes);
  }

  /** Copies live records to the stage; a `Status`. */
  copy(segment: number, offset: number, end: number, ordinal: number, room: number, bytesMax: number): number {
    return this.exports.keydirCopy(this.at, segment, offset, end, ordinal, room, bytesMax);
  }

  /** Points entries at the copies that `copy` has made and that were appended since. */
  moved(from: number, to: number, offset: number, count: number): void {
    this.exports.keydirMoved(this.at, from, to, offset, count);
  }

  /** The segment that the last call has found or needs. */
  get segment(): number { return this.words[SEGMENT]!; }
  get offset(): number { return this.words[OFFSET]!; }
  get valueAt(): number { return this.words[VALUE_AT]!; }
  get valueBytes(): number { return this.words[VALUE_BYTES]!; }
  get stride(): number { return this.words[STRIDE]!; }
  get expiresAt(): number { return this.doubles[EXPIRES_AT]!; }
  get version(): number { return this.doubles[VERSION]!; }
  get lsn(): number { return this.doubles[LSN]!; }
  /** How many records a run has taken or looked at. */
  get records(): number { return this.words[RECORDS]!; }
  /** How many records were listed or copied. */
  get listed(): number { return this.words[SLOT]!; }

  /** The record that the last single put or tombstone took the place of. */
  get replaced(): Place | undefined {
    const segment = this.words[OLD_SEGMENT]!;
    return segment === KEYDIR_NO_SEGMENT ? undefined : { segment, offset: this.words[OLD_OFFSET]! };
  }

  /** The `index`-th offset that `walk` has listed, plus 1 where it is live. */
  offsetAt(index: number): number {
    return this.words[VALUES + index]!;
  }

  /** The `index`-th record that `copy` has listed: its old offset, and where its copy stands on the stage. */
  moveAt(index: number): { readonly offset: number; readonly staged: number } {
    const word = VALUES + index * KEYDIR_MOVE_BYTES / U32;
    return { offset: this.words[word + KeydirMove.offset / U32]!, staged: this.words[word + KeydirMove.staged / U32]! };
  }

  /** Visits the place of every entry, in the order of the table, which must not change meanwhile. */
  * entries(): Generator<Place & { readonly stride: number; readonly flags: number }, void> {
    const table = this.get(Layout.table) / U32;
    const used = Math.min(this.room, this.slots + KEYDIR_SPARE);
    for (let word = table, left = used; left > 0; left--, word += KEYDIR_ENTRY_BYTES / U32) {
      const place = this.words[word + KeydirEntry.place / U32]!;
      if (place === 0) continue;
      const size = this.words[word + KeydirEntry.size / U32]!;
      yield {
        segment: this.words[word + KeydirEntry.segment / U32]!, offset: place * 8,
        stride: (size & KEYDIR_STRIDE_MASK) * 8, flags: size >>> KEYDIR_FLAGS_SHIFT,
      };
    }
  }

  /** Whether an entry points at a record. Looks at all of them: it is for records whose key cannot be told. */
  pointsAt(segment: number, offset: number): boolean {
    for (const entry of this.entries()) if (entry.segment === segment && entry.offset === offset) return true;
    return false;
  }

  /** Gives the slot back. */
  release(): void {
    this.core.releaseSlot(this.at);
  }
}
