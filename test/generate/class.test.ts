/**
 * Generated classes at run time, on real files: every kind of field through its accessors, and the same steps through a
 * generated class and through TypedStore with the same end.
 */
import fc from 'fast-check';
import { existsSync } from 'node:fs';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FieldAccessor } from '../../host/typed/access.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { EverythingSchema, EverythingStore, type Everything } from '../fixtures/generate/everything-store.ts';
import { PriceTickSchema, PriceTickStore } from '../fixtures/generate/price-tick-store.ts';
import type { Everything as Source } from '../fixtures/generate/everything.ts';
import { accessorsOf } from '../../host/generate/names.ts';
import { parse, readSource } from '../support/repository.ts';
import { TypedStores } from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const EMPTY: Everything = {
  flag: false, tiny: 0, octet: 0, short: 0, word: 0, int: 0, count: 0, long: 0n, size: 0n, near: 0, age: 0, ratio: 0,
  price: 0, name: '', blob: new Uint8Array(), side: 'buy', color: null, mood: 'it\'s "fine"', moment: 0, later: null,
  vector: [0, 0, 0], octets: [0, 0, 0, 0, 0], wide: [0n, 0n], safe: null, maybe: null, note: null, seen: null,
  raw: null, big: null,
};
// The type of the source is that of the generated file.
const FULL: Source = {
  flag: true, tiny: -128, octet: 255, short: -32768, word: 65535, int: -2147483648, count: 4294967295,
  long: -(2n ** 63n), size: 2n ** 64n - 1n, near: Number.MIN_SAFE_INTEGER, age: Number.MAX_SAFE_INTEGER, ratio: 0.5,
  price: Math.PI,
  name: '€'.repeat(8), blob: Uint8Array.of(1, 2, 3), side: 'sell', color: 'blue', mood: 'line\nbreak', moment: -8.64e15,
  later: 8.64e15, vector: [1.5, NaN, -Infinity], octets: [1, 2, 3, 4, 255], wide: [-1n, 2n ** 62n],
  safe: [0, 2 ** 53 - 1], maybe: 0, note: '', seen: false, raw: new Uint8Array(4), big: 2n ** 63n,
};
const NAMES = Object.keys(EMPTY) as (keyof Everything)[];

type Accessors = Record<string, (index: number, value?: unknown) => unknown>;
/** Calls an accessor by the name of its field. */
function getField(store: EverythingStore, name: keyof Everything, index: number): unknown {
  return (store as unknown as Accessors)[accessorsOf(name).get]!(index);
}
function setField(store: EverythingStore, name: keyof Everything, index: number, value: unknown): void {
  (store as unknown as Accessors)[accessorsOf(name).set]!(index, value);
}

