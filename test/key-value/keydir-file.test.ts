/**
 * `KEYDIR`: what is written comes back, what is not whole or not of this log is never taken, and writing that fails
 * leaves what was there.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { crc32c } from '../../host/core/crc32c.ts';
import type { LogState } from '../../host/core/keydir-file.ts';
import type { TableState } from '../../host/core/keydir.ts';
import {
  KEYDIR_TABLE_OFFSET, KeydirHeader, KEYDIR_ENTRY_BYTES, KeydirEntry,
} from '../../host/generated/abi.ts';
import { isUnusable, removeUnfinished, type Unusable } from '../../host/key-value/derived-file.ts';
import { openKeydirFile, writeKeydirFile, type KeydirFile } from '../../host/key-value/keydir-file.ts';
import { KeydirStore, TABLE_BYTES, type Table } from '../support/keydir-store.ts';
import { failure, logFixture, onEach } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { SimulatedPowerCut } from '../support/simulated-disk.ts';

const EXPIRY = Buffer.from('what expires, and when');

function write(store: KeydirStore, table: Table): void {
  writeKeydirFile(store.context, { log: store.log, keydir: table.keydir, segments: store.baseLsns, expiry: EXPIRY });
}

function reasonOf(found: object | undefined): Unusable['reason'] | 'none' {
  return isUnusable(found) ? found.reason : 'none';
}

function opened(store: KeydirStore, log: LogState = store.log): KeydirFile {
  const found = openKeydirFile(store.context, log);
  if (isUnusable(found)) throw new Error(found.because);
  return found;
}

/** Takes the file into a table that was empty. */
function load(file: KeydirFile, table: Table): void {
  expect(file.mapTable(table.address, TABLE_BYTES)).toBeUndefined();
  table.keydir.state = file.state;
}

/** Why the file is not used, by opening and mapping it. */
function refusal(store: KeydirStore, table: Table, log: LogState = store.log): Unusable['reason'] | 'none' {
  const found = openKeydirFile(store.context, log);
  if (isUnusable(found)) return found.reason;
  try {
    return reasonOf(found.mapTable(table.address, TABLE_BYTES));
  } finally {
    found.close();
  }
}

function copyOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}

