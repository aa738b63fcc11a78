/**
 * The options of a typed store, and their checking. Everything wrong is found here, before anything is touched.
 */
import { resolve } from 'node:path';
import { Core } from '../core/core.ts';
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { TYPED_CAPACITY_MAX } from '../generated/abi.ts';
import { realStorage } from '../io/real-storage.ts';
import type { Storage } from '../io/storage.ts';
import type { FormatName, TypedContext } from './header.ts';
import type { TypedFileOptions } from './typed-file.ts';

/** Options of `TypedStore.open`. */
export interface TypedStoreOptions {
  /**
   * Opens for reading only: takes no lock, creates nothing, writes nothing; works beside writers in other processes.
   * Default false.
   */
  readonly readOnly?: boolean;
  /**
   * Whether a store is made where there is none. Default true; without meaning when `readOnly`. With `'new'` it is
   * made, or the call fails: where there is one, with ERR_VARVE_EXISTS.
   */
  readonly create?: boolean | 'new';
  /**
   * Whether one store at a time is open for writing (`'one'`, the default) or several are, in any processes and threads
   * (`'many'`). Those that write at the same time must all say `'many'`.
   */
  readonly writers?: 'one' | 'many';
  /** `'varve'`, the default: checksummed, with the schema in the file; or `'mmfg-1'`, the format of mmapforge. */
  readonly format?: FormatName;
  /**
   * Whether each record of a new file ends with a checksum of its fields, which every write brings up to date and every
   * read verifies; format `'varve'` only. Fields are read through their whole records then. Default: as the file was
   * made, and false for a new one; where the file is otherwise, ERR_VARVE_SCHEMA_MISMATCH.
   */
  readonly checksums?: boolean;
  /**
   * Whether a new file is a ring: it holds the last `capacity` records, never grows, and each record appended beyond
   * takes the place of the oldest; format `'varve'` only. Default: as the file was made, and false for a new one; where
   * the file is otherwise, ERR_VARVE_SCHEMA_MISMATCH.
   */
  readonly ring?: boolean;
  /**
   * Records that a new file has room for, rounded up to 64, 128, 256 …; it grows by itself. Default 64. Of a ring, the
   * records that it holds, exactly: to be given when it is made, 1 to 2^31 - 1.
   */
  readonly capacity?: number;
  /** What a new file keeps for its user, at most some 60 KiB with the schema; not for `'mmfg-1'`. */
  readonly metadata?: Uint8Array;
  /** A core of its own instead of the one that the stores of this thread share. */
  readonly core?: Core;
  /** Another storage than the real disk: for tests. */
  readonly storage?: Storage;
}

const KNOWN = [
  'readOnly', 'create', 'writers', 'format', 'checksums', 'ring', 'capacity', 'metadata', 'core', 'storage',
];

function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value);
  return value;
}

function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw outOfRange(name, allowed.map((one) => `'${one}'`).join(' or '), value);
  return value;
}

/** Checks what `TypedStore.open` was given. Throws TypeError and RangeError (ERR_VARVE_INVALID_ARGUMENT). */
export function checkOptions(path: string, options: TypedStoreOptions): [TypedContext, TypedFileOptions] {
  if (typeof path !== 'string') throw wrongType('path', 'a path', path);
  if (path === '' || path.includes('\0')) throw outOfRange('path', 'a path without null bytes', path);
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
  for (const name of Object.keys(options)) {
    if (!KNOWN.includes(name)) throw outOfRange('options', `made of ${KNOWN.join(', ')}`, name);
  }
  const { capacity, metadata } = options;
  if (capacity !== undefined) {
    if (typeof capacity !== 'number') throw wrongType('options.capacity', 'a number', capacity);
    if (!Number.isInteger(capacity) || capacity < 0 || capacity > TYPED_CAPACITY_MAX) {
      throw outOfRange('options.capacity', `an integer from 0 to ${TYPED_CAPACITY_MAX}`, capacity);
    }
  }
  if (metadata !== undefined && !(metadata instanceof Uint8Array)) {
    throw wrongType('options.metadata', 'a Uint8Array', metadata);
  }
  if (options.create === 'new' && options.readOnly === true) {
    throw outOfRange('options.readOnly', 'left out: create is \'new\'', true);
  }
  const format = oneOf('options.format', options.format ?? 'varve', ['varve', 'mmfg-1']);
  if (format === 'mmfg-1' && metadata !== undefined) {
    throw outOfRange('options.metadata', 'left out: format \'mmfg-1\' has no room for it', metadata);
  }
  const features: { checksums?: boolean; ring?: boolean } = {};
  for (const name of ['checksums', 'ring'] as const) {
    if (options[name] === undefined) continue;
    features[name] = flag(`options.${name}`, options[name]);
    if (format === 'mmfg-1' && features[name]) {
      throw outOfRange(`options.${name}`, 'false or left out: format \'mmfg-1\' has plain records alone', true);
    }
  }
  const context = {
    path: resolve(path), readOnly: flag('options.readOnly', options.readOnly ?? false),
    core: options.core ?? Core.shared(), storage: options.storage ?? realStorage(),
  };
  return [context, {
    format,
    create: options.create === 'new' ? 'new' : flag('options.create', options.create ?? true),
    writers: oneOf('options.writers', options.writers ?? 'one', ['one', 'many']),
    ...features,
    ...capacity === undefined ? {} : { capacity },
    ...metadata === undefined ? {} : { metadata },
  }];
}
