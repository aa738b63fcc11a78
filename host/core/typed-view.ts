/**
 * The typed handle of a `TypedView` (assembly/layout/typed.ts): a mapped range of typed records, as the core sees it.
 * One method for each function of the core; nothing else calls those.
 *
 * Indices are integers from 0 to 2^31 - 1 and offsets those of the layout: callers see to it, because what is no index
 * would be taken for another one. Rows and bytes stand at `ROW_OFFSET`, the mask of a patch at `MASK_OFFSET`, the
 * values and indices of columns at `VALUES_OFFSET`, all valid until the next call.
 *
 * A view that was released may be called still: it has no records, and is for reading.
 */
import {
  type Fold, MASK_OFFSET, ROW_OFFSET, Status, type FieldType, TypedView as Layout, VALUES_BYTES, VALUES_OFFSET,
  WriteMode,
} from '../generated/abi.ts';
import type { Core, CoreExports } from './core.ts';

const U32_SHIFT = 2;
const STATUS = Layout.status >>> U32_SHIFT;
const NEXT = Layout.next >>> U32_SHIFT;
const VALUES = Layout.values >>> U32_SHIFT;
/** Most values that one call of `gather` may be asked for. */
export const VALUES_MAX = VALUES_BYTES / 8;
/** Most indices that one call of `select` finds. */
export const INDICES_MAX = VALUES_BYTES / 4;
/** Most records that one call of `findChanges` looks at: there is room for a range of every second one. */
export const STAMPS_MAX = VALUES_BYTES / 4;

/** The part of a file that is mapped. */
export interface MappedRange {
  /** Address of the first record that is mapped, a multiple of 8. */
  readonly base: number;
  /** Its index. */
  readonly first: number;
  /** Records from there on that are there and mapped. */
  readonly limit: number;
  /** Records from there on that the mapped range has room for. */
  readonly room: number;
  /** Records from there on whose pages are ready to be stored to; default all. */
  readonly ready?: number;
}

/** What the host knows when it maps records. */
export interface TypedViewFields extends MappedRange {
  /** Bytes of a record, a multiple of 8. */
  readonly stride: number;
  /** Address of the live count, a multiple of 8. */
  readonly countAt: number;
  readonly mode: WriteMode;
  /** Whether the processor may reorder stores. */
  readonly strict: boolean;
  /** Where in a record its checksum stands; 0, the default, where there is none. */
  readonly checksumAt?: number;
  /** Slots of a ring; 0, the default, where the store is none. */
  readonly slots?: number;
}

export class TypedView {
  readonly core: Core;
  /** Address of the slot. */
  protected at: number;
  protected readonly exports: CoreExports;
  private readonly words: Int32Array;

  constructor(core: Core, fields: TypedViewFields) {
    this.core = core;
    this.exports = core.exports;
    this.words = core.memory.words;
    this.at = core.takeSlot();
    this.put(Layout.stride, fields.stride);
    this.put(Layout.countAt, fields.countAt);
    this.put(Layout.strict, fields.strict ? 1 : 0);
    this.put(Layout.checksumAt, fields.checksumAt ?? 0);
    this.put(Layout.slots, fields.slots ?? 0);
    this.mode = fields.mode;
    this.moveTo(fields);
  }

  /** A view without records, as one is that was released. */
  static ofNothing(core: Core): TypedView {
    const view = new TypedView(core, {
      base: 0, first: 0, limit: 0, room: 0, stride: 8, countAt: 0, mode: WriteMode.ReadOnly, strict: false,
    });
    view.release();
    return view;
  }

  private put(offset: number, value: number): void {
    this.words[(this.at + offset) >>> U32_SHIFT] = value;
  }

  private word(offset: number): number {
    return this.words[(this.at + offset) >>> U32_SHIFT]! >>> 0;
  }

  /** Index of the first record that is mapped. */
  get first(): number { return this.word(Layout.first); }
  /** Records from `first` on that are there and mapped. */
  get limit(): number { return this.word(Layout.limit); }
  /** Records from `first` on that there is room for. */
  get room(): number { return this.word(Layout.room); }

  /** How records are written from now on. */
  set mode(mode: WriteMode) {
    this.put(Layout.mode, mode);
  }

  /** After how many writes one answers `Wake` and is not made; 0 for none before 2^32. Not for a released view. */
  set wakeIn(writes: number) {
    this.put(Layout.wakeIn, writes);
  }

