/**
 * Schemas of typed records: what a record's fields are called, of which type each is, and in which order they stand. A
 * schema is a plain value; where its fields lie is host/typed/layout.ts's business.
 *
 * Types are those of docs/format.md, "Typed record". A field's JavaScript type follows from its schema, so that a store
 * opened with it is typed without a generator.
 */
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { FieldType, TYPED_STRIDE_MAX } from '../generated/abi.ts';

/** Names of the types that a field may have, as they stand in schemas and hashes. */
export const TYPE_NAMES = [
  'bool', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float32', 'float64', 'string',
  'bytes',
] as const;
export type TypeName = (typeof TYPE_NAMES)[number];

/** The core's number of each type. */
export const TYPE_NUMBERS: Readonly<Record<TypeName, FieldType>> = {
  bool: FieldType.Bool, int8: FieldType.I8, uint8: FieldType.U8, int16: FieldType.I16, uint16: FieldType.U16,
  int32: FieldType.I32, uint32: FieldType.U32, int64: FieldType.I64, uint64: FieldType.U64, float32: FieldType.F32,
  float64: FieldType.F64, string: FieldType.Str, bytes: FieldType.Bytes,
};

/**
 * One field: what is stored, and which of its values that stands for. `T` is what JavaScript gets and gives; it exists
 * for the compiler alone.
 */
export interface Field<T = unknown> {
  /** The stored type: of an enum that of its index, of an array that of its elements, of a timestamp `int64`. */
  readonly type: TypeName;
  /** Text and bytes: most bytes. */
  readonly max?: number;
  /** How 64-bit integers are given: exact bigints, or numbers up to 2^53 - 1. */
  readonly as?: 'bigint' | 'number';
  /** Enums: the values, in the order of their indices. The first is that of a record of zeros. */
  readonly values?: readonly string[];
  /** Arrays: how many numbers. */
  readonly count?: number;
  /** Timestamps: milliseconds since 1970. */
  readonly unit?: 'ms';
  /** Whether there may be null in place of a value. */
  readonly nullable?: true;
  /** Never there. */
  readonly example?: T;
}

/** Fields by name, in their order. */
export type Fields = Readonly<Record<string, Field>>;

