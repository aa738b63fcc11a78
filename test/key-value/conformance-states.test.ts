/**
 * What a KeyValueStore refuses: wrong arguments, and calls in a store that is closed, that can only be read, or that
 * another one has open; and what becomes of a compaction that is not alone, or not waited for.
 */
import { describe, expect, it } from 'vitest';
import { KeyValueStore, RecordLog } from '../../host/index.ts';
import { refusal, storePlaces } from '../support/kv-process.ts';
import { failure, rejection } from '../support/log-fixture.ts';

const place = storePlaces();
const asAny = (value: unknown): never => value as never;

describe('wrong arguments', () => {
  it('are refused by name, and nothing is written', async () => {
    const store = place().open();
    const value = Buffer.from('v');
    for (const key of [undefined, null, 5, {}, [], 5n, new Uint16Array(2), true]) {
      for (const call of [
        () => store.put(asAny(key), value), () => store.get(asAny(key)), () => store.has(asAny(key)),
        () => store.getView(asAny(key)), () => store.delete(asAny(key)), () => store.refOf(asAny(key)),
        () => store.versionOf(asAny(key)), () => store.update(asAny(key), () => value),
        () => store.getMany([asAny(key)]),
      ]) refusal(TypeError, 'key', call);
      refusal(TypeError, 'entries[0][0]', () => store.putMany([[asAny(key), value]]));
      refusal(TypeError, 'operations[0].key', () => store.batch([{ type: 'delete', key: asAny(key) }]));
    }
    for (const key of ['', new Uint8Array(0), 'lone \ud800 surrogate']) {
      for (const call of [
        () => store.put(key, value), () => store.get(key), () => store.has(key), () => store.delete(key),
        () => store.update(key, () => value),
      ]) refusal(RangeError, 'key', call);
    }
    for (const wrong of [undefined, null, 5, 'text', {}, [1]]) refusal(TypeError, 'value', () => store.put('k', asAny(wrong)));
    for (const [argument, options, type = TypeError] of [
      ['options.ttl', { ttl: '1' }], ['options.ttl', { ttl: 0 }, RangeError], ['options.ttl', { ttl: -1 }, RangeError],
      ['options.ttl', { ttl: NaN }, RangeError], ['options.ttl', { ttl: Infinity }, RangeError],
      ['options.expiresAt', { expiresAt: 1.5 }, RangeError], ['options.expiresAt', { expiresAt: 0 }, RangeError],
      ['options.expiresAt', { ttl: 1, expiresAt: 1 }, RangeError], ['options.expiresAt', { expiresAt: '1' }],
      ['options.ifVersion', { ifVersion: -1 }, RangeError], ['options.ifVersion', { ifVersion: 1.5 }, RangeError],
      ['options.ifVersion', { ifVersion: '1' }], ['options.ifAbsent', { ifAbsent: false }],
      ['options.ifVersion', { ifVersion: 0, ifAbsent: true }, RangeError], ['options.durable', { durable: 1 }],
      ['options', null], ['options', 5],
    ] as [string, unknown, (typeof RangeError)?][]) {
      refusal(type, argument, () => store.put('k', value, asAny(options)));
    }
    refusal(TypeError, 'fn', () => store.update('k', asAny(5)));
    for (const keys of ['text', 5, null, {}]) refusal(TypeError, 'keys', () => store.getMany(asAny(keys)));
    for (const entries of ['text', 5, null, {}]) refusal(TypeError, 'entries', () => store.putMany(asAny(entries)));
    for (const entry of ['ab', ['a'], ['a', value, 1], null]) {
      refusal(TypeError, 'entries[0]', () => store.putMany(asAny([entry])));
    }
    for (const operations of ['text', 5, null, {}, [], new Set()]) {
      refusal(TypeError, 'operations', () => store.batch(asAny(operations)));
    }
    refusal(TypeError, 'operations[1]', () => store.batch(asAny([{ type: 'delete', key: 'a' }, 5])));
    refusal(RangeError, 'operations[0].type', () => store.batch(asAny([{ type: 'move', key: 'a' }])));
    refusal(RangeError, 'operations[0]', () => store.batch(asAny([{ type: 'delete', key: 'a', value }])));
    refusal(TypeError, 'operations[0].value', () => store.batch(asAny([{ type: 'put', key: 'a' }])));
    refusal(RangeError, 'operations[0]', () => store.batch(asAny([{ type: 'put', key: 'a', value, ifVersion: 1 }])));
    for (const call of [() => store.keys(asAny({ prefix: 5 })), () => store.entries(asAny({ prefix: null }))]) {
      refusal(TypeError, 'options.prefix', call);
    }
    expect(await rejection('ERR_VARVE_INVALID_ARGUMENT', store.compact({ minDeadRatio: 2 }))).toBeInstanceOf(RangeError);
    expect(await rejection('ERR_VARVE_INVALID_ARGUMENT', store.compact({ budgetMs: 0 }))).toBeInstanceOf(RangeError);
    expect(await rejection('ERR_VARVE_INVALID_ARGUMENT', store.compact(asAny({ signal: 5 })))).toBeInstanceOf(TypeError);
    expect([store.lastLsn, store.size]).toEqual([0, 0]);
  });

  it('of opening are refused before anything is made', async () => {
    const { root } = place();
    for (const [type, argument, options] of [
      [RangeError, 'options.keys', { keys: 'text' }], [TypeError, 'options.now', { now: 5 }],
      [TypeError, 'options.autoCompact', { autoCompact: 5 }],
      [RangeError, 'options.autoCompact.minDeadRatio', { autoCompact: { minDeadRatio: 2 } }],
      [RangeError, 'options.segmentBytes', { segmentBytes: 1 }], [TypeError, 'options.readOnly', { readOnly: 1 }],
    ] as const) {
      refusal(type, argument, () => KeyValueStore.openSync(`${root}/none`, asAny(options)));
      await rejection('ERR_VARVE_INVALID_ARGUMENT', KeyValueStore.open(`${root}/none`, asAny(options)));
    }
    refusal(RangeError, 'options', () => KeyValueStore.openSync(`${root}/none`, asAny({ unknown: 1 })));
    refusal(TypeError, 'directory', () => KeyValueStore.openSync(asAny(5)));
    expect(place().segments(`${root}/none`)).toEqual([]);
  });
});

