/**
 * Opening the file of a typed store, and making it where there is none. Whoever writes takes the lock first, so that
 * nothing is made, mended or removed beside another writer.
 */
import { VarveError } from '../errors/varve-error.ts';
import { createDirectory, createFile, discardFile, newFile } from './create.ts';
import { mmfgFormat } from './header-mmfg.ts';
import { ownFormat } from './header-own.ts';
import { requireFeatures, type FormatName, type TypedContext, type TypedFormat } from './header.ts';
import type { Layout } from './layout.ts';
import { TypedFile, type StoreLock, type TypedFileOptions } from './typed-file.ts';

const FORMATS: Readonly<Record<FormatName, TypedFormat>> = { 'varve': ownFormat, 'mmfg-1': mmfgFormat };

/**
 * Opens a file, or makes it.
 *
 * @param layout the schema's layout; `undefined` to take it from the file, which needs format `varve`
 * Errors: ERR_VARVE_LOCKED, ERR_VARVE_NOT_FOUND, ERR_VARVE_EXISTS, ERR_VARVE_SCHEMA_MISMATCH, ERR_VARVE_FORMAT,
 * ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
 */
export function openTypedFile(context: TypedContext, layout: Layout | undefined, options: TypedFileOptions): TypedFile {
  const { storage, path, readOnly } = context;
  const format = FORMATS[options.format];
  if (layout !== undefined) format.requireLayout?.(layout);
  if (readOnly) return openWith(context, format, layout, options, undefined);
  const mayCreate = options.create !== false && layout !== undefined;
  if (options.create === 'new') requireNone(context);
  const isThere = storage.exists(path);
  if (!isThere) {
    if (mayCreate) createDirectory(context);
    else storage.open(path, 'read').close();
  }
  const lockPath = `${path}.lock`;
  const lock: StoreLock = options.writers === 'one' ? storage.lock(lockPath) : storage.lockShared(lockPath);
  try {
    // Another one may have made it meanwhile.
    if (options.create === 'new') requireNone(context);
    // What somebody was making who died.
    if (lock.alone !== false) discardFile(context);
    // Whoever shares the lock with others finds the file that the first of them has made.
    if (mayCreate && !isThere && lock.alone !== false && !storage.exists(path)) {
      createFile(context, format, newFile(context.core, layout, options));
    }
    const file = openWith(context, format, layout, options, lock);
    try {
      lock.share?.();
      return file;
    } catch (error) {
      file.abandon();
      throw error;
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

function requireNone({ storage, path }: TypedContext): void {
  if (!storage.exists(path)) return;
  throw new VarveError('ERR_VARVE_EXISTS', `${path} is there already; open it, or choose another path`, { path });
}

/** The format of a name. */
export function formatNamed(name: FormatName): TypedFormat {
  return FORMATS[name];
}

/** Opens for writing a file that nobody else knows of, without a lock. Errors as `openTypedFile`. */
export function openUnlocked(context: TypedContext, format: FormatName, layout: Layout): TypedFile {
  return openWith(context, FORMATS[format], layout, { format, create: false, writers: 'one' }, undefined);
}

function noteWrite(opened: TypedFile): void {
  try {
    opened.noteWrite();
  } catch (error) {
    opened.abandon();
    throw error;
  }
}

function openWith(
  context: TypedContext, format: TypedFormat, layout: Layout | undefined, options: TypedFileOptions,
  lock: StoreLock | undefined,
): TypedFile {
  const file = context.storage.open(context.path, context.readOnly ? 'read' : 'write');
  try {
    const header = format.read(context, file, layout);
    requireFeatures(context.path, header.features, options);
    const opened = new TypedFile(context, format, file, header, options, lock);
    if (!context.readOnly && options.notesWrites !== true) noteWrite(opened);
    return opened;
  } catch (error) {
    file.close();
    throw error;
  }
}
