/**
 * Hint files: a table built from them is the one built from the frames; what is not whole or not of this segment is
 * never taken; writing that fails or is given up leaves nothing, and lets others run in between.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { crc32c } from '../../host/core/crc32c.ts';
import { FRAMES_OFFSET, Frame, HintHeader, KEYDIR_HINT_BYTES, Kind } from '../../host/generated/abi.ts';
import { isUnusable, removeUnfinished, type Unusable } from '../../host/key-value/derived-file.ts';
import { HintWriter, readHintFile, type Hints, type HintSource } from '../../host/key-value/hint-file.ts';
import { hintName, segmentName } from '../../host/log/names.ts';
import type { Segment } from '../../host/log/segment.ts';
import { KeydirStore, type Table } from '../support/keydir-store.ts';
import { logFixture, onEach, rejection } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { SimulatedPowerCut } from '../support/simulated-disk.ts';

function hintsOf(store: KeydirStore, segment: Segment): Hints {
  const hints = readHintFile(store.context, store.sourceOf(segment));
  if (isUnusable(hints)) throw new Error(hints.because);
  return hints;
}

/** Why the hint of a segment is not used. */
function refusal(store: KeydirStore, source: HintSource): Unusable['reason'] | 'none' {
  const found = readHintFile(store.context, source);
  if (isUnusable(found)) return found.reason;
  found.release();
  return 'none';
}

function hintNames(store: KeydirStore): string[] {
  return store.fixture.names().filter((name) => name.includes('.hint'));
}

async function writeHints(store: KeydirStore, table: Table): Promise<void> {
  for (const segment of store.sealed) {
    expect(await new HintWriter(store.context, table.keydir, store.sourceOf(segment)).run()).toBe('written');
  }
}

/** A table of the hints of all sealed segments, and of the frames of the others. */
function hintedTable(store: KeydirStore, most: number): Table {
  const table = store.newTable();
  for (const segment of store.segments) {
    if (!segment.sealed) {
      store.takeFrames(table, segment);
      continue;
    }
    const hints = hintsOf(store, segment);
    store.takeHints(table, segment, hints, most);
    hints.release();
  }
  return table;
}

/** Puts, removes, clears and records that say nothing of keys; some are larger than a slice. */
function variedStore(store: KeydirStore): void {
  const large = 'large '.repeat(60_000);
  store.fill(3000);
  store.writer.appendRecord({ kind: Kind.Raw, payload: 'no key' });
  store.put('large 1', large);
  store.fill(2000, 5000);
  store.put('large 2', large);
  store.put('large 3', large);
  store.writer.appendRecord({ kind: Kind.Clear, payload: '' });
  store.keys.clear();
  store.fill(5000, 2000);
  store.put('large 2', large);
  store.put('', 'a key of no bytes');
  store.remove('large 3');
  store.fill(25_000, 20_000);
}

onEach('hints', (make) => {
  it('give the table that the frames give, however many entries are taken at a time', async () => {
    const store = new KeydirStore(make(), 1 << 20);
    variedStore(store);
    expect(store.sealed.length).toBeGreaterThan(2);
    const table = store.builtTable();
    await writeHints(store, table);
    expect(hintNames(store)).toEqual(store.sealed.map((segment) => hintName(segment.baseLsn)));
    const expected = store.placesIn(table);
    expect([expected.missing, expected.places.size]).toEqual([0, table.keydir.count]);
    for (const most of [1, 1000, 1 << 20]) {
      const again = hintedTable(store, most);
      expect(again.keydir.state).toEqual(table.keydir.state);
      expect(store.placesIn(again)).toEqual(expected);
      again.dispose();
      store.tables.splice(store.tables.indexOf(again), 1);
    }
  });

  it('are written where the segment is unmapped between the slices', async () => {
    const store = new KeydirStore(make(), 1 << 20, 0);
    store.fill(50_000);
    const [first, second] = store.sealed;
    const table = store.newTable();
    const writer = new HintWriter(store.context, table.keydir, store.sourceOf(first!));
    let slices = 0;
    const running = writer.run().finally(() => { slices = -slices; });
    while (slices >= 0) {
      store.pool.view(second!);
      expect(first!.view).toBeUndefined();
      slices++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await running).toBe('written');
    // Of a segment of a mebibyte, each slice leaves the loop after a quarter of it at most.
    expect(-slices).toBeGreaterThan(4);
    const hints = hintsOf(store, first!);
    expect(hints.count).toBe(first!.records);
    hints.release();
  });

  it('are of no use where they are missing, or of another segment', async () => {
    const store = new KeydirStore(make());
    store.fill(2000);
    const [segment] = store.sealed;
    const source = store.sourceOf(segment!);
    expect(refusal(store, source)).toBe('absent');
    await new HintWriter(store.context, store.newTable().keydir, source).run();
    expect(refusal(store, source)).toBe('none');
    for (const name of ['salt', 'sealedAt', 'records', 'dataEnd'] as const) {
      for (const by of [1, -1]) {
        expect(readHintFile(store.context, { ...source, [name]: source[name] + by })).toMatchObject({
          reason: 'outdated',
          because: `it is of another state of the segment: ${name} ${source[name]}, now ${source[name] + by}`,
        });
      }
    }
    const { identity } = store.context;
    for (const other of [{ ...identity, idLow: identity.idLow ^ 1n }, { ...identity, idHigh: identity.idHigh ^ 1n }]) {
      expect(readHintFile({ ...store.context, identity: other }, source)).toMatchObject({ reason: 'another-store' });
    }
    // Under the name of another segment.
    const next = store.sourceOf(store.sealed[1]!);
    store.fixture.put(hintName(next.baseLsn), store.fixture.bytes(hintName(source.baseLsn)));
    expect(refusal(store, next)).toBe('outdated');
  });
});

