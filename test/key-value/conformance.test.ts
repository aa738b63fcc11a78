/**
 * What each call of a KeyValueStore gives: puts and gets, conditions, batches, updates, expiry, iteration.
 */
import { describe, expect, it } from 'vitest';
import { failure } from '../support/log-fixture.ts';
import { contentsOf, storePlaces } from '../support/kv-process.ts';

const place = storePlaces();

describe('put, get, has, delete', () => {
  it('give versions that rise, copies of values, and whether a key was there', () => {
    const store = place().open();
    const value = Buffer.from('first');
    expect(store.put('a', value)).toBe(1);
    value.fill(0);
    expect(store.get('a')).toEqual(Buffer.from('first'));
    expect(store.put('a', Buffer.from('second'))).toBe(2);
    expect(store.put('b', Buffer.alloc(0))).toBe(3);
    const copy = store.get('a')!;
    copy.fill(1);
    expect(store.get('a')).toEqual(Buffer.from('second'));
    expect(store.get('b')).toHaveLength(0);
    expect([store.get('c'), store.getView('c'), store.refOf('c'), store.versionOf('c')]).toEqual(
      [undefined, undefined, undefined, undefined]);
    expect([store.has('a'), store.has('c'), store.size]).toEqual([true, false, 2]);
    expect([store.versionOf('a'), store.versionOf('b')]).toEqual([2, 3]);
    expect(store.getMany(['b', 'c', 'a'])).toEqual([Buffer.alloc(0), undefined, Buffer.from('second')]);
    expect([store.delete('a'), store.delete('a'), store.delete('c')]).toEqual([true, false, false]);
    // What was not there is not written.
    expect(store.lastLsn).toBe(4);
    expect([store.has('a'), store.get('a'), store.size]).toEqual([false, undefined, 1]);
  });

  it('take text and its UTF-8 as one key, and bytes that are no text', () => {
    const store = place().open<Buffer>({ keys: 'binary' });
    store.put('schön', Buffer.from('1'));
    expect(store.get(Buffer.from('schön'))).toEqual(Buffer.from('1'));
    const bytes = Buffer.from([0xff, 0, 0xfe]);
    store.put(bytes, Buffer.from('2'));
    expect([...store.keys()]).toEqual([Buffer.from('schön'), bytes]);
    expect(store.has(new Uint8Array(bytes))).toBe(true);
    expect(store.delete(bytes)).toBe(true);
    expect([...store.keys()]).toEqual([Buffer.from('schön')]);
  });

  it('take keys up to 64 KiB and values of all lengths around a segment', () => {
    const store = place().open();
    for (const bytes of [1, 7, 8, 9, 255, 65535, 65536]) {
      const key = Buffer.alloc(bytes, bytes & 0x7f);
      store.put(key, key.subarray(1));
      expect(store.get(key)).toEqual(key.subarray(1));
    }
    for (const bytes of [65000, 65536, 200_000]) {
      store.put(`v${bytes}`, Buffer.alloc(bytes, 5));
      expect(store.get(`v${bytes}`)).toEqual(Buffer.alloc(bytes, 5));
    }
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => store.put(Buffer.alloc(65537), Buffer.alloc(1)));
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => store.get('x'.repeat(65537)));
    const { lastLsn } = store;
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => store.put('large', Buffer.alloc((64 << 20) - 15)));
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => store.batch([{ type: 'put', key: 'large', value: Buffer.alloc(64 << 20) }]));
    expect([store.lastLsn, store.has('large')]).toEqual([lastLsn, false]);
  });

  it('take values of 64 MiB less 16 bytes, which compaction can move', async () => {
    const store = place().open();
    const value = Buffer.alloc((64 << 20) - 16, 3);
    store.put('largest', value);
    store.put('dead', Buffer.alloc(1));
    store.put('dead', Buffer.alloc(2));
    await store.compact();
    expect(place().segments()).not.toContain('00000000000000000001.seg');
    expect(Buffer.compare(store.get('largest')!, value)).toBe(0);
    expect(store.versionOf('largest')).toBe(1);
  });

  it('getView gives bytes that outlive the next put, compaction and close', async () => {
    const store = place().open();
    store.put('a', Buffer.from('as it was'));
    const view = store.getView('a')!;
    const old = store.refOf('a')!;
    expect(old).toMatchObject({ lsn: 1, segment: 1 });
    store.put('dead', Buffer.alloc(100));
    store.put('dead', Buffer.alloc(100));
    await store.compact();
    expect(place().segments()).not.toContain('00000000000000000001.seg');
    expect(store.getView('a')).toEqual(Buffer.from('as it was'));
    // The place is another one, the version is not.
    expect(store.refOf('a')!.lsn).toBeGreaterThan(old.lsn);
    expect(store.versionOf('a')).toBe(1);
    expect(view).toEqual(Buffer.from('as it was'));
    view.fill(0);
    expect(store.get('a')).toEqual(Buffer.from('as it was'));
    const later = store.getView('a')!;
    store.put('a', Buffer.from('new'));
    await store.close();
    expect(later).toEqual(Buffer.from('as it was'));
  });

  it('with conditions write only where they hold, and say else what is', () => {
    const store = place().openText();
    expect(store.put('a', '1', { ifAbsent: true })).toBe(1);
    expect(failure('ERR_VARVE_CONFLICT', () => store.put('a', '2', { ifAbsent: true })).details)
      .toMatchObject({ expected: 0, actual: 1 });
    expect(store.put('a', '2', { ifVersion: 1 })).toBe(2);
    expect(failure('ERR_VARVE_CONFLICT', () => store.put('a', '3', { ifVersion: 1 })).details)
      .toMatchObject({ expected: 1, actual: 2 });
    expect(failure('ERR_VARVE_CONFLICT', () => store.put('b', '3', { ifVersion: 7 })).details)
      .toMatchObject({ expected: 7, actual: 0 });
    expect(store.put('b', '3', { ifVersion: 0 })).toBe(3);
    failure('ERR_VARVE_CONFLICT', () => store.delete('a', { ifVersion: 1 }));
    failure('ERR_VARVE_CONFLICT', () => store.delete('c', { ifVersion: 1 }));
    expect([store.delete('a', { ifVersion: 2 }), store.delete('a', { ifVersion: 0 })]).toEqual([true, false]);
    expect([store.lastLsn, store.get('a'), store.get('b')]).toEqual([4, undefined, '3']);
  });

  it('keep versions through compaction and opening, so that conditions go on to hold', async () => {
    let store = place().openText();
    store.put('a', '1');
    store.put('b', '1');
    store.put('b', '2');
    await store.compact();
    await store.close();
    store = place().openText();
    expect([store.versionOf('a'), store.versionOf('b')]).toEqual([1, 3]);
    expect(store.put('a', '2', { ifVersion: 1 })).toBeGreaterThan(3);
  });

  it('of durable writes give promises, whose values are on disk', async () => {
    const store = place().openText();
    const versions = await Promise.all([
      store.put('a', '1', { durable: true }), store.put('b', '1', { durable: true }),
      store.delete('zero', { durable: true }), store.putMany([['c', '1'], ['d', '1']], { durable: true }),
      store.batch([{ type: 'put', key: 'e', value: '1' }], { durable: true }),
    ]);
    expect(versions).toEqual([1, 2, false, 2, { firstLsn: 5, lastLsn: 5 }]);
    expect(store.durableLsn).toBe(5);
    store.put('f', '1');
    expect(store.durableLsn).toBe(5);
    expect(await store.sync()).toBe(6);
    store.put('f', '2');
    expect(store.syncNow()).toBe(7);
    expect(await store.delete('f', { durable: true })).toBe(true);
    expect(store.durableLsn).toBe(8);
    // Visible before it is durable.
    const pending = store.put('g', '1', { durable: true });
    expect(store.get('g')).toBe('1');
    await pending;
  });
});

