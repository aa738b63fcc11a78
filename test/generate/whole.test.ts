/**
 * Records that generated classes read and write at once, without a loop over their fields: the same as through
 * TypedStore, in every way in which a file may be made, for right values and for wrong ones.
 */
import fc from 'fast-check';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FieldAccessor } from '../../host/typed/access.ts';
import { recordLayout } from '../../host/typed/describe.ts';
import type { OpenOptions } from '../../host/typed/generated.ts';
import { PlainSchema, PlainStore, type Plain } from '../fixtures/generate/plain-store.ts';
import { leftOpen } from '../support/typed-open.ts';
import { TypedStores } from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const ZERO: Plain = {
  side: 'buy', flag: false, tiny: 0, octet: 0, short: 0, word: 0, int: 0, count: 0, long: 0n, size: 0n, near: 0, age: 0,
  ratio: 0, close: 0, name: '', at: 0,
};
const FULL: Plain = {
  side: 'sell', flag: true, tiny: -128, octet: 255, short: -32768, word: 65535, int: -2147483648, count: 4294967295,
  long: -(2n ** 63n), size: 2n ** 64n - 1n, near: -(2 ** 53 - 1), age: 2 ** 53 - 1, ratio: -1.5, close: NaN,
  name: '€uro ÿ', at: -8.64e15,
};
const WRONG: Record<keyof Plain, readonly unknown[]> = {
  side: ['hold', 0, undefined], flag: [1, 'true'], tiny: [128, 0.5], octet: [-1, 256], short: [32768], word: [65536],
  int: [2147483648], count: [-1], long: [1, 2n ** 63n], size: [-1n], near: [2 ** 53, 0.5], age: [-1],
  ratio: ['1', 1e39], close: ['1', null, 1n], name: ['x'.repeat(12), '€'.repeat(4), 7], at: [8.64e15 + 1, 0.5, new Date()],
};
const NAMES = Object.keys(ZERO) as (keyof Plain)[];

const MODES: readonly (readonly [string, OpenOptions])[] = [
  ['plain', {}], ['with checksums', { checksums: true }], ['a ring', { ring: true, capacity: 5 }],
  ['a ring with checksums', { ring: true, capacity: 5, checksums: true }], ['of many writers', { writers: 'many' }],
];

