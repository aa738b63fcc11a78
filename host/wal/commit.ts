/**
 * The payload of a commit: offsets by the names of their sources, and a watermark. The layout is that of
 * assembly/layout/entry.ts, `CommitEntry`; checkpoints hold the same bytes.
 *
 * Every 64-bit number comes back as it went in, as a number where that is exact, else as a bigint. What is decoded
 * comes from a checksummed frame, yet nothing in it is trusted: bytes that do not fit together are refused as a whole.
 */
import { types } from 'node:util';
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import {
  COMMIT_HAS_WATERMARK, COMMIT_OFFSET_BYTES, CommitEntry, PAYLOAD_BYTES_MAX, SOURCE_NAME_BYTES_MAX,
} from '../generated/abi.ts';
import { writeUtf8 } from '../log/utf8.ts';

/** Up to where each source was taken in: 0 to 2^64 - 1 by the source's name, of 1 to 1,024 bytes of UTF-8. */
export type CommitOffsets = Readonly<Record<string, number | bigint>> | ReadonlyMap<string, number | bigint>;

/** What a commit says. */
export interface Commit {
  /** When it was appended, nanoseconds since 1970. */
  readonly time: bigint;
  /** By the names of their sources, in the order in which they were given. */
  readonly offsets: Map<string, number | bigint>;
  readonly watermark: number | bigint | undefined;
}

const U32 = 4;
const WORD = 2 ** 32;
/** From the beginning of an offset to the length of its source's name, and to the name. */
const NAME_BYTES = 8;
const NAME = COMMIT_OFFSET_BYTES;
const OFFSET_RANGE = { numbers: 'an integer from 0 to 2^53 - 1', bigints: 'a bigint from 0 to 2^64 - 1' } as const;
const WATERMARK_RANGE = {
  numbers: 'an integer from -(2^53 - 1) to 2^53 - 1', bigints: 'a bigint from -2^63 to 2^63 - 1',
} as const;
/** A mark of byte order is a part of a name like any other character. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Checks what is to be committed, wholly, and returns how many bytes `encodeCommit` will take for it.
 *
 * Errors: ERR_VARVE_INVALID_ARGUMENT, naming the source; ERR_VARVE_RECORD_TOO_LARGE (above 64 MiB)
 */
export function commitBytes(offsets: CommitOffsets, watermark: number | bigint | undefined): number {
  let bytes: number = CommitEntry.BYTES;
  for (const [name, offset] of entriesOf(offsets)) {
    bytes += COMMIT_OFFSET_BYTES + nameBytes(name);
    if (!isOffset(offset)) throw wrongNumber(`offsets[${quoted(name)}]`, OFFSET_RANGE, offset);
  }
  if (watermark !== undefined && !isWatermark(watermark)) throw wrongNumber('watermark', WATERMARK_RANGE, watermark);
  if (bytes > PAYLOAD_BYTES_MAX) throw tooLarge(bytes);
  return bytes;
}

/**
 * Writes a commit at `at` of `target`; what `commitBytes` has accepted, and nothing has changed since.
 *
 * @param target has room for as many bytes as `commitBytes` said; nothing is written beyond its end
 * @param timeLow the low 32 bits of the time, in nanoseconds since 1970
 * @param timeHigh the high 32 bits
 * @returns how many bytes it took
 */
export function encodeCommit(
  target: Uint8Array, at: number, timeLow: number, timeHigh: number, offsets: CommitOffsets,
  watermark: number | bigint | undefined,
): number {
  const view = new DataView(target.buffer, target.byteOffset + at, target.length - at);
  view.setUint32(CommitEntry.time, timeLow, true);
  view.setUint32(CommitEntry.time + U32, timeHigh, true);
  setWord(view, CommitEntry.watermark, watermark ?? 0);
  view.setUint32(CommitEntry.flags, watermark === undefined ? 0 : COMMIT_HAS_WATERMARK, true);
  let count = 0;
  let end: number = CommitEntry.BYTES;
  for (const [name, offset] of entriesOf(offsets)) {
    setWord(view, end, offset);
    const bytes = writeUtf8(target, at + end + NAME, name);
    view.setUint16(end + NAME_BYTES, bytes, true);
    end += COMMIT_OFFSET_BYTES + bytes;
    count++;
  }
  view.setUint32(CommitEntry.count, count, true);
  return end;
}

