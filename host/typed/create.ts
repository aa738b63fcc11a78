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
  const { storage, path } = context;
  const header = format.create(context, made);
  const newPath = `${path}.new`;
  storage.remove(newPath);
  let file: StoredFile | undefined;
  try {
    file = storage.create(newPath);
    file.allocate(header.length + made.capacity * made.layout.stride);
    file.write(header, 0);
    file.syncNow();
    storage.rename(newPath, path);
  } catch (error) {
    storage.remove(newPath);
    throw error;
  } finally {
    file?.close();
  }
  storage.syncDirectoryNow(dirname(path));
}
