/**
 * Stores with checksums: whatever is written by any means is read by all, no bit of a record changes unnoticed, what
 * recovery and `check` say of damage, and that a power cut leaves nothing that passes for a record and is none.
 */
import { copyFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TYPED_FEATURE_CHECKSUMS } from '../../host/generated/abi.ts';
import type { FieldAccessor } from '../../host/typed/access.ts';
import { bytes, defineSchema, f64, str, u32 } from '../../host/typed/schema.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';
import { disposeNow, failure } from '../support/log-fixture.ts';
import { forEachSeed } from '../support/random.ts';
import { append, priceAt, rewrite, typed } from '../support/typed-fixture.ts';
import { Places } from '../support/typed-places.ts';
import { Everything, EXTREMES, randomRecord, TypedStores, zeros, type EverythingRecord } from '../support/typed-stores.ts';

const NAMES = Object.keys(EXTREMES) as (keyof EverythingRecord)[];
const SEALED = { checksums: true } as const;

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

/** A store as it is after the death of its writer. */
function afterDeath(store: TypedStore<typeof Everything.fields>, name: string): TypedStore<typeof Everything.fields> {
  copyFileSync(store.path, stores.file(name));
  return stores.open(Everything, {}, name);
}

describe('a store with checksums', () => {
  it.each(['one', 'many'] as const)('holds what was written by any means: writers %s', async (writers) => {
    let written = 0;
    await forEachSeed(10, (random, seed) => {
      const options = { writers, ...SEALED };
      const store = stores.open(Everything, options, `seed-${seed}`);
      const model: EverythingRecord[] = [];
      for (let step = 0; step < 150; step++) {
        const at = random.integer(model.length);
        const way = model.length === 0 ? 0 : random.integer(6);
        const record = randomRecord(random);
        const name = random.pick(NAMES);
        if (way === 0) expect(store.append(record)).toBe(model.push(record) - 1);
        else if (way === 1) expect(store.append()).toBe(model.push(zeros()) - 1);
        else if (way === 2) expect(store.appendMany([record, zeros('x')])).toBe(model.push(record, zeros('x')) - 2);
        else if (way === 3) store.set(at, model[at] = record);
        else {
          const part = { [name]: record[name] };
          if (way === 4) store.update(at, part);
          else (store.fields[name] as FieldAccessor<unknown>).set(at, record[name]);
          Object.assign(model[at]!, part);
        }
        written++;
        const look = random.integer(model.length);
        expect(store.get(look)).toEqual(model[look]);
        expect(store.fields[name].get(look)).toEqual(model[look]![name]);
      }
      expect([...store]).toEqual(model);
      expect(store.check()).toEqual({ records: model.length, torn: [], damaged: [] });
      store.closeSync();
      const again = stores.open(Everything, { readOnly: true }, `seed-${seed}`);
      expect([...again]).toEqual(model);
      expect((again as unknown as { file: { features: number } }).file.features).toBe(TYPED_FEATURE_CHECKSUMS);
    });
    expect(written).toBe(1500);
  }, 60_000);

  it('has columns as others have', async () => {
    await forEachSeed(4, (random, seed) => {
      const plain = stores.open(Everything, {}, `plain-${seed}`);
      const sealed = stores.open(Everything, SEALED, `sealed-${seed}`);
      const records = Array.from({ length: 50 }, () => randomRecord(random));
      for (const store of [plain, sealed]) store.appendMany(records);
      for (const name of NAMES) {
        if (name === 'flag' || name === 'name' || name === 'blob') continue;
        const [a, b] = [plain.column(name), sealed.column(name)];
        const value = Number(random.pick<unknown>(EXTREMES[name]));
        for (const range of [undefined, {}, { from: 3 }, { to: 40 }, { from: 7, to: 7 }, { from: 50 }]) {
          for (const of of ['sum', 'min', 'max', 'mean', 'toFloat64Array'] as const) expect(b[of](range)).toEqual(a[of](range));
          for (const comparison of ['=', '!=', '<', '<=', '>', '>='] as const) {
            expect(b.where(comparison, value, range)).toEqual(a.where(comparison, value, range));
            expect(b.count(comparison, value, range)).toBe(a.count(comparison, value, range));
          }
        }
      }
      failure('ERR_VARVE_INVALID_ARGUMENT', () => sealed.column('price').sum({ from: 51 }));
    });
  });

  it('gives no record any of whose bits has changed', () => {
    const Small = defineSchema('Small', { fields: { number: f64, text: str(6), blob: bytes(3), count: u32 } });
    const store = stores.open(Small, SEALED);
    const record = { number: 1.5, text: 'abc', blob: Uint8Array.of(1, 2), count: 7 };
    store.appendMany([record, record, record]);
    const places = new Places(store);
    const { checksumAt, stride } = places.layout;
    expect([checksumAt, stride]).toEqual([8 + 8 + 12 + 8 + 4, 48]);
    let found = 0;
    for (let at = 8; at < checksumAt + 4; at++) {
      for (let bit = 0; bit < 8; bit++) {
        places.flip(places.record(1) + at, bit);
        for (const call of [
          () => store.get(1), () => store.fields.count.get(1), () => store.fields.text.get(1), () => [...store],
          () => store.column('number').sum(), () => store.column('count').toFloat64Array({ from: 1, to: 1 }),
          () => { store.update(1, { count: 8 }); }, () => { store.fields.text.set(1, 'new'); },
        ]) expect(failure('ERR_VARVE_CORRUPT', call).details).toMatchObject({ index: 1, path: store.path });
        found++;
        places.flip(places.record(1) + at, bit);
      }
    }
    expect(found).toBe((checksumAt + 4 - 8) * 8);
    expect([...store]).toEqual([record, record, record]);
    places.flip(places.record(1) + 9);
    expect(store.check()).toEqual({ records: 3, torn: [], damaged: [1] });
    expect(store.column('count').sum({ from: 2 })).toBe(7);
    // Setting all of it makes it good.
    store.set(1, { ...record, count: 8 });
    expect(store.get(1).count).toBe(8);
    expect(store.check().damaged).toEqual([]);
  });

  it('names damaged records when it is opened after a death, not after a clean close', () => {
    const store = stores.open(Everything, SEALED);
    store.appendMany(Array.from({ length: 100 }, (_, at) => zeros(`${at}`)));
    const places = new Places(store);
    for (const at of [3, 64, 99]) places.flip(places.record(at) + places.field('price'));
    places.hold(50);
    places.hold(64);
    const other = afterDeath(store, 'dead');
    // What was torn and is not damaged is whole.
    expect(other.recovery).toEqual({ torn: [50, 64], damaged: [3, 64, 99], clearedWords: 0 });
    expect(other.get(50).name).toBe('50');
    expect(other.check()).toEqual({ records: 100, torn: [], damaged: [3, 64, 99] });
    other.closeSync();
    const again = stores.open(Everything, {}, 'dead');
    expect(again.recovery).toEqual({ torn: [], damaged: [], clearedWords: 0 });
    expect(again.check().damaged).toEqual([3, 64, 99]);
  });

  it('is what its file says, whether the option is given or not', () => {
    stores.open(Everything, SEALED, 'sealed').closeSync();
    stores.open(Everything, {}, 'plain').closeSync();
    for (const options of [{}, SEALED]) stores.open(Everything, { ...options, readOnly: true }, 'sealed').closeSync();
    for (const [name, checksums] of [['sealed', false], ['plain', true]] as const) {
      for (const readOnly of [false, true]) {
        const { details } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(Everything, { checksums, readOnly }, name));
        expect(details['differences']).toEqual([{ what: 'checksums', expected: checksums, actual: !checksums }]);
      }
    }
    failure('ERR_VARVE_INVALID_ARGUMENT', () => stores.open(Everything, { format: 'mmfg-1', checksums: true }, 'mmfg'));
    failure('ERR_VARVE_INVALID_ARGUMENT', () => stores.open(Everything, { checksums: 1 as never }, 'none'));
    stores.open(Everything, { format: 'mmfg-1', checksums: false }, 'mmfg').closeSync();
  });
});

