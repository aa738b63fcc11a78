/**
 * Bytes for people: the fields of a structure by the names of its layout, and hexdumps.
 */
import type { Layout } from '../log/inspect.ts';
import { date, dim } from './format.ts';

/** One field of a structure. */
export interface Field {
  readonly name: string;
  /** Offset in the structure. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Little-endian, exact; decimal text where a number would not be. */
  readonly value: number | string;
}

const ROW_BYTES = 16;

/** The fields of a structure, in order; one that the bytes end before is left out. */
export function fieldsOf(bytes: Uint8Array, layout: Layout): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ends = Object.values(layout).sort((a, b) => a - b);
  const names = Object.entries(layout).filter(([name]) => name !== 'BYTES').sort(([, a], [, b]) => a - b);
  const fields: Field[] = [];
  for (const [name, offset] of names) {
    const length = ends.find((end) => end > offset)! - offset;
    if (offset + length > bytes.length) break;
    const value = length === 4 ? view.getUint32(offset, true) : exact(view.getBigUint64(offset, true));
    fields.push({ name, offset, bytes: bytes.subarray(offset, offset + length), value });
  }
  return fields;
}

function exact(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}

/** What a value means to people: text of a magic, the date of a time. */
function meaning({ name, bytes, value }: Field): string {
  if (name === 'magic') return `"${Buffer.from(bytes).toString('latin1').replace(/[^ -~]/g, '.')}"`;
  if (name.endsWith('At') && typeof value === 'number' && value > 0) return `${value} (${date(value)})`;
  return String(value);
}

/** A line a field: offset in the file, bytes, name, value. */
export function fieldLines(fields: readonly Field[], base: number): string[] {
  const width = Math.max(0, ...fields.map(({ name }) => name.length));
  return fields.map((field) => {
    const { name, offset, bytes } = field;
    return `  ${dim(offsetText(base + offset))}  ${hex(bytes).padEnd(23)}  ${name.padEnd(width)}  ${meaning(field)}`;
  });
}

/** Rows of 16 bytes: offset, bytes, and those that are printable ASCII. */
export function hexLines(bytes: Uint8Array, base: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW_BYTES) {
    const row = bytes.subarray(at, at + ROW_BYTES);
    const text = Array.from(row, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`  ${dim(offsetText(base + at))}  ${hex(row).padEnd(ROW_BYTES * 3 - 1)}  ${text}`);
  }
  return lines;
}

function offsetText(offset: number): string {
  return offset.toString(16).padStart(8, '0');
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