/** The code of what a call throws. */
function codeOf(call: () => unknown): unknown {
  try {
    call();
    return 'nothing';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

/** A generated accessor, by its name. */
function accessor(store: PlainStore, way: 'get' | 'set', name: string): (index: number, value?: unknown) => unknown {
  const key = `${way}${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  const method = (store as unknown as Record<string, (index: number, value?: unknown) => unknown>)[key]!;
  return (index, value) => method.call(store, index, value);
}

describe.each(MODES)('whole records, %s', (_, options) => {
  const integer = (min: number, max: number) => fc.integer({ min, max });
  const record: fc.Arbitrary<Plain> = fc.record({
    side: fc.constantFrom('buy' as const, 'sell' as const), flag: fc.boolean(), tiny: integer(-128, 127),
    octet: integer(0, 255), short: integer(-32768, 32767), word: integer(0, 65535),
    int: integer(-2147483648, 2147483647), count: integer(0, 4294967295),
    long: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    size: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), near: fc.maxSafeInteger(), age: fc.maxSafeNat(),
    ratio: fc.float(), close: fc.double(), at: integer(-8.64e15, 8.64e15),
    name: fc.string({ maxLength: 11 }).filter((value) => Buffer.byteLength(value) <= 11),
  }, { noNullPrototype: true });
  const step = fc.record({
    what: fc.constantFrom('append', 'append', 'empty', 'set', 'into', 'fields'), at: fc.nat(), record,
  });

  it('are those of TypedStore', () => {
    let run = 0;
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
      run++;
      const generated = PlainStore.openSync(stores.file(`generated-${run}`), options);
      const typed = stores.open(PlainSchema, options, `typed-${run}`);
      const fields = typed.fields as unknown as Record<string, FieldAccessor<unknown>>;
      for (const { what, at, record: values } of steps) {
        const { first, length } = generated;
        const index = length === first ? first : first + at % (length - first);
        if (what === 'append' || length === 0) expect(generated.append(values)).toBe(typed.append(values));
        else if (what === 'empty') expect(generated.append()).toBe(typed.append());
        else if (what === 'set') for (const store of [generated, typed]) store.set(index, values);
        else if (what === 'into') {
          const into = { ...ZERO, more: 1 };
          expect(generated.get(index, into)).toBe(into);
          expect(into).toEqual({ ...typed.get(index), more: 1 });
        } else {
          for (const name of NAMES) {
            accessor(generated, 'set', name)(index, values[name]);
            fields[name]!.set(index, values[name]);
            expect(accessor(generated, 'get', name)(index)).toEqual(fields[name]!.get(index));
          }
        }
      }
      expect([...generated]).toEqual([...typed]);
      expect(generated.check()).toMatchObject({ torn: [], damaged: [] });
      generated.closeSync();
      typed.closeSync();
    }), { numRuns: 30, seed: 20261121 });
    expect(run).toBe(30);
  });

  it('take nothing that one of their fields does not take', () => {
    const store = PlainStore.openSync(stores.file(), options);
    const typed = stores.open(PlainSchema, options, 'typed');
    for (const one of [store, typed]) one.append(FULL);
    for (const name of NAMES) {
      for (const value of WRONG[name]) {
        const wrong = { ...FULL, [name]: value } as Plain;
        const expected = codeOf(() => typed.append(wrong));
        expect(expected, name).toMatch(/^ERR_VARVE_(INVALID_ARGUMENT|VALUE_TOO_LONG)$/);
        expect(codeOf(() => store.append(wrong)), name).toBe(expected);
        expect(codeOf(() => { store.set(0, wrong); }), name).toBe(expected);
        expect(codeOf(() => accessor(store, 'set', name)(0, value)), name).toBe(expected);
      }
      const { [name]: _left, ...rest } = FULL;
      expect(codeOf(() => store.append(rest as unknown as Plain)), name).toBe('ERR_VARVE_INVALID_ARGUMENT');
    }
    const odd: readonly unknown[] = [null, 7, 'x', [], {}];
    for (const value of odd) {
      expect(codeOf(() => { store.set(0, value as Plain); })).toBe('ERR_VARVE_INVALID_ARGUMENT');
      expect(codeOf(() => store.append(value as Plain))).toBe('ERR_VARVE_INVALID_ARGUMENT');
    }
    for (const into of [null, 7, 'x']) {
      expect(codeOf(() => store.get(0, into as unknown as Plain))).toBe('ERR_VARVE_INVALID_ARGUMENT');
    }
    for (const index of [-1, 0.5, '0', NaN, 2 ** 53 + 2, undefined]) {
      expect(codeOf(() => store.get(index as number)), String(index)).toBe(codeOf(() => typed.get(index as number)));
      const expected = codeOf(() => { typed.set(index as number, FULL); });
      expect(codeOf(() => { store.set(index as number, FULL); })).toBe(expected);
    }
    expect(codeOf(() => store.get(1))).toBe('ERR_VARVE_OUT_OF_RANGE');
    expect([...store]).toEqual([FULL]);
    store.closeSync();
    const calls = [() => store.get(0), () => { store.set(0, FULL); }, () => store.append(FULL), () => store.append()];
    for (const call of calls) expect(codeOf(call)).toBe('ERR_VARVE_CLOSED');
    for (const name of NAMES) expect(codeOf(() => accessor(store, 'get', name)(0))).toBe('ERR_VARVE_CLOSED');
  });

  it('may come with properties that are no fields', () => {
    const store = PlainStore.openSync(stores.file(), options);
    const more = { ...FULL, more: 1 };
    expect(store.get(store.append(more))).toEqual(FULL);
    store.set(0, { ...more, name: 'x' });
    expect(store.get(0)).toEqual({ ...FULL, name: 'x' });
    expect(codeOf(() => { store.update(0, more); })).toBe('ERR_VARVE_INVALID_ARGUMENT');
    store.closeSync();
  });

  it('are not written through a reader, nor taken apart while their fields are put', () => {
    const store = PlainStore.openSync(stores.file(), options);
    store.append(FULL);
    const reader = PlainStore.openSync(stores.file(), { readOnly: true });
    expect(reader.get(0)).toEqual(FULL);
    expect(codeOf(() => { reader.set(0, ZERO); })).toBe('ERR_VARVE_READ_ONLY');
    expect(codeOf(() => reader.append(ZERO))).toBe('ERR_VARVE_READ_ONLY');
    const tricky = { ...ZERO, get name() { return store.get(0).name; }, get close() { return store.getClose(0); } };
    expect(store.get(store.append(tricky))).toEqual({ ...ZERO, name: FULL.name, close: FULL.close });
    const seen: unknown[] = [];
    store.get(0, { set side(_value: string) { seen.push(store.get(1).name); } } as Partial<Plain>);
    expect(seen).toEqual([FULL.name]);
    expect(store.get(0)).toEqual(FULL);
    reader.closeSync();
    store.closeSync();
  });
});

describe('a stored value that is none', () => {
  it.each<[keyof Plain, readonly number[]]>([
    ['side', [2]], ['flag', [7]], ['name', [12, 0, 0, 0]], ['at', [0, 0, 0, 0, 0, 0, 0, 0x70]],
    ['age', [0, 0, 0, 0, 0, 0, 0, 1]],
  ])('is an error where it is read: %s', (name, bytes) => {
    const store = PlainStore.openSync(stores.file());
    store.append(FULL);
    store.closeSync();
    const file = readFileSync(stores.file());
    file.set(bytes, 4096 + recordLayout(PlainSchema).fields.find((field) => field.name === name)!.offset);
    writeFileSync(stores.file(), leftOpen(file));
    const again = PlainStore.openSync(stores.file());
    const code = name === 'age' ? 'ERR_VARVE_INEXACT' : 'ERR_VARVE_BAD_VALUE';
    expect(codeOf(() => again.get(0))).toBe(code);
    expect(codeOf(() => again.get(0, { ...ZERO }))).toBe(code);
    expect(codeOf(() => accessor(again, 'get', name)(0))).toBe(code);
    again.set(0, FULL);
    expect(again.get(0)).toEqual(FULL);
    again.closeSync();
  });
});
