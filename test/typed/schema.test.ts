/**
 * Schemas: what they accept, that they cannot be changed, which types follow from them, and where their fields stand.
 */
import { createHash } from 'node:crypto';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import type { FieldAccessor } from '../../host/typed/access.ts';
import { hasKinds, layoutOf, orderedHash, sortedHash } from '../../host/typed/layout.ts';
import type { NumericFields } from '../../host/typed/columns.ts';
import {
  array, bool, bytes, defineSchema, enumOf, f32, f64, i16, i64, i8, isNumeric, nullable, str, timestamp, u32, u64, u8,
  type Bytes, type Field, type FixedArray, type RecordOf, type Schema, type Str, type Timestamp,
} from '../../host/typed/schema.ts';
import { decodeSchema, differences, encodeSchema } from '../../host/typed/schema-text.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';

const Mixed = defineSchema('Mixed', { version: 2, fields: {
  flag: bool, small: i8, big: u64, near: i64.number, price: f64, name: str(5), raw: bytes(3),
} });
const Kinds = defineSchema('Kinds', { fields: {
  side: enumOf('buy', 'sell'), place: array(f64, 3), wide: array(u64, 2), near: array(i64.number, 2), at: timestamp,
  note: nullable(str(8)), mark: nullable(f64), kind: nullable(enumOf('a', 'b')), when: nullable(timestamp),
  row: nullable(array(u8, 2)), flag: nullable(bool), big: nullable(u64),
} });
/** The same as an interface, as the generator reads it. */
interface KindsRecord {
  side: 'buy' | 'sell';
  place: FixedArray<f64, 3>;
  wide: FixedArray<u64, 2>;
  near: FixedArray<i64<number>, 2>;
  at: Timestamp;
  note: Str<8> | null;
  mark: f64 | null;
  kind: 'a' | 'b' | null;
  when: Timestamp | null;
  row: FixedArray<u8, 2> | null;
  flag: bool | null;
  big: u64 | null;
}
const core = new Core({ memoryBytes: 16 << 20 });

/** Runs what must be refused, and returns the argument that it was about. */
function refused(define: () => unknown): string {
  try {
    define();
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_VARVE_INVALID_ARGUMENT' });
    return (error as { details: { argument: string } }).details.argument;
  }
  throw new Error('it was accepted');
}

