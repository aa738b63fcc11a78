/**
 * The options that every store on a log takes, and the checks that all options share. Everything wrong is found before
 * anything is touched: TypeError for a wrong type, RangeError for a wrong value, both ERR_VARVE_INVALID_ARGUMENT.
 */
import { resolve } from 'node:path';
import type { Core } from '../core/core.ts';
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { SEGMENT_BYTES_MAX } from '../generated/abi.ts';
import type { Storage } from '../io/storage.ts';

/** Options of opening a log. */
export interface LogOptions {
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
export interface CheckedLogOptions {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly segmentBytes: number;
  readonly mappedBytesMax: number;
  readonly core: Core | undefined;
  readonly storage: Storage | undefined;
}

/** Names of the options of a log. */
export const LOG_OPTIONS = ['readOnly', 'create', 'segmentBytes', 'mappedBytesMax', 'core', 'storage'] as const;

const SEGMENT_BYTES_MIN = 65536;
const SEGMENT_BYTES_DEFAULT = 64 << 20;
const MAPPED_BYTES_DEFAULT = 1 << 30;
const PAGE_BYTES = 4096;

/** Checks an integer of [least, most]. */
export function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw outOfRange(name, `an integer from ${least} to ${most}`, value);
  }
  return value;
}

/** Checks a boolean. */
export function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value);
  return value;
}

/** Checks that options are an object of known names alone. */
export function requireKnown(name: string, options: unknown, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null) throw wrongType(name, 'an object', options);
  for (const each of Object.keys(options)) {
    if (!known.has(each)) throw outOfRange(name, `made of ${[...known].join(', ')}`, each);
  }
}

/** Checks a directory's path and makes it absolute. */
export function checkDirectory(directory: unknown): string {
  if (typeof directory !== 'string') throw wrongType('directory', 'a path', directory);
  if (directory === '' || directory.includes('\0')) throw outOfRange('directory', 'a path without null bytes', directory);
  return resolve(directory);
}

/** Checks the options of a log; those of the store on it are its own. */
export function checkLogOptions(directory: unknown, options: LogOptions): CheckedLogOptions {
  const path = checkDirectory(directory);
  const bytes = integer(
    'options.segmentBytes', options.segmentBytes ?? SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
  return {
    directory: path,
    readOnly: flag('options.readOnly', options.readOnly ?? false),
    create: flag('options.create', options.create ?? true),
    segmentBytes: Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES,
    mappedBytesMax: integer(
      'options.mappedBytesMax', options.mappedBytesMax ?? MAPPED_BYTES_DEFAULT, 0, Number.MAX_SAFE_INTEGER),
    core: options.core,
    storage: options.storage,
  };
}
