/**
 * How a generated class reads and writes a field at once, where it lies in one place of the record: as code, by kind.
 * What has no form here, and whatever such code does not take or find, is left to the general way of `TypedStore`.
 *
 * Locals are numbered, so that no field's name can be mistaken for a word of the language.
 */
import type { FieldModel, Kind, NumberKind, ValueModel } from './model.ts';

/** Where a field lies. */
export interface Place {
  /** From the beginning of the record, in bytes. */
  readonly offset: number;
}

export interface Form {
  /** Names of the runtime that the code uses. */
  readonly imports: readonly string[];
  /** What is put into a constant when a record is taken apart: the value, or what tells it. */
  read(place: Place): string;
  /** Whether that constant shows that there is no value. */
  isNone?(local: string): string;
  /** The value, from that constant. */
  value?(local: string): string;
  /** Whether a value is one that the field takes. */
  takes(value: string): string;
  /** A statement that puts such a value into the row. */
  put(place: Place, value: string): string;
  /** What is true where it could not be put; instead of `put`. */
  fails?(place: Place, value: string): string;
  /** The method of the view that reads the field, which gives NaN where it does not; none where that is not faster. */
  readonly getter?: string;
  /** What its result is turned into before it is looked at, and whether it is a value then; else all but NaN is. */
  found?(result: string): string;
  isFound?(local: string): string;
  /** The method of the view that sets it, and what it is given for a value. */
  readonly setter?: string;
  raw?(value: string): string;
}

/** Values of an enum that are looked through one by one. */
const SOME_VALUES = 16;

type Numbers = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'u64' | 'f32' | 'f64';

const BYTES: Readonly<Record<Numbers, number>> = {
  i8: 1, u8: 1, i16: 2, u16: 2, i32: 4, u32: 4, i64: 8, u64: 8, f32: 4, f64: 8,
};
const SETTERS: Readonly<Record<Numbers, string>> = {
  i8: 'set8', u8: 'set8', i16: 'set16', u16: 'set16', i32: 'set32', u32: 'set32', i64: 'set64', u64: 'set64',
  f32: 'setF32', f64: 'setF64',
};

/** An element of the row, seen as numbers of a type. */
function cell(numbers: Numbers, { offset }: Place): string {
  return `row.${numbers}[${offset / BYTES[numbers]}]`;
}

/** The end of the names that are about a type: `F64`. */
function suffix(numbers: Numbers): string {
  return numbers.toUpperCase();
}

function numberForm(numbers: NumberKind): Form {
  const predicate = `is${suffix(numbers)}`;
  const isWide = numbers === 'i64' || numbers === 'u64';
  return {
    imports: [predicate],
    read: (place) => `${cell(numbers, place)}!`,
    takes: (value) => `${predicate}(${value})`,
    put: (place, value) => `${cell(numbers, place)} = ${value};`,
    // The call that gives a bigint costs more than what is around it.
    ...isWide ? {} : { getter: `get${suffix(numbers)}` },
    setter: SETTERS[numbers],
  };
}

/** 64-bit integers that are given as numbers. */
function integerForm(name: string, read: string, predicate: string): Form {
  return {
    imports: [predicate],
    read: ({ offset }) => `row.${read}(${offset})`,
    isNone: (local) => `!${predicate}(${local})`,
    takes: (value) => `${predicate}(${value})`,
    put: ({ offset }, value) => `row.putInteger(${offset}, ${value});`,
    getter: `get${name}Number`,
    isFound: (local) => `${predicate}(${local})`,
    setter: 'set64Number',
  };
}

const BOOL: Form = {
  imports: [],
  read: (place) => `${cell('u8', place)}!`,
  isNone: (local) => `${local} > 1`,
  value: (local) => `${local} === 1`,
  takes: (value) => `typeof ${value} === 'boolean'`,
  put: (place, value) => `${cell('u8', place)} = ${value} ? 1 : 0;`,
  getter: 'getBool',
  setter: 'set8',
  raw: (value) => `${value} ? 1 : 0`,
};

function textForm(max: number): Form {
  return {
    imports: [],
    read: ({ offset }) => `row.text(${offset}, ${max})`,
    isNone: (local) => `${local} === undefined`,
    takes: (value) => `typeof ${value} === 'string'`,
    put: () => '',
    fails: ({ offset }, value) => `!row.putText(${offset}, ${max}, ${value})`,
  };
}

/** An enum whose values are few enough to be looked through. `values` is the name of the list. */
function enumForm(count: number, values: string): Form | undefined {
  if (count > SOME_VALUES) return undefined;
  return {
    imports: [],
    read: (place) => `${values}[${cell('u8', place)}!]`,
    isNone: (local) => `${local} === undefined`,
    takes: (value) => `${values}.includes(${value})`,
    put: (place, value) => `${cell('u8', place)} = ${values}.indexOf(${value});`,
    getter: 'getU8',
    found: (result) => `${values}[${result}]`,
    isFound: (local) => `${local} !== undefined`,
    setter: 'set8',
    raw: (value) => `${values}.indexOf(${value})`,
  };
}

const FORMS: { readonly [K in Kind]?: (value: Extract<ValueModel, { readonly kind: K }>) => Form } = {
  bool: () => BOOL,
  timestamp: () => integerForm('I64', 'signed64', 'isTimestamp'),
  str: ({ max }) => textForm(max),
  i64: ({ as }) => (as === 'number' ? integerForm('I64', 'signed64', 'isI64Number') : numberForm('i64')),
  u64: ({ as }) => (as === 'number' ? integerForm('U64', 'unsigned64', 'isU64Number') : numberForm('u64')),
  i8: () => numberForm('i8'),
  u8: () => numberForm('u8'),
  i16: () => numberForm('i16'),
  u16: () => numberForm('u16'),
  i32: () => numberForm('i32'),
  u32: () => numberForm('u32'),
  f32: () => numberForm('f32'),
  f64: () => numberForm('f64'),
};

/** The name of the list of an enum's values. */
export function valuesName(at: number): string {
  return `values${at}`;
}

/** The form of the field that stands at `at` among all; none where only the general way knows how. */
export function formOf({ value, nullable }: FieldModel, at: number): Form | undefined {
  if (nullable) return undefined;
  if (value.kind === 'enum') return enumForm(value.values.length, valuesName(at));
  return (FORMS[value.kind] as ((value: ValueModel) => Form) | undefined)?.(value);
}