describe('putMany, batch, update, clear', () => {
  it('putMany counts, takes any iterable, and the last of equal keys counts', () => {
    const store = place().openText();
    expect(store.putMany(new Map([['a', '1'], ['b', '1']]))).toBe(2);
    function* many(): Generator<[string, string]> {
      for (let i = 0; i < 3000; i++) yield [`k${i % 2000}`, `v${i}`];
    }
    expect(store.putMany(many())).toBe(3000);
    expect([store.size, store.get('k5'), store.get('k1500')]).toEqual([2002, 'v2005', 'v1500']);
    expect(store.putMany([])).toBe(0);
  });

  it('putMany that fails has committed the runs before, and says how many entries', () => {
    const store = place().openText();
    function* failing(): Generator<[string, string]> {
      for (let i = 0; i < 2500; i++) yield [`k${i}`, 'v'];
      yield ['', 'v'];
    }
    const error = failure('ERR_VARVE_INVALID_ARGUMENT', () => store.putMany(failing()));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.details).toMatchObject({ argument: 'entries[2500][0]' });
    expect(store.size).toBe(2048);
  });

  it('batch is one: all of it or nothing', () => {
    const store = place().openText();
    store.put('old', '1');
    expect(store.batch([
      { type: 'put', key: 'a', value: '1' }, { type: 'delete', key: 'old' }, { type: 'delete', key: 'never' },
      { type: 'put', key: 'a', value: '2' }, { type: 'put', key: 'b', value: '1' }, { type: 'delete', key: 'b' },
    ])).toEqual({ firstLsn: 2, lastLsn: 7 });
    expect(contentsOf(store)).toEqual([['a', '2']]);
    expect(store.versionOf('a')).toBe(5);
    failure('ERR_VARVE_INVALID_ARGUMENT',
      () => store.batch([{ type: 'put', key: 'c', value: '1' }, { type: 'put', key: '', value: '1' }]));
    expect([store.lastLsn, store.has('c')]).toEqual([7, false]);
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const json = place().open<string, unknown>({ values: 'json' }, `${place().root}/json`);
    expect(() => json.batch([{ type: 'put', key: 'a', value: 1 }, { type: 'put', key: 'b', value: cyclic }]))
      .toThrow(TypeError);
    expect([json.lastLsn, json.size]).toEqual([0, 0]);
  });

  it('update reads, changes and writes as one, deletes with undefined, and lets errors out', () => {
    const store = place().open<string, number>({ values: 'json' });
    expect(store.update('n', (n = 0) => n + 1)).toBe(1);
    expect(store.update('n', (n = 0) => n + 1)).toBe(2);
    expect([store.get('n'), store.versionOf('n')]).toEqual([2, 2]);
    expect(() => store.update('n', () => { throw new Error('mine'); })).toThrow('mine');
    expect([store.get('n'), store.lastLsn]).toEqual([2, 2]);
    expect(store.update('n', () => undefined)).toBeUndefined();
    expect([store.has('n'), store.lastLsn]).toEqual([false, 3]);
    expect(store.update('n', () => undefined)).toBeUndefined();
    // What comes later is no value: JSON would make an empty object of it.
    failure('ERR_VARVE_INVALID_ARGUMENT', () => store.update('n', (async () => Promise.resolve(1)) as never));
    expect(store.lastLsn).toBe(3);
  });

  it('update within update: other keys are free, the same key is a conflict, and nothing is lost', () => {
    const store = place().open<string, number>({ values: 'json' });
    store.put('a', 1);
    store.put('b', 1);
    expect(store.update('a', (a) => a! + store.update('b', (b) => b! + 1)!)).toBe(3);
    const conflict = failure('ERR_VARVE_CONFLICT', () => store.update('a', (a) => {
      store.put('a', 10);
      return a! + 1;
    }));
    expect(conflict.details).toMatchObject({ expected: 4, actual: 5 });
    expect(store.get('a')).toBe(10);
    failure('ERR_VARVE_CONFLICT', () => store.update('a', () => {
      store.delete('a');
      return 1;
    }));
    expect(store.has('a')).toBe(false);
    failure('ERR_VARVE_CONFLICT', () => store.update('new', () => store.put('new', 5)));
    expect(store.get('new')).toBe(5);
    failure('ERR_VARVE_CLOSED', () => store.update('new', () => {
      store.closeSync();
      return 6;
    }));
    expect(place().open<string, number>({ values: 'json' }).get('new')).toBe(5);
  });

  it('clear takes everything away, now, after opening, and for what comes later', async () => {
    let store = place().openText();
    store.putMany(Array.from({ length: 5000 }, (_, i): [string, string] => [`k${i}`, 'v']));
    expect(store.clear()).toBe(5001);
    expect([store.size, [...store], store.get('k7')]).toEqual([0, [], undefined]);
    store.put('after', '1');
    store.closeSync();
    store = place().openText();
    expect(contentsOf(store)).toEqual([['after', '1']]);
    await store.compact();
    expect(contentsOf(store)).toEqual([['after', '1']]);
    expect(store.stats().bytes).toBeLessThan(1000);
    store.clear();
    store.closeSync();
    expect(place().openText().size).toBe(0);
  });
});

