/**
 * Columns say of a field what the same over a plain array of its numbers says, whatever its type.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Comparison } from '../../host/typed/columns.ts';
import { forEachSeed } from '../support/random.ts';
import { Everything, EXTREMES, randomRecord, TypedStores, zeros } from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const NAMES = ['tiny', 'octet', 'short', 'word', 'int', 'count', 'long', 'size', 'near', 'age', 'ratio', 'price'] as const;
const COMPARISONS: readonly [Comparison, (a: number, b: number) => boolean][] = [
  ['=', (a, b) => a === b], ['!=', (a, b) => a !== b], ['<', (a, b) => a < b], ['<=', (a, b) => a <= b],
  ['>', (a, b) => a > b], ['>=', (a, b) => a >= b],
];

describe('a column', () => {
  it.each(NAMES)('of %s agrees with an array of its numbers, over all and over ranges', async (name) => {
    let compared = 0;
    await forEachSeed(4, (random, seed) => {
      const store = stores.open(Everything, {}, `seed-${seed}`);
      const numbers = store.appendMany(Array.from({ length: 70 }, () => randomRecord(random))) === 0
        ? Array.from(store, (record) => Number(record[name])) : [];
      const column = store.column(name);
      const ranges = [undefined, { from: 10 }, { to: 20 }, { from: 30, to: 30 }, { from: 5, to: 60 }, { from: 70 }];
      for (const range of ranges) {
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

  it('has a mean', () => {
    const store = stores.open(Everything);
    for (const price of [1, 2, 6]) store.append({ ...zeros(), price });
    expect(store.column('price').mean()).toBe(3);
    expect(store.column('price').mean({ to: 1 })).toBe(1.5);
    expect(store.column('price').mean({ from: 3 })).toBeNaN();
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
  });
});