/** The record that fields describe. */
export type RecordOf<F extends Fields> = { -readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** A schema: a name, a version and fields. */
export interface Schema<F extends Fields = Fields> {
  readonly name: string;
  /** Rises when fields are appended; 1 to 2^32 - 1. */
  readonly version: number;
  readonly fields: F;
}

const ENUM_VALUES_MAX = 65536;
/** Enums of no more values than this have an index of one byte. */
const SHORT_ENUM_VALUES_MAX = 256;
const NOT_NUMBERS: ReadonlySet<TypeName> = new Set<TypeName>(['bool', 'string', 'bytes']);

/** Whether a field holds one number, or a null in its place. */
export function isNumeric({ type, values, count }: Field): boolean {
  return values === undefined && count === undefined && !NOT_NUMBERS.has(type);
}

function plain<T>(type: TypeName): Field<T> {
  return Object.freeze({ type });
}

function bounded<T>(type: 'string' | 'bytes', max: number): Field<T> {
  requireInteger('max', max, TYPED_STRIDE_MAX);
  return Object.freeze({ type, max });
}

function wide(type: 'int64' | 'uint64') {
  return Object.freeze({
    type, as: 'bigint' as const,
    /** The same field, given as numbers: exact to 2^53 - 1, an error beyond. */
    number: Object.freeze({ type, as: 'number' as const }) as Field<number>,
  }) as Field<bigint> & { readonly number: Field<number> };
}

export const bool = plain<boolean>('bool');
export const i8 = plain<number>('int8');
export const u8 = plain<number>('uint8');
export const i16 = plain<number>('int16');
export const u16 = plain<number>('uint16');
export const i32 = plain<number>('int32');
export const u32 = plain<number>('uint32');
export const i64 = wide('int64');
export const u64 = wide('uint64');
export const f32 = plain<number>('float32');
export const f64 = plain<number>('float64');
/** Text of at most `max` bytes of UTF-8. */
export const str = (max: number): Field<string> => bounded('string', max);
/** At most `max` bytes. */
export const bytes = (max: number): Field<Uint8Array> => bounded('bytes', max);
/** A moment: an integer number of milliseconds since 1970, up to 8.64e15 before or after, as `Date` has it. */
export const timestamp: Field<number> = Object.freeze({ type: 'int64', unit: 'ms' });

/**
 * One of some strings, of which the file keeps the index: one byte for up to 256 of them, two for up to 65,536.
 *
 * @param values different strings, at least one; the first is that of an empty record. More may be appended later, but
 *   their order may not change.
 * @throws ERR_VARVE_INVALID_ARGUMENT
 */
export function enumOf<const V extends string>(...values: readonly V[]): Field<V> {
  const checked = checkValues('values', values);
  return Object.freeze({ type: enumType(checked), values: checked });
}

/**
 * A fixed number of numbers of one type, such as `array(f64, 3)`; a plain array of exactly that length in JavaScript.
 *
 * @param element a type of numbers: i8 to u64, f32, f64; `u64.number` for an array of numbers instead of bigints
 * @param count 1 to 65,536
 * @throws ERR_VARVE_INVALID_ARGUMENT
 */
export function array<T extends number | bigint>(element: Field<T>, count: number): Field<T[]> {
  const { nullable, ...field } = checkField('element', element);
  const isPlain = isNumeric(field) && field.unit === undefined && nullable === undefined;
  if (!isPlain) throw outOfRange('element', 'a plain type of numbers such as f64', describeField(element));
  requireInteger('count', count, TYPED_STRIDE_MAX);
  return Object.freeze({ ...field, count }) as Field<T[]>;
}

/**
 * The same field, or null: what an empty record has. It takes one bit more.
 *
 * @throws ERR_VARVE_INVALID_ARGUMENT where it is nullable already
 */
export function nullable<T>(field: Field<T>): Field<T | null> {
  const checked = checkField('field', field);
  if (checked.nullable === true) throw outOfRange('field', 'one that is not nullable yet', describeField(field));
  return Object.freeze({ ...checked, nullable: true }) as Field<T | null>;
}

/*
 * The same kinds for the members of an interface that the generator reads (`varve generate`). Each is the type of what
 * JavaScript gets and gives, so that the interface itself is the type of its records; bounds are for the generator.
 */
export type bool = boolean;
export type i8 = number;
export type u8 = number;
export type i16 = number;
export type u16 = number;
export type i32 = number;
export type u32 = number;
/** A bigint, or with `i64<number>` a number up to 2^53 - 1 on both sides of 0. */
export type i64<T extends bigint | number = bigint> = T;
/** A bigint, or with `u64<number>` a number up to 2^53 - 1. */
export type u64<T extends bigint | number = bigint> = T;
export type f32 = number;
export type f64 = number;
/** Text of at most `Max` bytes of UTF-8. */
export type Str<Max extends number> = Max extends number ? string : never;
/** At most `Max` bytes. */
export type Bytes<Max extends number> = Max extends number ? Uint8Array : never;
/** `Count` numbers: `FixedArray<f64, 3>`. */
export type FixedArray<T extends number | bigint, Count extends number> = Count extends number ? T[] : never;
/** Milliseconds since 1970. */
export type Timestamp = number;

/** What a schema is made of. */
export interface SchemaDefinition<F extends Fields> {
  /** Default 1. */
  readonly version?: number;
  readonly fields: F;
}

const NAME = /^[A-Za-z_$][\w$]*$/;
const VERSION_MAX = 0xffffffff;

function requireInteger(argument: string, value: unknown, most: number): void {
  if (typeof value !== 'number') throw wrongType(argument, 'a number', value);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw outOfRange(argument, `an integer from 1 to ${most}`, value);
  }
}

/** Returns a copy of the values of an enum that nobody can change, checked. */
function checkValues<V extends string>(argument: string, values: readonly V[]): readonly V[] {
  if (!Array.isArray(values)) throw wrongType(argument, 'an array of strings', values);
  const copy = Object.freeze(Array.from<V>(values));
  if (copy.length === 0 || copy.length > ENUM_VALUES_MAX) {
    throw outOfRange(argument, `1 to ${ENUM_VALUES_MAX} strings`, copy.length);
  }
  const seen = new Set<string>();
  for (const value of copy) {
    if (typeof value !== 'string') throw wrongType(argument, 'made of strings', value);
    if (seen.has(value)) throw outOfRange(argument, 'different from each other', value);
    seen.add(value);
  }
  return copy;
}

function enumType({ length }: readonly string[]): TypeName {
  return length <= SHORT_ENUM_VALUES_MAX ? 'uint8' : 'uint16';
}

