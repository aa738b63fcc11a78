/**
 * Kinds of fields for tests: a schema with every one, records of it, and random schemas with random records.
 */
import fc from 'fast-check';
import {
  array, bool, bytes, defineSchema, enumOf, f32, f64, i16, i32, i64, i8, nullable, str, timestamp, u16, u32, u64, u8,
  type Field, type RecordOf, type Schema,
} from '../../host/typed/schema.ts';

/** The schema of the file that docs/format.md shows. */
export const Order = defineSchema('Order', { version: 2, fields: {
  side: enumOf('buy', 'sell'), at: timestamp, place: array(i16, 3), limit: nullable(f64), note: nullable(str(6)),
  state: nullable(enumOf('open', 'filled')), until: nullable(timestamp), codes: nullable(array(u8, 2)),
  size: u64.number,
} });
export type OrderRecord = RecordOf<typeof Order.fields>;

/** A record of zeros. */
export const EMPTY: OrderRecord = {
  side: 'buy', at: 0, place: [0, 0, 0], limit: null, note: null, state: null, until: null, codes: null, size: 0,
};

/** A record without nulls. */
export const FULL: OrderRecord = {
  side: 'sell', at: 1_700_000_000_000, place: [-1, 2, 300], limit: 189.5, note: 'asap', state: 'filled',
  until: -86_400_000, codes: [7, 255], size: 12,
};

const TIMESTAMP_MAX = 8.64e15;

/** A kind of field, what it holds in a record of zeros, and the values that it takes. */
interface Kind {
  readonly field: Field;
  readonly zero: unknown;
  readonly values: fc.Arbitrary<unknown>;
}

const integers = (field: Field, min: number, max: number): Kind => ({
  field, zero: 0, values: fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max)),
});
const NUMBERS: readonly Kind[] = [
  integers(i8, -128, 127), integers(u8, 0, 255), integers(i16, -32768, 32767), integers(u16, 0, 65535),
  integers(i32, -2147483648, 2147483647), integers(u32, 0, 4294967295),
  { field: i64, zero: 0n, values: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  { field: u64, zero: 0n, values: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
  { field: i64.number, zero: 0, values: fc.maxSafeInteger() },
  { field: u64.number, zero: 0, values: fc.maxSafeNat() },
  { field: f32, zero: 0, values: fc.float() },
  { field: f64, zero: 0, values: fc.double() },
];

const enums: fc.Arbitrary<Kind> = fc.oneof(
  fc.uniqueArray(fc.string({ unit: 'binary', maxLength: 5 }), { minLength: 1, maxLength: 6 }),
  fc.integer({ min: 250, max: 300 }).map((count) => Array.from({ length: count }, (_, at) => `v${at}`)),
).map((values) => ({ field: enumOf(...values), zero: values[0], values: fc.constantFrom(...values) }));

const arrays: fc.Arbitrary<Kind> = fc.tuple(fc.constantFrom(...NUMBERS), fc.integer({ min: 1, max: 9 }))
  .map(([{ field, zero, values }, count]) => ({
    field: array(field as Field<number>, count), zero: new Array(count).fill(zero),
    values: fc.array(values, { minLength: count, maxLength: count }),
  }));

const texts: fc.Arbitrary<Kind> = fc.integer({ min: 1, max: 40 }).map((max) => ({
  field: str(max), zero: '',
  values: fc.string({ unit: 'grapheme', maxLength: max }).filter((text) => Buffer.byteLength(text) <= max),
}));

const blobs: fc.Arbitrary<Kind> = fc.integer({ min: 1, max: 40 }).map((max) => ({
  field: bytes(max), zero: new Uint8Array(), values: fc.uint8Array({ maxLength: max }),
}));

const values: fc.Arbitrary<Kind> = fc.oneof(
  fc.constantFrom<Kind>(...NUMBERS, { field: bool, zero: false, values: fc.boolean() }, {
    field: timestamp, zero: 0,
    values: fc.oneof(
      fc.integer({ min: -TIMESTAMP_MAX, max: TIMESTAMP_MAX }), fc.constantFrom(-TIMESTAMP_MAX, TIMESTAMP_MAX)),
  }),
  enums, arrays, texts, blobs,
);

const kinds: fc.Arbitrary<Kind> = fc.oneof(values, values.map((kind) => ({
  field: nullable(kind.field), zero: null, values: fc.option(kind.values, { nil: null }),
})));

/** What is done with a store: something is appended, replaced, changed in part, or one field is set. */
export interface Step {
  readonly what: 'append' | 'appendEmpty' | 'set' | 'update' | 'field';
  /** Any number: which record, of those that are there. */
  readonly at: number;
  readonly record: Record<string, unknown>;
  /** Which fields, where not all. */
  readonly names: readonly string[];
}

export interface Anything {
  readonly schema: Schema;
  readonly zeros: Record<string, unknown>;
  readonly steps: readonly Step[];
}

/** A schema of up to 80 fields, and steps with records of it. */
export const anything: fc.Arbitrary<Anything> = fc.array(kinds, { minLength: 1, maxLength: 80, size: 'medium' })
  .chain((list) => {
    const named = list.map((kind, at) => [`field${at}`, kind] as const);
    const names = named.map(([name]) => name);
    const record = fc.record(
      Object.fromEntries(named.map(([name, kind]) => [name, kind.values])), { noNullPrototype: true });
    const step: fc.Arbitrary<Step> = fc.record({
      what: fc.constantFrom('append', 'appendEmpty', 'set', 'update', 'field'), at: fc.nat(), record,
      names: fc.subarray(names, { minLength: 1 }),
    });
    return fc.record({
      schema: fc.constant(defineSchema('Anything', {
        fields: Object.fromEntries(named.map(([name, kind]) => [name, kind.field])),
      })),
      zeros: fc.constant(Object.fromEntries(named.map(([name, kind]) => [name, kind.zero]))),
      steps: fc.array(step, { minLength: 1, maxLength: 12 }),
    });
  });
