/**
 * Every condition of a valid header, by number as in docs/format.md, broken one by one; and every bit of both headers
 * flipped: what is broken is an error with a code and the field, or it opens with sane numbers. It never kills.
 */
import { describe, expect, it } from 'vitest';
import { VarveError, type VarveError as Thrown } from '../../host/errors/varve-error.ts';
import {
  MmfgHeader, SCRATCH_OFFSET, TYPED_CAPACITY_OFFSET, TYPED_COUNT_OFFSET, TYPED_TEXT_OFFSET,
  TYPED_WRITER_OFFSET, TypedHeader, TypedWriter,
} from '../../host/generated/abi.ts';
import { failure } from '../support/log-fixture.ts';
import { append, NAME, numbers, onEachTyped, STRIDE, typed, upTo, type TypedFixture } from '../support/typed-fixture.ts';

const COUNT = 10;
const METADATA = Buffer.from('metadata');

/** The file of a store with ten records. */
function stored(fixture: TypedFixture, format: 'varve' | 'mmfg-1'): Buffer {
  const file = fixture.open({ format, ...(format === 'varve' ? { metadata: METADATA } : {}) });
  append(file, COUNT);
  file.close();
  return fixture.bytes();
}

/** Computes the identity's checksum anew. */
function reseal({ log: { core } }: TypedFixture, bytes: Buffer): void {
  core.memory.bytes.set(bytes.subarray(0, TypedHeader.BYTES), SCRATCH_OFFSET);
  const length = TypedHeader.BYTES - TypedHeader.version;
  bytes.writeUInt32LE(core.exports.crc32c(0, SCRATCH_OFFSET + TypedHeader.version, length) >>> 0, TypedHeader.crc);
}

interface Case {
  readonly condition: number;
  readonly name: string;
  readonly code: Thrown['code'];
  readonly field?: string;
  /** Whether readers may open it all the same. */
  readonly readable?: boolean;
  /** Whether the checksum stays as it was. */
  readonly unsealed?: boolean;
  /** Changes the bytes, or gives others. */
  readonly change: (bytes: Buffer) => Buffer | void;
}

const u32 = (at: number, value: number) => (bytes: Buffer): void => { bytes.writeUInt32LE(value, at); };
const u64 = (at: number, value: bigint) => (bytes: Buffer): void => { bytes.writeBigUInt64LE(value, at); };
const HIGHEST = 0xffffffffffffffffn;
const CORRUPT = 'ERR_VARVE_CORRUPT';
const FORMAT = 'ERR_VARVE_FORMAT';
const NEWER = 'ERR_VARVE_NEWER_VERSION';

const live = (count: number, capacity: number, condition: number): Case[] => [
  { condition, name: 'no capacity', code: CORRUPT, field: 'capacity', change: u64(capacity, 0n) },
  { condition, name: 'a capacity beyond 31 bits', code: CORRUPT, field: 'capacity', change: u64(capacity, 1n << 31n) },
  { condition, name: 'the highest capacity', code: CORRUPT, field: 'capacity', change: u64(capacity, HIGHEST) },
  { condition, name: 'a capacity beyond the file', code: CORRUPT, field: 'capacity', change: u64(capacity, 65n) },
  { condition, name: 'a count above the capacity', code: CORRUPT, field: 'count', change: u64(count, 65n) },
  { condition, name: 'the highest count', code: CORRUPT, field: 'count', change: u64(count, HIGHEST) },
  { condition, name: 'a count of 2^63', code: CORRUPT, field: 'count', change: u64(count, 1n << 63n) },
  { condition, name: 'a file that is cut', code: CORRUPT, field: 'capacity', change: (bytes) => bytes.subarray(0, -1) },
];

