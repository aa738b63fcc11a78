/**
 * Which accessor a field gets: a direct one where its value stands in one place, one through the row where it does not.
 */
import {
  BoolAccessor, BytesAccessor, F32Accessor, F64Accessor, I16Accessor, I32Accessor, I64Accessor, I64NumberAccessor,
  I8Accessor, TextAccessor, U16Accessor, U32Accessor, U64Accessor, U64NumberAccessor, U8Accessor, type FieldAccessor,
  type Means,
} from './access.ts';
import { Enum16Accessor, Enum8Accessor, TimestampAccessor } from './kind-access.ts';
import type { PlacedField } from './layout.ts';
import { RowAccessor } from './row-access.ts';
import { ValueType, valueTypeOf } from './values.ts';

type AccessorClass = new (means: Means, field: PlacedField) => FieldAccessor<unknown>;

const CLASSES: Readonly<Record<ValueType, AccessorClass>> = {
  [ValueType.Bool]: BoolAccessor, [ValueType.I8]: I8Accessor, [ValueType.U8]: U8Accessor,
  [ValueType.I16]: I16Accessor, [ValueType.U16]: U16Accessor, [ValueType.I32]: I32Accessor,
  [ValueType.U32]: U32Accessor, [ValueType.I64]: I64Accessor, [ValueType.U64]: U64Accessor,
  [ValueType.F32]: F32Accessor, [ValueType.F64]: F64Accessor, [ValueType.Str]: TextAccessor,
  [ValueType.Bytes]: BytesAccessor, [ValueType.I64Number]: I64NumberAccessor,
  [ValueType.U64Number]: U64NumberAccessor, [ValueType.Timestamp]: TimestampAccessor,
  [ValueType.Enum8]: Enum8Accessor, [ValueType.Enum16]: Enum16Accessor, [ValueType.Array]: RowAccessor,
  [ValueType.Nullable]: RowAccessor,
};

/** Makes the accessor of a field. */
export function accessorOf(means: Means, field: PlacedField): FieldAccessor<unknown> {
  return new CLASSES[valueTypeOf(field)](means, field);
}
