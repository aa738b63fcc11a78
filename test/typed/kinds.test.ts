/**
 * Enums, arrays, timestamps and fields that may be null, as users see them; and everything that is refused: wrong
 * values before anything is written, wrong bytes in the file, formats and schemas that do not fit.
 */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { SCRATCH_OFFSET, TYPED_FEATURE_KINDS, TypedHeader } from '../../host/generated/abi.ts';
import type { FieldAccessor } from '../../host/typed/access.ts';
import { layoutOf } from '../../host/typed/layout.ts';
import {
  array, defineSchema, enumOf, f32, f64, i64, nullable, str, timestamp, u16, u64, u8, type Fields, type Schema,
} from '../../host/typed/schema.ts';
import type { TypedFile } from '../../host/typed/typed-file.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';
import { failure } from '../support/log-fixture.ts';
import { typed } from '../support/typed-fixture.ts';
import { EMPTY, FULL, Order, type OrderRecord } from '../support/typed-kinds.ts';
import { TypedStores } from '../support/typed-stores.ts';

type Accessors = Record<string, FieldAccessor<unknown>>;

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

/** The message of what must be refused as an argument. */
function refused(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_VARVE_INVALID_ARGUMENT' });
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

/** Puts bytes into a record's field as a program might that knows no kinds. */
function damage(store: TypedStore<Fields>, index: number, name: string, bytes: readonly number[]): void {
  const { file } = store as unknown as { file: TypedFile };
  const { offset } = file.layout.fields.find((field) => field.name === name)!;
  expect(file.view.readRow(index)).toBe(0);
  Core.shared().memory.bytes.set(bytes, SCRATCH_OFFSET + offset);
  expect(file.view.writeRow(index)).toBe(0);
}

describe('a record of all kinds', () => {
  it('is empty at first: the first value of enums, zeros, and null wherever it may be', () => {
    const store = stores.open(Order);
    store.append();
    expect(store.get(0)).toEqual(EMPTY);
    for (const [name, value] of Object.entries(EMPTY)) expect((store.fields as Accessors)[name]!.get(0)).toEqual(value);
  });

  it('takes every field alone and leaves the others', () => {
    const store = stores.open(Order);
    store.appendMany([EMPTY, FULL]);
    for (const name of Object.keys(FULL) as (keyof OrderRecord)[]) {
      (store.fields as Accessors)[name]!.set(0, FULL[name]);
      expect(store.get(0)).toEqual({ ...EMPTY, [name]: FULL[name] });
      store.update(1, { [name]: EMPTY[name] });
      expect(store.get(1)).toEqual({ ...FULL, [name]: EMPTY[name] });
      (store.fields as Accessors)[name]!.set(0, EMPTY[name]);
      store.update(1, { [name]: FULL[name] });
      expect([...store]).toEqual([EMPTY, FULL]);
    }
  });

  it('leaves nothing of a value behind that became null', () => {
    const store = stores.open(Order);
    store.appendMany([EMPTY, FULL, FULL, FULL]);
    store.set(1, EMPTY);
    store.update(2, EMPTY);
    for (const name of Object.keys(FULL)) (store.fields as Accessors)[name]!.set(3, EMPTY[name as keyof OrderRecord]);
    const { view, layout } = (store as unknown as { file: TypedFile }).file;
    const rows = [0, 1, 2, 3].map((index) => {
      expect(view.readRow(index)).toBe(0);
      return Core.shared().memory.bytes.slice(SCRATCH_OFFSET + 8, SCRATCH_OFFSET + layout.stride);
    });
    for (const row of rows) expect(row).toEqual(new Uint8Array(layout.stride - 8));
  });

  it('says what it holds to a reader, and to whoever opens the file again', () => {
    const store = stores.open(Order);
    const reader = stores.open(Order, { readOnly: true, core: new Core({ memoryBytes: 512 << 20 }) });
    store.appendMany([FULL, EMPTY]);
    expect([...reader]).toEqual([FULL, EMPTY]);
    expect([reader.fields.side.get(0), reader.fields.place.get(0), reader.fields.note.get(1)])
      .toEqual(['sell', [-1, 2, 300], null]);
    failure('ERR_VARVE_READ_ONLY', () => { reader.fields.place.set(0, [1, 2, 3]); });
    failure('ERR_VARVE_READ_ONLY', () => { reader.fields.side.set(0, 'buy'); });
    failure('ERR_VARVE_READ_ONLY', () => { reader.fields.at.set(0, 1); });
    for (const name of ['side', 'at', 'place', 'limit'] as const) {
      failure('ERR_VARVE_OUT_OF_RANGE', () => reader.fields[name].get(2));
      failure('ERR_VARVE_INVALID_ARGUMENT', () => reader.fields[name].get(-1));
      failure('ERR_VARVE_INVALID_ARGUMENT', () => { (store.fields as Accessors)[name]!.set(0.5, FULL[name]); });
    }
    store.closeSync();
    for (const name of ['side', 'at', 'place', 'limit'] as const) {
      failure('ERR_VARVE_CLOSED', () => store.fields[name].get(0));
    }
    expect([...stores.open(Order)]).toEqual([FULL, EMPTY]);
  });

  it.each([{ checksums: true }, { ring: true, capacity: 3 }, { checksums: true, ring: true, capacity: 3 }])(
    'is the same in a store that is made with %o', (options) => {
      const store = stores.open(Order, options);
      const from = store.append();
      store.append(FULL);
      if (options.ring) for (let turn = 0; turn < 4; turn++) store.append(turn % 2 === 0 ? EMPTY : FULL);
      const [empty, full] = options.ring ? [from + 4, from + 5] : [from, from + 1];
      expect([store.get(empty), store.get(full)]).toEqual([EMPTY, FULL]);
      for (const name of Object.keys(FULL) as (keyof OrderRecord)[]) {
        const field = (store.fields as Accessors)[name]!;
        expect([field.get(empty), field.get(full)]).toEqual([EMPTY[name], FULL[name]]);
        field.set(empty, FULL[name]);
        store.update(full, { [name]: EMPTY[name] });
        expect(store.get(empty)).toEqual({ ...EMPTY, [name]: FULL[name] });
        expect(store.get(full)).toEqual({ ...FULL, [name]: EMPTY[name] });
        store.set(empty, EMPTY);
        field.set(full, FULL[name]);
      }
      expect(store.check()).toMatchObject({ torn: [], damaged: [] });
      if (options.checksums) return;
      damage(store as unknown as TypedStore<Fields>, full, 'side', [2]);
      expect(store.check()).toMatchObject({ torn: [], damaged: [full] });
      expect(failure('ERR_VARVE_BAD_VALUE', () => store.fields.side.get(full)).details).toMatchObject({ index: full });
    });

  it('keeps 65 nulls apart, in 9 bytes in front of the fields', () => {
    const names = Array.from({ length: 65 }, (_, at) => `f${at}`);
    const schema = defineSchema('Many', { fields: Object.fromEntries(names.map((name) => [name, nullable(u8)])) });
    expect(layoutOf(Core.shared(), schema)).toMatchObject({
      stride: 88, fields: names.map((name, at) => ({ name, offset: 17 + at, size: 1, presence: 64 + at })),
    });
    const store = stores.open(schema as Schema);
    const empty = Object.fromEntries(names.map((name) => [name, null]));
    store.append();
    for (const name of names) {
      store.fields[name]!.set(0, 0);
      expect(store.get(0)).toEqual({ ...empty, [name]: 0 });
      store.update(0, { [name]: null });
      expect(store.get(0)).toEqual(empty);
    }
  });

  it('takes the values of an enum of more than 256, and the ends of all ranges', () => {
    const values = Array.from({ length: 300 }, (_, at) => `value ${at}`);
    const store = stores.open(defineSchema('Wide', { fields: {
      one: enumOf(...values), maybe: nullable(enumOf(...values)), at: timestamp, wide: array(u64, 2),
      near: array(i64.number, 2), ratio: array(f32, 2),
    } }));
    const record = {
      one: 'value 299', maybe: 'value 256', at: -8.64e15, wide: [0n, 2n ** 64n - 1n],
      near: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER], ratio: [NaN, -0],
    };
    store.append(record);
    expect(store.get(0)).toEqual(record);
    expect(store.fields.one.get(0)).toBe('value 299');
    store.fields.one.set(0, 'value 256');
    store.fields.at.set(0, 8.64e15);
    expect(store.get(0)).toEqual({ ...record, one: 'value 256', at: 8.64e15 });
  });

  it('gives arrays that are copies, and takes copies', () => {
    const store = stores.open(Order);
    const place = [1, 2, 3];
    store.append({ ...FULL, place });
    place[0] = 99;
    store.get(0).place[1] = 99;
    store.fields.place.get(0)[2] = 99;
    expect(store.fields.place.get(0)).toEqual([1, 2, 3]);
  });

  it('is the same where it has less than eight fields', () => {
    const store = stores.open(defineSchema('Few', { fields: { size: f64, list: array(u8, 2), more: nullable(u8) } }));
    store.append({ size: 1, list: [1, 1], more: 1 });
    const list: number[] = Object.defineProperty([7, 8], 1, { enumerable: true, get: () => {
      store.set(0, { size: 99, list: [99, 99], more: null });
      return 8;
    } });
    store.append({ size: 2, list, more: 2 });
    expect([...store]).toEqual([{ size: 99, list: [99, 99], more: null }, { size: 2, list: [7, 8], more: 2 }]);
    store.set(1, { size: 3, list, more: null });
    expect(store.get(1)).toEqual({ size: 3, list: [7, 8], more: null });
    for (const wrong of [[1], [1, 2, 3], null, undefined, 7]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => store.append({ size: 1, list: wrong as number[], more: 1 }));
    }
    expect(store.length).toBe(2);
  });

  it('is what its object said, whatever the elements of its arrays do with the store', () => {
    const store = stores.open(Order);
    store.append(EMPTY);
    /** An array whose second element writes another record before it is given. */
    const tricky = (index: number): number[] => Object.defineProperty([7, 8, 9], 1, { enumerable: true, get: () => {
      store.set(index, { ...EMPTY, size: 99, note: 'other' });
      return 8;
    } });
    store.append({ ...FULL, place: tricky(0) });
    expect([...store]).toEqual([{ ...EMPTY, size: 99, note: 'other' }, { ...FULL, place: [7, 8, 9] }]);
    store.update(1, { size: 5, note: 'five', place: tricky(0) });
    store.fields.place.set(0, tricky(0));
    expect([...store]).toEqual([
      { ...EMPTY, size: 99, note: 'other', place: [7, 8, 9] }, { ...FULL, size: 5, note: 'five', place: [7, 8, 9] },
    ]);
  });
});