const OWN: Case[] = [
  { condition: 1, name: 'an empty file', code: FORMAT, change: () => Buffer.alloc(0) },
  { condition: 1, name: 'less than a page', code: FORMAT, change: (bytes) => bytes.subarray(0, 4095) },
  { condition: 2, name: 'another magic', code: FORMAT, field: 'magic', change: u64(TypedHeader.magic, 1n) },
  { condition: 2, name: 'a file of mmapforge', code: FORMAT, field: 'magic', change: (bytes) => { bytes.write('MMFG'); } },
  { condition: 3, name: 'a wrong checksum', code: CORRUPT, field: 'crc', unsealed: true, change: u32(TypedHeader.stride, 8) },
  { condition: 4, name: 'a later version', code: NEWER, change: u32(TypedHeader.version, 2) },
  ...[3, 15, 31].map((bit): Case => ({
    condition: 4, name: `the unknown incompatible feature ${bit}`, code: NEWER,
    change: u32(TypedHeader.incompatible, 2 ** bit),
  })),
  {
    condition: 4, name: 'a feature that writers must know', code: NEWER, readable: true,
    change: u32(TypedHeader.readOnlyCompatible, 1),
  },
  { condition: 5, name: 'another kind', code: FORMAT, field: 'storeKind', change: u32(TypedHeader.storeKind, 1) },
  ...[0n, 64n, 4097n, 8192n * 4096n, HIGHEST].map((value): Case => ({
    condition: 6, name: `records at ${value}`, code: CORRUPT, field: 'recordsOffset',
    change: u64(TypedHeader.recordsOffset, value),
  })),
  ...[4096, 0xffffffff].flatMap((value): Case[] => [
    {
      condition: 6, name: `a schema of ${value} bytes`, code: CORRUPT, field: 'schemaBytes',
      change: u32(TypedHeader.schemaBytes, value),
    },
    {
      condition: 6, name: `metadata of ${value} bytes`, code: CORRUPT, field: 'schemaBytes',
      change: u32(TypedHeader.metadataBytes, value),
    },
  ]),
  { condition: 7, name: 'metadata that changed', code: CORRUPT, field: 'textCrc', change: u32(TypedHeader.metadataBytes, 7) },
  { condition: 7, name: 'another checksum of the text', code: CORRUPT, field: 'textCrc', change: u32(TypedHeader.textCrc, 0) },
  { condition: 8, name: 'another schema version', code: CORRUPT, field: 'schemaVersion', change: u32(TypedHeader.schemaVersion, 2) },
  ...[0, 8, 96, 0xffffffff].map((value): Case => ({
    condition: 8, name: `a stride of ${value}`, code: CORRUPT, field: 'stride', change: u32(TypedHeader.stride, value),
  })),
  ...[0, 1, 2, 3].map((word): Case => ({
    condition: 8, name: `another hash in word ${word}`, code: CORRUPT, field: 'schemaHash',
    change: u64(TypedHeader.schemaHash0 + 8 * word, 0n),
  })),
  ...live(TYPED_COUNT_OFFSET, TYPED_CAPACITY_OFFSET, 9),
];

const MMFG: Case[] = [
  { condition: 1, name: 'an empty file', code: FORMAT, change: () => Buffer.alloc(0) },
  { condition: 1, name: 'less than a header', code: FORMAT, change: (bytes) => bytes.subarray(0, 63) },
  { condition: 2, name: 'another magic', code: FORMAT, field: 'magic', change: u32(MmfgHeader.magic, 1) },
  { condition: 2, name: 'another version', code: FORMAT, field: 'version', change: u32(MmfgHeader.version, 2) },
  ...[0, 8, 0xffffffff].map((value): Case => ({
    condition: 3, name: `a stride of ${value}`, code: 'ERR_VARVE_SCHEMA_MISMATCH', change: u32(MmfgHeader.stride, value),
  })),
  { condition: 3, name: 'another schema version', code: 'ERR_VARVE_SCHEMA_MISMATCH', change: u32(MmfgHeader.schemaVersion, 0) },
  { condition: 3, name: 'another hash', code: 'ERR_VARVE_SCHEMA_MISMATCH', change: u64(MmfgHeader.schemaHash2, 0n) },
  ...live(MmfgHeader.count, MmfgHeader.capacity, 4),
];

