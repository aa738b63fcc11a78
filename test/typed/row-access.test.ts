/**
 * Fields through the row: what an accessor of the row writes, the direct accessor and whole records read, and the other
 * way round; nothing beside the field is changed; what is refused is refused alike.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FieldAccessor, Means } from '../../host/typed/access.ts';
import { RowAccessor } from '../../host/typed/row-access.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';
import { failure } from '../support/log-fixture.ts';
import { forEachSeed } from '../support/random.ts';
import { Everything, EXTREMES, randomRecord, TypedStores, zeros, type EverythingRecord } from '../support/typed-stores.ts';

type Store = TypedStore<typeof Everything.fields>;
type Names = keyof EverythingRecord;
const NAMES = Object.keys(EXTREMES) as Names[];

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

/** Accessors through the row, beside those of the store. */
function throughRow(store: Store): Record<Names, FieldAccessor<unknown>> {
  const { answers, file, records } = store as unknown as {
    answers: Means['answers']; file: { view: Means['view']; layout: { fields: { name: string }[]; stride: number } };
    records: { row: Means['row'] };
  };
  const means = { view: file.view, answers, row: records.row, stride: file.layout.stride } as Means;
  const accessors = file.layout.fields.map((field) => (
    [field.name, new RowAccessor(means, field as ConstructorParameters<typeof RowAccessor>[1])]));
  return Object.fromEntries(accessors) as Record<Names, FieldAccessor<unknown>>;
}

describe('a field through the row', () => {
  it('is the field that the others see, and changes nothing beside it', async () => {
    let written = 0;
    await forEachSeed(20, (random) => {
      const store = stores.open(Everything, {}, `records-${random.integer(2 ** 30)}`);
      const model: EverythingRecord[] = Array.from({ length: 3 }, () => randomRecord(random));
      store.appendMany(model);
      const fields = throughRow(store);
      for (let step = 0; step < 100; step++) {
        const at = random.integer(3);
        const name = random.pick(NAMES);
        const value = random.pick<unknown>(EXTREMES[name]);
        if (random.chance(0.5)) fields[name].set(at, value);
        else (store.fields[name] as FieldAccessor<unknown>).set(at, value);
        (model[at] as Record<Names, unknown>)[name] = value;
        written++;
        for (const [other, record] of model.entries()) {
          expect(store.get(other)).toEqual(record);
          expect(Object.fromEntries(NAMES.map((one) => [one, fields[one].get(other)]))).toEqual(record);
        }
      }
    });
    expect(written).toBe(2000);
  }, 60_000);

  it('has a name and a type, and refuses what the others refuse', () => {
    const store = stores.open(Everything);
    store.append(zeros('one'));
    const fields = throughRow(store);
    for (const name of NAMES) {
      expect([fields[name].name, fields[name].type]).toEqual([store.fields[name].name, store.fields[name].type]);
      for (const index of [-1, 0.5, NaN, 2 ** 32, '0']) {
        failure('ERR_VARVE_INVALID_ARGUMENT', () => fields[name].get(index as number));
        failure('ERR_VARVE_INVALID_ARGUMENT', () => { fields[name].set(index as number, 0); });
      }
      failure('ERR_VARVE_OUT_OF_RANGE', () => fields[name].get(1));
      failure('ERR_VARVE_INVALID_ARGUMENT', () => { fields[name].set(0, null); });
    }
    failure('ERR_VARVE_VALUE_TOO_LONG', () => { fields.name.set(0, 'x'.repeat(25)); });
    failure('ERR_VARVE_OUT_OF_RANGE', () => { fields.price.set(1, 1); });
    expect(store.get(0)).toEqual(zeros('one'));
    store.closeSync();
    failure('ERR_VARVE_CLOSED', () => fields.price.get(0));
    const reader = stores.open(Everything, { readOnly: true });
    failure('ERR_VARVE_READ_ONLY', () => { throughRow(reader).price.set(0, 1); });
    expect(throughRow(reader).name.get(0)).toBe('one');
  });
});
