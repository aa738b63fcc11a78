/**
 * Rings: against an array of all that was ever appended, of which the last are there; beyond 2^31 and 2^32 records;
 * through a window that shows a part of the slots.
 */
import { statSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import { failure } from '../support/log-fixture.ts';
import { scaled } from '../support/tally.ts';
import { Places } from '../support/typed-places.ts';
import { Sample, sample, ZERO, type Samples } from '../support/typed-rings.ts';
import { TypedStores } from '../support/typed-stores.ts';

const FAR = [2 ** 31 - 5, 2 ** 31, 2 ** 32 - 5, 2 ** 32, 2 ** 52];

let stores: TypedStores;
let opened = 0;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

function make(capacity: number, options: Parameters<TypedStores['open']>[1] = {}, name = `ring-${opened++}`): Samples {
  return stores.open(Sample, { ring: true, capacity, ...options }, name);
}

/** A ring to which `count` records have been appended, those that are there being zeros. */
function makeAt(count: number, capacity: number, options: Parameters<TypedStores['open']>[1] = {}): Samples {
  const store = make(capacity, options);
  const { path } = store;
  new Places(store).count(count);
  store.closeSync();
  return stores.open(Sample, options.writers === undefined ? {} : { writers: options.writers }, path.split('/').at(-1));
}

/** Compares everything that a ring says with what is in it. */
function compare(store: Samples, there: ReadonlyMap<number, Sample>, length: number, capacity: number): void {
  const first = Math.max(0, length - capacity);
  expect([store.length, store.first, store.capacity]).toEqual([length, first, capacity]);
  const model = Array.from({ length: length - first }, (_, at) => there.get(first + at) ?? ZERO);
  expect([...store]).toEqual(model);
  for (const [at, record] of model.entries()) {
    expect(store.get(first + at)).toEqual(record);
    expect(store.fields.label.get(first + at)).toBe(record.label);
  }
  const values = model.map(({ value }) => value);
  const column = store.column('value');
  expect(Array.from(column.toFloat64Array())).toEqual(values);
  expect(column.sum()).toBe(values.reduce((sum, value) => sum + value, 0));
  expect([column.min(), column.max()]).toEqual([Math.min(...values), Math.max(...values)]);
  const indices = store.column('number').where('>', 0);
  expect(indices).toBeInstanceOf(Float64Array);
  expect(Array.from(indices)).toEqual(model.flatMap(({ number }, at) => (number > 0 ? [first + at] : [])));
  if (first > 0) {
    const { details } = failure('ERR_VARVE_OUT_OF_RANGE', () => store.get(first - 1));
    expect(details).toMatchObject({ index: first - 1, first, length });
  }
  failure('ERR_VARVE_OUT_OF_RANGE', () => store.fields.value.get(length));
}

type Step =
  | { readonly kind: 'append'; readonly count: number } | { readonly kind: 'zeros' } | { readonly kind: 'reopen' }
  | { readonly kind: 'set' | 'update' | 'field'; readonly at: number; readonly number: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), count: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'zeros' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' } as const) },
  { weight: 4, arbitrary: fc.record({
    kind: fc.constantFrom('set' as const, 'update' as const, 'field' as const), at: fc.nat(), number: fc.nat(),
  }) });

