/**
 * Making the file of a typed store: whole under another name, synced, and only then under its own. A crash leaves the
 * other name at most, which the next attempt removes.
 */
import { dirname } from 'node:path';
import type { Core } from '../core/core.ts';
import { outOfRange } from '../errors/varve-error.ts';
import {
  TYPED_CAPACITY_MAX, TYPED_CAPACITY_MIN, TYPED_FEATURE_CHECKSUMS, TYPED_FEATURE_KINDS, TYPED_FEATURE_RING,
} from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import type { NewFile, TypedContext, TypedFormat } from './header.ts';
import { hasKinds, withChecksums, type Layout } from './layout.ts';
import type { TypedFileOptions } from './typed-file.ts';

const NOTHING = new Uint8Array(0);

/** The capacity that a file must have for `least` records: 64, doubled. */
export function capacityFor(least: number, from: number = TYPED_CAPACITY_MIN): number {
  if (!(least <= TYPED_CAPACITY_MAX)) throw outOfRange('records', `at most ${TYPED_CAPACITY_MAX}`, least);
  let capacity = Math.max(from, TYPED_CAPACITY_MIN);
  while (capacity < least) capacity *= 2;
  return Math.min(capacity, TYPED_CAPACITY_MAX);
}

/** What a new file is made for. Throws ERR_VARVE_INVALID_ARGUMENT where a ring's capacity was not said. */
export function newFile(core: Core, layout: Layout, options: TypedFileOptions): NewFile {
  const { checksums = false, ring = false, capacity = 0, metadata = NOTHING } = options;
  if (ring && capacity < 1) {
    throw outOfRange('options.capacity', 'given with ring: true, as the records that the ring holds', options.capacity);
  }
  return {
    layout: withChecksums(core, layout, checksums),
    features: (hasKinds(layout) ? TYPED_FEATURE_KINDS : 0) | (checksums ? TYPED_FEATURE_CHECKSUMS : 0)
      | (ring ? TYPED_FEATURE_RING : 0),
    capacity: ring ? capacity : capacityFor(capacity),
    metadata,
  };
}

/** Makes the directory, and its name durable. */
export function createDirectory({ storage, path }: TypedContext): void {
  for (const made of storage.createDirectory(dirname(path))) storage.syncDirectoryNow(dirname(made));
}

/** Makes the file, durable. Its directory is there, and nobody else makes it. */
export function createFile(context: TypedContext, format: TypedFormat, made: NewFile): void {
  prepareFile(context, format, made);
  try {
    adoptFile(context);
  } catch (error) {
    discardFile(context);
    throw error;
  }
}

/** The name that a file has until it is whole. */
function newPathOf({ path }: TypedContext): string {
  return `${path}.new`;
}

/**
 * Makes a file under its other name, durable, and returns that name. Whoever holds the lock may do it.
 *
 * @param like the file whose rights it gets
 */
export function prepareFile(context: TypedContext, format: TypedFormat, made: NewFile, like?: string): string {
  const { storage } = context;
  const header = format.create(context, made);
  const newPath = newPathOf(context);
  storage.remove(newPath);
  let file: StoredFile | undefined;
  try {
    file = storage.create(newPath, like);
    file.allocate(header.length + made.capacity * made.layout.stride);
    file.write(header, 0);
    file.syncNow();
    return newPath;
  } catch (error) {
    storage.remove(newPath);
    throw error;
  } finally {
    file?.close();
  }
}

/** Gives a file that was prepared its own name, durable; what had that name loses it. */
export function adoptFile(context: TypedContext): void {
  const { storage, path } = context;
  storage.rename(newPathOf(context), path);
  storage.syncDirectoryNow(dirname(path));
}

/** Removes what was prepared and not adopted, if there is such. Whoever holds the lock may do it. */
export function discardFile(context: TypedContext): void {
  const newPath = newPathOf(context);
  if (context.storage.exists(newPath)) context.storage.remove(newPath);
}
