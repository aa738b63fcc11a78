/**
 * Migration: what a file becomes, what is refused, and that whatever happens the path leads to the old file or to the
 * new one, whole. Calls that fail, kills and power cuts are those of the simulated disk.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import {
  bool, bytes, defineSchema, f32, f64, i16, i64, str, u16, u32, u64, u8, type Field, type Schema,
} from '../../host/typed/schema.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { failure, rejection } from '../support/log-fixture.ts';
import { forEachSeed } from '../support/random.ts';
import { SimulatedPowerCut } from '../support/simulated-disk.ts';
import { append, NAME, Tick, typed, type TypedFixture } from '../support/typed-fixture.ts';
import { leftOpen } from '../support/typed-open.ts';
import { Everything, randomRecord, TypedStores } from '../support/typed-stores.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const Old = defineSchema('Point', { version: 1, fields: { x: f64, label: str(3), on: bool } });
const New = defineSchema('Point', { version: 2, fields: {
  x: f64, label: str(9), on: bool, weight: f32, note: str(8), id: u64,
} });

/** A closed file of some records. */
function make(count = 3, options = {}): string {
  const store = stores.open(Old, { metadata: Buffer.from('kept'), ...options });
  for (let at = 0; at < count; at++) store.append({ x: at + 0.5, label: `é${at % 10}`, on: at % 2 === 0 });
  store.closeSync();
  return store.path;
}

