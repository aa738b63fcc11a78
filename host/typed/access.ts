/**
 * Access to one field: a small class for each type, so that every call of the core is made from a place of its own that
 * the engine knows by heart. An accessor is one bounds check, one seqlock, one call; `Answers` does what is left.
 *
 * A store that was closed, or may not be written, needs no check here: its view has no records, or is read-only.
 */
import type { TypedView } from '../core/typed-view.ts';
import { ROW_OFFSET } from '../generated/abi.ts';
import type { Answers } from './answers.ts';
import type { PlacedField } from './layout.ts';
import type { Row } from './row.ts';
import type { TypeName } from './schema.ts';
import { encodeText, type Texts } from './text.ts';
import {
  isF32, isI16, isI32, isI64, isI64Number, isI8, isIndex, isU16, isU32, isU64, isU64Number, isU8, refuse, refuseIndex,
  refuseLength, ValueType,
} from './values.ts';

/** One field of every record of a store. */
export interface FieldAccessor<T> {
  readonly name: string;
  readonly type: TypeName;
  /**
   * Reads the field of one record.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CONTENTION, ERR_VARVE_BAD_VALUE,
   *   ERR_VARVE_INEXACT, ERR_VARVE_CORRUPT (the checksum of its record is wrong), ERR_VARVE_CLOSED
   */
  get(index: number): T;
  /**
   * Writes the field of one record: readers in all processes see it at once, and it survives the death of this process.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_VALUE_TOO_LONG, ERR_VARVE_OUT_OF_RANGE, ERR_VARVE_CONTENTION,
   *   ERR_VARVE_CORRUPT, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_CLOSED, ERR_VARVE_IO (the first write after
   *   opening syncs). Nothing was written then.
   */
  set(index: number, value: T): void;
}

/** What accessors of a store share. */
export interface Means {
  readonly view: TypedView;
  readonly answers: Answers;
  readonly texts: Texts;
  readonly bytes: Uint8Array;
  readonly row: Row;
  /** Bytes of a record. */
  readonly stride: number;
}

/** What accessors have in common. */
export abstract class Accessor<T> implements FieldAccessor<T> {
  readonly name: string;
  readonly type: TypeName;
  protected readonly view: TypedView;
  protected readonly offset: number;
  protected readonly answers: Answers;

  constructor({ view, answers }: Means, { name, type, offset }: PlacedField) {
    this.name = name;
    this.type = type;
    this.view = view;
    this.offset = offset;
    this.answers = answers;
  }

  abstract get(index: number): T;
  abstract set(index: number, value: T): void;

  /** Sets the field once more if that may help. */
  protected repeat(status: number, index: number, value: T): void {
    this.answers.settle(status, index, this.name);
    this.set(index, value);
  }
}

export class BoolAccessor extends Accessor<boolean> {
  get(index: number): boolean {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getBool(index, this.offset);
    if (!Number.isNaN(value)) return value === 1;
    this.answers.isValue(index, this.name);
    return this.get(index);
  }

  set(index: number, value: boolean): void {
    if (!isIndex(index)) refuseIndex(index);
    if (typeof value !== 'boolean') refuse(this.name, ValueType.Bool, value);
    const status = this.view.set8(index, this.offset, value ? 1 : 0);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class I8Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getI8(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isI8(value)) refuse(this.name, ValueType.I8, value);
    const status = this.view.set8(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class U8Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getU8(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isU8(value)) refuse(this.name, ValueType.U8, value);
    const status = this.view.set8(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class I16Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getI16(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isI16(value)) refuse(this.name, ValueType.I16, value);
    const status = this.view.set16(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class U16Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getU16(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isU16(value)) refuse(this.name, ValueType.U16, value);
    const status = this.view.set16(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class I32Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getI32(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isI32(value)) refuse(this.name, ValueType.I32, value);
    const status = this.view.set32(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class U32Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getU32(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isU32(value)) refuse(this.name, ValueType.U32, value);
    const status = this.view.set32(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class F32Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getF32(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isF32(value)) refuse(this.name, ValueType.F32, value);
    const status = this.view.setF32(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class F64Accessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getF64(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (typeof value !== 'number') refuse(this.name, ValueType.F64, value);
    const status = this.view.setF64(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class I64NumberAccessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getI64Number(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isI64Number(value)) refuse(this.name, ValueType.I64Number, value);
    const status = this.view.set64Number(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class U64NumberAccessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getU64Number(index, this.offset);
    return Number.isNaN(value) && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isU64Number(value)) refuse(this.name, ValueType.U64Number, value);
    const status = this.view.set64Number(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class I64Accessor extends Accessor<bigint> {
  get(index: number): bigint {
    if (!isIndex(index)) refuseIndex(index);
    const value = this.view.getI64(index, this.offset);
    return value === 0n && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: bigint): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isI64(value)) refuse(this.name, ValueType.I64, value);
    const status = this.view.set64(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class U64Accessor extends Accessor<bigint> {
  get(index: number): bigint {
    if (!isIndex(index)) refuseIndex(index);
    const value = BigInt.asUintN(64, this.view.getI64(index, this.offset));
    return value === 0n && !this.answers.isValue(index, this.name) ? this.get(index) : value;
  }

  set(index: number, value: bigint): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!isU64(value)) refuse(this.name, ValueType.U64, value);
    const status = this.view.set64(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class TextAccessor extends Accessor<string> {
  private readonly texts: Texts;
  private readonly max: number;

  constructor(means: Means, field: PlacedField) {
    super(means, field);
    this.texts = means.texts;
    this.max = field.max;
  }

  get(index: number): string {
    if (!isIndex(index)) refuseIndex(index);
    const length = this.view.getBytes(index, this.offset, this.max);
    if (length >= 0) return this.texts.decode(ROW_OFFSET, length);
    this.answers.settle(length, index, this.name);
    return this.get(index);
  }

  set(index: number, value: string): void {
    if (!isIndex(index)) refuseIndex(index);
    if (typeof value !== 'string') refuse(this.name, ValueType.Str, value);
    const status = this.view.setBytes(index, this.offset, this.max, this.write(value));
    if (status !== 0) this.repeat(status, index, value);
  }

  private write(value: string): number {
    return encodeText(this.texts, ROW_OFFSET, value, this.name, this.max);
  }
}

export class BytesAccessor extends Accessor<Uint8Array> {
  private readonly bytes: Uint8Array;
  private readonly max: number;

  constructor(means: Means, field: PlacedField) {
    super(means, field);
    this.bytes = means.bytes;
    this.max = field.max;
  }

  get(index: number): Uint8Array {
    if (!isIndex(index)) refuseIndex(index);
    const length = this.view.getBytes(index, this.offset, this.max);
    if (length >= 0) return this.bytes.slice(ROW_OFFSET, ROW_OFFSET + length);
    this.answers.settle(length, index, this.name);
    return this.get(index);
  }

  set(index: number, value: Uint8Array): void {
    if (!isIndex(index)) refuseIndex(index);
    if (!(value instanceof Uint8Array)) refuse(this.name, ValueType.Bytes, value);
    if (value.length > this.max) refuseLength(this.name, value.length, this.max);
    this.bytes.set(value, ROW_OFFSET);
    const status = this.view.setBytes(index, this.offset, this.max, value.length);
    if (status !== 0) this.repeat(status, index, value);
  }
}
