/**
 * Files of mmapforge as stores: the one that mmapforge wrote is read, appended to and stays valid; those that varve
 * makes are valid from the first byte to the last, also after growing. What is valid says a checker that shares nothing
 * with varve.
 */
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { defineSchema, f64, str, u64, type Schema } from '../../host/typed/schema.ts';
import { checkMmfg, type MmfgField, type MmfgFile } from '../support/mmfg-checker.ts';
import { Random } from '../support/random.ts';
import { failure } from '../support/real-storage.ts';
import { ROOT } from '../support/repository.ts';
import { Everything, EXTREMES, randomRecord, TypedStores, zeros } from '../support/typed-stores.ts';

const FIXTURE = join(ROOT, 'test/fixtures/mmfg-tick.mmf');
const MMFG = { format: 'mmfg-1' } as const;
const Tick = defineSchema('Tick', { version: 1, fields: { symbol: str(64), price: f64, volume: f64, timestamp: u64 } });
const TICK_FIELDS: readonly MmfgField[] = [
  { name: 'symbol', type: 'string', max: 64 }, { name: 'price', type: 'float64' }, { name: 'volume', type: 'float64' },
  { name: 'timestamp', type: 'uint64' },
];
const EVERYTHING_FIELDS: readonly MmfgField[] = [
  { name: 'flag', type: 'bool' }, { name: 'tiny', type: 'int8' }, { name: 'octet', type: 'uint8' },
  { name: 'short', type: 'int16' }, { name: 'word', type: 'uint16' }, { name: 'int', type: 'int32' },
  { name: 'count', type: 'uint32' }, { name: 'long', type: 'int64' }, { name: 'size', type: 'uint64' },
  { name: 'near', type: 'int64' }, { name: 'age', type: 'uint64' }, { name: 'ratio', type: 'float32' },
  { name: 'price', type: 'float64' }, { name: 'name', type: 'string', max: 24 }, { name: 'blob', type: 'bytes', max: 9 },
];

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

/** The file as the checker reads it; fails where it is not valid. */
function valid(fields = TICK_FIELDS, version = 1): MmfgFile {
  const { wrong, file } = checkMmfg(readFileSync(stores.file()), fields, version);
  expect(wrong).toEqual([]);
  return file;
}

const tick = (number: number) => ({
  symbol: `S${number}`.repeat(1 + number % 12), price: number / 8, volume: -number, timestamp: BigInt(number) ** 3n,
});
const asStored = (number: number) => ({ ...tick(number), symbol: Buffer.from(tick(number).symbol) });

describe('the file that mmapforge wrote', () => {
  const first = { symbol: 'AAPL', price: 189.5, volume: 52000000, timestamp: 7n };

  it('opens, reads, is appended to beyond its room, changed, and stays valid', () => {
    copyFileSync(FIXTURE, stores.file());
    expect(valid()).toMatchObject({ count: 1, capacity: 64, records: [{ ...first, symbol: Buffer.from('AAPL') }] });
    const store = stores.open(Tick, { ...MMFG, create: false });
    expect(store.recovery).toMatchObject({ torn: [], clearedWords: 0 });
    expect([...store]).toEqual([first]);
    for (let number = 1; number <= 63; number++) expect(store.append(tick(number))).toBe(number);
    expect(valid()).toMatchObject({ count: 64, capacity: 64 });
    // While it is open and after each step, because whoever has it mapped sees it then.
    for (let number = 64; number <= 200; number++) store.append(tick(number));
    expect(valid()).toMatchObject({ count: 201, capacity: 256 });
    store.update(0, { price: 190.25 });
    store.fields.symbol.set(200, '');
    store.closeSync();
    const { count, capacity, stride, records } = valid();
    expect([count, capacity, stride]).toEqual([201, 256, 104]);
    expect(records[0]).toEqual({ ...first, symbol: Buffer.from('AAPL'), price: 190.25 });
    expect(records.slice(1, 200)).toEqual(Array.from({ length: 199 }, (_, at) => asStored(at + 1)));
    expect(records[200]).toEqual({ ...asStored(200), symbol: Buffer.alloc(0) });
    expect([...stores.open(Tick, MMFG)]).toHaveLength(201);
  });

  it('of another schema is refused and left as it is, and read without being touched', () => {
    copyFileSync(FIXTURE, stores.file());
    const before = statSync(stores.file()).mtimeMs;
    for (const other of [
      defineSchema('Tick', { version: 2, fields: Tick.fields }),
      defineSchema('Tick', { fields: { symbol: str(60), price: f64, volume: f64, timestamp: u64 } }),
      defineSchema('Tick', { fields: { symbol: str(64), price: f64, size: f64, timestamp: u64 } }),
    ] as Schema[]) failure('ERR_VARVE_SCHEMA_MISMATCH', () => stores.open(other, MMFG));
    failure('ERR_VARVE_FORMAT', () => stores.open(Tick));
    expect([...stores.open(Tick, { ...MMFG, readOnly: true })]).toEqual([first]);
    expect(readFileSync(stores.file())).toEqual(readFileSync(FIXTURE));
    expect(statSync(stores.file()).mtimeMs).toBe(before);
  });
});

