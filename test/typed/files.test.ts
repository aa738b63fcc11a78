/**
 * The files of typed stores: what is on disk byte by byte, opening and making them, growth that others follow, the
 * window on a file that is larger than it, and syncing.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  MmfgHeader, TYPED_CAPACITY_OFFSET, TYPED_COUNT_OFFSET, TYPED_TEXT_OFFSET, TypedHeader,
} from '../../host/generated/abi.ts';
import { defineSchema, f64, i64, str, u64 } from '../../host/typed/schema.ts';
import { failure, rejection } from '../support/log-fixture.ts';
import { ROOT } from '../support/repository.ts';
import { append, FORMATS, NAME, numbers, onEachTyped, priceAt, STRIDE, Tick, upTo } from '../support/typed-fixture.ts';

const MMFG_FIXTURE = join(ROOT, 'test/fixtures/mmfg-tick.mmf');
const PARTS = ['symbol:string:68', 'price:float64:8', 'volume:float64:8', 'timestamp:uint64:8'];
const hash = (parts: readonly string[]): string => createHash('sha256').update(parts.join(',')).digest('hex');

onEachTyped('a new file', (make) => {
  it('of format mmfg-1 has the header, hash and length of that format, byte by byte', () => {
    const fixture = make();
    fixture.open({ format: 'mmfg-1' }).close();
    const header = Buffer.alloc(64);
    header.write('MMFG', 0, 'latin1');
    header.writeUInt32LE(1, 4);
    header.write(hash([...PARTS].sort()), 8, 'hex');
    header.writeUInt32LE(1, 40);
    header.writeUInt32LE(STRIDE, 44);
    header.writeBigUInt64LE(64n, 56);
    expect(fixture.bytes()).toEqual(Buffer.concat([header, Buffer.alloc(64 * STRIDE)]));
  });

  it('of the own format says its length, its schema, its metadata and the hash of the fields in their order', () => {
    const fixture = make();
    fixture.open({ metadata: Buffer.from('of the user') }).close();
    const bytes = fixture.bytes();
    const schema = JSON.stringify({ name: 'Tick', version: 1, fields: [
      { name: 'symbol', type: 'string', max: 64 }, { name: 'price', type: 'float64' },
      { name: 'volume', type: 'float64' }, { name: 'timestamp', type: 'uint64' },
    ] });
    expect(bytes.toString('latin1', 0, 8)).toBe('VARVETYP');
    expect(bytes.readUInt32LE(TypedHeader.version)).toBe(1);
    expect(bytes.toString('hex', TypedHeader.schemaHash0, TypedHeader.recordsOffset)).toBe(hash(PARTS));
    expect(bytes.readUInt32LE(TypedHeader.stride)).toBe(STRIDE);
    expect(bytes.readBigUInt64LE(TypedHeader.recordsOffset)).toBe(4096n);
    expect(bytes.readBigUInt64LE(TYPED_COUNT_OFFSET)).toBe(0n);
    expect(bytes.readBigUInt64LE(TYPED_CAPACITY_OFFSET)).toBe(64n);
    expect(bytes.toString('utf8', TYPED_TEXT_OFFSET, TYPED_TEXT_OFFSET + schema.length + 11)).toBe(`${schema}of the user`);
    expect(bytes.length).toBe(4096 + 64 * STRIDE);
    expect(fixture.log.names()).toEqual([NAME, `${NAME}.lock`]);
  });

  it('has a longer header where the metadata asks for it, and opens with it and with the schema it holds', () => {
    const fixture = make();
    const metadata = Buffer.alloc(10_000, 'x');
    const made = fixture.open({ metadata, capacity: 65 });
    expect(append(made, 3)).toBe(0);
    made.close();
    expect(fixture.bytes().length).toBe(12288 + 128 * STRIDE);
    const file = fixture.open({ schema: undefined, readOnly: true });
    expect(Buffer.from(file.metadata)).toEqual(metadata);
    expect(file.layout.fields).toEqual(fixture.layout().fields);
    expect(file.layout.schema).toMatchObject({ name: 'Tick', version: 1 });
    expect(Object.keys(file.layout.schema.fields)).toEqual(Object.keys(Tick.fields));
    expect(numbers(file)).toEqual([0, 1, 2]);
  });

  it('is not made where it may not be, and not without a schema', () => {
    const fixture = make();
    failure('ERR_VARVE_NOT_FOUND', () => fixture.open({ create: false }));
    failure('ERR_VARVE_NOT_FOUND', () => fixture.open({ readOnly: true }));
    failure('ERR_VARVE_NOT_FOUND', () => fixture.open({ schema: undefined }));
    failure('ERR_VARVE_INVALID_ARGUMENT', () => fixture.open({ format: 'mmfg-1', metadata: Buffer.from('x') }));
    failure('ERR_VARVE_INVALID_ARGUMENT', () => fixture.open({ metadata: Buffer.alloc(16 << 20) }));
    failure('ERR_VARVE_INVALID_ARGUMENT', () => fixture.open({ capacity: 2 ** 31 }));
    expect(fixture.log.names()).toEqual([`${NAME}.lock`]);
  });

  it('takes the place of one that a crash has left half-made', () => {
    const fixture = make();
    fixture.log.put(`${NAME}.new`, Buffer.from('VARVETYP and no more'));
    append(fixture.open(), 1);
    expect(fixture.log.names()).toEqual([NAME, `${NAME}.lock`]);
  });
});

onEachTyped('the file that mmapforge wrote', (make) => {
  it('opens, reads, is appended to and stays what the format says', () => {
    const fixture = make();
    const original = readFileSync(MMFG_FIXTURE);
    fixture.log.put(NAME, original);
    const file = fixture.open({ format: 'mmfg-1', create: false });
    expect([file.count, file.capacity, priceAt(file, 0)]).toEqual([1, 64, 189.5]);
    append(file, 70);
    expect(priceAt(file, 70)).toBe(70.5);
    file.close();

    const bytes = fixture.bytes();
    expect(bytes.length).toBe(64 + 128 * STRIDE);
    const header = Buffer.from(original.subarray(0, 64));
    header.writeBigUInt64LE(71n, MmfgHeader.count);
    header.writeBigUInt64LE(128n, MmfgHeader.capacity);
    expect(bytes.subarray(0, 64)).toEqual(header);
    expect(bytes.subarray(64, 64 + STRIDE)).toEqual(original.subarray(64, 64 + STRIDE));
    for (let index = 0; index < 128; index++) {
      const at = 64 + index * STRIDE;
      expect(bytes.readBigUInt64LE(at) & 1n, `stamp of record ${index}`).toBe(0n);
      if (index > 70) expect(bytes.subarray(at, at + STRIDE).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('is left as it is by a reader, to the last byte, and needs no lock', () => {
    const fixture = make();
    const original = readFileSync(MMFG_FIXTURE);
    fixture.log.put(NAME, original);
    const reader = fixture.open({ format: 'mmfg-1', readOnly: true });
    expect(priceAt(reader, 0)).toBe(189.5);
    failure('ERR_VARVE_READ_ONLY', () => { reader.makeRoom(); });
    failure('ERR_VARVE_READ_ONLY', () => { reader.syncNow(); });
    reader.close();
    expect(fixture.bytes()).toEqual(original);
    expect(fixture.log.names()).toEqual([NAME]);
  });
});

onEachTyped('another schema', (make) => {
  it('is told field by field in the own format', () => {
    const fixture = make();
    fixture.open().close();
    const other = defineSchema('Tick', {
      version: 2, fields: { symbol: str(32), volume: f64, price: i64, timestamp: u64, venue: str(8) },
    });
    for (const readOnly of [false, true]) {
      const { details } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => fixture.open({ schema: other, readOnly }));
      expect(details['differences']).toEqual([
        { what: 'version', expected: 2, actual: 1 },
        { field: 'symbol', what: 'max', expected: 32, actual: 64 },
        { field: 'volume', what: 'position', expected: 1, actual: 2 },
        { field: 'price', what: 'type', expected: 'int64', actual: 'float64' },
        { field: 'price', what: 'position', expected: 2, actual: 1 },
        { field: 'venue', what: 'missing', expected: 'string', actual: undefined },
      ]);
    }
    const less = defineSchema('Tick', { fields: { symbol: str(64), price: f64, volume: f64 } });
    expect(failure('ERR_VARVE_SCHEMA_MISMATCH', () => fixture.open({ schema: less })).details['differences'])
      .toEqual([{ field: 'timestamp', what: 'unexpected', expected: undefined, actual: 'uint64' }]);
  });

  it('is told apart by fields of one type that were swapped, in the own format, and by them alone not in mmfg-1', () => {
    const fixture = make();
    const swapped = defineSchema('Tick', { fields: { symbol: str(64), volume: f64, price: f64, timestamp: u64 } });
    fixture.open().close();
    failure('ERR_VARVE_SCHEMA_MISMATCH', () => fixture.open({ schema: swapped }));
    fixture.open({ name: 'mmfg', format: 'mmfg-1' }).close();
    fixture.open({ name: 'mmfg', format: 'mmfg-1', schema: swapped }).close();
  });

  it('is told by version, stride and hash in mmfg-1', () => {
    const fixture = make();
    fixture.open({ format: 'mmfg-1' }).close();
    const other = defineSchema('Tick', { version: 3, fields: { symbol: str(32), price: f64, volume: f64 } });
    const { details } = failure('ERR_VARVE_SCHEMA_MISMATCH', () => fixture.open({ format: 'mmfg-1', schema: other }));
    expect(details['differences']).toMatchObject([
      { what: 'version', expected: 3, actual: 1 }, { what: 'stride', actual: STRIDE },
      { what: 'hash', actual: hash([...PARTS].sort()) },
    ]);
  });
});

onEachTyped('growth', (make, kind) => {
  it.each(FORMATS)('keeps every record and doubles the room, which readers elsewhere follow: %s', (format) => {
    const fixture = make();
    const writer = fixture.open({ format });
    append(writer, 10);
    fixture.log.refresh();
    const reader = fixture.open({ format, readOnly: true, elsewhere: true });
    expect([reader.count, reader.capacity]).toEqual([10, 64]);
    expect(append(writer, 990)).toBe(4);
    expect(writer.capacity).toBe(1024);
    fixture.log.refresh();
    expect(priceAt(reader, 999)).toBeLessThan(0);
    reader.refresh();
    expect([reader.count, reader.capacity]).toEqual([1000, 1024]);
    expect(numbers(reader)).toEqual(upTo(1000));
    expect(numbers(writer)).toEqual(upTo(1000));
    expect(fixture.bytes().length).toBe((format === 'varve' ? 4096 : 64) + 1024 * STRIDE);
  });

  it.each(FORMATS)('moves the window on a file that is larger than it: %s', (format) => {
    const fixture = make();
    const options = { format, reservedBytes: 131072 };
    const writer = fixture.open(options);
    append(writer, 5000);
    expect(writer.view.room).toBeLessThan(1300);
    expect(numbers(writer)).toEqual(upTo(5000));
    fixture.log.refresh();
    const reader = fixture.open({ ...options, readOnly: true, elsewhere: true });
    for (const index of [4999, 0, 2500, 1, 4998, 630, 631]) {
      reader.moveTo(index);
      expect(priceAt(reader, index)).toBe(index + 0.5);
      // Nothing outside of the window is ever read.
      expect(priceAt(reader, reader.view.first + reader.view.limit)).toBeLessThan(0);
    }
    writer.close();
    const again = fixture.open({ ...options, reservedBytes: 1 << 20 });
    expect(numbers(again)).toEqual(upTo(5000));
    append(again, 6000);
    expect(numbers(again)).toEqual(upTo(11000));
  });

  it('makes do with the memory that is left', () => {
    const fixture = make();
    const { memory } = fixture.log.core;
    // All but three ranges of 64 KiB: one for the header, two for the records.
    const length = memory.largestFree() - 196608;
    const address = memory.reserve(length);
    try {
      const file = fixture.open();
      append(file, 3000);
      expect(numbers(file)).toEqual(upTo(3000));
      file.close();
    } finally {
      memory.release(address, length);
    }
  });

  if (kind === 'real') return;

  it.each(FORMATS)('on a full disk changes nothing and can be tried again: %s', (format) => {
    const fixture = make();
    const { disk } = fixture.log;
    const file = fixture.open({ format });
    append(file, 64);
    const before = fixture.bytes();
    disk!.capacity = 12288;
    failure('ERR_VARVE_DISK_FULL', () => append(file, 1));
    expect([file.count, file.capacity, file.poisoned]).toEqual([64, 64, false]);
    expect(fixture.bytes()).toEqual(before);
    expect(numbers(file)).toEqual(upTo(64));
    disk!.capacity = Infinity;
    append(file, 1);
    expect(numbers(file)).toEqual(upTo(65));
  });

  it('of a new file on a full disk leaves nothing but the lock', () => {
    const fixture = make({ capacity: 8192 });
    failure('ERR_VARVE_DISK_FULL', () => fixture.open());
    expect(fixture.log.names()).toEqual([`${NAME}.lock`]);
    fixture.log.disk!.capacity = Infinity;
    append(fixture.open(), 1);
  });
});

onEachTyped('syncing', (make, kind) => {
  it('is shared by those who ask at the same time', async () => {
    const fixture = make();
    const file = fixture.open();
    append(file, 1);
    await Promise.all(Array.from({ length: 20 }, () => file.sync()));
    expect(file.syncs).toBe(2);
  });

  if (kind === 'real') return;

  it.each(['sync', 'syncNow'] as const)('that fails stops all writing, not reading: %s', async (way) => {
    const fixture = make();
    const file = fixture.open();
    append(file, 2);
    fixture.log.disk!.failAt({ operation: 'sync', error: 'EIO' });
    if (way === 'sync') await rejection('ERR_VARVE_IO', file.sync());
    else failure('ERR_VARVE_IO', () => { file.syncNow(); });
    expect(file.poisoned).toBe(true);
    expect(file.view.appendRow(false)).toBeLessThan(0);
    expect(file.view.writeRow(0)).toBeLessThan(0);
    failure('ERR_VARVE_POISONED', () => { file.makeRoom(); });
    await rejection('ERR_VARVE_POISONED', file.sync());
    expect(numbers(file)).toEqual([0, 1]);
    file.close();
    expect(numbers(fixture.open())).toEqual([0, 1]);
  });
});
