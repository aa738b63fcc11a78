/**
 * Each bit of a small store flipped in turn: of one that was closed, of one that a crash left with its hints, and of
 * one that a crash left without. A get of a damaged key fails and says where; all other keys are served. Nowhere may a
 * wrong value come out, or a key be missing, or be old, without a word in `recovery`.
 */
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CONTROL_WAKE_OFFSET, FRAME_HEADER_BYTES, SegmentHeader } from '../../host/generated/abi.ts';
import type { RecordRef } from '../../host/index.ts';
import { KeyValueStore } from '../../host/index.ts';
import type { LogWriter } from '../../host/log/writer.ts';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { laboratoryFactor, newTally } from '../support/tally.ts';

const DIRECTORY = '/store';
const core = takeCore('simd', 64 << 20);
const tally = newTally('flips in key-value stores');
/** A plain run flips each so many-th bit of records, and of the rest; primes, so that all bits of a byte come up. */
const STEP = laboratoryFactor() >= 10 ? 1 : 3;
const FILE_STEP = laboratoryFactor() >= 10 ? 1 : 13;
afterAll(() => {
  giveCore(core);
  tally.report();
});

type Texts = KeyValueStore<string, string>;
type Mode = 'closed' | 'crashed, with hints' | 'crashed, without hints';

const OPTIONS = { core, segmentBytes: 65536, values: 'utf8', autoCompact: false, now: () => 1000 } as const;
const LATER = 1e15;

/** What the store holds. */
const CONTENTS: ReadonlyMap<string, string> = new Map([
  ['twice', 'the second'], ['expires', 'some day'], ['first', 'of all'], ['in a batch', 'one'], ['also', ''], ['last', 'x'],
]);

interface Written {
  readonly key: string;
  readonly ref: RecordRef;
  /** Whether it is what its key has; else it is overwritten, or a tombstone. */
  readonly live: boolean;
}

interface Region {
  readonly name: string;
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly record?: Written;
}

interface Store {
  readonly disk: SimulatedDisk;
  readonly regions: readonly Region[];
  readonly written: readonly Written[];
}

const segmentPath = (baseLsn: number, end = 'seg'): string => join(DIRECTORY, `${String(baseLsn).padStart(20, '0')}.${end}`);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function makeStore(mode: Mode): Promise<Store> {
  let disk = new SimulatedDisk();
  const store: Texts = KeyValueStore.openSync(DIRECTORY, { ...OPTIONS, storage: disk.storage() });
  const { writer } = (store as unknown as { source: { writer: LogWriter } }).source;
  const written: Written[] = [];
  const put = (key: string, value: string, live = true, options = {}): void => {
    store.put(key, value, options);
    written.push({ key, ref: store.refOf(key)!, live });
  };
  put('first', 'of all');
  put('twice', 'the first', false);
  put('gone', 'deleted', false);
  put('expires', 'some day', true, { expiresAt: LATER });
  writer.rotate();
  put('twice', 'the second');
  store.delete('gone');
  written.push({ key: 'gone', live: false, ref: {
    lsn: store.lastLsn, segment: writer.activeSegment!.baseLsn, offset: writer.lastOffset, size: FRAME_HEADER_BYTES + 4,
  } });
  store.batch([{ type: 'put', key: 'in a batch', value: 'one' }, { type: 'put', key: 'also', value: '' }]);
  for (const key of ['in a batch', 'also']) written.push({ key, ref: store.refOf(key)!, live: true });
  writer.rotate();
  put('last', 'y', false);
  put('last', 'x');
  store.syncNow();
  await until(() => [1, 5].every((base) => disk.read(segmentPath(base, 'hint')) !== undefined));
  if (mode !== 'closed') disk = disk.clone();
  store.closeSync();
  if (mode === 'crashed, without hints') {
    const storage = disk.storage();
    for (const base of [1, 5]) storage.remove(segmentPath(base, 'hint'));
    storage.syncDirectoryNow(DIRECTORY);
    disk.processCrash(storage);
  }
  return { disk, regions: regionsOf(disk, mode, written), written };
}

