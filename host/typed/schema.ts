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

/** One field's type. `T` is what JavaScript gets and gives; it exists for the compiler alone. */
export interface Field<T = unknown> {
  readonly type: TypeName;
  /** Text and bytes: most bytes. */
  readonly max?: number;
  /** How 64-bit integers are given: exact bigints, or numbers up to 2^53 - 1. */
  readonly as?: 'bigint' | 'number';
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

function plain<T>(type: TypeName): Field<T> {
  return Object.freeze({ type });
}

function bounded<T>(type: 'string' | 'bytes', max: number): Field<T> {
  if (typeof max !== 'number') throw wrongType('max', 'a number', max);
  if (!Number.isInteger(max) || max < 1 || max > TYPED_STRIDE_MAX) {
    throw outOfRange('max', `an integer from 1 to ${TYPED_STRIDE_MAX}`, max);
  }
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

/** What a schema is made of. */
export interface SchemaDefinition<F extends Fields> {
  /** Default 1. */
  readonly version?: number;
  readonly fields: F;
}

const NAME = /^[A-Za-z_$][\w$]*$/;
const VERSION_MAX = 0xffffffff;

/** Returns a copy of a field that nobody can change, checked. */
function checkField(name: string, field: Field): Field {
  const argument = `fields.${name}`;
  if (!NAME.test(name)) throw outOfRange(argument, 'named by an identifier', name);
  // Assigning to it would not make a field of a record but change its prototype.
  if (name === '__proto__') throw outOfRange(argument, 'called something else', name);
  if (typeof field !== 'object' || field === null || !TYPE_NAMES.includes(field.type)) {
    throw wrongType(argument, 'a field type such as f64 or str(64)', field);
  }
  const { type, max, as = 'bigint' } = field;
  if (type === 'string' || type === 'bytes') return bounded(type, max as number);
  if (as !== 'bigint' && as !== 'number') throw outOfRange(`${argument}.as`, '\'bigint\' or \'number\'', as);
  return Object.freeze(type === 'int64' || type === 'uint64' ? { type, as } : { type });
}

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
  const { version = 1, fields } = definition;
  if (typeof version !== 'number') throw wrongType('version', 'a number', version);
  if (!Number.isInteger(version) || version < 1 || version > VERSION_MAX) {
    throw outOfRange('version', `an integer from 1 to ${VERSION_MAX}`, version);
  }
  if (typeof fields !== 'object' || fields === null) throw wrongType('fields', 'an object of fields', fields);
  const entries = Object.entries(fields).map(([key, field]) => [key, checkField(key, field)] as const);
  if (entries.length === 0) throw outOfRange('fields', 'at least one field', 'none');
  return Object.freeze({ name, version, fields: Object.freeze(Object.fromEntries(entries)) as F });
}
