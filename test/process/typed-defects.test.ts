/**
 * Defects D1 to D9 of mmapforge, found by running it, as they show between processes: each has a test that varve's
 * typed stores do not share it. What shows within one process, and D4, has tests of the same names in
 * test/typed/refusals.test.ts and test/process/typed-writers.test.ts; what D8 says of a generator is the generator's.
 */
import { closeSync, openSync, readFileSync, statfsSync, statSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import {
  MmfgHeader, ROW_OFFSET, TYPED_CAPACITY_OFFSET, TYPED_COUNT_OFFSET, TypedHeader,
} from '../../host/generated/abi.ts';
import { defineSchema, str, u32 } from '../../host/typed/schema.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { cannot, start, temporary } from '../support/processes.ts';
import { failure, type Child } from '../support/real-storage.ts';
import { HOT, Sample, SAMPLE_STRIDE, sampleOf, wrongIn } from './children/typed-samples.mjs';

const FORMATS = ['varve', 'mmfg-1'] as const;
const GIB = 2 ** 30;

let place: ReturnType<typeof temporary>;
let path: string;
const children: Child[] = [];
const stores: TypedStore[] = [];
beforeEach(() => {
  place = temporary();
  path = place.file('samples');
});
afterEach(async () => {
  for (const store of stores.splice(0)) store.closeSync();
  for (const child of children.splice(0)) {
    child.process.kill('SIGKILL');
    await child.ended;
  }
  place.remove();
});

type Options = Parameters<typeof TypedStore.openSync>[2];

function open(options: Options = {}): TypedStore {
  const store = TypedStore.openSync(path, Sample, options);
  stores.push(store);
  return store;
}

/** A process that does steps: children/typed-filler.mjs. */
async function stepper({ format = 'varve', writers = 'one' } = {}) {
  const child = start('typed-filler', [path, format, writers]);
  children.push(child);
  expect(await child.told()).toBe('ready');
  return async (step: string): Promise<unknown> => {
    child.process.send(step);
    const { result } = await child.told() as { result: unknown };
    return result;
  };
}

/** A process that has a record and does not give it back. */
async function holder(): Promise<{ child: Child; held: number }> {
  const child = start('typed-victim', [path, 'one', ROW_OFFSET, 5]);
  children.push(child);
  expect(await child.told()).toBe('ready');
  child.process.send({ seq: 1e6, hold: true });
  expect(await child.told()).toMatchObject({ wrong: [] });
  const { held } = await child.told() as { held: number };
  return { child, held };
}

/** What a call returns, or the code of the error that it throws. */
function codeOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

function patch(at: number, value: bigint): void {
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(value);
  const fd = openSync(path, 'r+');
  writeSync(fd, word, 0, 8, at);
  closeSync(fd);
}

function appendAll(store: TypedStore, count: number): void {
  for (let done = 0; done < count; done++) store.append(sampleOf(store.length + 1));
}

/** That all records are what was appended; returns how many there are. */
function countRight(store: TypedStore): number {
  for (const [index, record] of [...store].entries()) {
    expect(record['seq']).toBe(index + 1);
    expect(wrongIn(index, record)).toBeUndefined();
  }
  return store.length;
}

describe('a defect of mmapforge that varve does not share:', () => {
  it.each(FORMATS)('D1: absurd numbers in a header crash nobody, whoever opens it: %s', async (format) => {
    appendAll(open({ format }), 10);
    stores.pop()!.closeSync();
    const [count, capacity] = format === 'varve' ? [TYPED_COUNT_OFFSET, TYPED_CAPACITY_OFFSET]
      : [MmfgHeader.count, MmfgHeader.capacity];
    const step = await stepper({ format });
    for (const [at, right] of [[count, 10n], [capacity, 64n]] as const) {
      const more = at === capacity ? [0n, 9n] : [];
      for (const value of [65n, 1n << 31n, 1n << 32n, 1n << 63n, (1n << 64n) - 1n, ...more]) {
        patch(at, value);
        for (const how of ['open', 'reader']) expect(await step(how)).toMatchObject({ code: 'ERR_VARVE_CORRUPT' });
        patch(at, right);
      }
    }
    expect(await step('open')).toBe('open');
    expect(await step('verify')).toBe('right');
  });

  it.each(FORMATS)('D1: a count that goes mad while the store is open crashes nobody: %s', (format) => {
    const store = open({ format });
    appendAll(store, 10);
    const reader = open({ format, readOnly: true, core: new Core({ memoryBytes: 512 << 20 }) });
    const at = format === 'varve' ? TYPED_COUNT_OFFSET : MmfgHeader.count;
    for (const value of [65n, 1n << 31n, 1n << 40n, 1n << 63n, (1n << 64n) - 1n]) {
      patch(at, value);
      for (const one of [store, reader]) {
        // There is room for 64: what is read of them is zeros, and whatever lies behind is an error.
        expect(codeOf(() => one.get(9)['seq'])).toBe(10);
        for (const index of [10, 63]) {
          expect([0, 'ERR_VARVE_CORRUPT']).toContain(codeOf(() => one.get(index)['seq']));
        }
        for (const index of [64, 65, 4294967295]) {
          expect(codeOf(() => one.get(index))).toMatch(/^ERR_VARVE_(CORRUPT|OUT_OF_RANGE)$/);
        }
      }
      expect(codeOf(() => store.append())).toBe('ERR_VARVE_CORRUPT');
    }
    patch(at, 10n);
    expect(countRight(reader)).toBe(10);
  });

  it.each(FORMATS)('D2: a sync after growth takes back no room, and no second process cuts data: %s', async (format) => {
    const store = open({ format, writers: 'many' });
    appendAll(store, 1000);
    store.syncNow();
    const { size } = statSync(path);
    expect(store.capacity).toBe(1024);
    const step = await stepper({ format, writers: 'many' });
    expect(await step('open')).toBe('open');
    expect(await step('verify')).toBe('right');
    expect(statSync(path).size).toBe(size);
    for (let i = 0; i < 600; i++) {
      appendAll(store, 1);
      expect(await step('append')).toBe('appended');
      if (i % 100 === 0) store.syncNow();
    }
    expect(await step('sync')).toBe('synced');
    expect(await step('close')).toBe('closed');
    expect(countRight(store)).toBe(2200);
    appendAll(store, 3000);
    store.closeSync();
    expect(await step('open')).toBe('open');
    expect(await step('verify')).toBe('right');
    expect(await step('append')).toBe('appended');
    expect(countRight(open({ format, readOnly: true }))).toBe(5201);
  });

  it.each(FORMATS)('D3: a reader that had the file mapped when it was small reads all that came: %s', async (format) => {
    const step = await stepper({ format });
    expect(await step('open')).toBe('open');
    expect(await step('append')).toBe('appended');
    const reader = open({ format, readOnly: true });
    expect(reader.capacity).toBe(64);
    const filling = { over: false, first: -1 };
    const filled = step('many').then((first) => { Object.assign(filling, { over: true, first }); });
    let seen = 1;
    let steps = 0;
    while (!filling.over) {
      const { length } = reader;
      // The newest ones, which the first mapping had no room for.
      for (let index = Math.max(seen, length - 50); index < length; index++) {
        const record = reader.get(index);
        // It appends numbers from 1 on behind the first record.
        expect(record['seq']).toBe(index);
        expect(wrongIn(index, record)).toBeUndefined();
      }
      steps += length > seen ? 1 : 0;
      seen = length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await filled;
    expect(filling.first).toBe(1);
    expect(reader.get(200_000)['seq']).toBe(200_000);
    expect(reader.capacity).toBe(262_144);
    expect(steps).toBeGreaterThan(3);
  });

  it('D5: a process that reads beside a dead writer ends, with a code for the one record and values for the others', async () => {
    appendAll(open(), 3 * HOT);
    stores.pop()!.closeSync();
    const { child, held } = await holder();
    const reader = start('typed-onlooker', [path, 1, 1, 'one', ROW_OFFSET]);
    children.push(reader);
    expect(await reader.told()).toBe('open');
    for (const dead of [false, true]) {
      if (dead) {
        child.process.kill('SIGKILL');
        await child.ended;
      }
      reader.process.send(held);
      const { code, took } = await reader.told() as { code: string; took: number };
      expect({ dead, code }).toEqual({ dead, code: 'ERR_VARVE_CONTENTION' });
      // A hundred pauses of a millisecond, and what a busy machine makes of them.
      expect(took).toBeGreaterThan(50);
      expect(took).toBeLessThan(5000);
      reader.process.send(0);
      expect(await reader.told()).toMatchObject({ code: 'read' });
    }
    reader.process.send('stop');
    expect(await reader.told()).toMatchObject({ wrong: [] });
    expect(await reader.ended).toEqual([0, null]);
  });

  it('D6: a second writer touches nothing of what a living one has in hand, and the next one is told what it was', async () => {
    appendAll(open(), 3 * HOT);
    stores.pop()!.closeSync();
    const { child, held } = await holder();
    const at = Number(readFileSync(path).readBigUInt64LE(TypedHeader.recordsOffset)) + held * SAMPLE_STRIDE;
    const before = readFileSync(path);
    expect(before.readBigUInt64LE(at) % 2n).toBe(1n);
    for (const writers of ['one', 'many'] as const) failure('ERR_VARVE_LOCKED', () => open({ writers }));
    expect(open({ readOnly: true }).recovery.torn).toEqual([]);
    expect(readFileSync(path)).toEqual(before);
    child.process.kill('SIGKILL');
    await child.ended;
    const store = open();
    expect(store.recovery.torn).toEqual([held]);
    expect(readFileSync(path).readBigUInt64LE(at)).toBe(before.readBigUInt64LE(at) + 1n);
    // It can be read and mended.
    expect(wrongIn(held, store.get(held))).toBeDefined();
    store.set(held, sampleOf(held + 1));
    store.closeSync();
    expect(open().recovery).toMatchObject({ torn: [], clearedWords: 0 });
  });

  it('D7: a file says by itself which fields it has, in which order', async () => {
    appendAll(open(), 3);
    const described = /\{"name":"Sample".*?\]\}/.exec(readFileSync(path, 'latin1'))![0];
    expect((JSON.parse(described) as { fields: { name: string }[] }).fields.map(({ name }) => name))
      .toEqual(Object.keys(Sample.fields));
    const { a, b, ...others } = Sample.fields;
    const swapped = defineSchema('Sample', { fields: { ...others, b: b!, a: a! } });
    failure('ERR_VARVE_SCHEMA_MISMATCH', () => TypedStore.openSync(path, swapped, { readOnly: true }));
  });

  it('D8: a store is larger than 1 GiB, and its last record is as good as its first', { timeout: 60_000 }, async (context) => {
    const { bavail, bsize } = statfsSync(place.path);
    if (bavail * bsize < 4 * GIB) return cannot(context, `4 GiB must be free in ${place.path}`);
    const Page = defineSchema('Page', { fields: { number: u32, text: str(60_000) } });
    const store = TypedStore.openSync(path, Page);
    while (store.length < 18_000) store.append();
    expect(statSync(path).size).toBeGreaterThan(1.5 * GIB);
    const indices = [0, 1, 9_000, 17_895, 17_896, 17_999];
    for (const index of indices) store.set(index, { number: index, text: `${index} `.repeat(8000) });
    store.closeSync();
    // Through a window that is larger than the file, and through one that must move.
    for (const options of [{}, { readOnly: true, core: new Core({ memoryBytes: 256 << 20 }) }]) {
      const again = TypedStore.openSync(path, Page, options);
      for (const index of [...indices, ...[...indices].reverse()]) {
        expect(again.fields.number.get(index)).toBe(index);
        expect(again.fields.text.get(index)).toBe(`${index} `.repeat(8000));
      }
      expect(again.column('number').max()).toBe(17_999);
      expect(again.column('number').count('>', 0)).toBe(5);
      again.closeSync();
    }
  });

  it('D9: there is iteration, appending of many, columns, selection, and metadata, also for another process', async () => {
    const store = open({ metadata: Buffer.from('of the user') });
    expect(store.appendMany(Array.from({ length: 5000 }, (_, at) => sampleOf(at + 1)))).toBe(0);
    const reader = open({ readOnly: true, core: new Core({ memoryBytes: 512 << 20 }) });
    expect(Buffer.from(reader.metadata).toString()).toBe('of the user');
    let sum = 0;
    for (const { seq } of reader as Iterable<{ seq: number }>) sum += seq;
    expect(sum).toBe(5000 * 5001 / 2);
    const seq = reader.column('seq' as never);
    expect([seq.sum(), seq.min(), seq.max(), seq.mean(), seq.count('<=', 10)]).toEqual([sum, 1, 5000, 2500.5, 10]);
    expect([...seq.where('>', 4997)]).toEqual([4997, 4998, 4999]);
    expect(seq.toFloat64Array({ from: 10, to: 12 })).toEqual(Float64Array.of(11, 12, 13));
    const step = await stepper();
    expect(await step('reader')).toBe('open');
    expect(await step('verify')).toBe('right');
  });

  it('D9: there is notification, a checksum of each record, and migration', async () => {
    const Old = defineSchema('Stock', { version: 1, fields: { name: str(8), count: u32 } });
    const New = defineSchema('Stock', { version: 2, fields: { name: str(8), count: u32, shelf: u32 } });
    const store = TypedStore.openSync(path, Old, { checksums: true });
    store.appendMany([{ name: 'tea', count: 1 }, { name: 'milk', count: 2 }]);
    const reader = TypedStore.openSync(path, Old, { readOnly: true, core: new Core({ memoryBytes: 512 << 20 }) });
    const changes = reader.watch();
    store.update(1, { count: 3 });
    expect((await changes.next()).value).toEqual({ from: 1, to: 1, kind: 'changed' });
    await changes.return();
    reader.closeSync();
    store.closeSync();

    expect(await TypedStore.migrate(path, New, { defaults: { shelf: 7 } })).toMatchObject({ records: 2 });
    const bytes = readFileSync(path);
    const fd = openSync(path, 'r+');
    const at = bytes.indexOf('milk');
    writeSync(fd, 'm1lk', at);
    closeSync(fd);
    const migrated = TypedStore.openSync(path, New);
    stores.push(migrated as unknown as TypedStore);
    expect(migrated.get(0)).toEqual({ name: 'tea', count: 1, shelf: 7 });
    expect(failure('ERR_VARVE_CORRUPT', () => migrated.get(1)).details).toMatchObject({ index: 1, path });
    expect(migrated.check()).toMatchObject({ records: 2, damaged: [1] });
  });
});