describe('expiry', () => {
  it('makes keys absent for every call at once, and keeps them through compaction and opening until then', async () => {
    let time = 1_000_000;
    const now = (): number => time;
    let store = place().openText({ now });
    store.put('short', '1', { ttl: 10 });
    store.put('long', '1', { expiresAt: 1_000_100 });
    store.put('past', '1', { expiresAt: 5 });
    store.put('stays', '1', { ttl: 10 });
    store.put('stays', '2');
    store.batch([{ type: 'put', key: 'batch', value: '1', ttl: 10 }]);
    store.putMany([['many', '1']], { ttl: 10 });
    expect([store.size, store.has('past')]).toEqual([5, false]);
    time += 9;
    expect(store.getMany(['short', 'batch', 'many'])).toEqual(['1', '1', '1']);
    time += 1;
    for (const key of ['short', 'batch', 'many']) {
      expect([store.get(key), store.has(key), store.versionOf(key), store.refOf(key), store.getView(key)])
        .toEqual([undefined, false, undefined, undefined, undefined]);
      expect(store.delete(key)).toBe(false);
    }
    expect([store.size, contentsOf(store)]).toEqual([2, [['long', '1'], ['stays', '2']]]);
    expect(store.put('short', 'new', { ifAbsent: true })).toBe(8);
    await store.compact();
    store.closeSync();
    store = place().openText({ now });
    expect(contentsOf(store)).toEqual([['long', '1'], ['short', 'new'], ['stays', '2']]);
    time += 90;
    expect([store.get('long'), store.size]).toEqual([undefined, 2]);
  });

  it('is kept by update, and ended by put', () => {
    let time = 1000;
    const store = place().openText({ now: () => time });
    store.put('a', '1', { ttl: 100 });
    store.put('b', '1', { ttl: 100 });
    store.update('a', (value) => `${value}+`);
    store.put('b', '2');
    time += 50;
    expect(store.getMany(['a', 'b'])).toEqual(['1+', '2']);
    time += 50;
    expect(store.getMany(['a', 'b'])).toEqual([undefined, '2']);
    expect(store.update('a', (value = 'none') => value)).toBe('none');
    time += 1e9;
    expect(store.get('a')).toBe('none');
  });

  it('that passed while the store was closed removes keys when it is opened', async () => {
    let time = 1000;
    const now = (): number => time;
    let store = place().openText({ now });
    store.put('a', 'old');
    store.put('a', 'new', { ttl: 10 });
    store.put('b', '1');
    store.closeSync();
    time = 2000;
    const reader = place().openReader({ now });
    expect(contentsOf(reader)).toEqual([['b', '1']]);
    store = place().openText({ now });
    expect([store.size, contentsOf(store)]).toEqual([1, [['b', '1']]]);
    await store.compact();
    store.closeSync();
    expect(contentsOf(place().openText({ now: () => 0 }))).toEqual([['b', '1']]);
  });
});

