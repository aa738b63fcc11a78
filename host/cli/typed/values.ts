/**
 * Values of typed records as text: for people, as JSON and as CSV. Nothing is rounded: a 64-bit integer that is no
 * exact number is text in JSON, and so are NaN and the infinities, which JSON does not have.
 */
import type { Field } from '../../index.ts';
import { UsageError } from '../exit.ts';

/** A value of a field for people: one line, whatever it holds. */
export function shown(value: unknown, field: Field): string {
  if (value === null) return '-';
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'string') return escaped(value);
  if (Array.isArray(value)) return `[${value.join(' ')}]`;
  return field.unit === 'ms' ? new Date(value as number).toISOString() : String(value);
}

/** Text without what a terminal would obey instead of showing it. */
function escaped(text: string): string {
  return /^[ -~]*$/.test(text) ? text : JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"')
    .replace(/[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** A value that JSON can hold. */
export function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Uint8Array) return hex(value);
  return Array.isArray(value) ? value.map(jsonValue) : value;
}

/** A record that JSON can hold. */
export function jsonRecord(record: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, jsonValue(value)]));
}

/** A cell of CSV, as RFC 4180 has it: quoted where it must be, and empty text apart from null. */
export function csvCell(value: unknown): string {
  if (value === null) return '';
  if (Array.isArray(value)) return quoted(JSON.stringify(value.map(jsonValue)));
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value !== 'string') return String(value);
  return value === '' || /[",\r\n]|^\s|\s$/.test(value) ? quoted(value) : value;
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/**
 * Reads a value of a field, as `dump --json` prints it; text stands without quotes, and a moment may be a date. The
 * store checks the rest.
 */
export function parseValue(name: string, field: Field, text: string): unknown {
  const { type, values, count, unit, nullable } = field;
  if (nullable === true && text === 'null') return null;
  if (values !== undefined || type === 'string') return text;
  if (type === 'bytes') {
    if (/^([0-9a-f]{2})*$/i.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
    throw new UsageError(`${name} must be bytes as hexadecimal digits, not '${text}'`);
  }
  if (type === 'bool') {
    if (text === 'true' || text === 'false') return text === 'true';
    throw new UsageError(`${name} must be true or false, not '${text}'`);
  }
  if (unit === 'ms') return /^-?\d+$/.test(text) ? Number(text) : parseDate(name, text);
  const isWide = type === 'int64' || type === 'uint64';
  if (count === undefined) return parseNumber(name, isWide, text);
  const elements = /^\[(.*)\]$/.exec(text)?.[1];
  if (elements === undefined) throw new UsageError(`${name} must be an array such as [1,2], not '${text}'`);
  return elements.split(',').map((element) => parseNumber(name, isWide, element.trim()));
}

function parseDate(name: string, text: string): number {
  const moment = Date.parse(text);
  if (!Number.isNaN(moment)) return moment;
  throw new UsageError(`${name} must be milliseconds since 1970 or a date such as 2026-01-31T12:00:00Z, not '${text}'`);
}

function parseNumber(name: string, isWide: boolean, text: string): number | bigint {
  if (isWide) {
    if (/^-?\d+$/.test(text)) return BigInt(text);
    throw new UsageError(`${name} must be an integer, not '${text}'`);
  }
  const value = Number(text);
  if (text.trim() !== '' && (!Number.isNaN(value) || text === 'NaN')) return value;
  throw new UsageError(`${name} must be a number, not '${text}'`);
}
