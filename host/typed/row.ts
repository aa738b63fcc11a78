/**
 * The row: the image of one record in the core's scratch area, where whole records are put together and taken apart.
 * Its fields stand at the offsets that they have in the file. What is in it holds until the next call that uses it.
 */
import type { CoreMemory } from '../core/memory.ts';
import { MASK_OFFSET, ROW_OFFSET, Status, TYPED_STRIDE_MAX } from '../generated/abi.ts';
import { encodeText, valueTypeOf } from './access.ts';
import type { Answers } from './answers.ts';
import type { PlacedField } from './layout.ts';
import type { Texts } from './text.ts';
import {
  isF32, isI16, isI32, isI64, isI64Number, isI8, isU16, isU32, isU64, isU64Number, isU8, refuse, refuseLength,
  ValueType,
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
}

/** As constants of the file, which the engine compiles to comparisons with numbers. */
const {
  Bool, I8, U8, I16, U16, I32, U32, I64, U64, F32, F64, Str, I64Number, U64Number,
} = ValueType;
const SCALE: Readonly<Partial<Record<ValueType, number>>> = {
  [ValueType.Bool]: 1, [ValueType.I8]: 1, [ValueType.U8]: 1, [ValueType.I16]: 2, [ValueType.U16]: 2,
  [ValueType.I64]: 8, [ValueType.U64]: 8, [ValueType.F64]: 8,
};
const TWO_32 = 4294967296;
const LENGTH_BYTES = 4;

export function cellOf(field: PlacedField): Cell {
  const { name, offset, size, max } = field;
  const type = valueTypeOf(field);
  return { name, type, isF64: type === ValueType.F64, at: offset / (SCALE[type] ?? 4), offset, size, max };
}

export class Row {
  private readonly memory: CoreMemory;
  private readonly texts: Texts;
  private readonly answers: Answers;
  private readonly i8: Int8Array;
  private readonly u8: Uint8Array;
  private readonly i16: Int16Array;
  private readonly u16: Uint16Array;
  private readonly i32: Int32Array;
  private readonly u32: Uint32Array;
  private readonly i64: BigInt64Array;
  private readonly u64: BigUint64Array;
  private readonly f32: Float32Array;
  readonly f64: Float64Array;
  /** Which bits of the row a patch takes. */
  private readonly mask: Uint8Array;

  constructor(memory: CoreMemory, texts: Texts, answers: Answers) {
    const { buffer } = memory;
    this.answers = answers;
    this.memory = memory;
    this.texts = texts;
    this.i8 = new Int8Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX);
    this.u8 = new Uint8Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX);
    this.i16 = new Int16Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 2);
    this.u16 = new Uint16Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 2);
    this.i32 = new Int32Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 4);
    this.u32 = new Uint32Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 4);
    this.i64 = new BigInt64Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 8);
    this.u64 = new BigUint64Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 8);
    this.f32 = new Float32Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 4);
    this.f64 = new Float64Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 8);
    this.mask = new Uint8Array(buffer, MASK_OFFSET, TYPED_STRIDE_MAX);
  }

  /** Puts zeros where fields leave bytes between them, and behind text, so that no byte of another record stays. */
  clear(stride: number): void {
    const { f64 } = this;
    for (let word = stride / 8 - 1; word > 0; word--) f64[word] = 0;
  }

  clearMask(stride: number): void {
    this.mask.fill(0, 0, stride);
  }

  /** Marks a field as one that a patch takes. */
  mark({ offset, size }: Cell): void {
    this.mask.fill(255, offset, offset + size);
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
      case I64Number: return this.exact(cell, index, this.i32[at + 1]!);
      case U64Number: return this.exact(cell, index, this.u32[at + 1]!);
      case Bool:
        if (this.u8[at]! > 1) this.answers.settle(Status.BadValue, index, cell.name);
        return this.u8[at] === 1;
      default: return this.readBytes(cell, index);
    }
  }

  private exact({ name, at }: Cell, index: number, high: number): number {
    const value = high * TWO_32 + this.u32[at]!;
    if (!Number.isSafeInteger(value)) this.answers.settle(Status.Inexact, index, name);
    return value;
  }

  private readBytes({ name, type, at, offset, max }: Cell, index: number): unknown {
    const length = this.u32[at]!;
    if (length > max) this.answers.settle(Status.BadValue, index, name);
    const from = offset + LENGTH_BYTES;
    return type === Str ? this.texts.decode(ROW_OFFSET + from, length) : this.u8.slice(from, from + length);
  }

  /** Puts a value into its field. Throws where the field does not take it. */
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
        if (isI64Number(value)) this.writeExact(at, value);
        else refuse(cell.name, type, value);
        return;
      case U64Number:
        if (isU64Number(value)) this.writeExact(at, value);
        else refuse(cell.name, type, value);
        return;
      case Bool:
        if (typeof value === 'boolean') this.u8[at] = value ? 1 : 0;
        else refuse(cell.name, type, value);
        return;
      default: this.writeBytes(cell, value);
    }
  }

  private writeExact(at: number, value: number): void {
    const high = Math.floor(value / TWO_32);
    this.u32[at] = value - high * TWO_32;
    this.i32[at + 1] = high;
  }

  private writeBytes({ name, type, at, offset, max }: Cell, value: unknown): void {
    const from = offset + LENGTH_BYTES;
    if (type === Str) {
      if (typeof value !== 'string') refuse(name, type, value);
      this.u32[at] = encodeText(this.memory.bytes, ROW_OFFSET + from, value, name, max);
      return;
    }
    if (!(value instanceof Uint8Array)) refuse(name, type, value);
    if (value.length > max) refuseLength(name, value.length, max);
    this.u8.set(value, from);
    this.u32[at] = value.length;
  }
}
