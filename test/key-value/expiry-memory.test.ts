/**
 * What expires takes memory for what is there, not for what was ever put: keys that are written again and again with an
 * expiry, deleted, and moved by compaction.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { KeyValueStore, type KeyValueOptions } from '../../host/index.ts';
import type { KeyTable } from '../../host/key-value/table.ts';
import { giveCore, takeCore, wipeCore } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const core = takeCore('simd', 64 << 20);
const readerCore = takeCore('simd', 64 << 20);
afterAll(() => {
  giveCore(core);
  giveCore(readerCore);
});

type Texts = KeyValueStore<string, string>;

let disk: SimulatedDisk;
let now: number;
beforeEach(() => {
  for (const each of [core, readerCore]) wipeCore(each);
  disk = new SimulatedDisk();
  now = 1000;
});

function open(options: KeyValueOptions<string> = {}): Texts {
  return KeyValueStore.openSync<string, string>('/store', {
    core, storage: disk.storage(), segmentBytes: 1 << 20, mappedBytesMax: 32 << 20, autoCompact: false, values: 'utf8',
    now: () => now, ...options,
  });
}

/** Entries that are kept of what expires. */
const heldBy = (store: Texts): number => (store as unknown as { table: KeyTable }).table.expiry.size;

/** Everything goes when it is due, and nothing before. */
function expectDue(store: Texts, keys: number): void {
  expect(store.size).toBe(keys);
  now += 59_999;
  expect(store.size).toBe(keys);
  now += 1;
  expect([store.size, [...store.keys()]]).toEqual([0, []]);
}

describe('keys that are put again and again with an expiry', () => {
  it('take memory for each key once, in a writer and in a reader', () => {
    const store = open();
    const reader = open({ core: readerCore, readOnly: true });
    const most = { writer: 0, reader: 0 };
    for (let at = 0; at < 100_000; at++) {
      store.put(`session ${at % 100}`, `${at}`, { ttl: 60_000 });
      most.writer = Math.max(most.writer, heldBy(store));
      if (at % 1000 !== 0) continue;
      disk.refresh();
      expect(reader.size).toBeGreaterThan(0);
      most.reader = Math.max(most.reader, heldBy(reader));
    }
    expect(most.writer).toBeLessThan(500);
    expect(most.reader).toBeLessThan(1600);
    expectDue(store, 100);
    reader.closeSync();
    store.closeSync();
  });

  it('do so in batches, and when they are deleted in between', () => {
    const store = open();
    let most = 0;
    for (let at = 0; at < 200; at++) {
      store.putMany(Array.from({ length: 200 }, (_, key) => [`key ${key}`, `${at}`] as const), { ttl: 60_000 });
      for (let key = 0; key < 200; key += 2) store.delete(`key ${key}`);
      most = Math.max(most, heldBy(store));
    }
    expect(most).toBeLessThan(1200);
    expectDue(store, 100);
    store.closeSync();
  });

  it('do so where compaction moves them, with few segments mapped', async () => {
    const store = open({ mappedBytesMax: 0, segmentBytes: 65536 });
    for (let key = 0; key < 300; key++) store.put(`stays ${key}`, 'x'.repeat(100), { ttl: 60_000 });
    let most = 0;
    for (let round = 0; round < 60; round++) {
      for (let at = 0; at < 2000; at++) store.put(`session ${at % 10}`, `${at}`, { ttl: 60_000 });
      await store.compact();
      most = Math.max(most, heldBy(store));
    }
    // Of segments that are not mapped it is told late, but no later than when they are dropped.
    expect(most).toBeLessThan(15_000);
    expectDue(store, 310);
    store.closeSync();
  });

  it('are kept by closing as they are, and expire after it', () => {
    let store = open();
    for (let at = 0; at < 20_000; at++) store.put(`session ${at % 100}`, `${at}`, { ttl: 60_000 });
    store.closeSync();
    expect(disk.read('/store/KEYDIR')!.length).toBeLessThan(200_000);
    store = open();
    expect(store.recovery.keydir).toBe('loaded');
    expect(heldBy(store)).toBeLessThan(500);
    expectDue(store, 100);
    store.closeSync();
  });
});
