/**
 * The row: the image of one record in the core's scratch area, where whole records are put together and taken apart.
 * Its fields stand at the offsets that they have in the file. What is in it holds until the next call that uses it.
 */
import type { CoreMemory } from '../core/memory.ts';
import { MASK_OFFSET, ROW_OFFSET, Status, TYPED_STRIDE_MAX } from '../generated/abi.ts';
import type { Answers } from './answers.ts';
import type { PlacedField } from './layout.ts';
import { RowImage } from './row-image.ts';
import { encodeText, type Texts } from './text.ts';
import {
  elementTypeOf, isF32, isF64, isI16, isI32, isI64, isI64Number, isI8, isTimestamp, isU16, isU32, isU64, isU64Number,
  isU8, refuse, refuseArray, refuseEnum, refuseLength, refuseMissing, ValueType, valueTypeOf,
} from './values.ts';

/** A field of the row. */
export interface Cell {
  readonly name: string;
  readonly type: ValueType;
  /** The commonest type, asked for where every nanosecond counts. */
  readonly isF64: boolean;
  /** Its index in the view of its type; for text and bytes that of the length. */
  readonly at: number;
  readonly offset: number;
  readonly size: number;
  readonly max: number;
  /** Enums: the values, and the index of each. */
  readonly values: readonly string[];
  readonly indices: ReadonlyMap<string, number>;
  /** Arrays, and those that may be null: how many elements; 0 where the field is none. */
  readonly count: number;
  /** Their kind. */
  readonly element: ValueType;
  /** Fields that may be null: the bit of the row that says whether there is a value; otherwise 0. */
  readonly presence: number;
  /** The same field, where it is not null. */
  readonly value: Cell | undefined;
}

/** As constants of the file, which the engine compiles to comparisons with numbers. */
const {
  Bool, I8, U8, I16, U16, I32, U32, I64, U64, F32, F64, Str, I64Number, U64Number, Timestamp, Enum8, Enum16, Nullable,
  Array: Elements,
} = ValueType;
const SCALE: Readonly<Partial<Record<ValueType, number>>> = {
  [ValueType.Bool]: 1, [ValueType.I8]: 1, [ValueType.U8]: 1, [ValueType.I16]: 2, [ValueType.U16]: 2,
  [ValueType.I64]: 8, [ValueType.U64]: 8, [ValueType.F64]: 8, [ValueType.Enum8]: 1, [ValueType.Enum16]: 2,
};
const LENGTH_BYTES = 4;

/** Which values the kinds of numbers take. */
const TAKES: Readonly<Partial<Record<ValueType, (value: unknown) => boolean>>> = {
  [ValueType.I8]: isI8, [ValueType.U8]: isU8, [ValueType.I16]: isI16, [ValueType.U16]: isU16, [ValueType.I32]: isI32,
  [ValueType.U32]: isU32, [ValueType.I64]: isI64, [ValueType.U64]: isU64, [ValueType.I64Number]: isI64Number,
  [ValueType.U64Number]: isU64Number, [ValueType.F32]: isF32, [ValueType.F64]: isF64,
};

/** The index of each value of an enum. */
export function indicesOf(values: readonly string[]): ReadonlyMap<string, number> {
  return new Map(values.map((value, at) => [value, at]));
}

const NOTHING = { name: '', offset: 0, size: 0, max: 0, as: 'bigint', presence: 0 } as const;

/** Makes the cell of a field. All cells are made here, so that the engine sees objects of one shape. */
export function cellOf(field: PlacedField): Cell {
  const { name, offset, size, max, values = [], count = 0, presence } = field;
  const type = valueTypeOf(field);
  const { nullable, ...plain } = field;
  const unit = SCALE[count === 0 ? valueTypeOf(plain) : elementTypeOf(field)] ?? 4;
  return {
    name, type, isF64: type === ValueType.F64, at: offset / unit, offset, size, max, values, indices: indicesOf(values),
    count, element: elementTypeOf(field), presence, value: nullable === undefined ? undefined : cellOf(plain),
  };
}

/** Stands where there is no field: none is called so. */
export const NO_CELL: Cell = cellOf({ ...NOTHING, type: 'float64' });

