/**
 * When a typed store syncs by itself: before the first write after it was opened, so that its header never says closed
 * over changed records; and when it is closed, where something was written since, or may be left unsynced by whoever
 * had it before.
 */
import { copyFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import { realStorage } from '../../host/io/real-storage.ts';
import type { Storage, StoredFile } from '../../host/io/storage.ts';
import type { TypedStoreOptions } from '../../host/typed/options.ts';
import { defineSchema, f64, str } from '../../host/typed/schema.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';
import { failure } from '../support/real-storage.ts';
import { TypedStores } from '../support/typed-stores.ts';

const Price = defineSchema('Price', { fields: { symbol: str(8), value: f64 } });
type Store = TypedStore<typeof Price.fields>;

let stores: TypedStores;
let syncs: number;
/** Whether the disk refuses to sync. */
let isFailing: boolean;

/** The real disk; counts the syncs that block, and may refuse them. */
function countingStorage(): Storage {
  const real = realStorage();
  const counting = (file: StoredFile): StoredFile => new Proxy(file, {
    get(target, key) {
      if (key === 'syncNow') {
        syncs++;
        if (isFailing) return () => { throw new VarveError('ERR_VARVE_IO', 'the disk is broken', {}); };
      }
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
  return new Proxy(real, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const method = (value as (...all: unknown[]) => unknown).bind(target);
      return key === 'open' ? (...all: unknown[]) => counting(method(...all) as StoredFile) : method;
    },
  });
}

/** Syncs of closing a store after `use`, which is opened once it was made with two records. */
function syncsOfClosing(use: (store: Store) => void, options: TypedStoreOptions = {}): number {
  const made = stores.open(Price, options);
  made.appendMany([{ symbol: 'A', value: 1 }, { symbol: 'B', value: 2 }]);
  made.closeSync();
  const store = stores.open(Price, { ...options, storage: countingStorage() });
  use(store);
  syncs = 0;
  store.closeSync();
  return syncs;
}

beforeEach(() => {
  stores = new TypedStores();
  isFailing = false;
});
afterEach(() => { stores.remove(); });

describe('closing', () => {
  it('does not sync where nothing was written', () => {
    expect(syncsOfClosing(() => undefined)).toBe(0);
    stores.remove();
    stores = new TypedStores();
    expect(syncsOfClosing((store) => { Array.from(store); store.column('value').sum(); })).toBe(0);
  });

  it.each<[string, (store: Store) => void]>([
    ['a field', (store) => { store.fields.value.set(0, 3); }],
    ['a text', (store) => { store.fields.symbol.set(0, 'C'); }],
    ['a record', (store) => { store.set(1, { symbol: 'D', value: 4 }); }],
    ['some fields', (store) => { store.update(1, { value: 5 }); }],
    ['an append', (store) => { store.append({ symbol: 'E', value: 6 }); }],
    ['an empty append', (store) => { store.append(); }],
    ['many appends', (store) => { store.appendMany([{ symbol: 'F', value: 7 }]); }],
  ])('syncs after %s', (_, write) => {
    for (const options of [{}, { checksums: true }, { ring: true, capacity: 3 }, { format: 'mmfg-1' } as const]) {
      expect(syncsOfClosing(write, options)).toBe(1);
      stores.remove();
      stores = new TypedStores();
    }
  });

  it('syncs a write of an earlier turn of the event loop', async () => {
    const store = stores.open(Price, { storage: countingStorage() });
    store.append();
    await new Promise((resolve) => { setTimeout(resolve, 10); });
    syncs = 0;
    store.closeSync();
    expect(syncs).toBe(1);
  });

  it('syncs what somebody has left who did not close, and where many write', () => {
    const store = stores.open(Price);
    store.append();
    copyFileSync(stores.file(), stores.file('left.varve'));
    const left = stores.open(Price, { storage: countingStorage() }, 'left.varve');
    syncs = 0;
    left.closeSync();
    expect(syncs).toBe(1);
    store.closeSync();
    expect(syncsOfClosing(() => undefined, { writers: 'many' })).toBe(1);
  });
});

describe('the first write after opening', () => {
  it('syncs once, and no later one does', async () => {
    const store = stores.open(Price, { storage: countingStorage() });
    syncs = 0;
    store.append({ symbol: 'A', value: 1 });
    expect(syncs).toBe(1);
    store.set(0, { symbol: 'B', value: 2 });
    await new Promise((resolve) => { setTimeout(resolve, 10); });
    store.fields.value.set(0, 3);
    expect(syncs).toBe(1);
  });

  it('is refused where that sync fails: nothing is written, and the store is poisoned', () => {
    stores.open(Price).append({ symbol: 'A', value: 1 });
    stores.close();
    const store = stores.open(Price, { storage: countingStorage() });
    isFailing = true;
    failure('ERR_VARVE_IO', () => { store.set(0, { symbol: 'B', value: 2 }); });
    isFailing = false;
    failure('ERR_VARVE_POISONED', () => { store.fields.value.set(0, 2); });
    failure('ERR_VARVE_POISONED', () => store.append());
    expect([...store]).toEqual([{ symbol: 'A', value: 1 }]);
    store.closeSync();
    const again = stores.open(Price);
    expect([...again]).toEqual([{ symbol: 'A', value: 1 }]);
    again.set(0, { symbol: 'C', value: 3 });
    expect(again.get(0).value).toBe(3);
  });
});