describe('a value that its field does not take', () => {
  const cases: readonly [keyof OrderRecord, unknown, string][] = [
    ['side', 'hold', 'side must be one of \'buy\', \'sell\', not \'hold\''],
    ['side', 0, 'side must be one of \'buy\', \'sell\', not 0'],
    ['side', null, 'side must be one of \'buy\', \'sell\', not null'],
    ['side', 'toString', 'side must be one of \'buy\', \'sell\', not \'toString\''],
    ['at', 1.5, 'at must be an integer from -8640000000000000 to 8640000000000000, not 1.5'],
    ['at', 8.64e15 + 2, 'at must be an integer from -8640000000000000 to 8640000000000000, not 8640000000000002'],
    ['at', NaN, 'at must be an integer from -8640000000000000 to 8640000000000000, not NaN'],
    ['at', new Date(0), 'at must be a number, not an instance of Date'],
    ['at', 5n, 'at must be a number, not 5'],
    ['at', null, 'at must be a number, not null'],
    ['place', [1, 2], 'place.length must be 3, not 2'],
    ['place', [1, 2, 3, 4], 'place.length must be 3, not 4'],
    ['place', new Array(3), 'place[0] must be a number, not undefined'],
    ['place', [1, 2, 32768], 'place[2] must be an integer from -32768 to 32767, not 32768'],
    ['place', [1, '2', 3], 'place[1] must be a number, not \'2\''],
    ['place', [1, null, 3], 'place[1] must be a number, not null'],
    ['place', Int16Array.of(1, 2, 3), 'place must be an array of 3 numbers, not an instance of Int16Array'],
    ['place', null, 'place must be an array of 3 numbers, not null'],
    ['place', { length: 3 }, 'place must be an array of 3 numbers, not an instance of Object'],
    ['size', null, 'size must be a number, not null'],
    ['limit', undefined, 'limit must be a value or null, not undefined'],
    ['limit', '5', 'limit must be a number, not \'5\''],
    ['note', 5, 'note must be a string, not 5'],
    ['state', 'none', 'state must be one of \'open\', \'filled\', not \'none\''],
    ['until', 0.5, 'until must be an integer from -8640000000000000 to 8640000000000000, not 0.5'],
    ['codes', [1], 'codes.length must be 2, not 1'],
    ['codes', [1, -1], 'codes[1] must be an integer from 0 to 255, not -1'],
    ['codes', [1, undefined], 'codes[1] must be a number, not undefined'],
  ];

  it.each(cases)('is refused before anything changes: %s %o', (name, value, message) => {
    const store = stores.open(Order);
    store.append(FULL);
    const record = { ...FULL, [name]: value } as OrderRecord;
    const calls = [
      () => (store.fields as Accessors)[name]!.set(0, value), () => { store.update(0, { [name]: value }); },
      () => { store.set(0, record); }, () => store.append(record), () => store.appendMany([FULL, record]),
    ];
    for (const call of calls) expect(refused(call)).toBe(message);
    expect([...store]).toEqual([FULL]);
  });

  it('is refused where a field is not there', () => {
    const store = stores.open(Order);
    for (const name of Object.keys(FULL)) {
      const { [name as 'side']: _, ...rest } = FULL;
      expect(refused(() => store.append(rest as OrderRecord))).toMatch(new RegExp(`^${name} must be .*, not undefined$`));
    }
    expect(store.length).toBe(0);
    failure('ERR_VARVE_VALUE_TOO_LONG', () => store.append({ ...FULL, note: 'too long' }));
  });

  it('lists no more than twenty values of an enum', () => {
    const store = stores.open(defineSchema('S', { fields: {
      one: enumOf(...Array.from({ length: 100 }, (_, at) => `v${at}`)),
    } }));
    const message = refused(() => store.append({ one: 'w' }));
    expect(message).toMatch(/^one must be one of 'v0', 'v1', .*, 'v19' and 80 others, not 'w'$/);
  });
});

