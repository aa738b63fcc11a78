/**
 * Which JavaScript values a field takes. Each check is one comparison where the value is fine; what is wrong with it is
 * found out afterwards.
 */
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import { FieldType } from '../generated/abi.ts';
import { TYPE_NUMBERS, type Field } from './schema.ts';

/**
 * A `FieldType`, one of the two for 64-bit integers that are given as numbers, or what else JavaScript sees in a
 * stored type.
 */
export const ValueType = {
  ...FieldType, I64Number: 13, U64Number: 14, Timestamp: 15, Enum8: 16, Enum16: 17, Array: 18, Nullable: 19,
} as const;
export type ValueType = (typeof ValueType)[keyof typeof ValueType];

/** The kind of values that a field takes. */
export function valueTypeOf(field: Field): ValueType {
  if (field.nullable !== undefined) return ValueType.Nullable;
  if (field.values !== undefined) return field.type === 'uint8' ? ValueType.Enum8 : ValueType.Enum16;
  if (field.unit !== undefined) return ValueType.Timestamp;
  return field.count === undefined ? elementTypeOf(field) : ValueType.Array;
}

/** The kind of the elements of an array, or of the only one. */
export function elementTypeOf({ type, as }: Field): ValueType {
  if (as === 'number' && type === 'int64') return ValueType.I64Number;
  if (as === 'number' && type === 'uint64') return ValueType.U64Number;
  return TYPE_NUMBERS[type];
}

/** Least and greatest moment that a `Date` can have, in milliseconds from 1970. */
const TIMESTAMP_MAX = 8.64e15;
/** Values of an enum that a message lists. */
const LISTED_MAX = 20;

const F32_MAX = 3.4028234663852886e38;
const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;
const U64_MAX = 2n ** 64n - 1n;

/** Least and greatest integer of the types that have such. */
const RANGES: Readonly<Partial<Record<ValueType, readonly [number | bigint, number | bigint]>>> = {
  [ValueType.I8]: [-128, 127], [ValueType.U8]: [0, 255], [ValueType.I16]: [-32768, 32767], [ValueType.U16]: [0, 65535],
  [ValueType.I32]: [-2147483648, 2147483647], [ValueType.U32]: [0, 4294967295], [ValueType.I64]: [I64_MIN, I64_MAX],
  [ValueType.U64]: [0n, U64_MAX], [ValueType.I64Number]: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  [ValueType.U64Number]: [0, Number.MAX_SAFE_INTEGER], [ValueType.Timestamp]: [-TIMESTAMP_MAX, TIMESTAMP_MAX],
};

/** Whether a value is an index; a larger one is in no store. */
export const isIndex = (value: unknown): value is number => typeof value === 'number' && value >>> 0 === value;
export const isI8 = (value: unknown): value is number => typeof value === 'number' && value << 24 >> 24 === value;
export const isU8 = (value: unknown): value is number => typeof value === 'number' && (value & 255) === value;
export const isI16 = (value: unknown): value is number => typeof value === 'number' && value << 16 >> 16 === value;
export const isU16 = (value: unknown): value is number => typeof value === 'number' && (value & 65535) === value;
export const isI32 = (value: unknown): value is number => typeof value === 'number' && (value | 0) === value;
export const isU32 = isIndex;
export const isI64 = (value: unknown): value is bigint =>
  typeof value === 'bigint' && value >= I64_MIN && value <= I64_MAX;
export const isU64 = (value: unknown): value is bigint => typeof value === 'bigint' && value >= 0n && value <= U64_MAX;
export const isI64Number = (value: unknown): value is number => Number.isSafeInteger(value);
export const isU64Number = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
export const isF64 = (value: unknown): value is number => typeof value === 'number';
export const isTimestamp = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= -TIMESTAMP_MAX && (value as number) <= TIMESTAMP_MAX;
/** NaN and the infinities are floats; a finite number that would become infinite is none. */
export const isF32 = (value: unknown): value is number =>
  typeof value === 'number' && (Math.abs(value) <= F32_MAX || !Number.isFinite(value) || Number.isFinite(Math.fround(value)));

/** Throws what is wrong with a value that one of the above refused. */
export function refuse(name: string, type: ValueType, value: unknown): never {
  const range = RANGES[type];
  if (type === ValueType.Bool) throw wrongType(name, 'a boolean', value);
  if (type === ValueType.F64 || type === ValueType.F32) {
    if (typeof value !== 'number') throw wrongType(name, 'a number', value);
    throw outOfRange(name, `at most ${F32_MAX}, or infinite`, value);
  }
  if (type === ValueType.Str) throw wrongType(name, 'a string', value);
  if (range === undefined) throw wrongType(name, 'a Uint8Array', value);
  const [least, most] = range;
  if (typeof value !== typeof least) throw wrongType(name, `a ${typeof least}`, value);
  throw outOfRange(name, `an integer from ${least} to ${most}`, value);
}

/** Throws what is wrong with a value that is none of an enum. */
export function refuseEnum(name: string, values: readonly string[], value: unknown): never {
  const listed = values.slice(0, LISTED_MAX).map((one) => `'${one}'`).join(', ');
  const expected = `one of ${listed}${values.length > LISTED_MAX ? ` and ${values.length - LISTED_MAX} others` : ''}`;
  throw typeof value === 'string' ? outOfRange(name, expected, value) : wrongType(name, expected, value);
}

/** Throws what is wrong with a value that is no array of `count` numbers. */
export function refuseArray(name: string, count: number, value: unknown): never {
  if (!Array.isArray(value)) throw wrongType(name, `an array of ${count} numbers`, value);
  throw outOfRange(`${name}.length`, `${count}`, value.length);
}

/** Throws where a field that may be null is not there at all. */
export function refuseMissing(name: string): never {
  throw wrongType(name, 'a value or null', undefined);
}

/** Throws where a value of so many bytes does not fit into its field. */
export function refuseLength(name: string, bytes: number, max: number): never {
  throw new VarveError('ERR_VARVE_VALUE_TOO_LONG',
    `${name} of ${bytes} bytes is above the ${max} bytes that its field has room for`, { field: name, bytes, max });
}

/** Throws what is wrong with a sequence number that is no integer from 0 to 2^53 - 1. */
export function refuseSequence(index: unknown): never {
  if (typeof index !== 'number') throw wrongType('index', 'a number', index);
  throw outOfRange('index', `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`, index);
}

/** Throws what is wrong with an index that is no integer from 0 to 2^32 - 1. */
export function refuseIndex(index: unknown): never {
  if (typeof index !== 'number') throw wrongType('index', 'a number', index);
  throw outOfRange('index', 'an integer from 0 to 4294967295', index);
}
