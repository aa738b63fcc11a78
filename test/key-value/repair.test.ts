/**
 * What a repair makes of a damaged store: every key whose newest record is intact is served, and what was lost is told
 * and gone. Nothing old comes back where `KEYDIR` or a hint tells of the damaged record, and where nothing does, the
 * report says how many records that are, and up to which version.
 */
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { FRAME_HEADER_BYTES, FRAMES_OFFSET, Frame } from '../../host/generated/abi.ts';
import { KeyValueStore, RecordLog, type KeyValueRepairReport, type RecordRef } from '../../host/index.ts';
import type { LogWriter } from '../../host/log/writer.ts';
import { giveCore, rejection, takeCore, wipeCore } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const DIRECTORY = '/store';
const core = takeCore('simd', 64 << 20);
afterAll(() => { giveCore(core); });

type Texts = KeyValueStore<string, string>;

let disk: SimulatedDisk;
let written: Map<string, RecordRef>;
beforeEach(() => {
  wipeCore(core);
  disk = new SimulatedDisk();
  written = new Map();
});

const options = () => ({
  core, storage: disk.storage(), segmentBytes: 65536, autoCompact: false, now: () => 1000, values: 'utf8',
} as const);
const open = (more: object = {}): Texts => KeyValueStore.openSync(DIRECTORY, { ...options(), ...more });
const repair = (dryRun = false): Promise<KeyValueRepairReport<string>> => (
  KeyValueStore.repair(DIRECTORY, { core, storage: disk.storage(), now: () => 1000, dryRun }));
const pathOf = (segment: number, end = 'seg'): string => join(DIRECTORY, `${String(segment).padStart(20, '0')}.${end}`);
const writerOf = (store: Texts): LogWriter => (store as unknown as { source: { writer: LogWriter } }).source.writer;

/** Puts, and notes where the record stands under `name`. */
function put(store: Texts, name: string, key: string, value: string, more = {}): void {
  store.put(key, value, more);
  written.set(name, store.refOf(key)!);
}

function noteLast(store: Texts, name: string, keyBytes: number): void {
  const writer = writerOf(store);
  const { baseLsn } = writer.activeSegment!;
  written.set(name, {
    lsn: store.lastLsn, segment: baseLsn, offset: writer.lastOffset, size: FRAME_HEADER_BYTES + keyBytes,
  });
}