describe('a file that varve makes for mmapforge', () => {
  it.each(['one', 'many'] as const)('is valid when it is made, as it grows, and closed, with every type: %s', (writers) => {
    const random = new Random(4);
    const store = stores.open(Everything, { ...MMFG, writers });
    expect(valid(EVERYTHING_FIELDS, 3)).toMatchObject({ count: 0, capacity: 64 });
    store.append();
    const records = [zeros(), ...Array.from({ length: 1200 }, () => randomRecord(random))];
    for (const [at, record] of records.slice(1).entries()) {
      if (at % 2 === 0) store.append(record);
      else store.appendMany([record]);
      if (at !== 62 && at !== 63) continue;
      expect(valid(EVERYTHING_FIELDS, 3)).toMatchObject({ count: at + 2, capacity: 64 << (at - 62) });
    }
    store.syncNow();
    store.closeSync();
    const file = valid(EVERYTHING_FIELDS, 3);
    expect([file.count, file.capacity]).toEqual([1201, 2048]);
    const stored = records.map((record) => ({
      ...record, near: BigInt(record.near), age: BigInt(record.age), ratio: Math.fround(record.ratio),
      name: Buffer.from(record.name), blob: Buffer.from(record.blob),
    }));
    expect(file.records).toEqual(stored);
    expect([...stores.open(Everything, { ...MMFG, readOnly: true })]).toHaveLength(1201);
  });

  it('has the room that was asked for, rounded up as mmapforge does', () => {
    for (const [at, [asked, capacity]] of [[0, 64], [64, 64], [65, 128], [5000, 8192]].entries()) {
      stores.open(Tick, { ...MMFG, capacity: asked! }, `asked-${at}`).closeSync();
      const { wrong, file } = checkMmfg(readFileSync(stores.file(`asked-${at}`)), TICK_FIELDS, 1);
      expect({ wrong, capacity: file.capacity }).toEqual({ wrong: [], capacity });
    }
  });

  it('is valid for whoever has it mapped at every moment of its growth', () => {
    const writer = stores.open(Tick, MMFG);
    const reader = stores.open(Tick, { ...MMFG, readOnly: true, core: new Core({ memoryBytes: 512 << 20 }) });
    for (let number = 0; number < 3000; number++) {
      writer.append(tick(number));
      if (number % 97 !== 0) continue;
      expect(valid().count).toBe(number + 1);
      expect(reader.get(number)).toEqual(tick(number));
    }
  });
});

describe('the checker', () => {
  const change = (at: number, byte: number) => (bytes: Buffer): Buffer => {
    bytes[at] = byte;
    return bytes;
  };
  it.each<[string, (bytes: Buffer) => Buffer, string]>([
    ['another magic', change(0, 0x6d), 'magic'], ['another version', change(4, 2), 'format version'],
    ['another hash', change(8, 0), 'schema hash'], ['another schema version', change(40, 2), 'schema version'],
    ['another stride', change(44, 96), 'record size'], ['more records than room', change(48, 65), 'room for 64'],
    ['a capacity that is no doubling', change(56, 63), 'room for 63'], ['an odd stamp', change(64, 9), 'odd stamp'],
    ['a text that is too long', change(72, 65), '65 bytes of 64'], ['bytes behind the last', change(64 + 104, 1), 'behind'],
    ['a byte more', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]), 'length'],
    ['a byte less', (bytes) => bytes.subarray(0, -1), 'length'], ['no header', (bytes) => bytes.subarray(0, 63), 'no header'],
  ])('finds %s', (_, spoil, expected) => {
    const { wrong } = checkMmfg(spoil(readFileSync(FIXTURE)), TICK_FIELDS, 1);
    expect(wrong.join()).toContain(expected);
  });

  it('finds fields that have changed places only where their types differ, as mmapforge does', () => {
    const [symbol, price, volume, timestamp] = TICK_FIELDS as [MmfgField, MmfgField, MmfgField, MmfgField];
    const bytes = readFileSync(FIXTURE);
    expect(checkMmfg(bytes, [symbol, volume, price, timestamp], 1).wrong).toEqual([]);
    expect(checkMmfg(bytes, [symbol, { ...price, type: 'int64' }, volume, timestamp], 1).wrong).not.toEqual([]);
    expect(Object.keys(EXTREMES)).toEqual(EVERYTHING_FIELDS.map(({ name }) => name));
    writeFileSync(stores.file(), bytes);
    expect(valid().records).toHaveLength(1);
  });
});