/** A store of one sealed segment of few records, with its hint, on a simulated disk. */
async function hintedStore(): Promise<{ store: KeydirStore; source: HintSource; name: string; bytes: Buffer }> {
  const store = new KeydirStore(logFixture('simulated', 'simd'));
  store.fill(40);
  store.put('large', 'large '.repeat(12_000));
  const source = store.sourceOf(store.sealed[0]!);
  await new HintWriter(store.context, store.newTable().keydir, source).run();
  const name = hintName(source.baseLsn);
  return { store, source, name, bytes: Buffer.from(store.fixture.bytes(name)) };
}

const tally = { flips: 0, lengths: 0, faults: 0, aborts: 0, cuts: 0, absent: 0, whole: 0 };
afterAll(() => { console.info('hints:', tally); });

describe('a damaged hint', () => {
  it('is not believed, whichever bit is wrong', async () => {
    const { store, source, name, bytes } = await hintedStore();
    expect(bytes.length).toBe(HintHeader.BYTES + source.records * KEYDIR_HINT_BYTES);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const at = bit >> 3;
      store.fixture.tamper(name, at, Uint8Array.of(bytes[at]! ^ (1 << (bit & 7))));
      expect([bit, refusal(store, source)]).toEqual([bit, 'damaged']);
      store.fixture.tamper(name, at, bytes.subarray(at, at + 1));
      tally.flips++;
    }
    expect(refusal(store, source)).toBe('none');
  });

  it('is not believed at any other length', async () => {
    const { store, source, name, bytes } = await hintedStore();
    for (let length = 0; length < bytes.length; length++) {
      store.fixture.put(name, bytes.subarray(0, length));
      expect([length, refusal(store, source)]).toEqual([length, 'damaged']);
      tally.lengths++;
    }
    for (const more of [1, 16]) {
      store.fixture.put(name, Buffer.concat([bytes, Buffer.alloc(more)]));
      expect(refusal(store, source)).toBe('damaged');
    }
  });

  it('is not believed where its header contradicts itself, or is of a later version', async () => {
    const { store, source, name, bytes } = await hintedStore();
    const withField = (offset: number, value: number): Unusable['reason'] | 'none' => {
      const changed = Buffer.from(bytes);
      changed.writeUInt32LE(value, offset);
      changed.writeUInt32LE(crc32c(changed.subarray(12, HintHeader.BYTES)), HintHeader.crc);
      store.fixture.tamper(name, 0, changed.subarray(0, HintHeader.BYTES));
      return refusal(store, source);
    };
    expect(withField(HintHeader.records, source.records)).toBe('none');
    for (const [offset, value] of [
      [HintHeader.entries, 0], [HintHeader.entries, source.records - 1], [HintHeader.entries, 0xffffffff],
      [HintHeader.records, source.records - 1],
    ] as const) expect([offset, value, withField(offset, value)]).toEqual([offset, value, 'damaged']);
    expect([withField(HintHeader.version, 2), withField(HintHeader.incompatible, 1)])
      .toEqual(['newer-version', 'newer-version']);
  });

  it('is not used where the system refuses it, or the memory has no room for it', async () => {
    const { store, source } = await hintedStore();
    for (const [operation, nth] of [['open', 1], ['size', 1], ['read', 1], ['read', 2]] as const) {
      const plan = store.fixture.disk!.failAt({ operation, path: /hint$/, nth, error: 'EIO' });
      expect([operation, refusal(store, source), plan.fired]).toEqual([operation, 'unreadable', 1]);
    }
    const { memory } = store.context.core;
    const taken: (readonly [number, number])[] = [];
    for (let length = memory.largestFree(); length > 0; length = memory.largestFree()) {
      taken.push([memory.reserve(length), length]);
    }
    expect(refusal(store, source)).toBe('no-room');
    for (const [address, length] of taken) memory.release(address, length);
    expect(refusal(store, source)).toBe('none');
  });
});

/** A store with sealed segments and no hints. */
function sealedStore(syncs: 'immediate' | 'manual' = 'immediate'): { store: KeydirStore; writer: () => HintWriter } {
  const store = new KeydirStore(logFixture('simulated', 'simd', { syncs }), 1 << 20);
  store.fill(26_000);
  const table = store.newTable();
  return { store, writer: () => new HintWriter(store.context, table.keydir, store.sourceOf(store.sealed[0]!)) };
}

