/**
 * Access to enums and timestamps that are never null: one call of the core each, as the others of host/typed/access.ts.
 */
import { Status } from '../generated/abi.ts';
import { Accessor, type Means } from './access.ts';
import type { PlacedField } from './layout.ts';
import { indicesOf } from './row.ts';
import { isIndex, isTimestamp, refuse, refuseEnum, ValueType } from './values.ts';

abstract class EnumAccessor extends Accessor<string> {
  protected readonly values: readonly string[];
  protected readonly indices: ReadonlyMap<string, number>;

  constructor(means: Means, field: PlacedField) {
    super(means, field);
    this.values = field.values!;
    this.indices = indicesOf(field.values!);
  }

  /** Reads again what was no index of a value, if that may help. */
  protected again(index: number, stored: number): string {
    // An index beyond the values is in the file; NaN is the core's, and has a reason.
    if (!Number.isNaN(stored)) this.answers.settle(Status.BadValue, index, this.name);
    this.answers.isValue(index, this.name);
    return this.get(index);
  }
}

export class Enum8Accessor extends EnumAccessor {
  get(index: number): string {
    if (!isIndex(index)) this.answers.requireIndex(index);
    const stored = this.view.getU8(index, this.offset);
    return this.values[stored] ?? this.again(index, stored);
  }

  set(index: number, value: string): void {
    if (!isIndex(index)) this.answers.requireIndex(index);
    const stored = this.indices.get(value) ?? refuseEnum(this.name, this.values, value);
    const status = this.view.set8(index, this.offset, stored);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class Enum16Accessor extends EnumAccessor {
  get(index: number): string {
    if (!isIndex(index)) this.answers.requireIndex(index);
    const stored = this.view.getU16(index, this.offset);
    return this.values[stored] ?? this.again(index, stored);
  }

  set(index: number, value: string): void {
    if (!isIndex(index)) this.answers.requireIndex(index);
    const stored = this.indices.get(value) ?? refuseEnum(this.name, this.values, value);
    const status = this.view.set16(index, this.offset, stored);
    if (status !== 0) this.repeat(status, index, value);
  }
}

export class TimestampAccessor extends Accessor<number> {
  get(index: number): number {
    if (!isIndex(index)) this.answers.requireIndex(index);
    const value = this.view.getI64Number(index, this.offset);
    return isTimestamp(value) ? value : this.again(index, value);
  }

  /** Reads again what was no moment, if that may help. */
  private again(index: number, value: number): number {
    const status = this.view.takeStatus();
    // What is no exact number is beyond all moments too.
    const isBad = !Number.isNaN(value) || status === Status.Inexact;
    this.answers.settle(isBad ? Status.BadValue : status, index, this.name);
    return this.get(index);
  }

  set(index: number, value: number): void {
    if (!isIndex(index)) this.answers.requireIndex(index);
    if (!isTimestamp(value)) refuse(this.name, ValueType.Timestamp, value);
    const status = this.view.set64Number(index, this.offset, value);
    if (status !== 0) this.repeat(status, index, value);
  }
}