export class Row extends RowImage {
  private readonly answers: Answers;
  /** Which bits of the row a patch takes. */
  private readonly mask: Uint8Array;

  constructor(memory: CoreMemory, texts: Texts, answers: Answers) {
    super(memory, texts);
    this.answers = answers;
    this.mask = new Uint8Array(memory.buffer, MASK_OFFSET, TYPED_STRIDE_MAX);
  }

  clearMask(stride: number): void {
    this.mask.fill(0, 0, stride);
  }

  /** Marks a field as one that a patch takes. */
  mark({ offset, size, presence }: Cell): void {
    this.mask.fill(255, offset, offset + size);
    if (presence > 0) this.mask[presence >> 3]! |= 1 << (presence & 7);
  }

  /** Returns the value of a field. Throws where record `index`, of which the row is a copy, has none there. */
  read(cell: Cell, index: number): unknown {
    const { at } = cell;
    switch (cell.type) {
      case F64: return this.f64[at];
      case F32: return this.f32[at];
      case I32: return this.i32[at];
      case U32: return this.u32[at];
      case I16: return this.i16[at];
      case U16: return this.u16[at];
      case I8: return this.i8[at];
      case U8: return this.u8[at];
      case I64: return this.i64[at];
      case U64: return this.u64[at];
      case I64Number: return this.exact(cell.name, index, this.signed64(4 * at));
      case U64Number: return this.exact(cell.name, index, this.unsigned64(4 * at));
      case Bool:
        if (this.u8[at]! > 1) this.answers.settle(Status.BadValue, index, cell.name);
        return this.u8[at] === 1;
      case Enum8: return cell.values[this.u8[at]!] ?? this.answers.settle(Status.BadValue, index, cell.name);
      case Enum16: return cell.values[this.u16[at]!] ?? this.answers.settle(Status.BadValue, index, cell.name);
      case Timestamp: return this.readTimestamp(cell, index);
      case Elements: return this.readArray(cell, index);
      case Nullable: return this.isPresent(cell) ? this.read(cell.value!, index) : null;
      default: return this.readBytes(cell, index);
    }
  }

  private isPresent({ presence }: Cell): boolean {
    return (this.u8[presence >> 3]! & (1 << (presence & 7))) !== 0;
  }

  private readTimestamp({ name, at }: Cell, index: number): number {
    const value = this.signed64(4 * at);
    if (!isTimestamp(value)) this.answers.settle(Status.BadValue, index, name);
    return value;
  }

  private readArray(cell: Cell, index: number): unknown[] {
    const { at, count, element } = cell;
    const view = this.viewOf(element);
    const values: unknown[] = [];
    for (let k = 0; k < count; k++) {
      if (element === I64Number) values.push(this.exact(cell.name, index, this.signed64(4 * (at + 2 * k))));
      else if (element === U64Number) values.push(this.exact(cell.name, index, this.unsigned64(4 * (at + 2 * k))));
      else values.push(view[at + k]);
    }
    return values;
  }

  /** The row as numbers of one kind. */
  private viewOf(type: ValueType) {
    switch (type) {
      case F64: return this.f64;
      case F32: return this.f32;
      case I32: return this.i32;
      case U32: return this.u32;
      case I16: return this.i16;
      case U16: return this.u16;
      case I8: return this.i8;
      case I64: return this.i64;
      case U64: return this.u64;
      default: return this.u8;
    }
  }

  /**
   * What `write` is to be given for a value: an array is copied, because taking its elements may run code of its own,
   * and whatever that does may use the row. Throws where the field takes arrays and the value is none of its length.
   */
  take({ name, count, presence }: Cell, value: unknown): unknown {
    if (count === 0 || (value === null && presence > 0)) return value;
    if (!Array.isArray(value) || value.length !== count) refuseArray(name, count, value);
    const copy: unknown[] = [];
    for (let k = 0; k < count; k++) copy.push(value[k]);
    return copy;
  }

  private exact(name: string, index: number, value: number): number {
    if (!Number.isSafeInteger(value)) this.answers.settle(Status.Inexact, index, name);
    return value;
  }