describe('a migration', () => {
  it('appends fields, with zeros or the values that are given, and keeps all else', async () => {
    const path = make();
    expect(await TypedStore.migrate(path, New, { defaults: { weight: 0.5, note: 'grüße' } })).toEqual({
      migrated: true, records: 3, fromVersion: 1, toVersion: 2, appended: ['weight', 'note', 'id'],
      recovery: { torn: [], damaged: [], clearedWords: 0 },
    });
    const store = stores.open(New);
    expect([...store]).toEqual([0, 1, 2].map((at) => ({
      x: at + 0.5, label: `é${at}`, on: at % 2 === 0, weight: 0.5, note: 'grüße', id: 0n,
    })));
    expect(Buffer.from(store.metadata).toString()).toBe('kept');
    expect(store.capacity).toBe(64);
    store.set(1, { x: 1, label: 'long text', on: true, weight: 1, note: '', id: 7n });
    expect(store.append()).toBe(3);
    expect(readdirSync(stores.directory).sort()).toEqual(['records.varve', 'records.varve.lock']);
  });

  it('of a file that has the schema does nothing', async () => {
    const path = make();
    const before = readFileSync(path);
    const { ino } = statSync(path);
    expect(await TypedStore.migrate(path, Old)).toMatchObject({ migrated: false, records: 3, appended: [] });
    expect(statSync(path).ino).toBe(ino);
    expect(readFileSync(path).subarray(4096)).toEqual(before.subarray(4096));
  });

  it('may be of the version alone, or of bounds', async () => {
    const path = make();
    await TypedStore.migrate(path, defineSchema('Point', { version: 9, fields: Old.fields }));
    const wider = defineSchema('Point', { version: 9, fields: { ...Old.fields, label: str(300) } });
    await TypedStore.migrate(path, wider);
    expect(stores.open(wider).get(2)).toEqual({ x: 2.5, label: 'é2', on: true });
  });

  it('keeps every value bit by bit, whatever is appended', async () => {
    const appendable: readonly Field[] = [bool, u8, i16, u16, u32, i64, f32, f64, str(1), str(30), bytes(3)];
    await forEachSeed(25, async (random) => {
      const name = `store-${random.integer(2 ** 30)}`;
      const store = stores.open(Everything, {}, name);
      const records = Array.from({ length: random.integer(200) }, () => randomRecord(random));
      store.appendMany(records);
      store.closeSync();
      const more = Array.from({ length: 1 + random.integer(5) }, (_, at) => [`more${at}`, random.pick(appendable)] as const);
      const fields = { ...Everything.fields, name: str(24 + random.integer(9)), ...Object.fromEntries(more) };
      const wider = defineSchema('Everything', { version: 4, fields }) as Schema;
      await TypedStore.migrate(store.path, wider);
      const migrated = stores.open(wider, {}, name);
      expect(migrated.length).toBe(records.length);
      for (const [at, record] of records.entries()) expect(migrated.get(at)).toMatchObject(record);
      migrated.closeSync();
    });
  });

  it('keeps the bits of a NaN', async () => {
    const path = make(1);
    const bits = Buffer.from('efbeadde0000f87f', 'hex');
    const file = readFileSync(path);
    bits.copy(file, 4096 + 8);
    writeFileSync(path, file);
    await TypedStore.migrate(path, New);
    expect(readFileSync(path).subarray(4096 + 8, 4096 + 16)).toEqual(bits);
  });

  it('of a file that is larger than what is mapped of it', async () => {
    const Wide = defineSchema('Wide', { fields: { at: u32, rest: bytes(20_000) } });
    const Wider = defineSchema('Wide', { version: 2, fields: { ...Wide.fields, more: u32 } });
    const core = new Core({ memoryBytes: 16 << 20 });
    const store = stores.open(Wide, { core });
    for (let at = 0; at < 800; at++) store.append({ at, rest: new Uint8Array(9).fill(at) });
    store.closeSync();
    const progress: number[][] = [];
    const onProgress = (...each: number[]) => { progress.push(each); };
    await TypedStore.migrate(store.path, Wider, { core, defaults: { more: 5 }, onProgress });
    expect(progress.at(-1)).toEqual([800, 800]);
    let at = 0;
    for (const record of stores.open(Wider, { core })) {
      expect(record).toEqual({ at, rest: new Uint8Array(9).fill(at), more: 5 });
      at++;
    }
    expect(at).toBe(800);
  });

  it('of mmapforge\'s format, with the schema that the file has', async () => {
    const store = stores.open(Old, { format: 'mmfg-1' });
    store.append({ x: 1, label: 'a', on: true });
    store.closeSync();
    const { path } = store;
    await rejection('ERR_VARVE_INVALID_ARGUMENT', TypedStore.migrate(path, New, { format: 'mmfg-1' }));
    await rejection('ERR_VARVE_FORMAT', TypedStore.migrate(path, New));
    await TypedStore.migrate(path, New, { format: 'mmfg-1', from: Old, defaults: { id: 3n } });
    expect(stores.open(New, { format: 'mmfg-1' }).get(0)).toEqual({ x: 1, label: 'a', on: true, weight: 0, note: '', id: 3n });
  });

  it('gives the new file the rights of the old one', async () => {
    const path = make();
    chmodSync(path, 0o640);
    await TypedStore.migrate(path, New);
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it('mends what a dead writer has left, and says which records those are', async () => {
    const path = make();
    const file = readFileSync(path);
    file.writeBigUInt64LE(5n, 4096 + 24);
    writeFileSync(path, leftOpen(file));
    expect(await TypedStore.migrate(path, New)).toMatchObject({ recovery: { torn: [1] } });
    expect(stores.open(New).get(1)).toMatchObject({ x: 1.5 });
  });

  it('tells those who watch the old file, which they go on reading', async () => {
    const path = make();
    const reader = stores.open(Old, { readOnly: true });
    const waiting = reader.watch().next();
    await TypedStore.migrate(path, New);
    await rejection('ERR_VARVE_REPLACED', waiting);
    expect([reader.length, reader.get(2)]).toEqual([3, { x: 2.5, label: 'é2', on: true }]);
    expect(stores.open(New, { readOnly: true }).get(2)).toMatchObject({ x: 2.5 });
  });
});

describe('what no migration bridges', () => {
  const { x, label, on } = Old.fields;
  it.each<[string, Schema, object[]]>([
    ['a lower version', defineSchema('Point', { version: 1, fields: { ...Old.fields, more: u8 } }),
      [{ what: 'version', expected: 1, actual: 2 }]],
    ['a field that is gone', defineSchema('Point', { version: 3, fields: { x, label } }),
      [{ field: 'on', what: 'unexpected' }]],
    ['another order', defineSchema('Point', { version: 3, fields: { label, x, on } }),
      [{ field: 'label', what: 'position' }, { field: 'x', what: 'position' }]],
    ['a field in the middle', defineSchema('Point', { version: 3, fields: { x, more: u8, label, on } }),
      [{ field: 'more', what: 'missing' }, { field: 'label', what: 'position' }, { field: 'on', what: 'position' }]],
    ['another type', defineSchema('Point', { version: 3, fields: { x: f32, label, on, more: u8 } }),
      [{ field: 'x', what: 'type', expected: 'float32', actual: 'float64' }]],
    ['less room', defineSchema('Point', { version: 3, fields: { x, label: str(2), on } }),
      [{ field: 'label', what: 'max', expected: 2, actual: 3 }]],
    ['another name', defineSchema('Point', { version: 3, fields: { x, tag: label, on } }),
      [{ field: 'tag', what: 'missing' }, { field: 'label', what: 'unexpected' }]],
  ])('is refused with what stands in the way: %s', async (_what, schema, differences) => {
    const path = make();
    await TypedStore.migrate(path, defineSchema('Point', { version: 2, fields: Old.fields }));
    const before = readFileSync(path);
    const { details } = await rejection('ERR_VARVE_SCHEMA_MISMATCH', TypedStore.migrate(path, schema));
    expect(details['differences']).toMatchObject(differences);
    expect((details['differences'] as object[]).length).toBe(differences.length);
    expect(readFileSync(path)).toEqual(before);
    const opening = failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(schema));
    expect(opening.details['isUpgrade']).toBe(false);
    expect(opening.message).not.toContain('migrate');
  });

  it('is told from what it would bridge, when the file is opened', () => {
    make();
    const { message, details } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(New));
    expect(message).toContain('TypedStore.migrate or varve migrate');
    expect(details).toMatchObject({ isUpgrade: true, differences: expect.arrayContaining([
      { what: 'version', expected: 2, actual: 1 }, { field: 'id', what: 'missing', expected: 'uint64', actual: undefined },
    ]) });
  });

  it('changes nothing: wrong values, a lock, no file', async () => {
    const path = make();
    const before = readFileSync(path);
    const wrong = [
      [{ defaults: { x: 1 } }, 'ERR_VARVE_INVALID_ARGUMENT'], [{ defaults: { none: 1 } }, 'ERR_VARVE_INVALID_ARGUMENT'],
      [{ defaults: { id: 1 } }, 'ERR_VARVE_INVALID_ARGUMENT'], [{ defaults: 5 }, 'ERR_VARVE_INVALID_ARGUMENT'],
      [{ defaults: { note: 'much too long' } }, 'ERR_VARVE_VALUE_TOO_LONG'], [{ unknown: 1 }, 'ERR_VARVE_INVALID_ARGUMENT'],
      [{ format: 'other' }, 'ERR_VARVE_INVALID_ARGUMENT'],
    ] as const;
    for (const [options, code] of wrong) await rejection(code, TypedStore.migrate(path, New, options as object));
    await rejection('ERR_VARVE_INVALID_ARGUMENT', TypedStore.migrate(path, undefined as never));
    expect(readFileSync(path).subarray(4096)).toEqual(before.subarray(4096));
    const writer = stores.open(Old);
    await rejection('ERR_VARVE_LOCKED', TypedStore.migrate(path, New));
    writer.closeSync();
    await rejection('ERR_VARVE_NOT_FOUND', TypedStore.migrate(stores.file('none'), New));
    expect(readdirSync(stores.directory).sort()).toEqual(['records.varve', 'records.varve.lock']);
  });
});