/** Reads a commit that takes up all of `bytes`, which it does not hold on to; `undefined` where they are none. */
export function decodeCommit(bytes: Uint8Array): Commit | undefined {
  const { length } = bytes;
  if (length < CommitEntry.BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const flags = view.getUint32(CommitEntry.flags, true);
  const watermark = wordAt(view, CommitEntry.watermark, true);
  if ((flags & ~COMMIT_HAS_WATERMARK) !== 0 || (flags === 0 && watermark !== 0)) return undefined;
  const offsets = decodeOffsets(bytes, view, view.getUint32(CommitEntry.count, true));
  if (offsets === undefined) return undefined;
  const time = view.getBigUint64(CommitEntry.time, true);
  return { time, offsets, watermark: flags === 0 ? undefined : watermark };
}

function decodeOffsets(bytes: Uint8Array, view: DataView, count: number): Map<string, number | bigint> | undefined {
  const offsets = new Map<string, number | bigint>();
  let at: number = CommitEntry.BYTES;
  for (let i = 0; i < count; i++) {
    if (at + COMMIT_OFFSET_BYTES > bytes.length) return undefined;
    const end = at + COMMIT_OFFSET_BYTES + view.getUint16(at + NAME_BYTES, true);
    const name = end > bytes.length ? undefined : decodeName(bytes.subarray(at + NAME, end));
    if (name === undefined || offsets.has(name)) return undefined;
    offsets.set(name, wordAt(view, at, false));
    at = end;
  }
  return at === bytes.length ? offsets : undefined;
}

function decodeName(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.length > SOURCE_NAME_BYTES_MAX) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The 64-bit number at `at`, as a number where that is exact. */
function wordAt(view: DataView, at: number, signed: boolean): number | bigint {
  const high = signed ? view.getInt32(at + U32, true) : view.getUint32(at + U32, true);
  const value = high * WORD + view.getUint32(at, true);
  if (Number.isSafeInteger(value)) return value;
  return signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
}

/** A safe integer goes without a bigint, which would cost more than all the rest. */
function setWord(view: DataView, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') {
    view.setBigUint64(at, value, true);
    return;
  }
  view.setUint32(at, value, true);
  view.setUint32(at + U32, Math.floor(value / WORD), true);
}

/** Offsets with others over them. */
export function overlaid(
  offsets: ReadonlyMap<string, number | bigint>, over: CommitOffsets,
): Map<string, number | bigint> {
  return new Map([...offsets, ...entriesOf(over)]);
}

/** The greater one of two watermarks. */
export function greater(a: number | bigint | undefined, b: number | bigint | undefined): number | bigint | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}

function entriesOf(offsets: CommitOffsets): Iterable<readonly [string, number | bigint]> {
  if (types.isMap(offsets)) return offsets;
  if (isPlain(offsets)) return Object.entries(offsets);
  throw wrongType('offsets', 'a plain object or a Map', offsets);
}

/** Of a Set, an array or a promise the offsets would be lost without a word. */
function isPlain(value: unknown): value is Readonly<Record<string, number | bigint>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function nameBytes(name: unknown): number {
  if (typeof name !== 'string') throw wrongType('the name of a source in offsets', 'a string', name);
  // No text of more units than the limit has fewer bytes.
  const bytes = name.length > SOURCE_NAME_BYTES_MAX ? name.length : Buffer.byteLength(name);
  if (bytes === 0 || bytes > SOURCE_NAME_BYTES_MAX) {
    throw outOfRange('the name of a source in offsets', `1 to ${SOURCE_NAME_BYTES_MAX} bytes long as UTF-8`, name);
  }
  if (!name.isWellFormed()) {
    throw outOfRange('the name of a source in offsets', 'text without lone surrogates, which no UTF-8 has', name);
  }
  return bytes;
}

function isOffset(value: unknown): boolean {
  if (typeof value === 'bigint') return BigInt.asUintN(64, value) === value;
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isWatermark(value: unknown): boolean {
  return typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value);
}

function wrongNumber(
  argument: string, range: typeof OFFSET_RANGE | typeof WATERMARK_RANGE, value: unknown,
): TypeError | RangeError {
  if (typeof value === 'number') return outOfRange(argument, `${range.numbers}, or a bigint`, value);
  if (typeof value === 'bigint') return outOfRange(argument, range.bigints, value);
  return wrongType(argument, 'a number or a bigint', value);
}

function quoted(name: string): string {
  return `'${name.length > 40 ? `${name.slice(0, 40)}…` : name}'`;
}

function tooLarge(bytes: number): VarveError {
  return new VarveError('ERR_VARVE_RECORD_TOO_LARGE',
    `a commit of ${bytes} bytes is above the limit of ${PAYLOAD_BYTES_MAX} bytes; commit fewer sources at a time`,
    { what: 'commit', bytes, limit: PAYLOAD_BYTES_MAX });
}