  /** Shows another part of the file, or more of it. */
  moveTo({ base, first, limit, room, ready = room }: MappedRange): void {
    this.put(Layout.base, base);
    this.put(Layout.first, first);
    this.put(Layout.limit, limit);
    this.put(Layout.room, room);
    this.put(Layout.ready, ready);
  }

  /** Gives the slot back. Idempotent. */
  release(): void {
    const { core } = this;
    if (this.at === core.emptySlot) return;
    core.releaseSlot(this.at);
    this.at = core.emptySlot;
  }

  /** Why a getter has answered with NaN or 0, or a column has ended early; `Ok` where that is what is there. Once. */
  takeStatus(): number {
    const at = (this.at >>> U32_SHIFT) + STATUS;
    const status = this.words[at]!;
    this.words[at] = Status.Ok;
    return status;
  }

  /** Takes notice of records that others have appended; returns `limit`. */
  refreshLimit(): number { return this.exports.refreshLimit(this.at); }

  /** 0 or 1; NaN with a status otherwise. */
  getBool(index: number, offset: number): number { return this.exports.getBool(this.at, index, offset); }
  /** The value, or NaN with a status; so do all that return numbers. */
  getI8(index: number, offset: number): number { return this.exports.getI8(this.at, index, offset); }
  getU8(index: number, offset: number): number { return this.exports.getU8(this.at, index, offset); }
  getI16(index: number, offset: number): number { return this.exports.getI16(this.at, index, offset); }
  getU16(index: number, offset: number): number { return this.exports.getU16(this.at, index, offset); }
  getI32(index: number, offset: number): number { return this.exports.getI32(this.at, index, offset); }
  getU32(index: number, offset: number): number { return this.exports.getU32(this.at, index, offset); }
  getF32(index: number, offset: number): number { return this.exports.getF32(this.at, index, offset); }
  getF64(index: number, offset: number): number { return this.exports.getF64(this.at, index, offset); }
  getI64Number(index: number, offset: number): number { return this.exports.getI64Number(this.at, index, offset); }
  getU64Number(index: number, offset: number): number { return this.exports.getU64Number(this.at, index, offset); }
  /** The 64 bits as a signed integer, or 0 with a status. */
  getI64(index: number, offset: number): bigint { return this.exports.getI64(this.at, index, offset); }

  /** Returns a `Status`; so do all setters. */
  set8(index: number, offset: number, value: number): number {
    return this.exports.set8(this.at, index, offset, value);
  }

  set16(index: number, offset: number, value: number): number {
    return this.exports.set16(this.at, index, offset, value);
  }

  set32(index: number, offset: number, value: number): number {
    return this.exports.set32(this.at, index, offset, value);
  }

  set64(index: number, offset: number, value: bigint): number {
    return this.exports.set64(this.at, index, offset, value);
  }

  /** `value` is an integer from -2^53 + 1 to 2^53 - 1. */
  set64Number(index: number, offset: number, value: number): number {
    return this.exports.set64Number(this.at, index, offset, value);
  }

  setF32(index: number, offset: number, value: number): number {
    return this.exports.setF32(this.at, index, offset, value);
  }

  setF64(index: number, offset: number, value: number): number {
    return this.exports.setF64(this.at, index, offset, value);
  }

  /** Copies a field to the row; returns its length or a status. Up to 7 bytes behind it are changed too. */
  getBytes(index: number, offset: number, bound: number): number {
    return this.exports.getBytes(this.at, index, offset, bound, ROW_OFFSET);
  }

  /** Replaces a field by the first `length` bytes of the row; `BadValue` where they are more than `bound`. */
  setBytes(index: number, offset: number, bound: number, length: number): number {
    return this.exports.setBytes(this.at, index, offset, bound, ROW_OFFSET, length);
  }

  /** Copies a record to the row, in one state, and verifies its checksum; returns a status. */
  readRow(index: number): number { return this.exports.readRow(this.at, index, ROW_OFFSET); }

  /** Replaces a record by the row, as one change; returns a status. */
  writeRow(index: number): number { return this.exports.writeRow(this.at, index, ROW_OFFSET); }

  /** Replaces the bits of a record that are set in the mask by those of the row, as one change; returns a status. */
  patchRow(index: number): number { return this.exports.patchRow(this.at, index, ROW_OFFSET, MASK_OFFSET); }

  /** Appends the row, or a record of zeros; returns its index or a status. */
  appendRow(useRow: boolean): number { return this.exports.appendRow(this.at, useRow ? ROW_OFFSET : 0); }

  /** Adds the values of `count` records from `from` on to `start`, as far as `next`. */
  sum(type: FieldType, offset: number, from: number, count: number, start: number): number {
    return this.exports.sumColumn(this.at, type, offset, from, count, start);
  }