describe('a stored value that its field cannot have', () => {
  const schema = defineSchema('Damaged', { fields: {
    side: enumOf('buy', 'sell'), many: enumOf(...Array.from({ length: 300 }, (_, at) => `v${at}`)), at: timestamp,
    near: array(u64.number, 2), maybe: nullable(enumOf('a', 'b')), when: nullable(timestamp), note: nullable(str(4)),
  } });
  const record = { side: 'buy', many: 'v1', at: 1, near: [1, 2], maybe: 'a', when: 2, note: 'n' } as const;
  const bits = (value: bigint): number[] => [...new Uint8Array(BigInt64Array.of(value).buffer)];

  it.each([
    ['side', [2], 'ERR_VARVE_BAD_VALUE'], ['side', [255], 'ERR_VARVE_BAD_VALUE'], ['many', [44, 1], 'ERR_VARVE_BAD_VALUE'],
    ['at', bits(8_640_000_000_000_001n), 'ERR_VARVE_BAD_VALUE'], ['at', bits(-(2n ** 63n)), 'ERR_VARVE_BAD_VALUE'],
    ['near', [...bits(1n), ...bits(2n ** 53n)], 'ERR_VARVE_INEXACT'], ['maybe', [7], 'ERR_VARVE_BAD_VALUE'],
    ['when', bits(2n ** 53n), 'ERR_VARVE_BAD_VALUE'], ['note', [5, 0, 0, 0], 'ERR_VARVE_BAD_VALUE'],
  ] as const)('is an error that names it, alone and in its record: %s %o', (name, bytes, code) => {
    const store = stores.open(schema);
    store.appendMany([{ ...record, near: [1, 2] }, { ...record, near: [1, 2] }]);
    damage(store as unknown as TypedStore<Fields>, 1, name, bytes);
    for (const call of [() => store.fields[name].get(1), () => store.get(1), () => [...store]]) {
      expect(failure(code, call).details).toMatchObject({ path: store.path, index: 1, field: name });
    }
    expect(store.get(0)).toEqual(record);
    // Set anew, it is fine again.
    (store.fields as unknown as Accessors)[name]!.set(1, record[name]);
    expect(store.get(1)).toEqual(record);
  });
});

