/**
 * The options of a RecordLog and the checking of arguments. Everything wrong is found here, before anything is touched.
 */
import { resolve } from 'node:path';
import type { Core } from '../core/core.ts';
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { SEGMENT_BYTES_MAX } from '../generated/abi.ts';
import type { Storage } from '../io/storage.ts';
import type { RecordInput } from '../log/appender.ts';
import type { RecordRef } from '../log/record.ts';
import type { FollowOptions, RetainOptions } from './types.ts';

/** Options of `RecordLog.open`. */
export interface RecordLogOptions {
  /**
   * Opens for reading only: takes no lock, creates nothing, writes nothing, unless it is asked for a `cursor`; works
   * beside a writer in another process. Default false.
   */
  readonly readOnly?: boolean;
  /** Whether a store is made where there is none. Default true; without meaning when `readOnly`. */
  readonly create?: boolean;
  /**
   * Bytes that a new segment is preallocated to, from 64 KiB to 1 GiB, rounded up to 4 KiB. A larger record or batch
   * gets a larger segment. Default 64 MiB.
   */
  readonly segmentBytes?: number;
  /**
   * Most bytes of sealed segments that stay mapped, from 0; beyond, the least recently used one is unmapped. The active
   * segment comes on top. Default 1 GiB.
   */
  readonly mappedBytesMax?: number;
  /** A core of its own instead of the one that the stores of this thread share. */
  readonly core?: Core;
  /** Another storage than the real disk: for tests. */
  readonly storage?: Storage;
}

/** Options with their defaults. */
export interface CheckedOptions {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly segmentBytes: number;
  readonly mappedBytesMax: number;
  readonly core: Core | undefined;
  readonly storage: Storage | undefined;
}

const SEGMENT_BYTES_MIN = 65536;
const SEGMENT_BYTES_DEFAULT = 64 << 20;
const MAPPED_BYTES_DEFAULT = 1 << 30;
const PAGE_BYTES = 4096;
const KNOWN = new Set(['readOnly', 'create', 'segmentBytes', 'mappedBytesMax', 'core', 'storage']);
const KIND_MAX = 127;

function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw outOfRange(name, `an integer from ${least} to ${most}`, value);
  }
  return value;
}

function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value);
  return value;
}

/** Checks what `RecordLog.open` was given. Throws TypeError and RangeError (ERR_VARVE_INVALID_ARGUMENT). */
export function checkOptions(directory: string, options: RecordLogOptions): CheckedOptions {
  if (typeof directory !== 'string') throw wrongType('directory', 'a path', directory);
  if (directory === '' || directory.includes('\0')) throw outOfRange('directory', 'a path without null bytes', directory);
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) throw outOfRange('options', `made of ${[...KNOWN].join(', ')}`, name);
  }
  const bytes = integer(
    'options.segmentBytes', options.segmentBytes ?? SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
  return {
    directory: resolve(directory),
    readOnly: flag('options.readOnly', options.readOnly ?? false),
    create: flag('options.create', options.create ?? true),
    segmentBytes: Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES,
    mappedBytesMax: integer(
      'options.mappedBytesMax', options.mappedBytesMax ?? MAPPED_BYTES_DEFAULT, 0, Number.MAX_SAFE_INTEGER),
    core: options.core,
    storage: options.storage,
  };
}

/** Checks that `value` is an LSN, or the number just below the first or above the last. */
export function checkLsn(name: string, value: unknown): number {
  return integer(name, value, 0, Number.MAX_SAFE_INTEGER);
}

/** Checks what `follow` was given. */
export function checkFollow(options: FollowOptions) {
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
  const { from, durable = false, view = false, signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrongType('options.signal', 'an AbortSignal', signal);
  return {
    ...(from === undefined ? {} : { from: checkLsn('options.from', from) }),
    durable: flag('options.durable', durable),
    view: flag('options.view', view),
    signal,
  };
}

/** Checks what `retain` was given. */
export function checkRetain(options: RetainOptions): { readonly maxBytes: number; readonly maxAge: number } {
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
  const { maxBytes, maxAge } = options;
  if (maxBytes === undefined && maxAge === undefined) throw wrongType('options', '{maxBytes, maxAge}, one at least', options);
  return {
    maxBytes: maxBytes === undefined ? Infinity : integer('options.maxBytes', maxBytes, 0, Number.MAX_SAFE_INTEGER),
    maxAge: maxAge === undefined ? Infinity : integer('options.maxAge', maxAge, 0, Number.MAX_SAFE_INTEGER),
  };
}

/** Checks bytes or text. */
export function checkData(name: string, value: unknown): Uint8Array | string {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw wrongType(name, 'a Uint8Array or a string', value);
  }
  return value;
}

/** Checks a record's kind. */
export function checkKind(name: string, value: unknown): number {
  return integer(name, value, 0, KIND_MAX);
}

function isData(value: unknown): boolean {
  return typeof value === 'string' || value instanceof Uint8Array;
}

function isKind(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= KIND_MAX;
}

/** Checks the element at `index` of a batch; names are made only for an error. */
export function checkRecord(index: number, value: unknown): RecordInput {
  if (typeof value === 'string' || value instanceof Uint8Array) return { payload: value };
  const name = () => `records[${index}]`;
  if (typeof value !== 'object' || value === null || !('payload' in value)) {
    throw wrongType(name(), 'bytes, text, or {payload, kind?, key?}', value);
  }
  // Read once: what was checked is what is appended, even where a property is computed.
  const { payload, kind, key } = value as RecordInput;
  if (!isData(payload)) checkData(`${name()}.payload`, payload);
  if (kind !== undefined && !isKind(kind)) checkKind(`${name()}.kind`, kind);
  if (key !== undefined && !isData(key)) checkData(`${name()}.key`, key);
  return { payload, kind, key };
}

/** Whether all are bytes; a hole is not. */
export function areBytes(records: readonly unknown[]): records is readonly Uint8Array[] {
  for (let i = 0; i < records.length; i++) if (!(records[i] instanceof Uint8Array)) return false;
  return true;
}

/** Checks a reference. */
export function checkRef(value: unknown): RecordRef {
  if (typeof value !== 'object' || value === null) throw wrongType('ref', 'a RecordRef', value);
  const ref = value as RecordRef;
  integer('ref.lsn', ref.lsn, 1, Number.MAX_SAFE_INTEGER);
  integer('ref.segment', ref.segment, 1, ref.lsn);
  integer('ref.offset', ref.offset, 0, SEGMENT_BYTES_MAX);
  integer('ref.size', ref.size, 0, SEGMENT_BYTES_MAX);
  return ref;
}