  /** The least of `start` and those values, as far as `next`. */
  min(type: FieldType, offset: number, from: number, count: number, start: number): number {
    return this.exports.minColumn(this.at, type, offset, from, count, start);
  }

  /** The greatest of `start` and those values, as far as `next`. */
  max(type: FieldType, offset: number, from: number, count: number, start: number): number {
    return this.exports.maxColumn(this.at, type, offset, from, count, start);
  }

  /** How many of those values compare with `other` in one of the wanted ways, a set of `Outcome`s, as far as `next`. */
  count(type: FieldType, offset: number, from: number, count: number, wanted: number, other: number): number {
    return this.exports.selectColumn(this.at, type, offset, from, count, wanted, other, 0, count);
  }

  /** Leaves the indices of those at `VALUES_OFFSET`, at most `INDICES_MAX`, as far as `next`; returns how many. */
  select(type: FieldType, offset: number, from: number, count: number, wanted: number, other: number): number {
    return this.exports.selectColumn(
      this.at, type, offset, from, count, wanted, other, VALUES_OFFSET, INDICES_MAX);
  }

  /** Leaves the values of up to `VALUES_MAX` records at `VALUES_OFFSET`, as far as `next`; returns how many. */
  gather(type: FieldType, offset: number, from: number, count: number): number {
    return this.exports.gatherColumn(this.at, type, offset, from, Math.min(count, VALUES_MAX), VALUES_OFFSET);
  }

  /**
   * Leaves the values of up to `VALUES_MAX` records at `VALUES_OFFSET`, each taken out of a copy of its record; the row
   * is changed. Returns how many; where it is less, `takeStatus` says why.
   *
   * @param presence the bit of the record that says whether the field has a value; where it is not 0, the bytes from
   *   `MASK_OFFSET` on are 1 for each value and 0 for each null
   */
  gatherRows(type: FieldType, offset: number, presence: number, from: number, count: number): number {
    return this.exports.gatherRows(
      this.at, type, offset, from, Math.min(count, VALUES_MAX), ROW_OFFSET, VALUES_OFFSET, presence, MASK_OFFSET);
  }

  /**
   * The same folds over a field that may be null, of which the bit `presence` of the record says whether it has a
   * value; nulls are passed over. How many were none stands in `values`.
   */
  foldNullable(
    type: FieldType, offset: number, presence: number, from: number, count: number, start: number, how: Fold,
  ): number {
    return this.exports.foldNullable(this.at, type, offset, presence, from, count, start, how);
  }

  /** As `count`, for a field that may be null: a null compares in no way. */
  countNullable(
    type: FieldType, offset: number, presence: number, from: number, count: number, wanted: number, other: number,
  ): number {
    return this.exports.selectNullable(this.at, type, offset, presence, from, count, wanted, other, 0, count);
  }

  /** As `select`, for a field that may be null. */
  selectNullable(
    type: FieldType, offset: number, presence: number, from: number, count: number, wanted: number, other: number,
  ): number {
    return this.exports.selectNullable(
      this.at, type, offset, presence, from, count, wanted, other, VALUES_OFFSET, INDICES_MAX);
  }

  /** As `gather`, for a field that may be null: NaN in the place of a null. */
  gatherNullable(type: FieldType, offset: number, presence: number, from: number, count: number): number {
    return this.exports.gatherNullable(
      this.at, type, offset, presence, from, Math.min(count, VALUES_MAX), VALUES_OFFSET);
  }

  /** How many values the last fold of a column with nulls has found. */
  get values(): number { return this.words[(this.at >>> U32_SHIFT) + VALUES]! >>> 0; }

  /** Copies the stamps of `count` records to `copies`, 4 bytes each, as far as `next`. */
  noteStamps(from: number, count: number, copies: number): void {
    this.exports.noteStamps(this.at, from, count, copies);
  }

  /**
   * Brings such a copy up to date, of at most `STAMPS_MAX` records, as far as `next`; leaves the ranges that have
   * changed at `VALUES_OFFSET`, first and last index, 4 bytes each, and returns how many.
   */
  findChanges(from: number, count: number, copies: number): number {
    return this.exports.findChanges(this.at, from, Math.min(count, STAMPS_MAX), copies, VALUES_OFFSET);
  }

  /** Index of the first record that the last call on a column or on stamps has left out: where to go on. */
  get next(): number { return this.words[(this.at >>> U32_SHIFT) + NEXT]! >>> 0; }
}
