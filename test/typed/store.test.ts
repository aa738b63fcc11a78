/**
 * TypedStore as its users see it: fields and records go in and come out, appended, replaced, changed in part, visited.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { defineSchema, f64, str, u32 } from '../../host/typed/schema.ts';
import { forEachSeed } from '../support/random.ts';
import {
  Everything, EXTREMES, randomRecord, TypedStores, zeros, type EverythingRecord,
} from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const Point = defineSchema('Point', { fields: { x: f64, label: str(6), y: u32 } });

describe('a field', () => {
  it.each(Object.keys(EXTREMES) as (keyof EverythingRecord)[])('%s keeps the extremes of its type', (name) => {
    const store = stores.open(Everything);
    store.append();
    const accessor = store.fields[name] as { get(index: number): unknown; set(index: number, value: unknown): void };
    for (const value of EXTREMES[name]) {
      accessor.set(0, value);
      expect(accessor.get(0)).toEqual(value);
      expect(store.get(0)).toEqual({ ...zeros(), [name]: value });
    }
  });

  it('of text turns lone surrogates into U+FFFD, alone and in a record', () => {
    const store = stores.open(Point);
    store.append({ x: 0, label: 'a\ud800', y: 0 });
    expect(store.fields.label.get(0)).toBe('a\ufffd');
    store.fields.label.set(0, '\udc00');
    expect(store.get(0).label).toBe('\ufffd');
  });

  it('of bytes is a copy both ways', () => {
    const store = stores.open(Everything);
    const given = Uint8Array.of(1, 2, 3);
    store.append({ ...zeros(), blob: given });
    given[0] = 99;
    const taken = store.fields.blob.get(0);
    taken[1] = 99;
    store.get(0).blob[2] = 99;
    expect(store.fields.blob.get(0)).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('of 32-bit floats keeps the nearest float', () => {
    const store = stores.open(Everything);
    store.append();
    store.fields.ratio.set(0, 0.1);
    expect(store.fields.ratio.get(0)).toBe(Math.fround(0.1));
  });

  it('leaves nothing of a longer text behind', () => {
    const store = stores.open(Point);
    store.append({ x: 1, label: 'secret', y: 2 });
    store.set(0, { x: 1, label: '', y: 2 });
    store.append({ x: 1, label: 'secret', y: 2 });
    store.fields.label.set(1, '');
    store.append({ x: 1, label: '', y: 2 });
    const { view } = (store as unknown as { file: { view: { readRow(index: number): number } } }).file;
    const rows = [0, 1, 2].map((index) => {
      expect(view.readRow(index)).toBe(0);
      return Core.shared().memory.bytes.slice(262144 + 8, 262144 + 40);
    });
    expect(rows[0]).toEqual(rows[2]);
    expect(rows[1]).toEqual(rows[2]);
  });
});

describe('a record', () => {
  it('is appended with an index, empty or whole, and comes back with its fields in order', () => {
    const store = stores.open(Point);
    expect(store.append()).toBe(0);
    expect(store.append({ label: 'ä', y: 7, x: -1 })).toBe(1);
    expect(store.length).toBe(2);
    expect(store.get(0)).toEqual({ x: 0, label: '', y: 0 });
    expect(Object.entries(store.get(1))).toEqual([['x', -1], ['label', 'ä'], ['y', 7]]);
  });

  it('fills an object that is given, and returns that', () => {
    const store = stores.open(Point);
    store.append({ x: 1, label: 'one', y: 1 });
    const into = { x: 0, label: '', y: 0, mine: true };
    expect(store.get(0, into)).toBe(into);
    expect(into).toEqual({ x: 1, label: 'one', y: 1, mine: true });
  });

  it('keeps the other fields when some are updated', () => {
    const store = stores.open(Everything);
    store.append({ ...zeros('kept'), price: 1.5, size: 7n });
    store.update(0, { price: 2.5, blob: Uint8Array.of(5) });
    store.update(0, {});
    expect(store.get(0)).toEqual({ ...zeros('kept'), price: 2.5, size: 7n, blob: Uint8Array.of(5) });
  });

  it('loses no field to another writer that updates another one', () => {
    const [one, two] = [1, 2].map(() => stores.open(Point, {
      writers: 'many', core: new Core({ memoryBytes: 512 << 20 }),
    })) as [ReturnType<typeof stores.open<typeof Point.fields>>, ReturnType<typeof stores.open<typeof Point.fields>>];
    one.append({ x: 1, label: 'a', y: 1 });
    // Taking the value runs the other writer's update between reading the partial record and writing it.
    one.update(0, { get x() {
      two.update(0, { y: 5, label: 'b' });
      return 9;
    } });
    expect(one.get(0)).toEqual({ x: 9, label: 'b', y: 5 });
  });

  it('is what its object said, whatever a getter of that object does with the store', () => {
    const store = stores.open(Everything);
    store.append(zeros('first'));
    const tricky = { ...zeros('second'), tiny: 5, get price() {
      store.set(0, { ...zeros('other'), tiny: 99, octet: 99 });
      return 3.5;
    } };
    store.append(tricky);
    expect(store.get(1)).toEqual({ ...zeros('second'), tiny: 5, price: 3.5 });
    expect(store.get(0)).toEqual({ ...zeros('other'), tiny: 99, octet: 99 });
  });
});

describe('a store', () => {
  it('grows past its capacity, and readers that were open follow', () => {
    const store = stores.open(Point, { capacity: 64 });
    store.append({ x: 0, label: '0', y: 0 });
    const reader = stores.open(Point, { readOnly: true, core: new Core({ memoryBytes: 512 << 20 }) });
    expect(reader.length).toBe(1);
    for (let i = 1; i < 1000; i++) store.append({ x: i, label: String(i), y: i });
    expect(store.capacity).toBe(1024);
    expect(reader.fields.y.get(999)).toBe(999);
    expect(reader.capacity).toBe(1024);
    expect(reader.get(500)).toEqual({ x: 500, label: '500', y: 500 });
    expect([...reader].length).toBe(1000);
  });

  it('appends many at once', () => {
    const store = stores.open(Point);
    store.append();
    const records = Array.from({ length: 300 }, (_, y) => ({ x: y / 2, label: `n${y}`, y }));
    expect(store.appendMany(records)).toBe(1);
    expect(store.appendMany([])).toBe(301);
    expect([...store].slice(1)).toEqual(records);
  });

  it('visits the records that were there when it began', () => {
    const store = stores.open(Point);
    for (let y = 0; y < 3; y++) store.append({ x: 0, label: '', y });
    const seen: number[] = [];
    for (const { y } of store) {
      seen.push(y);
      store.append({ x: 0, label: '', y: 9 });
    }
    expect(seen).toEqual([0, 1, 2]);
    expect(store.length).toBe(6);
  });

  it('has everything again when it is opened again, synced or not', async () => {
    const metadata = Buffer.from('mine');
    const store = stores.open(Point, { metadata });
    store.append({ x: 1, label: 'one', y: 1 });
    await store.sync();
    store.syncNow();
    store.append({ x: 2, label: 'two', y: 2 });
    await store.close();
    await store.close();
    expect(store.closed).toBe(true);
    const again = stores.open(Point);
    expect([...again]).toEqual([{ x: 1, label: 'one', y: 1 }, { x: 2, label: 'two', y: 2 }]);
    expect(Buffer.from(again.metadata).toString()).toBe('mine');
    expect(again.recovery.torn).toEqual([]);
    expect([again.path, again.readOnly]).toEqual([stores.file(), false]);
  });

  it.each(['one', 'many'] as const)('does what an array of plain objects does, with %s writer(s)', async (writers) => {
    let steps = 0;
    await forEachSeed(12, (random, seed) => {
      const store = stores.open(Everything, { writers }, `seed-${seed}`);
      const model: EverythingRecord[] = [];
      for (let step = 0; step < 250; step++, steps++) {
        const index = random.integer(Math.max(model.length, 1));
        const record = randomRecord(random);
        const choice = model.length === 0 ? 0 : random.integer(6);
        if (choice === 0) expect(store.append(record)).toBe(model.push(record) - 1);
        else if (choice === 1) expect(store.append()).toBe(model.push(zeros()) - 1);
        else if (choice === 2) {
          store.set(index, record);
          model[index] = record;
        } else if (choice === 3) {
          const names = random.shuffled(Object.keys(record)).slice(random.integer(16)) as (keyof EverythingRecord)[];
          const partial = Object.fromEntries(names.map((name) => [name, record[name]])) as Partial<EverythingRecord>;
          store.update(index, partial);
          model[index] = { ...model[index]!, ...partial };
        } else if (choice === 4) {
          const name = random.pick(Object.keys(record)) as keyof EverythingRecord;
          (store.fields[name] as { set(index: number, value: unknown): void }).set(index, record[name]);
          model[index] = { ...model[index]!, [name]: record[name] };
        }
        if (model.length > 0) expect(store.get(index)).toEqual(model[index]);
      }
      expect([...store]).toEqual(model);
      store.closeSync();
      const again = stores.open(Everything, { writers }, `seed-${seed}`);
      expect([...again]).toEqual(model);
      again.closeSync();
    });
    expect(steps).toBeGreaterThanOrEqual(250);
  }, 60_000);
});