describe('a generated class', () => {
  it('has a getter and a setter for every field, of its kind', () => {
    using store = disposable(EverythingStore.openSync(stores.file()));
    store.append();
    expect(store.get(0)).toEqual(EMPTY);
    for (const name of NAMES) {
      expect(getField(store, name, 0), name).toEqual(EMPTY[name]);
      setField(store, name, 0, FULL[name]);
      expect(getField(store, name, 0), name).toEqual(FULL[name]);
      expect(store.get(0)[name], name).toEqual(FULL[name]);
    }
    for (const name of NAMES) setField(store, name, 0, EMPTY[name]);
    expect(store.get(0)).toEqual(EMPTY);
  });

  it('refuses what a field does not take, and writes nothing then', () => {
    using store = disposable(EverythingStore.openSync(stores.file()));
    store.append(FULL);
    const wrong: Record<keyof Everything, unknown> = {
      flag: 1, tiny: 128, octet: -1, short: 32768, word: 1.5, int: 2147483648, count: -1, long: 2n ** 63n, size: -1n,
      near: 2 ** 53, age: -1, ratio: 1e39, price: '1', name: '€'.repeat(9), blob: new Uint8Array(17), side: 'hold',
      color: 'it', mood: 'a', moment: 8.64e15 + 1, later: 0.5, vector: [1, 2], octets: [1, 2, 3, 4, 256], wide: [1, 2],
      safe: [1, -1], maybe: -1, note: 'x'.repeat(13), seen: 'no', raw: new Uint8Array(5), big: 1,
    };
    for (const name of NAMES) {
      expect(() => { setField(store, name, 0, wrong[name]); }, name).toThrow(expect.objectContaining({
        code: expect.stringMatching(/^ERR_VARVE_(INVALID_ARGUMENT|VALUE_TOO_LONG)$/) as string,
      }));
      expect(() => getField(store, name, 1), name).toThrow(expect.objectContaining({ code: 'ERR_VARVE_OUT_OF_RANGE' }));
    }
    expect(store.get(0)).toEqual(FULL);
  });

  it('appends, reads, replaces, changes, counts, visits and sums', async () => {
    const store = await PriceTickStore.open(stores.file(), { capacity: 100 });
    const tick = { symbol: 'VRV', price: 12.5, bid: null, ask: 13, at: 1000 };
    expect(store.append(tick)).toBe(0);
    expect(store.appendMany([{ ...tick, price: 1 }, { ...tick, price: 2 }])).toBe(1);
    expect([store.length, store.capacity]).toEqual([3, 128]);
    const into = { at: 7 };
    expect(store.get(0, into)).toBe(into);
    expect(into).toEqual(tick);
    store.set(1, { ...tick, symbol: '' });
    store.update(2, { bid: 7, symbol: 'X' });
    expect([...store]).toEqual([tick, { ...tick, symbol: '' }, { ...tick, price: 2, bid: 7, symbol: 'X' }]);
    expect(store.column('price').sum()).toBe(27);
    expect([store.readOnly, store.closed, store.recovery.torn, store.metadata.length]).toEqual([false, false, [], 0]);
    expect(store.path).toBe(stores.file());
    await store.sync();
    await store.close();
    expect(store.closed).toBe(true);
    expect(() => store.getPrice(0)).toThrow(expect.objectContaining({ code: 'ERR_VARVE_CLOSED' }));
  });

  it('is a TypedStore of its schema, and its file is one of that', async () => {
    const store = await PriceTickStore.create(stores.file());
    expect(store).toBeInstanceOf(TypedStore);
    const typed: TypedStore<typeof PriceTickSchema.fields> = store;
    store.append({ symbol: 'VRV', price: 12.5, bid: null, ask: 13, at: 1000 });
    expect(typed.fields.price.get(0)).toBe(12.5);
    expect(store.schema).toEqual(PriceTickSchema);
    await store.close();
    expect([...stores.open(PriceTickSchema)]).toEqual([{ symbol: 'VRV', price: 12.5, bid: null, ask: 13, at: 1000 }]);
  });

  it('opens read-only beside a writer', () => {
    using store = disposable(PriceTickStore.openSync(stores.file()));
    using reader = disposable(PriceTickStore.openSync(stores.file(), { readOnly: true }));
    store.append();
    store.setPrice(0, 3);
    expect(reader.getPrice(0)).toBe(3);
    expect(() => { reader.setPrice(0, 4); }).toThrow(expect.objectContaining({ code: 'ERR_VARVE_READ_ONLY' }));
  });

  it('refuses the file of another schema', async () => {
    await (await PriceTickStore.create(stores.file())).close();
    await expect(EverythingStore.open(stores.file())).rejects.toMatchObject({ code: 'ERR_VARVE_SCHEMA_MISMATCH' });
  });

  it('has no member from elsewhere that an accessor may be called by', () => {
    const members = ['host/typed/typed-store.ts', 'host/typed/generated.ts'].flatMap((path) => (
      parse(readSource(path)).statements.flatMap((one) => (ts.isClassDeclaration(one) ? [...one.members] : []))));
    const names = members.flatMap(({ name }) => (name !== undefined && ts.isIdentifier(name) ? [name.text] : []));
    expect(names).toEqual(expect.arrayContaining(['fields', 'append', 'closeSync', 'length', 'fieldView', 'answers']));
    expect(names.filter((name) => /^[gs]et./.test(name))).toEqual([]);
  });
});

describe('create', () => {
  it('makes a store and refuses where there is one, open or not', async () => {
    const store = await PriceTickStore.create(stores.file(), { metadata: Uint8Array.of(7) });
    expect(store.metadata).toEqual(Uint8Array.of(7));
    const again = { code: 'ERR_VARVE_EXISTS', kind: 'state', details: { path: stores.file() } };
    await expect(PriceTickStore.create(stores.file())).rejects.toMatchObject(again);
    await store.close();
    await expect(PriceTickStore.create(stores.file(), { writers: 'many' })).rejects.toMatchObject(again);
    await expect(TypedStore.open(stores.file(), PriceTickSchema, { create: 'new' })).rejects.toMatchObject(again);
  });

  it('is not for reading, nor what open does where there is nothing and it may not', async () => {
    await expect(TypedStore.open(stores.file(), PriceTickSchema, { create: 'new', readOnly: true }))
      .rejects.toMatchObject({ code: 'ERR_VARVE_INVALID_ARGUMENT' });
    await expect(PriceTickStore.open(stores.file(), { create: false })).rejects.toMatchObject({ code: 'ERR_VARVE_NOT_FOUND' });
    expect(existsSync(stores.file())).toBe(false);
  });
});