describe('arguments that change', () => {
  it('putMany keeps what a generator gave, though it fills the same buffers again', () => {
    const store = place().open<string, Buffer>({});
    function* reusing(): Generator<[Buffer, Buffer]> {
      const key = Buffer.from('k0');
      const value = Buffer.alloc(1);
      for (let i = 0; i < 10; i++) {
        key[1] = 0x30 + i;
        value[0] = i;
        yield [key, value];
      }
    }
    expect(store.putMany(reusing())).toBe(10);
    expect([store.size, store.get('k3'), store.get('k9')]).toEqual([10, Buffer.of(3), Buffer.of(9)]);
  });
});

describe('states', () => {
  it('a closed store refuses every call, and closing again does nothing', async () => {
    const store = place().open();
    const value = Buffer.from('v');
    store.put('k', value);
    const view = store.getView('k')!;
    await store.close();
    await store.close();
    store.closeSync();
    for (const call of [
      () => store.put('k', value), () => store.put('k', value, { ttl: 1 }), () => store.get('k'), () => store.has('k'),
      () => store.getView('k'), () => store.getMany(['k']), () => store.delete('k'), () => store.putMany([['k', value]]),
      () => store.batch([{ type: 'delete', key: 'k' }]), () => store.update('k', () => value), () => store.refOf('k'),
      () => store.versionOf('k'), () => store.keys(), () => store.values(), () => store.entries(),
      () => store[Symbol.iterator](), () => store.size, () => store.syncNow(), () => store.clear(), () => store.stats(),
      () => store.lastLsn, () => store.durableLsn,
    ]) failure('ERR_VARVE_CLOSED', call);
    await rejection('ERR_VARVE_CLOSED', store.sync());
    await rejection('ERR_VARVE_CLOSED', store.compact());
    expect([store.closed, store.readOnly, store.poisoned]).toEqual([true, false, false]);
    expect(view).toEqual(value);
  });

  it('a read-only store refuses to write, and makes nothing', async () => {
    failure('ERR_VARVE_NOT_FOUND', () => place().openReader());
    const writer = place().openText();
    writer.put('k', 'v');
    const store = place().openReader();
    for (const call of [
      () => store.put('k', 'w'), () => store.put('k', 'w', { ttl: 1 }), () => store.delete('k'), () => store.delete('no'),
      () => store.putMany([['k', 'w']]), () => store.batch([{ type: 'delete', key: 'k' }]),
      () => store.update('k', () => 'w'), () => store.clear(), () => store.syncNow(),
    ]) failure('ERR_VARVE_READ_ONLY', call);
    await rejection('ERR_VARVE_READ_ONLY', store.sync());
    await rejection('ERR_VARVE_READ_ONLY', store.compact());
    expect([store.readOnly, store.get('k'), writer.get('k')]).toEqual([true, 'v', 'v']);
    failure('ERR_VARVE_NOT_FOUND', () => place().openText({ create: false }, `${place().root}/none`));
  });

  it('a directory has one writer, and only its own face', async () => {
    const store = place().openText();
    store.put('k', 'v');
    const { directory, core, root } = place();
    expect((await rejection('ERR_VARVE_LOCKED', KeyValueStore.open(directory, { core }))).details)
      .toMatchObject({ pid: process.pid });
    store.closeSync();
    failure('ERR_VARVE_FOREIGN_DIRECTORY', () => RecordLog.openSync(directory, { core }));
    failure('ERR_VARVE_FOREIGN_DIRECTORY', () => RecordLog.openSync(directory, { core, readOnly: true }));
    const log = RecordLog.openSync(`${root}/log`, { core });
    log.append('record');
    log.closeSync();
    failure('ERR_VARVE_FOREIGN_DIRECTORY', () => place().openText({}, `${root}/log`));
    failure('ERR_VARVE_FOREIGN_DIRECTORY', () => place().openText({ readOnly: true }, `${root}/log`));
    // Neither has done any harm.
    expect(place().openText().get('k')).toBe('v');
    const again = RecordLog.openSync(`${root}/log`, { core });
    expect(again.lastLsn).toBe(1);
    again.closeSync();
  });

  it('closing while compacting and syncing waits for both, ends both, and loses nothing', async () => {
    const store = place().openText();
    for (let i = 0; i < 20_000; i++) store.put(`k${i % 5000}`, `v${i}`.padEnd(50));
    const compacting = store.compact({ budgetMs: 1 }).then(() => 'done', (error: { code: string }) => error.code);
    const syncing = store.sync();
    await new Promise(setImmediate);
    store.put('last', 'v');
    await store.close();
    expect(['done', 'ERR_VARVE_CLOSED']).toContain(await compacting);
    expect(await syncing).toBeGreaterThanOrEqual(20_000);
    const again = place().openText();
    expect([again.size, again.get('last')]).toEqual([5001, 'v']);
    for (let i = 0; i < 5000; i++) expect(again.get(`k${i}`)!.trimEnd()).toBe(`v${15_000 + i}`);
    // Blocking, in the middle of one.
    const second = again.compact({ budgetMs: 1 }).then(() => 'done', (error: { code: string }) => error.code);
    await new Promise(setImmediate);
    again.closeSync();
    expect(await second).toBe('ERR_VARVE_CLOSED');
    expect(place().openText().size).toBe(5001);
  });

  it('a second compaction waits, a signal ends one with its reason, and progress is told', async () => {
    const store = place().openText();
    for (let i = 0; i < 20_000; i++) store.put(`k${i % 5000}`, `v${i}`.padEnd(50));
    const controller = new AbortController();
    const aborted = store.compact({ budgetMs: 1, signal: controller.signal, onProgress: () => { controller.abort('enough'); } });
    const done: number[] = [];
    const second = store.compact({ onProgress: ({ doneBytes, totalBytes }) => { done.push(doneBytes / totalBytes); } });
    await expect(aborted).rejects.toBe('enough');
    const report = await second;
    expect(report.copiedRecords).toBeGreaterThan(0);
    expect(report.freedBytes).toBeGreaterThan(0);
    expect(done.at(-1)).toBe(1);
    expect([...done].sort((a, b) => a - b)).toEqual(done);
    const { bytes, liveBytes } = store.stats();
    expect(liveBytes / bytes).toBeGreaterThan(0.9);
    await expect(store.compact({ onProgress: () => { throw new Error('mine'); } })).resolves.toBeDefined();
    store.put('k0', 'again');
    await expect(store.compact({ onProgress: () => { throw new Error('mine'); } })).rejects.toThrow('mine');
    await store.compact();
    expect(store.size).toBe(5000);
  });
});