onEach('KEYDIR', (make) => {
  for (const [what, growing] of [['rest', false], ['the midst of growing', true]] as const) {
    it(`gives back a table that was at ${what}, which goes on growing without changing the file`, () => {
      const store = new KeydirStore(make());
      store.fill(3000);
      let table = store.builtTable();
      // Half-way, a part of the hashes has its home by the old number of slots, and a part by the new one.
      const isThere = ({ nextSlots, border }: TableState) => (growing ? border < 2 ** 31 : nextSlots === 0);
      for (let at = 3000; !isThere(table.keydir.state); at += 100) {
        store.fill(100, at);
        table.dispose();
        store.tables.pop();
        table = store.builtTable();
      }
      write(store, table);
      const bytes = copyOf(store.fixture.bytes('KEYDIR'));
      const file = opened(store);
      const again = store.newTable();
      load(file, again);
      expect(again.keydir.state).toEqual(table.keydir.state);
      expect(again.keydir.state.nextSlots !== 0).toBe(growing);
      expect(Buffer.from(file.expiry)).toEqual(EXPIRY);
      expect(file.segments).toEqual(store.segments.map(({ baseLsn }, number) => ({
        baseLsn, liveBytes: table.keydir.liveBytes(number), liveRecords: table.keydir.liveRecords(number),
      })));
      expect(file.segments.length).toBeGreaterThan(2);
      expect(file.segments.reduce((sum, { liveRecords }) => sum + liveRecords, 0)).toBe(table.keydir.count);
      const { places, missing } = store.placesIn(again);
      expect([missing, places.size, again.placeOf('no such key')]).toEqual([0, table.keydir.count, undefined]);
      expect(places).toEqual(store.placesIn(table).places);

      const slots = again.keydir.state.slots;
      const last = store.segments.at(-1)!;
      const from = store.pool.view(last).dataEnd;
      store.fill(4000, 20_000);
      for (const each of store.segments.slice(store.numberOf(last))) {
        store.takeFrames(again, each, each === last ? from : undefined);
        store.takeFrames(table, each, each === last ? from : undefined);
      }
      expect(again.keydir.state).toEqual(table.keydir.state);
      expect(again.keydir.state.slots).toBeGreaterThan(slots);
      expect(store.placesIn(again)).toEqual(store.placesIn(table));
      expect(copyOf(store.fixture.bytes('KEYDIR')).equals(bytes)).toBe(true);

      // Another one takes its name while it is mapped, and leaves the mapping as it is.
      write(store, again);
      expect(copyOf(store.fixture.bytes('KEYDIR')).equals(bytes)).toBe(false);
      expect(store.placesIn(again)).toEqual(store.placesIn(table));
      file.close();
      file.close();
      expect(store.context.core.memory.bytes.subarray(again.address, again.address + file.tableBytes)
        .every((byte) => byte === 0)).toBe(true);
      again.clear();
      const newer = opened(store);
      load(newer, again);
      expect(store.placesIn(again)).toEqual(store.placesIn(table));
      newer.close();
    });
  }

  it('has every entry, wherever the last run ends', () => {
    const store = new KeydirStore(make());
    store.fill(1);
    const table = store.builtTable();
    // Entries far behind the last home, as a run would have them that begins there.
    const { keydir, core: { memory } } = table;
    const far = keydir.slots + 5000;
    for (let slot = keydir.slots; slot < far; slot++) {
      memory.unsigned[(table.address + slot * KEYDIR_ENTRY_BYTES + KeydirEntry.place) / 4] = 512;
    }
    write(store, table);
    const file = opened(store);
    expect(file.tableBytes).toBe(Math.ceil(far * KEYDIR_ENTRY_BYTES / 65536) * 65536);
    const again = store.newTable();
    load(file, again);
    expect(copyOf(memory.bytes.subarray(again.address, again.address + TABLE_BYTES))
      .equals(copyOf(memory.bytes.subarray(table.address, table.address + TABLE_BYTES)))).toBe(true);
    file.close();
  });

  it('is of no use where it is missing, or where the log is another one or has gone on', () => {
    const store = new KeydirStore(make());
    store.fill(50);
    const table = store.builtTable();
    expect(openKeydirFile(store.context, store.log)).toEqual({
      reason: 'absent', path: join(store.context.directory, 'KEYDIR'), because: 'there is none',
    });
    write(store, table);
    const again = store.newTable();
    expect(refusal(store, again)).toBe('none');
    const { log } = store;
    const { identity } = log;
    for (const other of [{ ...identity, idLow: identity.idLow ^ 1n }, { ...identity, idHigh: identity.idHigh ^ 1n }]) {
      expect(refusal(store, again, { ...log, identity: other })).toBe('another-store');
    }
    for (const name of ['firstLsn', 'lastLsn', 'position', 'generation', 'epoch'] as const) {
      for (const by of [1, -1]) {
        const found = openKeydirFile(store.context, { ...log, [name]: log[name] + by });
        expect(found).toMatchObject({
          reason: 'outdated',
          because: `it is of another state of the log: ${name} ${log[name]}, now ${log[name] + by}`,
        });
      }
    }
    store.put('one more', '');
    expect(refusal(store, again)).toBe('outdated');
  });

  it('is not believed at any other length', () => {
    const store = new KeydirStore(make());
    store.fill(50);
    const table = store.builtTable();
    write(store, table);
    const bytes = copyOf(store.fixture.bytes('KEYDIR'));
    const tail = bytes.length - EXPIRY.length;
    const again = store.newTable();
    const lengths = [
      0, 1, 7, 8, 127, 128, 129, 4096, 65_535, 65_536, 65_537, 100_000, 131_071, 131_072, 131_073, tail - 1,
      tail, tail + 1, bytes.length - 1,
    ];
    expect(tail).toBeGreaterThan(131_072);
    for (const length of lengths) {
      store.fixture.put('KEYDIR', bytes.subarray(0, length));
      expect([length, refusal(store, again)]).toEqual([length, 'damaged']);
    }
    for (const more of [1, 16, 65_536]) {
      store.fixture.put('KEYDIR', Buffer.concat([bytes, Buffer.alloc(more)]));
      expect(refusal(store, again)).toBe('damaged');
    }
    store.fixture.put('KEYDIR', bytes);
    expect(refusal(store, again)).toBe('none');
  });

  it('is not mapped into a range that is too small for it', () => {
    const store = new KeydirStore(make());
    store.fill(50);
    write(store, store.builtTable());
    const file = opened(store);
    expect(failure('ERR_VARVE_INTERNAL', () => file.mapTable(store.newTable().address, file.tableBytes - 65_536)).details)
      .toMatchObject({ bytes: file.tableBytes, room: file.tableBytes - 65_536 });
    file.close();
  });
});

/** A small store with its file on a simulated disk. */
function damagedStore(): { store: KeydirStore; again: Table; bytes: Buffer } {
  const store = new KeydirStore(logFixture('simulated', 'simd'));
  store.fill(50);
  write(store, store.builtTable());
  return { store, again: store.newTable(), bytes: copyOf(store.fixture.bytes('KEYDIR')) };
}