describe('checking a store without checksums', () => {
  it('finds stamps that a dead writer has left, and values that no field can have', () => {
    const store = stores.open(Everything, { writers: 'many' });
    store.appendMany(Array.from({ length: 20 }, () => zeros('x')));
    const places = new Places(store);
    for (const at of [2, 5, 19]) places.hold(at);
    places.write(places.record(7) + places.field('flag'), Uint8Array.of(2));
    places.write(places.record(8) + places.field('name'), Uint8Array.of(25));
    places.write(places.record(9) + places.field('near') + 6, Uint8Array.of(255));
    const before = places.read(0, 8192);
    const reader = stores.open(Everything, { readOnly: true });
    for (const each of [store, reader]) {
      expect(each.check()).toEqual({ records: 20, torn: [2, 5, 19], damaged: [7, 8] });
    }
    expect(places.read(0, 8192)).toEqual(before);
    reader.closeSync();
    failure('ERR_VARVE_CLOSED', () => reader.check());
  });
});

describe('a power cut', () => {
  it('leaves no record that passes for one and is none, and recovery names the others', async () => {
    const seen = { damaged: 0, whole: 0, replaced: 0, lost: 0 };
    await forEachSeed(200, (random) => {
      const fixture = typed('simulated', 'simd');
      const disk = fixture.log.disk!;
      const first = fixture.open(SEALED);
      append(first, 100);
      first.close();
      // That it was closed may get to the disk without a sync.
      disk.writeBack(random);
      const file = fixture.open();
      const replaced = new Set<number>();
      for (let step = 0; step < 1 + random.integer(4); step++) {
        append(file, random.integer(60));
        for (let set = 0; set < 20; set++) {
          const index = random.integer(file.count);
          rewrite(file, index, index + 1000);
          replaced.add(index);
        }
        if (random.chance(0.5)) disk.writeBack(random);
      }
      const appended = file.count;
      disk.powerCut(random);
      fixture.startAgain();
      const again = fixture.open();
      const { damaged } = again.recovery;
      for (let index = 0; index < again.count; index++) {
        const price = priceAt(again, index);
        if (damaged.includes(index)) {
          expect(price, 'a status').toBeLessThan(0);
          expect(index >= 100 || replaced.has(index), 'it was written to').toBe(true);
          seen.damaged++;
        } else if (price === index + 1000.5) {
          expect(replaced.has(index)).toBe(true);
          seen.replaced++;
        } else {
          expect(price).toBe(index + 0.5);
          seen.whole++;
        }
      }
      seen.lost += appended - again.count;
      again.close();
      disposeNow(fixture.log);
    });
    expect(Math.min(seen.damaged, seen.whole, seen.replaced, seen.lost)).toBeGreaterThan(100);
  });
});
