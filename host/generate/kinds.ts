/**
 * The kinds of fields, in one table: what each is in a schema's value and in code, which JavaScript type it has, and
 * what the comments of its accessors say.
 */
import {
  array, bool, bytes, enumOf, f32, f64, i16, i32, i64, i8, nullable, str, timestamp, u16, u32, u64, u8, type Field,
} from '../typed/schema.ts';
import type { FieldModel, Kind, NumberKind, ValueModel } from './model.ts';

/** What the generator has to know of a kind. */
interface KindEntry<V extends ValueModel> {
  /** The field in a schema. */
  field(value: V): Field;
  /** The same in code, and the name that it imports. */
  code(value: V): string;
  readonly imports: string;
  /** The type of a value. */
  type(value: V): string;
  /** Which values it takes, as part of a sentence. */
  takes(value: V): string;
  /** Codes of errors that reading and writing it adds to those that all kinds have. */
  readErrors?(value: V): readonly string[];
  writeErrors?(): readonly string[];
}

type NumberModel = ValueModel & { readonly kind: NumberKind };

/** Values of an enum that a comment lists; more are counted. */
const LISTED_VALUES_MAX = 8;

const badValue = () => ['ERR_VARVE_BAD_VALUE'];
const tooLong = () => ['ERR_VARVE_VALUE_TOO_LONG'];

function narrow(kind: NumberKind, field: Field, takes: string): KindEntry<NumberModel> {
  return { field: () => field, code: () => kind, imports: kind, type: () => 'number', takes: () => takes };
}

function wide(kind: 'i64' | 'u64', field: typeof i64, exact: string, safe: string): KindEntry<NumberModel> {
  return {
    field: ({ as }) => (as === 'number' ? field.number : field),
    code: ({ as }) => (as === 'number' ? `${kind}.number` : kind),
    imports: kind,
    type: ({ as }) => as,
    takes: ({ as }) => (as === 'number' ? `an integer ${safe}` : `a bigint ${exact}`),
    readErrors: ({ as }) => (as === 'number' ? ['ERR_VARVE_INEXACT'] : []),
  };
}

const KINDS: { readonly [K in Kind]: KindEntry<Extract<ValueModel, { readonly kind: K }>> } = {
  bool: {
    field: () => bool, code: () => 'bool', imports: 'bool', type: () => 'boolean', takes: () => 'true or false',
    readErrors: badValue,
  },
  i8: narrow('i8', i8, 'an integer from -128 to 127'),
  i16: narrow('i16', i16, 'an integer from -32768 to 32767'),
  i32: narrow('i32', i32, 'an integer from -2147483648 to 2147483647'),
  u8: narrow('u8', u8, 'an integer from 0 to 255'),
  u16: narrow('u16', u16, 'an integer from 0 to 65535'),
  u32: narrow('u32', u32, 'an integer from 0 to 4294967295'),
  i64: wide('i64', i64, 'from -2^63 to 2^63 - 1', 'from -(2^53 - 1) to 2^53 - 1'),
  u64: wide('u64', u64, 'from 0 to 2^64 - 1', 'from 0 to 2^53 - 1'),
  f32: narrow('f32', f32, 'a number, kept as the nearest 32-bit float; NaN and the infinities too'),
  f64: narrow('f64', f64, 'any number, NaN and the infinities too'),
  str: {
    field: ({ max }) => str(max), code: ({ max }) => `str(${max})`, imports: 'str', type: () => 'string',
    takes: ({ max }) => `text of at most ${count(max, 'byte')} of UTF-8`, readErrors: badValue, writeErrors: tooLong,
  },
  bytes: {
    field: ({ max }) => bytes(max), code: ({ max }) => `bytes(${max})`, imports: 'bytes', type: () => 'Uint8Array',
    takes: ({ max }) => `at most ${count(max, 'byte')}, copied`, readErrors: badValue, writeErrors: tooLong,
  },
  enum: {
    field: ({ values }) => enumOf(...values),
    code: ({ values }) => `enumOf(${values.map(quote).join(', ')})`,
    imports: 'enumOf',
    type: ({ values }) => values.map(quote).join(' | '),
    takes: ({ values }) => (values.length > LISTED_VALUES_MAX ? `one of its ${values.length} strings`
      : values.length === 1 ? `${quote(values[0]!)}, as there is nothing else` : `one of ${values.map(quote).join(', ')}`),
    readErrors: badValue,
  },
  array: {
    field: (value) => array(elementOf(value).field(value.element) as Field<number | bigint>, value.count),
    code: (value) => `array(${elementOf(value).code(value.element)}, ${value.count})`,
    imports: 'array',
    type: (value) => `${elementOf(value).type(value.element)}[]`,
    takes: (value) => `an array of exactly ${count(value.count, 'element')}, each ${elementOf(value).takes(value.element)}`,
    readErrors: (value) => elementOf(value).readErrors?.(value.element) ?? [],
  },
  timestamp: {
    field: () => timestamp, code: () => 'timestamp', imports: 'timestamp', type: () => 'number',
    takes: () => 'milliseconds since 1970-01-01 UTC, an integer from -8.64e15 to 8.64e15',
    readErrors: badValue,
  },
};

function entryOf<V extends ValueModel>({ kind }: V): KindEntry<V> {
  return KINDS[kind] as unknown as KindEntry<V>;
}

function elementOf({ element }: ValueModel & { readonly kind: 'array' }): KindEntry<NumberModel> {
  return entryOf(element);
}

/** The field as a schema has it. Throws where it is none. */
export function fieldOf({ value, nullable: isNullable }: FieldModel): Field {
  const field = entryOf(value).field(value);
  return isNullable ? nullable(field) : field;
}

/** The field in code. */
export function codeOf({ value, nullable: isNullable }: FieldModel): string {
  const code = entryOf(value).code(value);
  return isNullable ? `nullable(${code})` : code;
}

/** The names that its code imports. */
export function importsOf({ value, nullable: isNullable }: FieldModel): string[] {
  return [
    entryOf(value).imports, ...value.kind === 'array' ? [elementOf(value).imports] : [], ...isNullable ? ['nullable'] : [],
  ];
}

/** The type of its values in TypeScript. */
export function typeOf({ value, nullable: isNullable }: FieldModel): string {
  const type = entryOf(value).type(value);
  return isNullable ? `${type} | null` : type;
}

/** Which values it takes, as part of a sentence. */
export function takesOf({ value, nullable: isNullable }: FieldModel): string {
  const takes = entryOf(value).takes(value);
  return isNullable ? `null, or ${takes}` : takes;
}

/** Codes of errors that its kind adds to those that all have. */
export function errorsOf({ value }: FieldModel): Record<'read' | 'write', readonly string[]> {
  const entry = entryOf(value);
  return { read: entry.readErrors?.(value) ?? [], write: entry.writeErrors?.() ?? [] };
}

/** A string in code, in single quotes. */
export function quote(text: string): string {
  const json = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll('\'', '\\\'');
  // Two that end a line in some readers of code, and halves of a pair.
  return `'${json.replace(/[\u2028\u2029]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`)}'`;
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`;
}
