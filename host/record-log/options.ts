/**
 * The options of a RecordLog and the checking of arguments. Everything wrong is found here, before anything is touched.
 */
import { wrongType } from '../errors/varve-error.ts';
import { SEGMENT_BYTES_MAX } from '../generated/abi.ts';
import type { RecordInput } from '../log/appender.ts';
import {
  checkDirectory, checkLogOptions, flag, integer, LOG_OPTIONS, requireKnown, type CheckedLogOptions, type LogOptions,
} from '../log/options.ts';
import type { RecordRef } from '../log/record.ts';
import type { FollowOptions, RetainOptions } from './types.ts';

/** Options of `RecordLog.open`. */
export type RecordLogOptions = LogOptions;

/** Options with their defaults. */
export type CheckedOptions = CheckedLogOptions;

const KNOWN: ReadonlySet<string> = new Set(LOG_OPTIONS);
const KIND_MAX = 127;

/** Checks what `RecordLog.open` was given. Throws TypeError and RangeError (ERR_VARVE_INVALID_ARGUMENT). */
export function checkOptions(directory: string, options: RecordLogOptions): CheckedOptions {
  checkDirectory(directory);
  requireKnown('options', options, KNOWN);
  return checkLogOptions(directory, options);
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
