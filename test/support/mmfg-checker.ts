/**
 * The format "mmfg-1" written down once more, from its description alone: whether bytes are a valid file of mmapforge,
 * as it leaves one that is closed. Nothing of varve is used: neither its layout nor its hash, nor any of its offsets.
 */
import { createHash } from 'node:crypto';

/** A field as the format knows it. */
export interface MmfgField {
  readonly name: string;
  readonly type: 'bool' | 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'float32'
    | 'float64' | 'string' | 'bytes';
  /** Text and bytes: most bytes. */
  readonly max?: number;
}

/** What a file says, once it was found valid. */
export interface MmfgFile {
  readonly count: number;
  readonly capacity: number;
  readonly stride: number;
  /** The fields of the records; numbers of 64 bits as bigint, text and bytes as Buffer. */
  readonly records: readonly Readonly<Record<string, unknown>>[];
}

const HEADER_BYTES = 64;
const CAPACITY_MIN = 64;
const WIDTHS = {
  bool: 1, int8: 1, uint8: 1, int16: 2, uint16: 2, int32: 4, uint32: 4, float32: 4, int64: 8, uint64: 8, float64: 8,
} as const;

const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;

function sizeAndAlignment({ type, max }: MmfgField): readonly [size: number, alignment: number] {
  if (type === 'string' || type === 'bytes') return [4 + max!, 4];
  return [WIDTHS[type], WIDTHS[type]];
}

function placesOf(fields: readonly MmfgField[]) {
  let end = 8;
  const placed = fields.map((field) => {
    const [size, alignment] = sizeAndAlignment(field);
    const offset = roundUp(end, alignment);
    end = offset + size;
    return { ...field, offset, size };
  });
  return { placed, stride: roundUp(end, 8) };
}

function hashOf(fields: readonly { name: string; type: string; size: number }[]): string {
  const sorted = [...fields].sort((a, b) => (a.name < b.name ? -1 : 1));
  const text = sorted.map(({ name, type, size }) => `${name}:${type}:${size}`).join(',');
  return createHash('sha256').update(text).digest('hex');
}

function valueOf(bytes: Buffer, at: number, { name, type, max }: MmfgField, wrong: (what: string) => void): unknown {
  switch (type) {
    case 'bool':
      if (bytes[at]! > 1) wrong(`'${name}' is a boolean of ${bytes[at]}`);
      return bytes[at] === 1;
    case 'int8': return bytes.readInt8(at);
    case 'uint8': return bytes.readUInt8(at);
    case 'int16': return bytes.readInt16LE(at);
    case 'uint16': return bytes.readUInt16LE(at);
    case 'int32': return bytes.readInt32LE(at);
    case 'uint32': return bytes.readUInt32LE(at);
    case 'int64': return bytes.readBigInt64LE(at);
    case 'uint64': return bytes.readBigUInt64LE(at);
    case 'float32': return bytes.readFloatLE(at);
    case 'float64': return bytes.readDoubleLE(at);
    default: {
      const length = bytes.readUInt32LE(at);
      if (length > max!) wrong(`'${name}' has ${length} bytes of ${max}`);
      return Buffer.from(bytes.subarray(at + 4, at + 4 + Math.min(length, max!)));
    }
  }
}

/** What is wrong with a file, and what it says as far as that can be told. */
export interface MmfgVerdict {
  readonly wrong: string[];
  readonly file: MmfgFile;
}

/** Judges the bytes of a file. */
export function checkMmfg(bytes: Buffer, fields: readonly MmfgField[], version: number): MmfgVerdict {
  const wrong: string[] = [];
  const same = (what: string, actual: unknown, expected: unknown): void => {
    if (actual !== expected) wrong.push(`${what} is ${actual}, not ${expected}`);
  };
  const { placed, stride } = placesOf(fields);
  if (bytes.length < HEADER_BYTES) {
    return { wrong: [`${bytes.length} bytes are no header`], file: { count: 0, capacity: 0, stride, records: [] } };
  }
  same('magic', bytes.toString('latin1', 0, 4), 'MMFG');
  same('format version', bytes.readUInt32LE(4), 1);
  same('schema hash', bytes.toString('hex', 8, 40), hashOf(placed));
  same('schema version', bytes.readUInt32LE(40), version);
  same('record size', bytes.readUInt32LE(44), stride);
  const count = Number(bytes.readBigUInt64LE(48));
  const capacity = Number(bytes.readBigUInt64LE(56));
  if (count > capacity) wrong.push(`${count} records with room for ${capacity}`);
  // It begins at 64 and doubles.
  const doublings = Math.log2(capacity / CAPACITY_MIN);
  if (!Number.isInteger(doublings) || doublings < 0) wrong.push(`room for ${capacity} records`);
  same('length', bytes.length, HEADER_BYTES + capacity * stride);
  const records: Record<string, unknown>[] = [];
  for (let index = 0; index < count && HEADER_BYTES + (index + 1) * stride <= bytes.length; index++) {
    const at = HEADER_BYTES + index * stride;
    if (bytes.readBigUInt64LE(at) % 2n !== 0n) wrong.push(`record ${index} has an odd stamp`);
    records.push(Object.fromEntries(placed.map((field) => [
      field.name, valueOf(bytes, at + field.offset, field, (what) => { wrong.push(`record ${index}: ${what}`); }),
    ])));
  }
  if (bytes.subarray(HEADER_BYTES + count * stride).some((byte) => byte !== 0)) wrong.push('bytes behind the last record');
  return { wrong, file: { count, capacity, stride, records } };
}
