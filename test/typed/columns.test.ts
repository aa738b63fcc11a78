/**
 * Columns say of a field what the same over a plain array of its numbers says, whatever its type.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VALUES_MAX } from '../../host/core/typed-view.ts';
import type { ColumnRange, Comparison } from '../../host/typed/columns.ts';
import type { TypedStoreOptions } from '../../host/typed/options.ts';
import {
  array, bool, defineSchema, enumOf, f32, f64, i64, i8, nullable, str, timestamp, u16, u32, u64, u8,
  type RecordOf,
} from '../../host/typed/schema.ts';
import { forEachSeed } from '../support/random.ts';
import { Everything, EXTREMES, randomRecord, TypedStores, zeros } from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const NAMES = ['tiny', 'octet', 'short', 'word', 'int', 'count', 'long', 'size', 'near', 'age', 'ratio', 'price'] as const;
/** Of 70 records. */
const RANGES: readonly (ColumnRange | undefined)[] = [
  undefined, { from: 10 }, { to: 20 }, { from: 30, to: 30 }, { from: 5, to: 60 }, { from: 70 },
];
const COMPARISONS: readonly [Comparison, (a: number, b: number) => boolean][] = [
  ['=', (a, b) => a === b], ['!=', (a, b) => a !== b], ['<', (a, b) => a < b], ['<=', (a, b) => a <= b],
  ['>', (a, b) => a > b], ['>=', (a, b) => a >= b],
];

/** Numbers that may be null, between fields that have no column. */
const Sparse = defineSchema('Sparse', { fields: {
  side: enumOf('a', 'b'), list: array(f64, 2), tiny: nullable(i8), word: nullable(u16), at: timestamp,
  maybe: nullable(enumOf('a', 'b')), count: nullable(u32), lists: nullable(array(u8, 3)), long: nullable(i64),
  near: nullable(u64.number), ratio: nullable(f32), text: nullable(str(3)), flag: nullable(bool), price: nullable(f64),
} });
const NULLS: RecordOf<typeof Sparse.fields> = {
  side: 'a', list: [1, 2], tiny: null, word: null, at: 0, maybe: 'b', count: null, lists: null, long: null, near: null,
  ratio: null, text: 'x', flag: null, price: null,
};
/** Records that are read field by field, and those that are copied as a whole. */
const OPTIONS: readonly TypedStoreOptions[] = [{}, { checksums: true }, { ring: true, capacity: 70 }];
const NULLABLE = (['tiny', 'word', 'count', 'long', 'near', 'ratio', 'price'] as const)
  .flatMap((name) => OPTIONS.map((options) => [name, options] as const));
/** The field of `Everything` that is of the same type. */
const LIKE = {
  tiny: 'tiny', word: 'word', count: 'count', long: 'long', near: 'age', ratio: 'ratio', price: 'price',
} as const;