  private readBytes({ name, type, at, offset, max }: Cell, index: number): unknown {
    const length = this.u32[at]!;
    if (length > max) this.answers.settle(Status.BadValue, index, name);
    const from = offset + LENGTH_BYTES;
    return type === Str ? this.texts.decode(ROW_OFFSET + from, length) : this.u8.slice(from, from + length);
  }

  /**
   * Puts a value that `take` gave into its field. Throws where the field does not take it. Of a field that may be null
   * the row holds null before, which is zeros.
   */
  write(cell: Cell, value: unknown): void {
    const { at, type } = cell;
    switch (type) {
      case F64:
        if (typeof value === 'number') this.f64[at] = value;
        else refuse(cell.name, type, value);
        return;
      case F32:
        if (isF32(value)) this.f32[at] = value;
        else refuse(cell.name, type, value);
        return;
      case I32:
        if (isI32(value)) this.i32[at] = value;
        else refuse(cell.name, type, value);
        return;
      case U32:
        if (isU32(value)) this.u32[at] = value;
        else refuse(cell.name, type, value);
        return;
      case I16:
        if (isI16(value)) this.i16[at] = value;
        else refuse(cell.name, type, value);
        return;
      case U16:
        if (isU16(value)) this.u16[at] = value;
        else refuse(cell.name, type, value);
        return;
      case I8:
        if (isI8(value)) this.i8[at] = value;
        else refuse(cell.name, type, value);
        return;
      case U8:
        if (isU8(value)) this.u8[at] = value;
        else refuse(cell.name, type, value);
        return;
      case I64:
        if (isI64(value)) this.i64[at] = value;
        else refuse(cell.name, type, value);
        return;
      case U64:
        if (isU64(value)) this.u64[at] = value;
        else refuse(cell.name, type, value);
        return;
      case I64Number:
        if (isI64Number(value)) this.putInteger(4 * at, value);
        else refuse(cell.name, type, value);
        return;
      case U64Number:
        if (isU64Number(value)) this.putInteger(4 * at, value);
        else refuse(cell.name, type, value);
        return;
      case Bool:
        if (typeof value === 'boolean') this.u8[at] = value ? 1 : 0;
        else refuse(cell.name, type, value);
        return;
      case Enum8:
        this.u8[at] = indexOf(cell, value);
        return;
      case Enum16:
        this.u16[at] = indexOf(cell, value);
        return;
      case Timestamp:
        if (isTimestamp(value)) this.putInteger(4 * at, value);
        else refuse(cell.name, type, value);
        return;
      case Elements: return this.writeArray(cell, value as readonly unknown[]);
      case Nullable:
        if (value !== null) this.writePresent(cell, value);
        return;
      default: this.writeBytes(cell, value);
    }
  }

  private writePresent({ name, presence, value: cell }: Cell, value: unknown): void {
    if (value === undefined) refuseMissing(name);
    this.write(cell!, value);
    this.u8[presence >> 3]! |= 1 << (presence & 7);
  }

  private writeArray({ name, at, element }: Cell, values: readonly unknown[]): void {
    const takes = TAKES[element]!;
    const isWide = element === I64Number || element === U64Number;
    const view = this.viewOf(element);
    for (let k = 0; k < values.length; k++) {
      const value = values[k];
      if (!takes(value)) refuse(`${name}[${k}]`, element, value);
      if (isWide) this.putInteger(4 * (at + 2 * k), value as number);
      else view[at + k] = value as never;
    }
  }

  private writeBytes({ name, type, at, offset, max }: Cell, value: unknown): void {
    const from = offset + LENGTH_BYTES;
    if (type === Str) {
      if (typeof value !== 'string') refuse(name, type, value);
      this.u32[at] = encodeText(this.texts, ROW_OFFSET + from, value, name, max);
      return;
    }
    if (!(value instanceof Uint8Array)) refuse(name, type, value);
    if (value.length > max) refuseLength(name, value.length, max);
    this.u8.set(value, from);
    this.u32[at] = value.length;
  }
}

/** The index of a value of an enum. */
function indexOf({ name, values, indices }: Cell, value: unknown): number {
  return indices.get(value as string) ?? refuseEnum(name, values, value);
}