/** A store of three segments. In the middle one stand the newest records of some keys, and a delete. */
async function fill(): Promise<void> {
  const store = open();
  put(store, 'first', 'stays', 'as it is');
  put(store, 'old', 'replaced', 'old');
  put(store, 'doomed', 'deleted', 'was there');
  put(store, 'expired', 'expires', 'soon', { expiresAt: 999_999 });
  writerOf(store).rotate();
  put(store, 'new', 'replaced', 'new');
  put(store, 'only', 'fresh', 'the only one');
  store.delete('deleted');
  noteLast(store, 'tombstone', 7);
  put(store, 'dead', 'late', 'early value');
  put(store, 'beside', 'beside', 'not touched');
  writerOf(store).rotate();
  put(store, 'late', 'late', 'late value');
  put(store, 'last', 'last', 'one');
  store.syncNow();
  while (![1, 5].every((base) => disk.read(pathOf(base, 'hint')) !== undefined)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  crashed = disk.clone();
  store.closeSync();
}
let crashed: SimulatedDisk;

/** Turns a bit of the value or of the key of a record; a tombstone has no value. */
function damage(name: string, where: 'value' | 'key' | 'size' = 'value'): void {
  const { segment, offset, size } = written.get(name)!;
  const at = where === 'size' ? offset + Frame.size + 1 : where === 'key' ? offset + FRAME_HEADER_BYTES : offset + size - 1;
  disk.tamper(pathOf(segment), at, Uint8Array.of(disk.read(pathOf(segment))![at]! ^ 0x10));
}

function removeHints(): void {
  const storage = disk.storage();
  for (const base of [1, 5]) storage.remove(pathOf(base, 'hint'));
  storage.syncDirectoryNow(DIRECTORY);
  disk.processCrash(storage);
}

const lsns = (...names: string[]): number[] => names.map((name) => written.get(name)!.lsn);

/** Repairs; the dry run before it must say the same. What is left must be whole. */
async function repaired(): Promise<{ report: KeyValueRepairReport<string>; store: Texts }> {
  const before = disk.paths().map((path) => [path, Buffer.from(disk.read(path)!).toString('latin1')]);
  const planned = await repair(true);
  expect(disk.paths().map((path) => [path, Buffer.from(disk.read(path)!).toString('latin1')])).toEqual(before);
  const report = await repair();
  const told = ({ lost, lostKeys, lostUnnamed, removedKeys, unknown, unknownLsn }: KeyValueRepairReport<string>) => (
    { lost, lostKeys, lostUnnamed, removedKeys, unknown, unknownLsn });
  expect(told(planned)).toEqual(told(report));
  expect(disk.paths().some((path) => /KEYDIR$|\.hint$/.test(path))).toBe(false);
  expect(await repair()).toMatchObject({ changed: false, lost: [], removedKeys: [], unknown: 0 });
  const store = open();
  expect(store.recovery).toMatchObject({ keydir: 'rebuilt', damaged: [] });
  expect(store.check()).toMatchObject({ outcome: 'ok', damaged: [], keydir: [] });
  return { report, store };
}

const ALL = { stays: 'as it is', replaced: 'new', fresh: 'the only one', late: 'late value', beside: 'not touched',
  last: 'one', expires: 'soon' };
const without = (...keys: (keyof typeof ALL)[]): object => (
  Object.fromEntries(Object.entries(ALL).filter(([key]) => !keys.includes(key as keyof typeof ALL))));
const contents = (store: Texts): object => Object.fromEntries(store);

async function compactAndClose(store: Texts): Promise<void> {
  const held = contents(store);
  store.put('after', '1');
  await store.compact();
  expect(contents(store)).toEqual({ ...held, after: '1' });
  await store.close();
  const again = open();
  expect(contents(again)).toEqual({ ...held, after: '1' });
  again.closeSync();
}

describe.each(['closed', 'crashed, with hints'])('a store that was %s', (mode) => {
  beforeEach(async () => {
    await fill();
    if (mode !== 'closed') disk = crashed;
  });

  it('gives up a value, and the older one does not come back', async () => {
    damage('new');
    const { report, store } = await repaired();
    expect(report).toMatchObject({
      changed: true, lostKeys: ['replaced'], lostUnnamed: 0, removedKeys: ['replaced'], unknown: 0, unknownLsn: 0,
    });
    expect(report.lost.map(({ firstLsn }) => firstLsn)).toEqual(lsns('new'));
    expect(contents(store)).toEqual(without('replaced'));
    expect([store.get('replaced'), store.size]).toEqual([undefined, 6]);
    await compactAndClose(store);
  });

  it('names a key that has no older value, and deletes nothing', async () => {
    damage('only');
    const { report, store } = await repaired();
    expect(report).toMatchObject({ lostKeys: ['fresh'], removedKeys: [], unknown: 0 });
    expect(contents(store)).toEqual(without('fresh'));
    await compactAndClose(store);
  });

  it('deletes again what a lost delete had deleted', async () => {
    damage('tombstone', 'key');
    const { report, store } = await repaired();
    expect(report).toMatchObject({ lostKeys: [], removedKeys: ['deleted'], unknown: 0 });
    expect(contents(store)).toEqual(ALL);
    await compactAndClose(store);
  });

  it('loses no value where the damaged record was replaced since', async () => {
    damage('dead');
    const { report, store } = await repaired();
    expect(report).toMatchObject({ changed: true, lostKeys: [], lostUnnamed: 0, removedKeys: [], unknown: 0 });
    expect(contents(store)).toEqual(ALL);
    await compactAndClose(store);
  });

  it('says so where a key is damaged, and brings back no older value either', async () => {
    damage('new', 'key');
    damage('only', 'key');
    const { report, store } = await repaired();
    expect(report).toMatchObject({ lostKeys: [], lostUnnamed: 2, removedKeys: ['replaced'], unknown: 0 });
    expect(contents(store)).toEqual(without('replaced', 'fresh'));
    await compactAndClose(store);
  });

  it('takes several in a row', async () => {
    for (const name of ['new', 'only', 'tombstone', 'dead']) damage(name);
    const { report, store } = await repaired();
    expect(report).toMatchObject({ removedKeys: ['replaced', 'deleted'], unknown: 0 });
    expect(new Set(report.lostKeys)).toEqual(new Set(['replaced', 'fresh']));
    expect(contents(store)).toEqual(without('replaced', 'fresh'));
    await compactAndClose(store);
  });

  it('finds the same again when it is repeated after a crash between its steps', async () => {
    damage('new');
    // The log alone is repaired; KEYDIR and hints are as they were.
    const plan = disk.failAt({ operation: 'remove', path: /KEYDIR$|hint$/, error: 'kill' });
    const dies = disk.failAt({ operation: 'sync', error: 'kill', nth: 6 });
    await expect(repair()).rejects.toThrow();
    plan.cancel();
    dies.cancel();
    wipeCore(core);
    const report = await repair();
    expect(report.removedKeys).toEqual(mode === 'closed' || report.lost.length > 0 ? ['replaced'] : []);
    const store = open();
    if (mode === 'closed') expect(store.get('replaced')).toBeUndefined();
    expect(store.get('beside')).toBe('not touched');
    store.closeSync();
  });
});

describe('a store of which nothing tells but its records', () => {
  beforeEach(async () => {
    await fill();
    disk = crashed;
    removeHints();
  });

  it('counts what is lost as unknown, up to an LSN that tells which values may be old', async () => {
    damage('new');
    const { report, store } = await repaired();
    expect(report).toMatchObject({ lostKeys: [], removedKeys: [], unknown: 1, unknownLsn: lsns('new')[0] });
    expect(contents(store)).toEqual({ ...ALL, replaced: 'old' });
    const doubtful = [...store.keys()].filter((key) => store.versionOf(key)! < report.unknownLsn);
    expect(doubtful).toContain('replaced');
    for (const key of ['fresh', 'late', 'last', 'beside']) expect(doubtful).not.toContain(key);
    store.closeSync();
  });

  it('deletes no other key that the damaged bytes name', async () => {
    const store = open();
    store.put('key1', 'one');
    store.put('key!', 'two');
    written.set('key!', store.refOf('key!')!);
    store.syncNow();
    writerOf(store).rotate();
    store.syncNow();
    const { offset, segment } = written.get('key!')!;
    disk = disk.clone();
    store.closeSync();
    // '!' becomes '1'.
    disk.tamper(pathOf(segment), offset + FRAME_HEADER_BYTES + 3, Buffer.from('1'));
    for (const path of disk.paths()) if (path.endsWith('.hint')) disk.storage().remove(path);
    const { report, store: after } = await repaired();
    expect(report).toMatchObject({ removedKeys: [], unknown: 1 });
    expect(after.get('key1')).toBe('one');
    after.closeSync();
  });
});

describe('a segment that is gone', () => {
  it('is bridged, and its records are unknown', async () => {
    await fill();
    disk.storage().remove(pathOf(5));
    const { report, store } = await repaired();
    expect(report).toMatchObject({ unknown: 5, unknownLsn: lsns('beside')[0] });
    expect(store.get('late')).toBe('late value');
    store.closeSync();
  });
});

describe('a repair', () => {
  it('changes nothing in a store that is whole', async () => {
    await fill();
    const before = disk.paths();
    expect(await repair()).toMatchObject({ changed: false, lostKeys: [], lostUnnamed: 0, removedKeys: [], unknown: 0 });
    expect(disk.paths()).toEqual(before);
    const store = open();
    expect(store.recovery.keydir).toBe('loaded');
    expect(contents(store)).toEqual(ALL);
    store.closeSync();
  });

  it('of another face is refused before anything is changed', async () => {
    await fill();
    damage('new');
    const before = disk.paths().map((path) => [path, Buffer.from(disk.read(path)!).toString('latin1')]);
    await rejection('ERR_VARVE_FOREIGN_DIRECTORY', RecordLog.repair(DIRECTORY, { core, storage: disk.storage() }));
    expect(disk.paths().map((path) => [path, Buffer.from(disk.read(path)!).toString('latin1')])).toEqual(before);
    const log = RecordLog.openSync('/log', { core, storage: disk.storage(), segmentBytes: 65536 });
    log.append('x');
    log.closeSync();
    await rejection('ERR_VARVE_FOREIGN_DIRECTORY', KeyValueStore.repair('/log', { core, storage: disk.storage() }));
  });

  it('is refused while the store is open for writing, and where there is none', async () => {
    const store = open();
    store.put('a', '1');
    await rejection('ERR_VARVE_LOCKED', repair());
    store.closeSync();
    await rejection('ERR_VARVE_NOT_FOUND', KeyValueStore.repair('/none', { core, storage: disk.storage() }));
  });
});

describe('two damaged records in a row, of a segment whose index is damaged too', () => {
  it.for(['value', 'size'] as const)('(%s) hide none of those behind them', async (where) => {
    await fill();
    disk = crashed;
    removeHints();
    damage('new', where);
    damage('only');
    const { length } = disk.read(pathOf(5))!;
    // Behind the frames: the index.
    const { offset, size } = written.get('beside')!;
    const indexAt = (offset + size + 7) & ~7;
    expect(indexAt).toBeGreaterThan(FRAMES_OFFSET);
    expect(indexAt).toBeLessThan(length - 4);
    disk.tamper(pathOf(5), indexAt, Uint8Array.of(0xff));
    const store = open();
    expect(store.recovery.damaged.map(({ lsn }) => lsn)).toEqual(lsns('new', 'only'));
    for (const key of ['stays', 'late', 'last', 'beside'] as const) expect(store.get(key)).toBe(ALL[key]);
    expect(store.get('deleted')).toBeUndefined();
    store.closeSync();
    const { report, store: after } = await repaired();
    expect(report.lost.reduce((sum, { firstLsn, lastLsn }) => sum + lastLsn - firstLsn + 1, 0)).toBe(2);
    expect(after.get('beside')).toBe('not touched');
    await compactAndClose(after);
  });
});

describe('a key that is damaged, after a crash without a hint', () => {
  beforeEach(async () => {
    await fill();
    disk = crashed;
    removeHints();
    damage('only', 'key');
  });

  it('keeps compaction from dropping what is left of the record, until the store is repaired', async () => {
    const store = open();
    expect(store.recovery.damaged.map(({ lsn }) => lsn)).toEqual(lsns('only'));
    const error = await rejection('ERR_VARVE_CORRUPT', store.compact());
    expect(error.details).toMatchObject({ lsn: lsns('only')[0] });
    expect(error.message).toContain('varve repair');
    store.closeSync();
    const { report, store: after } = await repaired();
    expect(report).toMatchObject({ unknown: 1, unknownLsn: lsns('only')[0] });
    await compactAndClose(after);
  });

  it('is named by a check as it stands there, and can be deleted by that name', async () => {
    const store = open();
    const { damaged } = store.check();
    expect(damaged).toMatchObject([{ lsn: lsns('only')[0], key: 'vresh' }]);
    expect(store.delete('vresh')).toBe(true);
    await store.compact();
    expect(contents(store)).toEqual(without('fresh'));
    store.closeSync();
  });
});