describe('a column', () => {
  it.each(NAMES)('of %s agrees with an array of its numbers, over all and over ranges', async (name) => {
    let compared = 0;
    await forEachSeed(4, (random, seed) => {
      const store = stores.open(Everything, {}, `seed-${seed}`);
      const numbers = store.appendMany(Array.from({ length: 70 }, () => randomRecord(random))) === 0
        ? Array.from(store, (record) => Number(record[name])) : [];
      const column = store.column(name);
      for (const range of RANGES) {
        const from = range?.from ?? 0;
        const part = numbers.slice(from, (range?.to ?? 69) + 1);
        expect(Array.from(column.toFloat64Array(range))).toEqual(part);
        expect(column.sum(range)).toBe(part.reduce((sum, number) => sum + number, 0));
        expect(column.min(range)).toBe(Math.min(...part));
        expect(column.max(range)).toBe(Math.max(...part));
        const value = Number(random.pick<unknown>(EXTREMES[name]));
        for (const [comparison, holds] of COMPARISONS) {
          const found = part.flatMap((number, at) => (holds(number, value) ? [from + at] : []));
          expect(Array.from(column.where(comparison, value, range))).toEqual(found);
          expect(column.count(comparison, value, range)).toBe(found.length);
          compared += found.length;
        }
      }
      store.closeSync();
    });
    expect(compared).toBeGreaterThan(100);
  });

  it.each(NULLABLE)('of %s passes over what is null, in a store that is made with %o', async (name, options) => {
    let nulls = 0;
    await forEachSeed(4, (random, seed) => {
      const store = stores.open(Sparse, options, `seed-${seed}`);
      const values = Array.from({ length: 70 }, () => (
        random.chance(0.4) ? null : random.pick<number | bigint>(EXTREMES[LIKE[name]])));
      for (const value of values) {
        store.append({ ...NULLS, [name]: value });
        nulls += value === null ? 1 : 0;
      }
      const column = store.column(name);
      for (const range of RANGES) {
        const from = range?.from ?? 0;
        const part = values.slice(from, (range?.to ?? 69) + 1);
        const numbers = part.flatMap((value) => (value === null ? [] : [Number(value)]));
        const sum = numbers.reduce((total, number) => total + number, 0);
        expect(column.sum(range)).toBe(sum);
        expect(column.min(range)).toBe(Math.min(...numbers));
        expect(column.max(range)).toBe(Math.max(...numbers));
        expect(column.mean(range)).toBe(sum / numbers.length);
        expect(Array.from(column.toFloat64Array(range)))
          .toEqual(part.map((value) => (value === null ? NaN : Number(value))));
        const other = Number(random.pick<unknown>(EXTREMES[LIKE[name]]));
        for (const [comparison, holds] of COMPARISONS) {
          const found = part.flatMap((value, at) => (value !== null && holds(Number(value), other) ? [from + at] : []));
          expect(Array.from(column.where(comparison, other, range))).toEqual(found);
          expect(column.count(comparison, other, range)).toBe(found.length);
        }
      }
      store.closeSync();
    });
    expect(nulls).toBeGreaterThan(50);
  });

  it('with nulls is that of the records which a ring still has', () => {
    const store = stores.open(Sparse, { ring: true, capacity: 4 });
    for (let tiny = 0; tiny < 10; tiny++) store.append({ ...NULLS, tiny: tiny % 2 === 0 ? tiny : null });
    const column = store.column('tiny');
    expect([column.sum(), column.mean(), column.min(), column.count('<', 9)]).toEqual([14, 7, 6, 2]);
    expect(column.where('>', 0)).toEqual(Float64Array.of(6, 8));
    expect(column.toFloat64Array()).toEqual(Float64Array.of(6, NaN, 8, NaN));
  });

  it('of timestamps has their milliseconds', () => {
    const store = stores.open(Sparse);
    for (const at of [1000, -8.64e15, 8.64e15, 7]) store.append({ ...NULLS, at });
    const column = store.column('at');
    expect([column.min(), column.max(), column.sum()]).toEqual([-8.64e15, 8.64e15, 1007]);
    expect(Array.from(column.where('>', 500))).toEqual([0, 2]);
    expect(Array.from(column.toFloat64Array({ from: 2 }))).toEqual([8.64e15, 7]);
  });

  it.each([{}, { checksums: true }])('with nulls goes on where one call of the core ends: %o', (options) => {
    const store = stores.open(defineSchema('Long', { fields: { n: nullable(u32) } }), options);
    const count = VALUES_MAX * 2 + 5;
    store.appendMany(Array.from({ length: count }, (_, n) => ({ n: n % 3 === 0 ? null : n })));
    const numbers = Array.from({ length: count }, (_, n) => n).filter((n) => n % 3 !== 0);
    const column = store.column('n');
    expect(column.mean()).toBe(numbers.reduce((sum, n) => sum + n, 0) / numbers.length);
    expect(Array.from(column.where('>=', 0))).toEqual(numbers);
    const copied = column.toFloat64Array();
    expect(copied.length).toBe(count);
    expect(Array.from(copied).filter((value) => !Number.isNaN(value))).toEqual(numbers);
  });

  it('has a mean', () => {
    const store = stores.open(Everything);
    for (const price of [1, 2, 6]) store.append({ ...zeros(), price });
    expect(store.column('price').mean()).toBe(3);
    expect(store.column('price').mean({ to: 1 })).toBe(1.5);
    expect(store.column('price').mean({ from: 3 })).toBeNaN();
    expect(store.column('price').mean({ from: 2, to: 2 })).toBe(6);
  });

  it('refuses fields without numbers, and ranges and comparisons that there are not', () => {
    const store = stores.open(Everything);
    store.append();
    const column = store.column('price');
    const invalid = { code: 'ERR_VARVE_INVALID_ARGUMENT' };
    const calls: (() => unknown)[] = [
      ...['flag', 'name', 'blob', 'none', 'toString', 7].map((name) => () => store.column(name as never)),
      ...[{ from: -1 }, { to: 1 }, { from: 2 }, { from: 0.5 }, { from: '0' }, { from: 1, to: -1 }, null, 3].map((range) => (
        () => column.sum(range as never))),
      () => column.where('~' as never, 1), () => column.where('toString' as never, 1), () => column.count('=', 1n as never),
    ];
    for (const call of calls) expect(call).toThrow(expect.objectContaining(invalid));
    expect(calls.length).toBe(17);
    const kinds = stores.open(Sparse, {}, 'kinds');
    for (const name of ['side', 'list', 'maybe', 'lists', 'text', 'flag']) {
      expect(() => kinds.column(name as never)).toThrow(expect.objectContaining(invalid));
    }
  });
});