function regionsOf(disk: SimulatedDisk, mode: Mode, written: readonly Written[]): Region[] {
  const regions: Region[] = [{ name: 'CONTROL', path: join(DIRECTORY, 'CONTROL'), from: 0, to: CONTROL_WAKE_OFFSET + 4 }];
  const ends = new Map<number, number>();
  for (const record of written) {
    const { lsn, segment, offset, size } = record.ref;
    const path = segmentPath(segment);
    regions.push({ name: `record ${lsn} of '${record.key}'`, path, from: offset, to: offset + size, record });
    ends.set(segment, Math.max(ends.get(segment) ?? 0, (offset + size + 7) & ~7));
  }
  for (const [segment, end] of ends) {
    const path = segmentPath(segment);
    regions.push({ name: `the header of segment ${segment}`, path, from: 0, to: SegmentHeader.BYTES });
    // Index and footer of a sealed segment; nothing in the other.
    regions.push({ name: `the rest of segment ${segment}`, path, from: end, to: Math.min(disk.read(path)!.length, end + 512) });
    const hint = segmentPath(segment, 'hint');
    const bytes = disk.read(hint);
    if (bytes !== undefined) regions.push({ name: `the hint of segment ${segment}`, path: hint, from: 0, to: bytes.length });
  }
  if (mode === 'closed') {
    const path = join(DIRECTORY, 'KEYDIR');
    const { length } = disk.read(path)!;
    regions.push({ name: 'the header of KEYDIR', path, from: 0, to: 256 });
    regions.push({ name: 'the tail of KEYDIR', path, from: length - 128, to: length });
  }
  return regions;
}

/** What the store gives for a key: its value, `undefined`, or the error. */
function outcomeOf(store: Texts, key: string): string | undefined | Error {
  try {
    return store.get(key);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_VARVE_CORRUPT', kind: 'corruption' });
    return error as Error;
  }
}

/** Keys that are damaged, and those that are not what they should be although no error says so. */
function look(store: Texts): { damaged: Map<string, Error>; wrong: string[] } {
  const damaged = new Map<string, Error>();
  const wrong: string[] = [];
  for (const key of [...CONTENTS.keys(), 'gone', 'never']) {
    const outcome = outcomeOf(store, key);
    if (outcome instanceof Error) damaged.set(key, outcome);
    else if (outcome !== CONTENTS.get(key)) wrong.push(`${key}: ${outcome}`);
  }
  return { damaged, wrong };
}

/** Values that a key has ever had. */
const EVER: ReadonlyMap<string, readonly string[]> = new Map([
  ...[...CONTENTS].map(([key, value]): [string, string[]] => [key, [value]]),
  ['twice', ['the first', 'the second']], ['gone', ['deleted']], ['last', ['x', 'y']],
]);

/** An iteration gives nothing that nobody has written, and ends with an error at what is damaged. */
function iterate(store: Texts): void {
  try {
    for (const [key, value] of store) expect(EVER.get(key) ?? [`nobody put ${key}`]).toContain(value);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_VARVE_CORRUPT' });
  }
}

