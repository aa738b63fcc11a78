/**
 * What the two formats of a typed store's file have in common, seen from those who open one: what a header says, and
 * the errors for what it should not say.
 */
import type { Core } from '../core/core.ts';
import type { LiveOffsets } from '../core/typed-header.ts';
import { VarveError, type ErrorDetails } from '../errors/varve-error.ts';
import { TYPED_CAPACITY_MAX, TYPED_FEATURE_CHECKSUMS, TYPED_FEATURE_RING } from '../generated/abi.ts';
import type { Storage, StoredFile } from '../io/storage.ts';
import type { Layout } from './layout.ts';
import type { Difference } from './schema-text.ts';

/** Where a typed store lives. */
export interface TypedContext {
  readonly core: Core;
  readonly storage: Storage;
  /** Absolute path of the file. */
  readonly path: string;
  /** Whether nothing is ever written, and no lock taken. */
  readonly readOnly: boolean;
}

export type FormatName = 'varve' | 'mmfg-1';

/** What a valid header says that never changes. */
export interface StoredHeader {
  /** As it was asked for, or as it stands in the file where nothing was. */
  readonly layout: Layout;
  /** What readers of the file must know: a set of `TYPED_FEATURE_…`. */
  readonly features: number;
  /** Where the records begin. */
  readonly recordsOffset: number;
  readonly metadata: Uint8Array;
}

/** What a file is made for. */
export interface NewFile {
  readonly layout: Layout;
  /** A set of `TYPED_FEATURE_…`; format `varve` only. */
  readonly features: number;
  /** Records that it has room for. */
  readonly capacity: number;
  readonly metadata: Uint8Array;
}

/** A format of the header. */
export interface TypedFormat {
  readonly live: LiveOffsets;
  /** Bytes of a page that hold the live words. */
  readonly liveBytes: number;
  /** Throws ERR_VARVE_INVALID_ARGUMENT where the format cannot have records of a layout. */
  requireLayout?(layout: Layout): void;
  /** Returns a new header, up to where the records begin. */
  create(context: TypedContext, made: NewFile): Uint8Array;
  /**
   * Reads and checks what never changes.
   *
   * @param layout what is expected; `undefined` where the file is to say it
   */
  read(context: TypedContext, file: StoredFile, layout: Layout | undefined): StoredHeader;
}

/** Whether records of a file with these features end with a checksum. */
export const hasChecksums = (features: number): boolean => (features & TYPED_FEATURE_CHECKSUMS) !== 0;
/** Whether a file with these features is a ring. */
export const isRing = (features: number): boolean => (features & TYPED_FEATURE_RING) !== 0;

/** The error for a file that was made with other options than it is opened with. */
export function madeOtherwise(path: string, found: readonly Difference[]): VarveError {
  const list = found.map(({ what, expected, actual }) => `${what} is ${String(actual)}, not ${String(expected)}`);
  return new VarveError('ERR_VARVE_SCHEMA_MISMATCH',
    `${path} was made with other options (${list.join('; ')}); leave them out, and the file says what it is`,
    { path, differences: found });
}

/** Throws where a file has not the features that it was asked for to have. */
export function requireFeatures(
  path: string, features: number, wanted: { readonly checksums?: boolean; readonly ring?: boolean },
): void {
  const found = [
    { what: 'checksums', expected: wanted.checksums, actual: hasChecksums(features) },
    { what: 'ring', expected: wanted.ring, actual: isRing(features) },
  ].filter(({ expected, actual }) => expected !== undefined && expected !== actual);
  if (found.length > 0) throw madeOtherwise(path, found);
}

/** The error for a header that contradicts itself or its file. */
export function corruptHeader(path: string, what: string, details: ErrorDetails): VarveError {
  return new VarveError('ERR_VARVE_CORRUPT', `the header of ${path} is damaged: ${what}; restore a copy`,
    { path, ...details });
}

/** The error for a file that is none of the format. */
export function notThisFormat(path: string, what: string, details: ErrorDetails): VarveError {
  return new VarveError('ERR_VARVE_FORMAT', `${path} is not a typed store of this format: ${what}`, { path, ...details });
}

/** The error for a file that only a later version can read, or write. */
export function newerFile(path: string, what: string, details: ErrorDetails): VarveError {
  return new VarveError('ERR_VARVE_NEWER_VERSION', `${path} ${what}; update varve`, { path, ...details });
}

/** Reads [position, position + length) of a file that must have them. */
export function readExactly(file: StoredFile, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const actual = file.read(bytes, position);
  if (actual < length) {
    throw notThisFormat(file.path, `it ends after ${position + actual} bytes, in the middle of its header`,
      { expected: position + length, actual: position + actual });
  }
  return bytes;
}

/** Checks the live words of a header against each other and against the file. */
export function checkLive(
  path: string, { count, capacity }: { readonly count: number; readonly capacity: number }, ring: boolean,
  recordsOffset: number, stride: number, size: number,
): void {
  // Words beyond 2^63 come as negative numbers.
  if (!(capacity >= 1 && capacity <= TYPED_CAPACITY_MAX)) {
    throw corruptHeader(path, `it has room for ${capacity} records`,
      { field: 'capacity', expected: `1 to ${TYPED_CAPACITY_MAX}`, actual: capacity });
  }
  if (ring && !(count >= 0 && count <= Number.MAX_SAFE_INTEGER)) {
    throw corruptHeader(path, `it counts ${count} records`,
      { field: 'count', expected: `0 to ${Number.MAX_SAFE_INTEGER}`, actual: count });
  }
  if (!ring && !(count >= 0 && count <= capacity)) {
    throw corruptHeader(path, `it counts ${count} records and has room for ${capacity}`,
      { field: 'count', expected: `0 to ${capacity}`, actual: count });
  }
  const least = recordsOffset + capacity * stride;
  if (size < least) {
    throw corruptHeader(path, `the file has ${size} bytes, and room for ${capacity} records takes ${least}`,
      { field: 'capacity', expected: least, actual: size, capacity });
  }
}