describe('writing a hint', () => {
  it('leaves nothing where it fails, and can be begun again', async () => {
    const { store, writer } = sealedStore();
    const disk = store.fixture.disk!;
    for (const operation of ['create', 'write', 'sync', 'rename'] as const) {
      for (const nth of operation === 'write' ? [1, 2, 3, 4, 5] : [1]) {
        for (const error of ['EIO', 'ENOSPC'] as const) {
          const plan = disk.failAt({ operation, path: /hint/, nth, error, written: 10 });
          await rejection(error === 'EIO' ? 'ERR_VARVE_IO' : 'ERR_VARVE_DISK_FULL', writer().run());
          expect([operation, nth, plan.fired, hintNames(store)]).toEqual([operation, nth, 1, []]);
          tally.faults++;
        }
      }
    }
    const { capacity } = disk;
    disk.capacity = 1;
    await rejection('ERR_VARVE_DISK_FULL', writer().run());
    disk.capacity = capacity;
    expect(hintNames(store)).toEqual([]);
    const source = { ...store.sourceOf(store.sealed[0]!), mount: () => { throw new Error('no mapping'); } };
    await expect(new HintWriter(store.context, store.newTable().keydir, source).run()).rejects.toThrow('no mapping');
    expect(hintNames(store)).toEqual([]);
    // A file that a crash has left is in nobody's way.
    store.fixture.put(`${hintName(1)}.new`, Buffer.alloc(100));
    expect(await writer().run()).toBe('written');
    expect(hintNames(store)).toEqual([hintName(1)]);
  });

  it('leaves nothing where it is given up, at whichever turn', async () => {
    const { store, writer } = sealedStore('manual');
    const disk = store.fixture.disk!;
    const synced = disk.syncCount;
    for (let turns = 0; turns < 12; turns++) {
      const writing = writer();
      const running = writing.run();
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      writing.abort();
      expect(hintNames(store)).toEqual([]);
      writing.abort();
      disk.completeSyncs();
      expect([turns, await running, hintNames(store)]).toEqual([turns, 'aborted', []]);
      tally.aborts++;
    }
    // Some were given up during the sync, which is the last that they wait for.
    expect(disk.syncCount).toBeGreaterThan(synced);
    const writing = writer();
    const running = writing.run();
    while (disk.completeSyncs() === 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    // It has its name, and only the directory is synced now: what is there is whole.
    expect(hintNames(store)).toEqual([hintName(1)]);
    writing.abort();
    disk.completeSyncs();
    expect(await running).toBe('written');
    expect(refusal(store, store.sourceOf(store.sealed[0]!))).toBe('none');
  });

  it('gives up where the frames are not what the footer says', async () => {
    const { store, writer } = sealedStore();
    const [segment] = store.sealed;
    const view = store.pool.view(segment!);
    const at = view.locate(5000);
    expect(at).toBeGreaterThan(FRAMES_OFFSET);
    const name = segmentName(segment!.baseLsn);
    store.pool.unmount(segment!);
    for (const size of [0, 23, 0x7fffffff]) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(size);
      const before = store.fixture.bytes(name).slice(at + Frame.size, at + Frame.size + 4);
      store.fixture.tamper(name, at + Frame.size, bytes);
      expect([size, await writer().run(), hintNames(store)]).toEqual([size, 'damaged', []]);
      store.fixture.tamper(name, at + Frame.size, before);
    }
    const wrong = { ...store.sourceOf(segment!), records: segment!.records - 1 };
    expect(await new HintWriter(store.context, store.tables[0]!.keydir, wrong).run()).toBe('damaged');
    expect(hintNames(store)).toEqual([]);
    expect(await writer().run()).toBe('written');
    expect(hintNames(store)).toEqual([hintName(1)]);
  });

  it('leaves a whole hint or none wherever the power is cut', async () => {
    const { store } = sealedStore();
    const { fixture: { disk: origin }, context } = store;
    const source = store.sourceOf(store.sealed[0]!);
    const table = store.tables[0]!;
    const random = new Random(13);
    let outcome: string | undefined;
    for (let nth = 1; outcome !== 'written'; nth++) {
      for (let repeat = 0; repeat < 4; repeat++) {
        const disk = origin!.clone();
        disk.failAt({ nth, error: 'power-cut' });
        const writing = new HintWriter({ ...context, storage: disk.storage() }, table.keydir, source);
        outcome = await writing.run().catch((error: unknown) => {
          expect(error).toBeInstanceOf(SimulatedPowerCut);
          tally.cuts++;
          return 'cut';
        });
        disk.powerCut(random);
        const storage = disk.storage();
        removeUnfinished({ ...context, storage }, storage.list(context.directory)!);
        expect(storage.list(context.directory)!.some((name) => name.endsWith('.new'))).toBe(false);
        const found = readHintFile({ ...context, storage }, source);
        if (isUnusable(found)) expect([found.reason, outcome]).toEqual(['absent', 'cut']);
        else found.release();
        tally[isUnusable(found) ? 'absent' : 'whole']++;
      }
    }
    expect(tally.absent > 0 && tally.whole > 0).toBe(true);
  });
});
