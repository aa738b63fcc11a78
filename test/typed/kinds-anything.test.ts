/**
 * Random schemas of all kinds of fields, and random work on a store of each: what goes in comes out, in the same
 * process and in a reader beside it, by record and by field, before and after the store is opened again; and the file
 * describes itself.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { TYPED_FEATURE_CHECKSUMS, TYPED_FEATURE_KINDS } from '../../host/generated/abi.ts';
import { realStorage } from '../../host/io/real-storage.ts';
import type { FieldAccessor } from '../../host/typed/access.ts';
import { hasKinds, layoutOf, orderedHash } from '../../host/typed/layout.ts';
import { differences } from '../../host/typed/schema-text.ts';
import { openTypedFile } from '../../host/typed/open.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';
import { anything, type Step } from '../support/typed-kinds.ts';
import { TypedStores } from '../support/typed-stores.ts';

type AnyRecord = Record<string, unknown>;

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const core = Core.shared();

/** Does one step with a store and with what it should hold. */
function perform(store: TypedStore, model: AnyRecord[], zeros: AnyRecord, { what, at, record, names }: Step): void {
  const index = at % Math.max(model.length, 1);
  const partial = Object.fromEntries(names.map((name) => [name, record[name]]));
  if (what === 'appendEmpty' || (what === 'field' && model.length === 0)) {
    expect(store.append()).toBe(model.push({ ...zeros }) - 1);
  } else if (what === 'append' || model.length === 0) {
    expect(store.append(record)).toBe(model.push(record) - 1);
  } else if (what === 'set') {
    store.set(index, record);
    model[index] = record;
  } else if (what === 'update') {
    store.update(index, partial);
    model[index] = { ...model[index], ...partial };
  } else {
    const name = names[0]!;
    (store.fields[name] as FieldAccessor<unknown>).set(index, record[name]);
    model[index] = { ...model[index], [name]: record[name] };
  }
}

/** By field and by record. */
function expectAll(store: TypedStore, model: readonly AnyRecord[]): void {
  expect([...store]).toEqual(model);
  for (const [index, record] of model.entries()) {
    for (const [name, value] of Object.entries(record)) expect(store.fields[name]!.get(index)).toEqual(value);
    expect(store.get(index, {})).toEqual(record);
  }
}

describe('a store of any kinds', () => {
  it('does what an array of plain objects does', () => {
    let run = 0;
    let withKinds = 0;
    fc.assert(fc.property(anything, fc.boolean(), ({ schema, zeros, steps }, checksums) => {
      const name = `run-${run++}`;
      const store = stores.open(schema, { checksums }, name);
      const reader = stores.open(schema, { readOnly: true }, name);
      const model: AnyRecord[] = [];
      for (const step of steps) {
        perform(store, model, zeros, step);
        expect([...reader]).toEqual(model);
      }
      expectAll(store, model);
      expectAll(reader, model);
      reader.closeSync();
      store.closeSync();
      const again = stores.open(schema, {}, name);
      expect(again.recovery).toEqual({ torn: [], damaged: [], clearedWords: 0 });
      expectAll(again, model);
      expect(again.check()).toEqual({ records: model.length, torn: [], damaged: [] });
      again.closeSync();
      // Without the schema: the file says the same.
      const path = stores.file(name);
      const file = openTypedFile({ core, storage: realStorage(), path, readOnly: true }, undefined,
        { format: 'varve', create: false, writers: 'one' });
      const layout = layoutOf(core, schema, checksums);
      expect(differences(layout, file.layout)).toEqual([]);
      expect(orderedHash(file.layout)).toEqual(orderedHash(layout));
      expect(file.layout.stride).toBe(layout.stride);
      expect(file.features)
        .toBe((hasKinds(layout) ? TYPED_FEATURE_KINDS : 0) | (checksums ? TYPED_FEATURE_CHECKSUMS : 0));
      withKinds += hasKinds(layout) ? 1 : 0;
      file.close();
    }), { numRuns: 60, seed: 4 });
    expect(run).toBeGreaterThanOrEqual(60);
    expect(withKinds).toBeGreaterThan(30);
  }, 120_000);
});