describe('a ring', () => {
  it.each([
    ['one', false], ['one', true], ['many', false], ['many', true],
  ] as const)('is the end of an array that it was appended to: writers %s, checksums %s', (writers, checksums) => {
    let wrapped = 0;
    fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 25 }), (capacity, steps) => {
      let store = make(capacity, { writers, checksums });
      const there = new Map<number, Sample>();
      let length = 0;
      for (const one of steps) {
        const first = Math.max(0, length - capacity);
        if (one.kind === 'append') {
          const records = Array.from({ length: one.count }, (_, at) => sample(length + at));
          if (one.count === 1) expect(store.append(records[0])).toBe(length);
          else expect(store.appendMany(records)).toBe(length);
          for (const record of records) there.set(length++, record);
        } else if (one.kind === 'zeros') {
          expect(store.append()).toBe(length++);
        } else if (one.kind === 'reopen') {
          store.closeSync();
          store = stores.open(Sample, { writers }, store.path.split('/').at(-1));
        } else if (length > 0) {
          const at = first + one.at % (length - first);
          const record = sample(one.number);
          if (one.kind === 'set') {
            store.set(at, record);
            there.set(at, record);
          } else {
            if (one.kind === 'update') store.update(at, { label: record.label });
            else store.fields.label.set(at, record.label);
            there.set(at, { ...there.get(at) ?? ZERO, label: record.label });
          }
        }
        compare(store, there, length, capacity);
      }
      expect(store.check()).toEqual({ records: Math.min(length, capacity), torn: [], damaged: [] });
      wrapped += length > capacity ? 1 : 0;
      store.closeSync();
    }), { seed: 7, numRuns: scaled(60) });
    expect(wrapped).toBeGreaterThan(10);
  }, 60_000);

  it.each(FAR)('goes on beyond %i records', (start) => {
    for (const writers of ['one', 'many'] as const) {
      const store = makeAt(start, 7, { writers });
      const there = new Map<number, Sample>();
      for (let index = start; index < start + 20; index++) {
        expect(store.append(sample(index))).toBe(index);
        there.set(index, sample(index));
        if (index % 3 === 0) {
          store.fields.value.set(index - 1, -1);
          there.set(index - 1, { ...there.get(index - 1) ?? ZERO, value: -1 });
        }
        compare(store, there, index + 1, 7);
      }
      const column = store.column('number');
      expect(Array.from(column.toFloat64Array({ from: start + 15, to: start + 17 })))
        .toEqual([start + 15, start + 16, start + 17]);
      expect(Array.from(column.where('=', start + 16))).toEqual([start + 16]);
      const { path } = store;
      store.closeSync();
      const again = stores.open(Sample, { readOnly: true }, path.split('/').at(-1));
      compare(again, there, start + 20, 7);
    }
  });

  it('has indices from 0 to 2^53 - 1, of which those are refused that are none', () => {
    const store = makeAt(2 ** 40, 3);
    for (const index of [-1, 0.5, NaN, Infinity, 2 ** 53, '1', 1n, null]) {
      for (const call of [
        () => store.get(index as number), () => store.fields.value.get(index as number),
        () => { store.set(index as number, ZERO); }, () => { store.update(index as number, {}); },
        () => { store.fields.value.set(index as number, 1); },
      ]) failure('ERR_VARVE_INVALID_ARGUMENT', call);
    }
    for (const index of [0, 5, 2 ** 32 - 1, 2 ** 32, 2 ** 40 - 4, 2 ** 40, 2 ** 53 - 1]) {
      failure('ERR_VARVE_OUT_OF_RANGE', () => store.get(index));
      failure('ERR_VARVE_OUT_OF_RANGE', () => { store.set(index, ZERO); });
      failure('ERR_VARVE_OUT_OF_RANGE', () => { store.update(index, { value: 1 }); });
    }
    expect([...store]).toEqual([ZERO, ZERO, ZERO]);
    expect(failure('ERR_VARVE_OUT_OF_RANGE', () => store.column('value').sum({ from: 5 })).details)
      .toMatchObject({ index: 5, first: 2 ** 40 - 3 });
    failure('ERR_VARVE_INVALID_ARGUMENT', () => store.column('value').sum({ to: 2 ** 40 }));
    expect(store.column('value').toFloat64Array({ to: 7 })).toHaveLength(0);
  });

  it('is seen through a window that shows a part of its slots', () => {
    const capacity = 9000;
    const core = new Core({ memoryBytes: STATIC_END + 3 * 65536 });
    const store = make(capacity, { core, checksums: true });
    const { view } = (store as unknown as { file: { view: { room: number } } }).file;
    for (let index = 0; index < 2.5 * capacity; index++) expect(store.append(sample(index))).toBe(index);
    expect(view.room).toBeLessThan(capacity / 2);
    const first = store.first;
    expect(first).toBe(1.5 * capacity);
    expect(store.length).toBe(2.5 * capacity);
    for (const index of [first, store.length - 1, first + 4499, first + 4500, first + 7000, first + 1]) {
      expect(store.get(index)).toEqual(sample(index));
    }
    expect(store.column('number').sum()).toBe(capacity * (first + store.length - 1) / 2);
    let next = first;
    for (const { number } of store) expect(number).toBe(next++);
    expect(store.check()).toEqual({ records: capacity, torn: [], damaged: [] });
    expect(Array.from(store.column('value').where('<=', (first + 2) / 2))).toEqual([first, first + 1, first + 2]);
    const name = store.path.split('/').at(-1)!;
    // A reader with a window at the other end follows.
    const other = new Core({ memoryBytes: STATIC_END + 3 * 65536 });
    const reader = stores.open(Sample, { readOnly: true, core: other }, name);
    expect(reader.get(first)).toEqual(sample(first));
    for (let index = store.length; index < first + 2 * capacity; index++) store.append(sample(index));
    failure('ERR_VARVE_OUT_OF_RANGE', () => reader.get(first));
    expect(reader.get(first + capacity)).toEqual(sample(first + capacity));
    const expected = Array.from({ length: capacity }, (_, at) => first + capacity + at);
    expect(Array.from(reader, ({ number }) => number)).toEqual(expected);
  }, 60_000);

  it('lets a walk that is overtaken go on with the oldest that is there', () => {
    const store = make(10);
    for (let index = 0; index < 10; index++) store.append(sample(index));
    const numbers: number[] = [];
    for (const { number } of store) {
      numbers.push(number);
      // Three records for each that is read.
      for (let more = 0; more < 3; more++) store.append(sample(store.length));
    }
    expect(numbers).toEqual([0, 3, 6, 9]);
  });

  it('is as large as it was made, and says so to those who expect another', () => {
    const store = make(100, {}, 'hundred');
    expect(store.capacity).toBe(100);
    for (let index = 0; index < 250; index++) store.append(sample(index));
    expect(store.capacity).toBe(100);
    store.closeSync();
    const places = new Places(store);
    expect(statSync(store.path).size).toBe(places.record(100));
    stores.open(Sample, { ring: true }, 'hundred').closeSync();
    stores.open(Sample, { ring: true, capacity: 100 }, 'hundred').closeSync();
    for (const [options, what, expected, actual] of [
      [{ ring: true, capacity: 64 }, 'capacity', 64, 100], [{ capacity: 128 }, 'capacity', 128, 100],
      [{ ring: false }, 'ring', false, true],
    ] as const) {
      const { details } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(Sample, options, 'hundred'));
      expect(details['differences']).toEqual([{ what, expected, actual }]);
    }
    stores.open(Sample, {}, 'plain').closeSync();
    failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(Sample, { ring: true, capacity: 64 }, 'plain'));
    for (const options of [
      { ring: true }, { ring: true, capacity: 0 }, { ring: 1 as never, capacity: 5 }, { ring: true, capacity: 2 ** 31 },
      { ring: true, capacity: 5, format: 'mmfg-1' },
    ] as const) failure('ERR_VARVE_INVALID_ARGUMENT', () => stores.open(Sample, options, 'none'));
  });

  it('is closed and read-only as any store is', () => {
    const store = make(4, {}, 'closed');
    store.append(sample(0));
    const reader = stores.open(Sample, { readOnly: true }, 'closed');
    for (const call of [
      () => reader.append(), () => reader.append(sample(1)), () => { reader.set(0, ZERO); },
      () => { reader.fields.value.set(0, 1); }, () => reader.appendMany([ZERO]),
    ]) failure('ERR_VARVE_READ_ONLY', call);
    expect(reader.get(0)).toEqual(sample(0));
    const column = store.column('value');
    store.closeSync();
    for (const call of [
      () => store.get(0), () => store.append(), () => store.append(sample(1)), () => { store.set(0, ZERO); },
      () => store.fields.value.get(0), () => { store.fields.value.set(0, 1); }, () => store.length, () => store.first,
      () => [...store], () => column.sum(), () => column.toFloat64Array(), () => store.check(),
    ]) failure('ERR_VARVE_CLOSED', call);
  });
});