describe('what a migration that died has left', () => {
  it('is removed by the next opening for writing, and by nobody else', () => {
    const path = make();
    writeFileSync(`${path}.new`, 'half');
    stores.open(Old, { readOnly: true });
    expect(existsSync(`${path}.new`)).toBe(true);
    const writer = stores.open(Old);
    expect(existsSync(`${path}.new`)).toBe(false);
    // Somebody is making it: whoever comes second has no lock.
    writeFileSync(`${path}.new`, 'half');
    failure('ERR_VARVE_LOCKED', () => stores.open(Old));
    expect(existsSync(`${path}.new`)).toBe(true);
    writer.closeSync();
  });
});

/** The same Tick with a field more. */
const TickTwo = defineSchema('Tick', { version: 2, fields: { ...Tick.fields, more: u32 } });

describe('a migration on a disk that fails', () => {
  const COUNT = 70;

  function migrate(fixture: TypedFixture): Promise<unknown> {
    const { core, storage } = fixture.log;
    return TypedStore.migrate(fixture.path(), TickTwo, { core, storage: storage!, defaults: { more: 9 } });
  }

  function filled(): TypedFixture {
    const fixture = typed('simulated', 'simd');
    const file = fixture.open({ metadata: Buffer.from('kept') });
    append(file, COUNT);
    file.close();
    return fixture;
  }

  /** Which of the two schemas the file has; fails where it is not whole. */
  function found(fixture: TypedFixture): 'old' | 'new' {
    const { core, storage } = fixture.log;
    const isNew = (): TypedStore<typeof TickTwo.fields> | undefined => {
      try {
        return TypedStore.openSync(fixture.path(), TickTwo, { core, storage: storage!, readOnly: true });
      } catch (error) {
        if (VarveError.is(error, 'ERR_VARVE_SCHEMA_MISMATCH')) return undefined;
        throw error;
      }
    };
    const made = isNew();
    const store = made ?? TypedStore.openSync(fixture.path(), Tick, { core, storage: storage!, readOnly: true });
    try {
      expect(store.length).toBe(COUNT);
      expect(Buffer.from(store.metadata).toString()).toBe('kept');
      for (let at = 0; at < COUNT; at++) {
        expect(store.get(at)).toMatchObject({ price: at + 0.5, volume: at * 2, timestamp: BigInt(at) * 1000n });
      }
      if (made !== undefined) expect(Array.from(made, ({ more }) => more)).toEqual(Array.from(made, () => 9));
    } finally {
      store.closeSync();
    }
    return made === undefined ? 'old' : 'new';
  }

  it.each(['EIO', 'ENOSPC'] as const)('in any call leaves one of both whole, and can be tried again: %s', async (error) => {
    const outcomes = new Map<string, number>();
    for (let nth = 1; ; nth++) {
      const fixture = filled();
      const fault = fixture.log.disk!.failAt({ nth, error });
      const outcome = await migrate(fixture).then(() => 'done', (thrown: unknown) => {
        expect(VarveError.is(thrown)).toBe(true);
        return 'failed';
      });
      const { fired } = fault;
      fault.cancel();
      const which = found(fixture);
      if (outcome === 'done') expect(which).toBe('new');
      outcomes.set(`${outcome}, ${which}`, (outcomes.get(`${outcome}, ${which}`) ?? 0) + 1);
      // Nothing is left but where removing it failed.
      await migrate(fixture);
      expect(found(fixture)).toBe('new');
      expect(fixture.log.names()).toEqual([NAME, `${NAME}.lock`]);
      if (fired === 0) break;
    }
    expect(outcomes.get('failed, old')).toBeGreaterThan(20);
    expect(outcomes.get('failed, new')).toBeGreaterThan(0);
  });

  it('and is full leaves nothing behind', async () => {
    const fixture = filled();
    // The old file takes 5 pages, and so would the new one.
    fixture.log.disk!.capacity = 8 * 4096;
    const { details } = await rejection('ERR_VARVE_DISK_FULL', migrate(fixture));
    expect(details['path']).toBe(`${fixture.path()}.new`);
    expect(fixture.log.names()).toEqual([NAME, `${NAME}.lock`]);
    expect(found(fixture)).toBe('old');
  });

  it.each(['kill', 'power-cut'] as const)('and ends in a %s at any call leaves one of both whole', async (error) => {
    const outcomes = new Map<string, number>();
    let ended = true;
    for (let nth = 1; ended; nth++) {
      for (const names of ['kept', 'lost'] as const) {
        const fixture = filled();
        const { disk } = fixture.log;
        const fault = disk!.failAt({ nth, error });
        try {
          await migrate(fixture);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SimulatedPowerCut);
        }
        ended = fault.fired > 0;
        fault.cancel();
        if (error === 'kill') {
          fixture.kill();
        } else {
          disk!.powerCut(undefined, { names, pages: 'lost', sizes: 'old' });
          fixture.startAgain();
        }
        const which = found(fixture);
        outcomes.set(which, (outcomes.get(which) ?? 0) + 1);
        const { core, storage } = fixture.log;
        TypedStore.openSync(fixture.path(), which === 'old' ? Tick : TickTwo, { core, storage: storage! }).closeSync();
        expect(fixture.log.names()).toEqual([NAME, `${NAME}.lock`]);
        await migrate(fixture);
        expect(found(fixture)).toBe('new');
      }
    }
    expect(outcomes.get('old')).toBeGreaterThan(20);
    expect(outcomes.get('new')).toBeGreaterThan(1);
  });
});