/** What a field is, for a message. */
function describeField({ type, values, count, unit, nullable: isNullable }: Field): string {
  const kind = values !== undefined ? 'an enum' : unit !== undefined ? 'a timestamp' : type;
  return `${isNullable === true ? 'nullable ' : ''}${kind}${count === undefined ? '' : `[${count}]`}`;
}

/** Returns a copy of a field that nobody can change, checked. */
function checkField(argument: string, field: Field): Field {
  if (typeof field !== 'object' || field === null || !TYPE_NAMES.includes(field.type)) {
    throw wrongType(argument, 'a field type such as f64 or str(64)', field);
  }
  if (field.nullable !== undefined && field.nullable !== true) {
    throw outOfRange(`${argument}.nullable`, 'true or left out', field.nullable);
  }
  return Object.freeze({ ...checkValueOf(argument, field), ...field.nullable === true ? { nullable: true } : {} });
}

/** The same but for whether it may be null. */
function checkValueOf(argument: string, { type, max, as, values, count, unit }: Field): Field {
  const kinds = [values, count, unit].filter((kind) => kind !== undefined).length;
  const isText = type === 'string' || type === 'bytes';
  if (kinds > 1 || (kinds === 1 && isText)) {
    throw outOfRange(argument, 'one of text, bytes, an enum, an array, a timestamp', 'several of them');
  }
  if (isText) return bounded(type, max as number);
  if (values !== undefined) {
    const copy = checkValues(`${argument}.values`, values);
    if (type !== enumType(copy)) throw outOfRange(`${argument}.type`, `'${enumType(copy)}' for its values`, type);
    return { type, values: copy };
  }
  if (unit !== undefined) {
    if (unit !== 'ms') throw outOfRange(`${argument}.unit`, '\'ms\'', unit);
    if (type !== 'int64') throw outOfRange(`${argument}.type`, '\'int64\' for a timestamp', type);
    if (as !== undefined) throw outOfRange(`${argument}.as`, 'left out of a timestamp', as);
    return { type, unit };
  }
  const isWide = type === 'int64' || type === 'uint64';
  if (as !== undefined && as !== 'bigint' && as !== 'number') {
    throw outOfRange(`${argument}.as`, '\'bigint\' or \'number\'', as);
  }
  if (count === undefined) return isWide ? { type, as: as ?? 'bigint' } : { type };
  requireInteger(`${argument}.count`, count, TYPED_STRIDE_MAX);
  if (type === 'bool') throw outOfRange(`${argument}.type`, 'a type of numbers for an array', type);
  return isWide ? { type, as: as ?? 'bigint', count } : { type, count };
}

/** The same of a field that has a name. */
function checkNamed(name: string, field: Field): Field {
  const argument = `fields.${name}`;
  if (!NAME.test(name)) throw outOfRange(argument, 'named by an identifier', name);
  // Assigning to it would not make a field of a record but change its prototype.
  if (name === '__proto__') throw outOfRange(argument, 'called something else', name);
  return checkField(argument, field);
}

/** Schemas that were made here, so that nobody can have changed them since. */
const made = new WeakSet<object>();

/**
 * Makes a schema, checked; neither it nor its fields can be changed afterwards.
 *
 * @param name an identifier
 * @throws ERR_VARVE_INVALID_ARGUMENT
 * @example
 * const Tick = defineSchema('Tick', { version: 1, fields: { symbol: str(64), price: f64, volume: f64, timestamp: u64 }
 * });
 */
export function defineSchema<const F extends Fields>(name: string, definition: SchemaDefinition<F>): Schema<F> {
  if (typeof name !== 'string') throw wrongType('name', 'text', name);
  if (!NAME.test(name)) throw outOfRange('name', 'an identifier', name);
  if (typeof definition !== 'object' || definition === null) throw wrongType('schema', 'an object with fields', definition);
  if (made.has(definition) && (definition as Schema<F>).name === name) return definition as Schema<F>;
  const { version = 1, fields } = definition;
  if (typeof version !== 'number') throw wrongType('version', 'a number', version);
  if (!Number.isInteger(version) || version < 1 || version > VERSION_MAX) {
    throw outOfRange('version', `an integer from 1 to ${VERSION_MAX}`, version);
  }
  if (typeof fields !== 'object' || fields === null) throw wrongType('fields', 'an object of fields', fields);
  const entries = Object.entries(fields).map(([key, field]) => [key, checkNamed(key, field)] as const);
  if (entries.length === 0) throw outOfRange('fields', 'at least one field', 'none');
  const schema = Object.freeze({ name, version, fields: Object.freeze(Object.fromEntries(entries)) as F });
  made.add(schema);
  return schema;
}