describe('a schema', () => {
  it('gives its records, accessors and columns their types', () => {
    expect(Object.keys(Mixed.fields)).toEqual(['flag', 'small', 'big', 'near', 'price', 'name', 'raw']);
    type Mixed = typeof Mixed.fields;
    expectTypeOf<RecordOf<Mixed>>().toEqualTypeOf<{
      flag: boolean; small: number; big: bigint; near: number; price: number; name: string; raw: Uint8Array;
    }>();
    expectTypeOf<TypedStore<Mixed>['fields']['big']>().toEqualTypeOf<FieldAccessor<bigint>>();
    expectTypeOf<TypedStore<Mixed>['fields']['name']>().toEqualTypeOf<FieldAccessor<string>>();
    expectTypeOf<NumericFields<Mixed>>().toEqualTypeOf<'small' | 'big' | 'near' | 'price'>();
    expectTypeOf<Parameters<TypedStore<Mixed>['set']>[1]>().toEqualTypeOf<Readonly<RecordOf<Mixed>>>();
    // @ts-expect-error no such field
    expectTypeOf<TypedStore<Mixed>['fields']['other']>().toBeNever();
  });

  it('gives records of all kinds their types, and so does an interface', () => {
    type Kinds = typeof Kinds.fields;
    expectTypeOf<RecordOf<Kinds>>().toEqualTypeOf<{
      side: 'buy' | 'sell'; place: number[]; wide: bigint[]; near: number[]; at: number; note: string | null;
      mark: number | null; kind: 'a' | 'b' | null; when: number | null; row: number[] | null; flag: boolean | null;
      big: bigint | null;
    }>();
    expectTypeOf<RecordOf<Kinds>>().toEqualTypeOf<KindsRecord>();
    expectTypeOf<[i8, u8, i16, u32, i64, u64<number>, f32, Bytes<4>]>()
      .toEqualTypeOf<[number, number, number, number, bigint, number, number, Uint8Array]>();
    expectTypeOf<TypedStore<Kinds>['fields']['side']>().toEqualTypeOf<FieldAccessor<'buy' | 'sell'>>();
    expectTypeOf<TypedStore<Kinds>['fields']['mark']>().toEqualTypeOf<FieldAccessor<number | null>>();
    expectTypeOf<NumericFields<Kinds>>().toEqualTypeOf<'at' | 'mark' | 'when' | 'big'>();
    expect(Object.keys(Kinds.fields).filter((name) => isNumeric(Kinds.fields[name as keyof Kinds])))
      .toEqual(['at', 'mark', 'when', 'big']);
  });

  it('says of each kind what is stored and what it stands for', () => {
    expect(Kinds.fields).toEqual({
      side: { type: 'uint8', values: ['buy', 'sell'] }, place: { type: 'float64', count: 3 },
      wide: { type: 'uint64', as: 'bigint', count: 2 }, near: { type: 'int64', as: 'number', count: 2 },
      at: { type: 'int64', unit: 'ms' }, note: { type: 'string', max: 8, nullable: true },
      mark: { type: 'float64', nullable: true }, kind: { type: 'uint8', values: ['a', 'b'], nullable: true },
      when: { type: 'int64', unit: 'ms', nullable: true }, row: { type: 'uint8', count: 2, nullable: true },
      flag: { type: 'bool', nullable: true }, big: { type: 'uint64', as: 'bigint', nullable: true },
    });
  });

  it('has an index of one byte for enums of up to 256 values, of two for up to 65,536', () => {
    const of = (count: number) => enumOf(...Array.from({ length: count }, (_, at) => `v${at}`));
    expect([1, 256, 257, 65536].map((count) => of(count).type)).toEqual(['uint8', 'uint8', 'uint16', 'uint16']);
    expect(refused(() => of(65537))).toBe('values');
  });

  it('and its fields cannot be changed, nor through what it was made from', () => {
    const definition = { version: 1, fields: { a: { type: 'string' as const, max: 4 }, b: u8 } };
    const schema = defineSchema('Frozen', definition);
    definition.fields.a.max = 99;
    definition.version = 2;
    expect(schema).toEqual({ name: 'Frozen', version: 1, fields: { a: { type: 'string', max: 4 }, b: { type: 'uint8' } } });
    for (const part of [schema, schema.fields, schema.fields.a, schema.fields.b, u8, u64, u64.number, str(5)]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    const values: [string, ...string[]] = ['a', 'b'];
    const side = enumOf(...values);
    values[0] = 'z';
    expect(side.values).toEqual(['a', 'b']);
    const raw = { type: 'uint8' as const, values, count: undefined as never };
    const field: Field = defineSchema('Frozen', { fields: { raw } }).fields.raw;
    values[0] = 'y';
    expect(field).toEqual({ type: 'uint8', values: ['z', 'b'] });
    for (const part of [side, side.values, array(u8, 2), nullable(u8), timestamp, field, field.values]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    const layout = layoutOf(core, schema);
    for (const part of [layout, layout.fields, ...layout.fields]) expect(Object.isFrozen(part)).toBe(true);
  });

  it('has version 1 where nothing else is said', () => {
    expect(defineSchema('S', { fields: { a: u8 } }).version).toBe(1);
    expect(defineSchema('S', { version: 4294967295, fields: { a: u8 } }).version).toBe(4294967295);
  });

  it.each([
    ['name', ['', { fields: { a: u8 } }]], ['name', ['a b', { fields: { a: u8 } }]], ['name', [7, { fields: { a: u8 } }]],
    ['schema', ['S']], ['schema', ['S', null]], ['fields', ['S', {}]], ['fields', ['S', { fields: {} }]],
    ['version', ['S', { version: 0, fields: { a: u8 } }]], ['version', ['S', { version: 1.5, fields: { a: u8 } }]],
    ['version', ['S', { version: 2 ** 32, fields: { a: u8 } }]], ['version', ['S', { version: '1', fields: { a: u8 } }]],
    ['fields.a b', ['S', { fields: { 'a b': u8 } }]], ['fields.1', ['S', { fields: { 1: u8 } }]],
    ['fields.-', ['S', { fields: { '-': u8 } }]], ['fields.__proto__', ['S', { fields: { ['__proto__']: u8 } }]],
    ['fields.a', ['S', { fields: { a: 'f64' } }]], ['fields.a', ['S', { fields: { a: { type: 'int128' } } }]],
    ['fields.a', ['S', { fields: { a: null } }]], ['fields.a', ['S', { fields: { a: str } }]],
    ['max', ['S', { fields: { a: { type: 'string' } } }]], ['max', ['S', { fields: { a: { type: 'bytes', max: 0 } } }]],
    ['fields.a.as', ['S', { fields: { a: { type: 'int64', as: 'string' } } }]],
    ['fields.a', ['S', { fields: { a: enumOf } }]],
    ['fields.a.values', ['S', { fields: { a: { type: 'uint8', values: [] } } }]],
    ['fields.a.values', ['S', { fields: { a: { type: 'uint8', values: 'ab' } } }]],
    ['fields.a.values', ['S', { fields: { a: { type: 'uint8', values: ['a', 'b', 'a'] } } }]],
    ['fields.a.type', ['S', { fields: { a: { type: 'uint16', values: ['a'] } } }]],
    ['fields.a.type', ['S', { fields: { a: { type: 'float64', values: ['a'] } } }]],
    ['fields.a', ['S', { fields: { a: { type: 'uint8', values: ['a'], count: 2 } } }]],
    ['fields.a', ['S', { fields: { a: { type: 'string', max: 2, count: 2 } } }]],
    ['fields.a', ['S', { fields: { a: { type: 'bytes', max: 2, unit: 'ms' } } }]],
    ['fields.a', ['S', { fields: { a: { type: 'int64', unit: 'ms', count: 2 } } }]],
    ['fields.a.unit', ['S', { fields: { a: { type: 'int64', unit: 's' } } }]],
    ['fields.a.type', ['S', { fields: { a: { type: 'float64', unit: 'ms' } } }]],
    ['fields.a.as', ['S', { fields: { a: { type: 'int64', unit: 'ms', as: 'number' } } }]],
    ['fields.a.count', ['S', { fields: { a: { type: 'uint8', count: 0 } } }]],
    ['fields.a.count', ['S', { fields: { a: { type: 'uint8', count: '2' } } }]],
    ['fields.a.type', ['S', { fields: { a: { type: 'bool', count: 2 } } }]],
    ['fields.a.nullable', ['S', { fields: { a: { type: 'uint8', nullable: false } } }]],
  ])('with a wrong %s is refused: %o', (argument, given) => {
    expect(refused(() => (defineSchema as (...all: unknown[]) => unknown)(...given))).toBe(argument);
  });

  it.each([0, -1, 1.5, NaN, 65537, '8', undefined])('has no text or bytes of at most %s bytes', (max) => {
    expect(refused(() => str(max as number))).toBe('max');
    expect(refused(() => bytes(max as number))).toBe('max');
  });

  it.each([[[]], [['a', 'a']], [['a', 7]], [[['a', 'b']]], [[undefined]]])('has no enum of %o', (values) => {
    expect(refused(() => enumOf(...values as string[]))).toBe('values');
  });

  it.each([
    ['text', str(4)], ['bytes', bytes(4)], ['booleans', bool], ['enums', enumOf('a')], ['arrays', array(f64, 2)],
    ['timestamps', timestamp], ['nullable fields', nullable(f64)], ['nothing', undefined], ['types of no field', 'f64'],
  ])('has no array of %s', (_, element) => {
    expect(refused(() => array(element as Field<number>, 2))).toBe('element');
  });

  it.each([0, -1, 1.5, NaN, 65537, '8', undefined])('has no array of %s numbers', (count) => {
    expect(refused(() => array(u8, count as number))).toBe('count');
  });

  it('has nothing nullable that is nullable already, or no field', () => {
    for (const field of [nullable(f64), nullable(str(4)), undefined, 'f64', str]) {
      expect(refused(() => nullable(field as Field))).toBe('field');
    }
  });
});

describe('a layout', () => {
  it('puts each field at its natural alignment, in order', () => {
    const { fields, stride } = layoutOf(core, defineSchema('L', { fields: {
      a: u8, b: i16, c: u32, d: bool, e: f64, f: str(5), g: f32, h: bytes(1), i: u64.number,
    } }));
    expect(fields.map(({ name, offset, size }) => [name, offset, size])).toEqual([
      ['a', 8, 1], ['b', 10, 2], ['c', 12, 4], ['d', 16, 1], ['e', 24, 8], ['f', 32, 9], ['g', 44, 4], ['h', 48, 5],
      ['i', 56, 8],
    ]);
    expect(stride).toBe(64);
  });

  it('puts presence bits in front, arrays at the alignment of their elements, and enums at their index', () => {
    const { fields, stride } = layoutOf(core, Kinds);
    expect(fields.map(({ name, presence, offset, size }) => [name, presence, offset, size])).toEqual([
      ['side', 0, 9, 1], ['place', 0, 16, 24], ['wide', 0, 40, 16], ['near', 0, 56, 16], ['at', 0, 72, 8],
      ['note', 64, 80, 12], ['mark', 65, 96, 8], ['kind', 66, 104, 1], ['when', 67, 112, 8], ['row', 68, 120, 2],
      ['flag', 69, 122, 1], ['big', 70, 128, 8],
    ]);
    expect(stride).toBe(136);
    const long = Array.from({ length: 257 }, (_, at) => `v${at}`);
    expect(layoutOf(core, defineSchema('L', { fields: { a: u8, b: enumOf(...long), c: array(u8, 3), d: u8 } })).fields
      .map(({ offset, size }) => [offset, size])).toEqual([[8, 1], [10, 2], [12, 3], [15, 1]]);
    expect(hasKinds(layoutOf(core, Kinds))).toBe(true);
    expect(hasKinds(layoutOf(core, Mixed))).toBe(false);
  });

  it('has a hash that covers every kind of field', () => {
    const tokens = [
      'side:uint8["buy","sell"]:1', 'place:float64[3]:24', 'wide:uint64[2]:16', 'near:int64[2]:16', 'at:int64(ms):8',
      'note:string?:12', 'mark:float64?:8', 'kind:uint8["a","b"]?:1', 'when:int64(ms)?:8', 'row:uint8[2]?:2',
      'flag:bool?:1', 'big:uint64?:8',
    ];
    const sha256 = (text: string): Uint8Array => createHash('sha256').update(text).digest();
    expect(orderedHash(layoutOf(core, Kinds))).toEqual(sha256(tokens.join(',')));
    // Plain fields have the tokens that they always had.
    expect(orderedHash(layoutOf(core, Mixed))).toEqual(sha256(
      'flag:bool:1,small:int8:1,big:uint64:8,near:int64:8,price:float64:8,name:string:9,raw:bytes:7'));
  });

  it('of a schema and of its text is the same', () => {
    for (const schema of [Kinds, Mixed] as Schema[]) {
      const text = encodeSchema(schema);
      const layout = decodeSchema(core, text);
      expect(differences(layoutOf(core, schema), layout)).toEqual([]);
      expect(encodeSchema(layout.schema)).toEqual(text);
    }
    expect(JSON.parse(Buffer.from(encodeSchema(Kinds)).toString()).fields.slice(0, 8)).toEqual([
      { name: 'side', type: 'uint8', values: ['buy', 'sell'] }, { name: 'place', type: 'float64', count: 3 },
      { name: 'wide', type: 'uint64', count: 2 }, { name: 'near', type: 'int64', count: 2 },
      { name: 'at', type: 'int64', unit: 'ms' }, { name: 'note', type: 'string', max: 8, nullable: true },
      { name: 'mark', type: 'float64', nullable: true }, { name: 'kind', type: 'uint8', values: ['a', 'b'], nullable: true },
    ]);
    const wrong = { name: 'S', version: 1, fields: [{ name: 'a', type: 'uint8', values: ['a', 'a'] }] };
    expect(() => decodeSchema(core, Buffer.from(JSON.stringify(wrong)))).toThrow('fields.a.values must be different');
  });

  it('has a hash that covers order, and one that does not, for the format of others', () => {
    const [one, other] = [{ a: u8, b: u8 }, { b: u8, a: u8 }].map((fields) => (
      layoutOf(core, defineSchema('H', { fields }))));
    expect(sortedHash(one!)).toEqual(sortedHash(other!));
    expect(orderedHash(one!)).not.toEqual(orderedHash(other!));
  });

  it('is refused where the record would be above 64 KiB', () => {
    const of = (max: number) => layoutOf(core, defineSchema('Long', { fields: { a: bytes(max) } }));
    expect(of(65536 - 12).stride).toBe(65536);
    expect(refused(() => of(65536 - 11))).toBe('the record of \'Long\'');
    const many = Object.fromEntries(Array.from({ length: 16385 }, (_, i) => [`f${i}`, u8]));
    expect(refused(() => layoutOf(core, defineSchema('Many', { fields: many })))).toBe('schema');
    const numbers = (count: number) => layoutOf(core, defineSchema('Long', { fields: { a: nullable(array(f64, count)) } }));
    expect(numbers(8190).stride).toBe(65536);
    expect(refused(() => numbers(8191))).toBe('the record of \'Long\'');
    const nulls = (count: number) => layoutOf(core, defineSchema('Nulls', { fields: Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`f${i}`, nullable(bool)])) }));
    expect(nulls(16383).stride).toBe(8 + 2048 + 16384);
    expect(refused(() => nulls(16384))).toBe('schema');
  });
});