const tally = { header: 0, table: 0, tail: 0, ignored: 0, faults: 0, cuts: 0, old: 0, new: 0 };
afterAll(() => { console.info('KEYDIR:', tally); });

describe('a damaged KEYDIR', () => {
  it('is not believed, whichever bit is wrong', () => {
    const { store, again, bytes } = damagedStore();
    const random = new Random(7);
    const flip = (bit: number): Unusable['reason'] | 'none' => {
      const at = bit >> 3;
      store.fixture.tamper('KEYDIR', at, Uint8Array.of(bytes[at]! ^ (1 << (bit & 7))));
      const reason = refusal(store, again);
      store.fixture.tamper('KEYDIR', at, bytes.subarray(at, at + 1));
      return reason;
    };
    for (let bit = 0; bit < KeydirHeader.BYTES * 8; bit++) {
      expect([bit, flip(bit)]).toEqual([bit, 'damaged']);
      tally.header++;
    }
    const tail = KEYDIR_TABLE_OFFSET + 65_536;
    expect(bytes.length - tail).toBe(EXPIRY.length + 16 * store.segments.length);
    for (let count = 0; count < 500; count++) {
      const bit = random.between(KEYDIR_TABLE_OFFSET * 8, tail * 8 - 1);
      expect([bit, flip(bit)]).toEqual([bit, 'damaged']);
      tally.table++;
    }
    for (let bit = tail * 8; bit < bytes.length * 8; bit++) {
      expect([bit, flip(bit)]).toEqual([bit, 'damaged']);
      tally.tail++;
    }
    for (let count = 0; count < 200; count++) {
      expect(flip(random.between(KeydirHeader.BYTES * 8, KEYDIR_TABLE_OFFSET * 8 - 1))).toBe('none');
      tally.ignored++;
    }
    // What was refused has left nothing in the range.
    expect(again.core.memory.bytes.subarray(again.address, again.address + TABLE_BYTES).every((byte) => byte === 0))
      .toBe(true);
  });

  it('is not believed where its header contradicts itself, or is of a later version', () => {
    const { store, again, bytes } = damagedStore();
    const withField = (offset: number, value: number | bigint): Unusable['reason'] | 'none' => {
      const changed = copyOf(bytes);
      if (typeof value === 'bigint') changed.writeBigUInt64LE(value, offset);
      else changed.writeUInt32LE(value, offset);
      changed.writeUInt32LE(crc32c(changed.subarray(12, KeydirHeader.BYTES)), KeydirHeader.crc);
      store.fixture.tamper('KEYDIR', 0, changed.subarray(0, KeydirHeader.BYTES));
      return refusal(store, again);
    };
    const { slots } = again.keydir.state;
    expect(withField(KeydirHeader.slots, slots)).toBe('none');
    const wrong: readonly (readonly [number, number | bigint])[] = [
      [KeydirHeader.slots, 0], [KeydirHeader.slots, 4097], [KeydirHeader.nextSlots, 4097], [KeydirHeader.nextSlots, 1],
      [KeydirHeader.count, 4097], [KeydirHeader.border, 1n], [KeydirHeader.border, 2n ** 63n],
      [KeydirHeader.tableBytes, 0n], [KeydirHeader.tableBytes, 65_552n], [KeydirHeader.tableBytes, 131_072n],
      [KeydirHeader.tableBytes, 2n ** 63n], [KeydirHeader.segments, 0], [KeydirHeader.segments, 0xffffffff],
      [KeydirHeader.expiryBytes, 0n], [KeydirHeader.expiryBytes, 2n ** 64n - 65_536n],
    ];
    for (const [offset, value] of wrong) {
      expect([offset, value, withField(offset, value)]).toEqual([offset, value, 'damaged']);
    }
    // The first segment taken for the end of the table, with every checksum right.
    const shifted = copyOf(bytes);
    const from = KEYDIR_TABLE_OFFSET + 65_552;
    shifted.writeUInt32LE(65_552, KeydirHeader.tableBytes);
    shifted.writeUInt32LE(store.segments.length - 1, KeydirHeader.segments);
    shifted.writeUInt32LE(crc32c(shifted.subarray(KEYDIR_TABLE_OFFSET, from)), KeydirHeader.tableCrc);
    shifted.writeUInt32LE(crc32c(shifted.subarray(from)), KeydirHeader.tailCrc);
    shifted.writeUInt32LE(crc32c(shifted.subarray(12, KeydirHeader.BYTES)), KeydirHeader.crc);
    store.fixture.tamper('KEYDIR', 0, shifted);
    expect(refusal(store, again)).toBe('damaged');
    expect([withField(KeydirHeader.version, 2), withField(KeydirHeader.incompatible, 1)])
      .toEqual(['newer-version', 'newer-version']);
  });

  it('is not used where the system refuses it', () => {
    const { store, again } = damagedStore();
    const { disk } = store.fixture;
    for (const operation of ['open', 'size', 'read', 'map'] as const) {
      for (const nth of operation === 'read' ? [1, 2] : [1]) {
        const plan = disk!.failAt({ operation, path: /KEYDIR$/, nth, error: 'EIO' });
        expect([operation, refusal(store, again), plan.fired]).toEqual([operation, 'unreadable', 1]);
      }
    }
    expect(refusal(store, again)).toBe('none');
    const real = new KeydirStore(logFixture('real', 'simd'));
    mkdirSync(join(real.context.directory, 'KEYDIR'));
    expect(openKeydirFile(real.context, real.log)).toMatchObject({ reason: 'unreadable' });
  });
});