describe('the same steps', () => {
  const integer = (min: number, max: number) => fc.integer({ min, max });
  const text = (max: number) => fc.string({ maxLength: max }).filter((value) => Buffer.byteLength(value) <= max);
  const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
  const moments = integer(-8.64e15, 8.64e15);
  const record: fc.Arbitrary<Everything> = fc.record({
    flag: fc.boolean(), tiny: integer(-128, 127), octet: integer(0, 255), short: integer(-32768, 32767),
    word: integer(0, 65535), int: integer(-2147483648, 2147483647), count: integer(0, 4294967295),
    long: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), size: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    near: fc.maxSafeInteger(), age: fc.maxSafeNat(), ratio: fc.float(), price: fc.double(), name: text(24),
    blob: fc.uint8Array({ maxLength: 16 }), side: fc.constantFrom('buy' as const, 'sell' as const),
    color: maybe(fc.constantFrom('red' as const, 'green' as const, 'blue' as const)),
    mood: fc.constantFrom('it\'s "fine"' as const, 'a, b' as const, '' as const, '€uro' as const, 'y' as const),
    moment: moments, later: maybe(moments), vector: fc.array(fc.double(), { minLength: 3, maxLength: 3 }),
    octets: fc.array(integer(0, 255), { minLength: 5, maxLength: 5 }),
    wide: fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 2, maxLength: 2 }),
    safe: maybe(fc.array(fc.maxSafeNat(), { minLength: 2, maxLength: 2 })), maybe: maybe(integer(0, 65535)),
    note: maybe(text(12)), seen: maybe(fc.boolean()), raw: maybe(fc.uint8Array({ maxLength: 4 })),
    big: maybe(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  }, { noNullPrototype: true });
  const step = fc.record({
    what: fc.constantFrom('append', 'appendEmpty', 'appendMany', 'set', 'update', 'field'), at: fc.nat(), record,
    names: fc.subarray(NAMES, { minLength: 1 }),
  });

  it('through a generated class and through TypedStore end the same', () => {
    let runs = 0;
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 15 }), (steps) => {
      runs++;
      using generated = disposable(EverythingStore.openSync(stores.file(`generated-${runs}`)));
      using typed = disposable(TypedStore.openSync(stores.file(`typed-${runs}`), EverythingSchema));
      const fields = typed.fields as unknown as Record<string, FieldAccessor<unknown>>;
      for (const { what, at, record: values, names } of steps) {
        const index = generated.length === 0 ? 0 : at % generated.length;
        if (what === 'append' || generated.length === 0) expect(generated.append(values)).toBe(typed.append(values));
        else if (what === 'appendEmpty') expect(generated.append()).toBe(typed.append());
        else if (what === 'appendMany') {
          expect(generated.appendMany([values, EMPTY])).toBe(typed.appendMany([values, EMPTY]));
        } else if (what === 'set') for (const store of [generated, typed]) store.set(index, values);
        else if (what === 'update') {
          const part = Object.fromEntries(names.map((name) => [name, values[name]]));
          for (const store of [generated, typed]) store.update(index, part);
        } else {
          for (const name of names) {
            setField(generated, name, index, values[name]);
            fields[name]!.set(index, values[name]);
          }
        }
        for (const name of names) expect(getField(generated, name, index)).toEqual(fields[name]!.get(index));
      }
      expect([...generated]).toEqual([...typed]);
      generated.closeSync();
      using again = disposable(TypedStore.openSync(stores.file(`generated-${runs}`), EverythingSchema));
      expect([...again]).toEqual([...typed]);
    }), { numRuns: 60 });
    expect(runs).toBeGreaterThanOrEqual(60);
  });
});

/** Closes a store at the end of the block. */
function disposable<T extends { closeSync(): void }>(store: T): T & Disposable {
  return Object.assign(store, { [Symbol.dispose]: () => { store.closeSync(); } });
}