describe('iteration', () => {
  it('shows the store as it was at the call, whatever is written meanwhile', async () => {
    const store = place().openText();
    for (let i = 0; i < 3000; i++) store.put(`k${i}`, `v${i}`);
    const before = contentsOf(store);
    const entries = store.entries();
    const seen: [string, string][] = [];
    for (let i = 0; i < 100; i++) seen.push(entries.next().value!);
    for (let i = 0; i < 3000; i += 3) store.put(`k${i}`, 'changed');
    for (let i = 1; i < 3000; i += 3) store.delete(`k${i}`);
    store.put('new', '1');
    const compacting = store.compact();
    for (const entry of entries) {
      seen.push(entry);
      if (seen.length % 500 === 0) await new Promise(setImmediate);
    }
    expect(seen.sort(([a], [b]) => (a < b ? -1 : 1))).toEqual(before);
    expect((await compacting).segments).toBeGreaterThan(0);
    expect(store.size).toBe(2001);
    expect(contentsOf(store)).toHaveLength(2001);
  });

  it('shows what was cleared since', () => {
    const store = place().openText();
    for (let i = 0; i < 3000; i++) store.put(`k${i}`, `v${i}`);
    const keys = store.keys();
    keys.next();
    store.clear();
    expect([...keys]).toHaveLength(2999);
    expect([...store.keys()]).toEqual([]);
  });

  it('takes prefixes as text and bytes', () => {
    const store = place().openText();
    for (const key of ['a', 'ab', 'abc', 'b', 'äb', 'ä']) store.put(key, key);
    expect([...store.keys({ prefix: 'ab' })]).toEqual(['ab', 'abc']);
    expect([...store.values({ prefix: 'a' })]).toEqual(['a', 'ab', 'abc']);
    expect([...store.entries({ prefix: Buffer.from('ä') })]).toEqual([['äb', 'äb'], ['ä', 'ä']]);
    expect([...store.keys({ prefix: '' })]).toHaveLength(6);
    expect([...store.keys({ prefix: 'nothing' })]).toEqual([]);
  });

  it('that is left early, or fails, keeps nothing from compaction', async () => {
    const store = place().openText();
    for (let i = 0; i < 2000; i++) store.put(`k${i % 1000}`, `v${i}`.padEnd(100));
    for (const key of store.keys()) if (key !== '') break;
    const left = store.values();
    left.next();
    left.return!();
    expect(left.next()).toEqual({ done: true, value: undefined });
    const never = store.entries();
    never.return!();
    expect((await store.compact()).segments).toBeGreaterThan(0);

    const wrong = place().open<string, number>({ values: { encode: String, decode: () => { throw new Error('mine'); } } },
      `${place().root}/wrong`);
    for (let i = 0; i < 2000; i++) wrong.put(`k${i % 1000}`, i);
    const values = wrong.values();
    expect(() => { for (const value of values) void value; }).toThrow('mine');
    // A loop does not call `return` where `next` has thrown.
    expect((await wrong.compact()).segments).toBeGreaterThan(0);
  });

  it('ends with an error where the store is closed', () => {
    const store = place().openText();
    for (let i = 0; i < 5000; i++) store.put(`k${i}`, 'x'.repeat(100));
    const keys = store.keys();
    keys.next();
    store.closeSync();
    failure('ERR_VARVE_CLOSED', () => [...keys]);
  });
});