function judge(store: Texts, { record }: Region, mode: Mode): void {
  const { recovery } = store;
  const { damaged, wrong } = look(store);
  iterate(store);
  const told = recovery.damaged.length > 0 || !['created', 'whole'].includes(recovery.log.outcome);
  if (!told) expect(wrong, 'wrong without a word').toEqual([]);
  for (const line of wrong) {
    const [key, value] = line.split(': ') as [string, string];
    if (value !== 'undefined') expect(EVER.get(key)).toContain(value);
  }
  for (const error of damaged.values()) {
    expect(error).toMatchObject({ details: {
      lsn: expect.any(Number), offset: expect.any(Number), segment: expect.any(Number), path: expect.stringContaining('.seg'),
    } });
  }
  if (record === undefined) {
    if (recovery.log.outcome === 'whole') expect([...damaged.keys(), ...wrong]).toEqual([]);
    return;
  }
  const others = [...damaged.keys()].filter((key) => key !== record.key);
  if (!told) {
    // The table knows the key: nobody else is touched, and only what is live matters.
    expect(others).toEqual([]);
    expect(damaged.has(record.key)).toBe(record.live);
    const { segment, offset, lsn } = record.ref;
    if (record.live) expect(damaged.get(record.key)).toMatchObject({ details: { segment, offset, lsn } });
    tally.count(record.live ? 'named by the get' : 'of the dead');
  } else if (recovery.damaged.length > 0) {
    // KEYDIR is not believed where the last record cannot vouch for it.
    if (mode === 'closed') expect(record.ref.lsn).toBe(store.lastLsn);
    expect(recovery.damaged.map(({ lsn }) => lsn)).toContain(record.ref.lsn);
    const amiss = wrong.filter((line) => !line.startsWith(record.key));
    expect(amiss).toEqual([]);
    tally.count('named by recovery');
  }
}

/** Opens; `undefined` where it is refused as damaged. */
function openStore(storage: ReturnType<SimulatedDisk['storage']>, readOnly: boolean): Texts | undefined {
  try {
    return KeyValueStore.openSync(DIRECTORY, { ...OPTIONS, storage, readOnly });
  } catch (error) {
    expect((error as { code?: string }).code, (error as Error).stack).toMatch(/CORRUPT|NEWER_VERSION/);
    tally.count('refused');
    return undefined;
  }
}

async function survive({ disk }: Store, region: Region, mode: Mode, bit: number): Promise<void> {
  const copy = disk.clone();
  const at = region.from + (bit >> 3);
  copy.tamper(region.path, at, Uint8Array.of(disk.read(region.path)![at]! ^ (1 << (bit & 7))));
  tally.count('faults.bit flip');
  for (const readOnly of [true, false]) {
    const store = openStore(copy.storage({ pid: readOnly ? 7 : 8 }), readOnly);
    if (store === undefined) continue;
    try {
      judge(store, region, mode);
      if (!readOnly && bit % 8 === 5) await mended(store);
    } finally {
      store.closeSync();
    }
  }
  copy.check();
}

/** Compaction drops nothing that is damaged and alive; put anew, keys are whole again. */
async function mended(store: Texts): Promise<void> {
  const before = look(store);
  if (before.damaged.size > 0) {
    store.put('waste', '1');
    store.put('waste', '2');
    await expect(store.compact()).rejects.toMatchObject({ code: 'ERR_VARVE_CORRUPT' });
    expect(look(store).damaged.size).toBe(before.damaged.size);
    expect(look(store).wrong).toEqual(before.wrong);
    tally.count('compactions refused');
  }
  for (const [key, value] of CONTENTS) store.put(key, value);
  expect(look(store).damaged.size).toBe(before.damaged.has('gone') ? 1 : 0);
  expect([...CONTENTS.keys()].map((key) => store.get(key))).toEqual([...CONTENTS.values()]);
}

describe.each(['closed', 'crashed, with hints', 'crashed, without hints'] as const)('a store that was %s', (mode) => {
  it('survives each flip', { timeout: 120_000 * Math.max(1, laboratoryFactor()) }, async () => {
    const store = await makeStore(mode);
    expect(store.disk.read(join(DIRECTORY, 'KEYDIR')) !== undefined).toBe(mode === 'closed');
    for (const region of store.regions) {
      for (let bit = region.record === undefined ? 1 : 0; bit < (region.to - region.from) * 8;
        bit += region.record === undefined ? FILE_STEP : STEP) {
        try {
          await survive(store, region, mode, bit);
        } catch (error) {
          (error as Error).message += ` [bit ${bit & 7} of byte ${bit >> 3} of ${region.name}]`;
          throw error;
        }
      }
    }
  });
});