describe('the file', () => {
  it('says that readers must know of kinds, and only where they must', () => {
    stores.open(Order).closeSync();
    expect(readFileSync(stores.file()).readUInt32LE(TypedHeader.incompatible)).toBe(TYPED_FEATURE_KINDS);
    for (const [name, field] of Object.entries({ e: enumOf('a'), a: array(u8, 1), t: timestamp, n: nullable(u8) })) {
      stores.open(defineSchema('One', { fields: { plain: f64, field } }), {}, name).closeSync();
      expect(readFileSync(stores.file(name)).readUInt32LE(TypedHeader.incompatible)).toBe(TYPED_FEATURE_KINDS);
    }
    stores.open(defineSchema('Plain', { fields: { a: f64, b: u64.number, c: str(4) } }), {}, 'plain').closeSync();
    expect(readFileSync(stores.file('plain')).readUInt32LE(TypedHeader.incompatible)).toBe(0);
  });

  it.each([[Order, 0], [defineSchema('Plain', { fields: { a: f64 } }), TYPED_FEATURE_KINDS]] as const)(
    'is damaged where the header contradicts the schema in that: %o', (schema, features) => {
      const fixture = typed('simulated', 'simd');
      fixture.open({ schema: schema as Schema }).close();
      const bytes = fixture.bytes();
      bytes.writeUInt32LE(features, TypedHeader.incompatible);
      const { memory, exports } = fixture.log.core;
      memory.bytes.set(bytes.subarray(0, TypedHeader.BYTES), SCRATCH_OFFSET);
      exports.sealTyped(SCRATCH_OFFSET);
      fixture.log.put('ticks', Buffer.concat([
        memory.bytes.slice(SCRATCH_OFFSET, SCRATCH_OFFSET + TypedHeader.BYTES), bytes.subarray(TypedHeader.BYTES),
      ]));
      expect(failure('ERR_VARVE_CORRUPT', () => fixture.open({ schema: schema as Schema })).details)
        .toMatchObject({ field: 'incompatible', actual: features });
    });

  it.each([
    ['enums', { a: enumOf('a', 'b') }], ['arrays', { a: array(f64, 2) }], ['timestamps', { a: timestamp }],
    ['nulls', { a: nullable(u16) }],
  ])('of format mmfg-1 has no %s, nor is it made', (_, fields) => {
    const schema: Schema = defineSchema('S', { fields });
    for (const options of [{}, { readOnly: true }]) {
      expect(refused(() => stores.open(schema, { format: 'mmfg-1', ...options })))
        .toBe('schema must be made of plain fields, because format mmfg-1 knows no others, not \'S\'');
    }
    expect(() => readFileSync(stores.file())).toThrow('ENOENT');
  });

  it('of another schema says in what it differs', () => {
    stores.open(Order).closeSync();
    const other = defineSchema('Order', { version: 2, fields: {
      side: enumOf('buy', 'sell', 'hold'), at: i64, place: array(f32, 2), limit: f64, note: nullable(str(6)),
      state: nullable(enumOf('filled', 'open')), until: nullable(timestamp), codes: nullable(array(u8, 3)),
      size: nullable(u64.number),
    } });
    const { details, message } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(other as Schema));
    expect(details['differences']).toEqual([
      { field: 'side', what: 'values', expected: ['buy', 'sell', 'hold'], actual: ['buy', 'sell'] },
      { field: 'at', what: 'unit', expected: undefined, actual: 'ms' },
      { field: 'place', what: 'type', expected: 'float32', actual: 'int16' },
      { field: 'place', what: 'count', expected: 2, actual: 3 },
      { field: 'limit', what: 'nullable', expected: undefined, actual: true },
      { field: 'state', what: 'values', expected: ['filled', 'open'], actual: ['open', 'filled'] },
      { field: 'codes', what: 'count', expected: 3, actual: 2 },
      { field: 'size', what: 'nullable', expected: true, actual: undefined },
    ]);
    expect(message).toContain('(side: values is ["buy","sell"], not ["buy","sell","hold"]; at: unit is ms, not absent;');
  });
});