onEachTyped('a header is refused, and the file left as it is,', (make) => {
  for (const [format, cases] of [['varve', OWN], ['mmfg-1', MMFG]] as const) {
    it.each(cases)(`${format}, condition $condition: $name`, ({ code, field, readable, unsealed, change }) => {
      const fixture = make();
      const before = stored(fixture, format);
      const copy = Buffer.from(before);
      const bytes = change(copy) ?? copy;
      if (format === 'varve' && unsealed !== true && bytes.length >= TypedHeader.BYTES) reseal(fixture, bytes);
      fixture.log.put(NAME, bytes);
      for (const writers of ['one', 'many'] as const) {
        const { details } = failure(code, () => fixture.open({ format, writers }));
        expect(details).toMatchObject({ path: fixture.path(), ...(field === undefined ? {} : { field }) });
      }
      if (readable === true) expect(numbers(fixture.open({ format, readOnly: true }))).toEqual(upTo(COUNT));
      else failure(code, () => fixture.open({ format, readOnly: true }));
      expect(fixture.bytes()).toEqual(bytes);
      // The canary: as it was, it opens.
      fixture.close();
      fixture.log.put(NAME, before);
      expect(numbers(fixture.open({ format }))).toEqual(upTo(COUNT));
    });
  }
});

/** Whether a byte of the own header means nothing, or nothing to those who open it. */
function isIdle(at: number): boolean {
  const written = [
    [0, TypedHeader.BYTES], [TYPED_COUNT_OFFSET, TYPED_COUNT_OFFSET + 8],
    [TYPED_CAPACITY_OFFSET, TYPED_CAPACITY_OFFSET + 8], [TYPED_TEXT_OFFSET, TYPED_TEXT_OFFSET + 1024],
  ] as const;
  return !written.some(([from, to]) => at >= from && at < to);
}

describe('every bit of a header flipped', () => {
  const CODES = [CORRUPT, FORMAT, NEWER, 'ERR_VARVE_SCHEMA_MISMATCH'];

  it.each(['varve', 'mmfg-1'] as const)('is found, or leaves sane numbers: %s', (format) => {
    const fixture = typed('simulated', 'simd');
    const bytes = stored(fixture, format);
    const length = format === 'varve' ? 4096 : MmfgHeader.BYTES;
    const textEnd = bytes.indexOf(METADATA) + METADATA.length;
    const found = { refused: 0, opened: 0 };
    for (let bit = 0; bit < length * 8; bit++) {
      const at = bit >> 3;
      // Far from all that is written, a bit in each byte is enough.
      if (format === 'varve' && isIdle(at) && bit % 8 !== at % 8) continue;
      fixture.log.tamper(NAME, at, Uint8Array.of(bytes[at]! ^ (1 << (bit & 7))));
      let error: unknown;
      try {
        const file = fixture.open({ format, readOnly: true });
        const { count, capacity } = file;
        expect(count <= capacity && capacity * STRIDE <= bytes.length, `count ${count}, capacity ${capacity}`).toBe(true);
        if (count === COUNT) expect(numbers(file)).toEqual(upTo(COUNT));
        file.close();
        found.opened++;
      } catch (thrown) {
        error = thrown;
        found.refused++;
        expect(VarveError.is(thrown) && CODES.includes(thrown.code), `bit ${bit}: ${String(thrown)}`).toBe(true);
      }
      const sealed = format === 'varve' && (at < TypedHeader.BYTES || (at >= TYPED_TEXT_OFFSET && at < textEnd));
      if (sealed) expect(error, `bit ${bit} is under a checksum`).toBeDefined();
      fixture.log.tamper(NAME, at, bytes.subarray(at, at + 1));
    }
    expect(found.refused).toBeGreaterThan(format === 'varve' ? TypedHeader.BYTES * 8 : 400);
    expect(found.opened).toBeGreaterThan(1);
  });

  it('in the writer group counts as no group: the epoch begins anew', () => {
    const fixture = typed('simulated', 'simd');
    stored(fixture, 'varve');
    const bytes = stored(fixture, 'varve');
    expect(bytes.readUInt32LE(TYPED_WRITER_OFFSET + TypedWriter.epoch)).toBe(2);
    const at = TYPED_WRITER_OFFSET + TypedWriter.pid;
    fixture.log.tamper(NAME, at, Uint8Array.of(bytes[at]! ^ 1));
    fixture.open().close();
    expect(fixture.bytes().readUInt32LE(TYPED_WRITER_OFFSET + TypedWriter.epoch)).toBe(1);
  });
});