/** A store with a file, that has gone on since, and a table to be written. */
function writingStore(): { store: KeydirStore; table: Table; before: Buffer; log: LogState } {
  const { store, bytes: before } = damagedStore();
  const { log } = store;
  store.fill(50, 100);
  return { store, table: store.builtTable(), before, log };
}

describe('writing KEYDIR', () => {
  it('leaves what was there and nothing else where it fails', () => {
    const { store, table, before } = writingStore();
    const disk = store.fixture.disk!;
    for (const operation of ['create', 'write', 'sync', 'rename'] as const) {
      for (const nth of operation === 'write' ? [1, 2, 3] : [1]) {
        for (const error of ['EIO', 'ENOSPC'] as const) {
          const plan = disk.failAt({ operation, path: /KEYDIR/, nth, error, written: 10 });
          failure(error === 'EIO' ? 'ERR_VARVE_IO' : 'ERR_VARVE_DISK_FULL', () => { write(store, table); });
          expect([operation, nth, plan.fired]).toEqual([operation, nth, 1]);
          expect(store.fixture.names().filter((name) => name.startsWith('KEYDIR'))).toEqual(['KEYDIR']);
          expect(copyOf(store.fixture.bytes('KEYDIR')).equals(before)).toBe(true);
          tally.faults++;
        }
      }
    }
    const { capacity } = disk;
    disk.capacity = 1;
    failure('ERR_VARVE_DISK_FULL', () => { write(store, table); });
    disk.capacity = capacity;
    expect(store.fixture.names().filter((name) => name.startsWith('KEYDIR'))).toEqual(['KEYDIR']);
    expect(copyOf(store.fixture.bytes('KEYDIR')).equals(before)).toBe(true);
    // Only the directory is left to be synced: the new one has the name.
    disk.failAt({ operation: 'syncDirectory', error: 'EIO' });
    failure('ERR_VARVE_IO', () => { write(store, table); });
    expect(refusal(store, store.newTable())).toBe('none');
    write(store, table);
    expect(refusal(store, store.newTable())).toBe('none');
  });

  it('leaves the old file or the new one, whole, wherever the power is cut', () => {
    const { store, table, log } = writingStore();
    const { log: now, fixture: { disk: origin }, context: { core, directory } } = store;
    const contents = { log: now, keydir: table.keydir, segments: store.baseLsns, expiry: EXPIRY };
    const again = store.newTable();
    const random = new Random(11);
    let ended = false;
    for (let nth = 1; !ended; nth++) {
      for (let repeat = 0; repeat < 8; repeat++) {
        const disk = origin!.clone();
        const storage = disk.storage();
        disk.failAt({ nth, error: 'power-cut' });
        try {
          writeKeydirFile({ core, directory, storage }, contents);
          ended = true;
        } catch (error) {
          expect(error).toBeInstanceOf(SimulatedPowerCut);
          tally.cuts++;
        }
        disk.powerCut(random);
        const after = { core, directory, storage: disk.storage() };
        const found = [log, now].map((state) => openKeydirFile(after, state));
        const reasons = found.map(reasonOf);
        if (ended) expect(reasons).toEqual(['outdated', 'none']);
        expect([['none', 'outdated'], ['outdated', 'none']]).toContainEqual(reasons);
        for (const file of found) {
          if (isUnusable(file)) continue;
          expect(file.mapTable(again.address, TABLE_BYTES)).toBeUndefined();
          file.close();
        }
        tally[reasons[0] === 'none' ? 'old' : 'new']++;
        removeUnfinished(after, after.storage.list(directory)!);
        expect(after.storage.list(directory)!.filter((name) => name.startsWith('KEYDIR'))).toEqual(['KEYDIR']);
      }
    }
    expect([tally.old, tally.new].every((count) => count > 0)).toBe(true);
  });
});
