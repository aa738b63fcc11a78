/**
 * Migration of stores with more than plain fields: enums that get more values, fields that may be null, arrays and
 * timestamps; of stores with checksums, and of rings, whose records keep their numbers.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  array, bool, defineSchema, enumOf, f64, i64, nullable, str, timestamp, u16, u32, u8, type Fields, type Schema,
} from '../../host/typed/schema.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { failure, rejection } from '../support/log-fixture.ts';
import { TypedStores } from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const Order = {
  side: enumOf('buy', 'sell'), limit: nullable(f64), note: nullable(str(5)), at: timestamp, path: array(f64, 3),
};
const schemaOf = <const F extends Fields>(version: number, fields: F): Schema<F> => defineSchema('Order', { version, fields });
const One = schemaOf(1, Order);
const records = [
  { side: 'buy', limit: 1.5, note: null, at: 86_400_000, path: [1, 2, 3] },
  { side: 'sell', limit: null, note: 'abc', at: -1, path: [NaN, -0, Infinity] },
  { side: 'sell', limit: null, note: null, at: 0, path: [0, 0, 0] },
] as const;

function make(options = {}): string {
  const store = stores.open(One, options);
  for (const record of records) store.append({ ...record, path: [...record.path] });
  store.closeSync();
  return store.path;
}

describe('a migration', () => {
  it('appends fields of every kind, nulls and values among those that were there', async () => {
    const path = make();
    const more = {
      flag: nullable(bool), venue: enumOf('none', 'home', 'away'), seen: nullable(timestamp), sizes: array(i64, 2),
      maybe: nullable(u32),
    };
    const Two = schemaOf(2, { ...Order, ...more });
    await TypedStore.migrate(path, Two, { defaults: { flag: true, venue: 'away', sizes: [1n, -2n] } });
    expect([...stores.open(Two)]).toEqual(records.map((record) => ({
      ...record, flag: true, venue: 'away', seen: null, sizes: [1n, -2n], maybe: null,
    })));
  });

  it('makes room for the presence of fields where none could be null before', async () => {
    const Plain = schemaOf(1, { tiny: u8, price: f64 });
    const store = stores.open(Plain);
    for (let at = 0; at < 5; at++) store.append({ tiny: at, price: at / 2 });
    store.closeSync();
    const n = nullable(u16);
    const Nine = schemaOf(2, { ...Plain.fields, n0: n, n1: n, n2: n, n3: n, n4: n, n5: n, n6: n, n7: n, n8: n });
    await TypedStore.migrate(store.path, Nine, { defaults: { n0: 7, n8: 8 } });
    const last = schemaOf(3, { ...Nine.fields, more: nullable(u8) });
    await TypedStore.migrate(store.path, last, { defaults: { more: 9 } });
    expect(stores.open(last).get(3)).toEqual({
      tiny: 3, price: 1.5, n0: 7, n1: null, n2: null, n3: null, n4: null, n5: null, n6: null, n7: null, n8: 8, more: 9,
    });
  });

  it('appends values to an enum, also beyond those that one byte can tell apart', async () => {
    const path = make();
    const Three = schemaOf(2, { ...Order, side: enumOf('buy', 'sell', 'cancel') });
    await TypedStore.migrate(path, Three);
    const names = ['buy', 'sell', 'cancel', ...Array.from({ length: 300 }, (_, at) => `more ${at}`)];
    const Many = schemaOf(3, { ...Order, side: enumOf(...names) });
    expect(failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(Many)).details['isUpgrade']).toBe(true);
    await TypedStore.migrate(path, Many);
    const store = stores.open(Many);
    expect([...store]).toEqual(records);
    store.fields.side.set(0, 'more 299');
    expect(store.get(0)).toEqual({ ...records[0], side: 'more 299' });
  });

  it.each([
    ['another order of values', { ...Order, side: enumOf('sell', 'buy') }, 'values'],
    ['a value less', { ...Order, side: enumOf('buy') }, 'values'],
    ['null where there was none', { ...Order, at: nullable(timestamp) }, 'nullable'],
    ['no null where there was one', { ...Order, limit: f64 }, 'nullable'],
    ['a longer array', { ...Order, path: array(f64, 4) }, 'count'],
    ['a number for a moment', { ...Order, at: i64 }, 'unit'],
  ])('is refused for %s', async (_what, fields, what) => {
    const path = make();
    const before = readFileSync(path);
    const { details } = await rejection('ERR_VARVE_SCHEMA_MISMATCH', TypedStore.migrate(path, schemaOf(2, fields) as Schema));
    expect(details['differences']).toMatchObject([{ what }]);
    expect(readFileSync(path)).toEqual(before);
  });

  it('keeps checksums, and computes them anew', async () => {
    const path = make({ checksums: true });
    const Two = schemaOf(2, { ...Order, more: u32 });
    await TypedStore.migrate(path, Two, { defaults: { more: 5 } });
    const store = stores.open(Two, { checksums: true });
    expect([...store]).toEqual(records.map((record) => ({ ...record, more: 5 })));
    expect(store.check()).toEqual({ records: 3, torn: [], damaged: [] });
  });

  it('of a damaged record is refused, and changes nothing', async () => {
    const path = make({ checksums: true });
    const file = readFileSync(path);
    file[4096 + 24] = file[4096 + 24]! ^ 1;
    writeFileSync(path, file);
    const { details } = await rejection('ERR_VARVE_CORRUPT', TypedStore.migrate(path, schemaOf(2, { ...Order, more: u32 })));
    expect(details).toMatchObject({ index: 0 });
    expect(stores.open(One, { readOnly: true }).get(1)).toEqual(records[1]);
  });

  it.each([3, 7, 25])('of a ring keeps the numbers of its records, of which %i were appended', async (count) => {
    const Small = schemaOf(1, { at: u32 });
    const store = stores.open(Small, { ring: true, capacity: 7, metadata: Buffer.from('kept') });
    for (let at = 0; at < count; at++) store.append({ at });
    const { first, length } = store;
    store.closeSync();
    const Two = schemaOf(2, { at: u32, more: str(9) });
    const done = await TypedStore.migrate(store.path, Two, { defaults: { more: 'x' } });
    expect(done.records).toBe(Math.min(count, 7));
    const ring = stores.open(Two, { ring: true, capacity: 7 });
    expect([ring.first, ring.length]).toEqual([first, length]);
    expect([...ring]).toEqual(Array.from({ length: length - first }, (_, at) => ({ at: first + at, more: 'x' })));
    expect(ring.append({ at: 99, more: '' })).toBe(count);
    expect(ring.get(count)).toEqual({ at: 99, more: '' });
    expect(ring.check().damaged).toEqual([]);
  });
});
