/**
 * What a typed store refuses, and that a refusal changes nothing: wrong arguments, values that do not fit, states, and
 * damaged contents. The names D1 to D8 are those of defects that a like store had.
 */
import { closeSync, openSync, readSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import type { ErrorCode } from '../../host/errors/codes.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { bool, defineSchema, f64, i64, str, u64, u8 } from '../../host/typed/schema.ts';
import { failure } from '../support/real-storage.ts';
import { leftOpen } from '../support/typed-open.ts';
import { Everything, TypedStores, zeros } from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const INVALID = 'ERR_VARVE_INVALID_ARGUMENT';
const Pair = defineSchema('Pair', { fields: { a: str(32), b: str(32) } });
const Flag = defineSchema('Flag', { fields: { flag: bool, octet: u8, text: str(4), exact: u64.number } });

/** Runs what must be refused as a wrong argument; returns what the error says it was about. */
function wrong(type: typeof TypeError | typeof RangeError, operation: () => unknown): string {
  let error: unknown;
  try {
    operation();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(type);
  expect(error).toMatchObject({ code: INVALID, kind: 'invalid' });
  return (error as { details: { argument: string } }).details.argument;
}

describe('an index', () => {
  it('beyond the last record is ERR_VARVE_OUT_OF_RANGE everywhere, before anything is written', () => {
    const store = stores.open(Everything);
    store.append(zeros('only'));
    const before = readFileSync(stores.file());
    const calls = Object.values(store.fields).flatMap((field) => {
      const { get, set } = field as { get(index: number): unknown; set(index: number, value: unknown): void };
      return [() => get.call(field, 1), () => { set.call(field, 1, zeros()[field.name as 'tiny']); }];
    });
    const all = [
      ...calls, () => store.get(1), () => { store.set(1, zeros()); }, () => { store.update(1, { tiny: 1 }); },
      () => store.get(4294967295), () => { store.set(100, zeros()); },
    ];
    for (const call of all) expect(failure('ERR_VARVE_OUT_OF_RANGE', call).details['length']).toBe(1);
    expect(all.length).toBe(35);
    expect(readFileSync(stores.file())).toEqual(before);
    expect(store.get(0)).toEqual(zeros('only'));
  });

  const indices: unknown[] = [
    -1, 0.5, NaN, Infinity, 4294967296, 2 ** 53, '0', 0n, null, undefined, {}, { valueOf: () => 0 },
  ];
  it.each(indices.map((index) => [index]))('that is %s is refused', (index) => {
    const store = stores.open(Everything);
    store.append();
    const type = typeof index === 'number' ? RangeError : TypeError;
    for (const call of [
      ...Object.values(store.fields).map((field) => () => field.get(index as number)),
      () => { store.fields.flag.set(index as number, true); },
      () => { store.fields.name.set(index as number, ''); },
      () => store.get(index as number), () => { store.set(index as number, zeros()); },
      () => { store.update(index as number, {}); },
    ]) expect(wrong(type, call)).toBe('index');
  });
});

describe('a value', () => {
  const values: [name: keyof ReturnType<typeof zeros>, wrongType: unknown[], outOfRange: unknown[]][] = [
    ['flag', [0, 'true', null, undefined], []],
    ['tiny', ['1', 1n, null, undefined], [-129, 128, 0.5, NaN]], ['octet', ['1', 1n, true], [-1, 256, NaN]],
    ['short', [[]], [-32769, 32768]], ['word', [{}], [-1, 65536]],
    ['int', ['1', Symbol('x')], [-2147483649, 2147483648, 1e300]], ['count', [undefined], [-1, 4294967296, Infinity]],
    ['long', [1, '1'], [-(2n ** 63n) - 1n, 2n ** 63n]], ['size', [1, null], [-1n, 2n ** 64n]],
    ['near', [1n, '1'], [2 ** 53, -(2 ** 53), 0.5, NaN]], ['age', [1n], [-1, 2 ** 53, Infinity]],
    ['ratio', ['1', 1n], [1e300, -3.5e38]], ['price', ['1', 1n, null, undefined, {}], []],
    ['name', [1, null, undefined, new Uint8Array(), new String('x')], []], ['blob', ['x', [1], null, new ArrayBuffer(1)], []],
  ];

  it.each(values)('of another type than that of field %s is refused, and changes nothing', (name, types, ranges) => {
    const store = stores.open(Everything);
    store.append();
    const set = (value: unknown): void => {
      (store.fields[name] as unknown as { set(index: number, value: unknown): void }).set(0, value);
    };
    for (const [type, refused] of [[TypeError, types], [RangeError, ranges]] as const) {
      for (const value of refused) {
        const record = { ...zeros('changed'), [name]: value } as never;
        expect(wrong(type, () => { set(value); })).toBe(name);
        expect(wrong(type, () => { store.set(0, record); })).toBe(name);
        expect(wrong(type, () => { store.update(0, { tiny: 1, [name]: value } as never); })).toBe(name);
        expect(wrong(type, () => store.append(record))).toBe(name);
      }
    }
    expect([...store]).toEqual([zeros()]);
  });

  it('that is longer than its field has room for is ERR_VARVE_VALUE_TOO_LONG with the facts, and changes nothing', () => {
    const store = stores.open(Everything);
    store.append(zeros('kept'));
    const tooLong: [keyof ReturnType<typeof zeros>, unknown, number, number][] = [
      ['name', 'x'.repeat(25), 25, 24], ['name', 'é'.repeat(13), 26, 24], ['name', '🙂'.repeat(7), 28, 24],
      ['name', '\ud800'.repeat(9), 27, 24], ['name', 'x'.repeat(1e6), 1e6, 24], ['blob', new Uint8Array(10), 10, 9],
    ];
    for (const [field, value, bytes, max] of tooLong) {
      const record = { ...zeros(), [field]: value } as never;
      for (const call of [
        () => { store.fields[field].set(0, value as never); }, () => { store.set(0, record); },
        () => { store.update(0, { tiny: 1, [field]: value } as never); }, () => store.append(record),
        () => store.appendMany([zeros(), record]),
      ]) expect(failure('ERR_VARVE_VALUE_TOO_LONG', call).details).toEqual({ field, bytes, max });
    }
    expect([...store]).toEqual([zeros('kept')]);
  });
});

describe('a record', () => {
  it('with a field too few or too many is refused, and changes nothing', () => {
    const store = stores.open(Flag);
    const whole = { flag: true, octet: 1, text: 't', exact: 1 };
    store.append(whole);
    for (const name of Object.keys(whole)) {
      const { [name as 'flag']: _, ...less } = whole;
      expect(wrong(TypeError, () => { store.set(0, less as never); })).toBe(name);
      expect(wrong(TypeError, () => store.append(less as never))).toBe(name);
      expect(wrong(TypeError, () => { store.set(0, { ...less, other: 1 } as never); })).toBe(name);
    }
    expect(wrong(RangeError, () => { store.set(0, { ...whole, other: 1 } as never); })).toBe('record');
    expect(wrong(RangeError, () => { store.update(0, { flag: false, other: 1 } as never); })).toBe('record');
    for (const record of [null, 7, 'x', true]) {
      expect(wrong(TypeError, () => { store.set(0, record as never); })).toBe('record');
      expect(wrong(TypeError, () => store.append(record as never))).toBe('record');
      expect(wrong(TypeError, () => { store.update(0, record as never); })).toBe('partial');
      expect(wrong(TypeError, () => store.get(0, record as never))).toBe('into');
    }
    expect(wrong(TypeError, () => store.appendMany('x' as never))).toBe('records');
    expect([...store]).toEqual([whole]);
  });
});

describe('a field that another program filled', () => {
  /** Overwrites bytes of the first record in the file. */
  function spoil(store: TypedStore<typeof Flag.fields>, name: keyof typeof Flag.fields, bytes: Uint8Array): void {
    const { layout, recordsOffset } = (store as unknown as {
      file: { layout: { fields: { name: string; offset: number }[] }; recordsOffset: number };
    }).file;
    const fd = openSync(stores.file(), 'r+');
    writeSync(fd, bytes, 0, bytes.length, recordsOffset + layout.fields.find((field) => field.name === name)!.offset);
    closeSync(fd);
  }

  it.each([
    ['flag', Uint8Array.of(2), 'ERR_VARVE_BAD_VALUE'], ['text', Uint8Array.of(5, 0, 0, 0), 'ERR_VARVE_BAD_VALUE'],
    ['text', Uint8Array.of(0, 0, 0, 255), 'ERR_VARVE_BAD_VALUE'],
    ['exact', Uint8Array.of(0, 0, 0, 0, 0, 0, 32, 0), 'ERR_VARVE_INEXACT'],
  ] as [keyof typeof Flag.fields, Uint8Array, ErrorCode][])('%s with %o is an error', (field, bytes, code) => {
    const store = stores.open(Flag);
    store.append();
    spoil(store, field, bytes);
    expect(failure(code, () => store.fields[field].get(0)).details).toMatchObject({ index: 0, field });
    expect(failure(code, () => store.get(0)).details).toMatchObject({ index: 0, field });
    expect(store.fields.octet.get(0)).toBe(0);
    // It can be mended.
    store.set(0, { flag: true, octet: 7, text: 'mend', exact: 1 });
    expect(store.get(0)).toEqual({ flag: true, octet: 7, text: 'mend', exact: 1 });
  });
});

describe('a like store\'s defect is not here:', () => {
  it('D1: whatever is asked of a closed store is ERR_VARVE_CLOSED, also where another one is open in its place', () => {
    const store = stores.open(Everything);
    store.append(zeros('gone'));
    const { fields } = store;
    const column = store.column('price');
    const iterator = store[Symbol.iterator]();
    iterator.next();
    store.closeSync();
    const other = stores.open(Everything, {}, 'other.varve');
    other.append(zeros('other'));
    const calls: (() => unknown)[] = [
      ...Object.values(fields).map((field) => () => field.get(0)), () => { fields.tiny.set(0, 5); },
      () => { fields.name.set(0, 'x'); }, () => { fields.long.set(0, 0n); }, () => store.get(0), () => store.append(),
      () => { store.set(0, zeros('x')); }, () => { store.update(0, { tiny: 5 }); }, () => store.append(zeros('x')),
      () => store.appendMany([zeros('x')]), () => store.length, () => store.capacity, () => [...store],
      () => { store.syncNow(); }, () => column.sum(), () => column.toFloat64Array(),
    ];
    for (const call of calls) failure('ERR_VARVE_CLOSED', call);
    expect([...other]).toEqual([zeros('other')]);
  });

  it('D1: whatever would write to a read-only store is ERR_VARVE_READ_ONLY, and reading goes on', async () => {
    stores.open(Everything).append(zeros('kept'));
    const reader = stores.open(Everything, { readOnly: true });
    for (const call of [
      ...Object.values(reader.fields).map((field) => () => { field.set(0, zeros()[field.name as 'tiny'] as never); }),
      () => reader.append(), () => reader.append(zeros()), () => reader.appendMany([zeros()]),
      () => { reader.set(0, zeros()); }, () => { reader.update(0, {}); }, () => { reader.syncNow(); },
    ]) failure('ERR_VARVE_READ_ONLY', call);
    await expect(reader.sync()).rejects.toMatchObject({ code: 'ERR_VARVE_READ_ONLY' });
    expect([...reader]).toEqual([zeros('kept')]);
  });

  it('D2: after growing, syncing and closing, everything is there and appending goes on', () => {
    const store = stores.open(Pair);
    for (let i = 0; i < 200; i++) store.append({ a: String(i), b: '' });
    store.syncNow();
    for (let i = 200; i < 400; i++) store.append({ a: String(i), b: '' });
    expect(store.capacity).toBe(512);
    store.closeSync();
    const again = stores.open(Pair);
    expect(again.append({ a: '400', b: '' })).toBe(400);
    expect(Array.from(again, ({ a }) => Number(a))).toEqual(Array.from({ length: 401 }, (_, i) => i));
  });

  it('D3: a reader that was open before the file grew reads the new records', () => {
    const store = stores.open(Pair);
    const reader = stores.open(Pair, { readOnly: true, core: new Core({ memoryBytes: 512 << 20 }) });
    expect(reader.length).toBe(0);
    for (let i = 0; i < 5000; i++) store.append({ a: String(i), b: 'b' });
    expect(reader.fields.a.get(4999)).toBe('4999');
  });

  it('D4: a second writer is refused, unless both are of many', () => {
    stores.open(Pair);
    failure('ERR_VARVE_LOCKED', () => stores.open(Pair));
    failure('ERR_VARVE_LOCKED', () => stores.open(Pair, { writers: 'many' }));
    const [one, two] = [1, 2].map(() => stores.open(Pair, { writers: 'many' }, 'many.varve'));
    failure('ERR_VARVE_LOCKED', () => stores.open(Pair, {}, 'many.varve'));
    for (let i = 0; i < 300; i++) expect((i % 2 === 0 ? one : two)!.append({ a: `${i}`, b: '' })).toBe(i);
    expect(Array.from(one!, ({ a }) => Number(a))).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  /** Leaves a record as a writer does that dies in the middle of a change. */
  function abandon(store: TypedStore<typeof Pair.fields>, index: number): void {
    const { recordsOffset, layout } = (store as unknown as {
      file: { recordsOffset: number; layout: { stride: number } };
    }).file;
    const fd = openSync(stores.file(), 'r+');
    const header = Buffer.alloc(4096);
    readSync(fd, header, 0, header.length, 0);
    writeSync(fd, leftOpen(header).subarray(256, 288), 0, 32, 256);
    writeSync(fd, Uint8Array.of(1), 0, 1, recordsOffset + index * layout.stride);
    closeSync(fd);
  }

  it('D5: nobody waits for ever for a writer that died: ERR_VARVE_CONTENTION names the record', () => {
    const store = stores.open(Pair, { writers: 'many' });
    store.append({ a: 'a', b: 'b' });
    store.append({ a: 'c', b: 'd' });
    const reader = stores.open(Pair, { readOnly: true });
    abandon(store, 1);
    for (const call of [
      () => reader.get(1), () => reader.fields.a.get(1), () => { store.fields.b.set(1, 'x'); },
      () => { store.set(1, { a: '', b: '' }); }, () => { store.update(1, { a: '' }); },
    ]) expect(failure('ERR_VARVE_CONTENTION', call).details).toMatchObject({ index: 1, path: stores.file() });
    expect(reader.get(0)).toEqual({ a: 'a', b: 'b' });
    abandon(store, 2);
    expect(failure('ERR_VARVE_CONTENTION', () => store.append()).details).toMatchObject({ index: 2 });
  }, 60_000);

  it('D6: opening for writing names the records that a dead writer may have left half-written', () => {
    const store = stores.open(Pair);
    for (let i = 0; i < 4; i++) store.append({ a: String(i), b: '' });
    store.closeSync();
    abandon(store, 2);
    const reader = stores.open(Pair, { readOnly: true });
    expect(reader.recovery.torn).toEqual([]);
    expect(stores.open(Pair).recovery.torn).toEqual([2]);
    expect(reader.get(2)).toEqual({ a: '2', b: '' });
  });

  it('D7: two fields of one type that changed places do not read each other\'s values', () => {
    stores.open(Pair).closeSync();
    const swapped = defineSchema('Pair', { fields: { b: str(32), a: str(32) } });
    const { details } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(swapped));
    expect((details['differences'] as { field: string }[]).map(({ field }) => field).sort()).toEqual(['a', 'b']);
    expect(stores.open(Pair).length).toBe(0);
  });

  it('D8: every field is checked before a record changes, and a schema that differs says in what', () => {
    const store = stores.open(Pair);
    store.append({ a: 'a', b: 'b' });
    failure('ERR_VARVE_VALUE_TOO_LONG', () => { store.set(0, { a: 'new', b: 'x'.repeat(33) }); });
    failure('ERR_VARVE_VALUE_TOO_LONG', () => { store.update(0, { a: 'new', b: 'x'.repeat(33) }); });
    expect(store.get(0)).toEqual({ a: 'a', b: 'b' });
    store.closeSync();
    const other = defineSchema('Pair', { version: 2, fields: { a: str(31), c: f64 } });
    const { details } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(other));
    expect((details['differences'] as { field?: string; what: string }[]).map(({ field, what }) => [field, what]))
      .toEqual([[undefined, 'version'], ['a', 'max'], ['c', 'missing'], ['b', 'unexpected']]);
  });
});

describe('opening', () => {
  const schema = defineSchema('S', { fields: { n: i64 } });
  type Case = [typeof TypeError | typeof RangeError, string, unknown[]];
  it.each<Case>([
    [TypeError, 'path', [7, schema, {}]], [RangeError, 'path', ['', schema, {}]], [RangeError, 'path', ['a\0b', schema, {}]],
    [TypeError, 'schema', ['x', undefined, {}]], [TypeError, 'name', ['x', {}, {}]],
    [TypeError, 'options', ['x', schema, null]], [RangeError, 'options', ['x', schema, { readonly: true }]],
    [TypeError, 'options.readOnly', ['x', schema, { readOnly: 1 }]],
    [RangeError, 'options.writers', ['x', schema, { writers: 'two' }]],
    [RangeError, 'options.format', ['x', schema, { format: 'mmfg' }]],
    [TypeError, 'options.capacity', ['x', schema, { capacity: '64' }]],
    [RangeError, 'options.capacity', ['x', schema, { capacity: -1 }]],
    [TypeError, 'options.metadata', ['x', schema, { metadata: 'text' }]],
    [RangeError, 'options.metadata', ['x', schema, { metadata: new Uint8Array(1), format: 'mmfg-1' }]],
  ])('with a wrong argument is a %o about %s', (type, argument, [path, given, options]) => {
    const open = TypedStore.openSync as unknown as (...given: unknown[]) => unknown;
    expect(wrong(type, () => open.call(TypedStore, path, given, options))).toBe(argument);
  });

  it('what is not there, or is none, says so and changes nothing', async () => {
    failure('ERR_VARVE_NOT_FOUND', () => stores.open(schema, { readOnly: true }));
    failure('ERR_VARVE_NOT_FOUND', () => stores.open(schema, { create: false }));
    writeFileSync(stores.file(), 'something else entirely');
    for (const readOnly of [true, false]) failure('ERR_VARVE_FORMAT', () => stores.open(schema, { readOnly }));
    expect(readFileSync(stores.file(), 'utf8')).toBe('something else entirely');
    await expect(TypedStore.open(stores.file(), schema)).rejects.toMatchObject({ code: 'ERR_VARVE_FORMAT' });
  });
});
