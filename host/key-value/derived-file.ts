/**
 * Files that only repeat what the log says: `KEYDIR` and the hints. They are written beside their place and renamed
 * into it when they are durable, so that a crash leaves the old file or the new one, and a `.new` at worst. One that
 * cannot be used is never an error: the log is read instead.
 */
import { join } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import { Status } from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { hintBaseLsnOf, KEYDIR_NAME, replacementPath } from '../log/names.ts';
import type { LogContext } from '../log/segment.ts';
import { statusName } from '../log/segments.ts';

/** What derived files need of a log. */
export type DerivedContext = Pick<LogContext, 'storage' | 'core' | 'directory'>;

/** Why a derived file is not used. */
export interface Unusable {
  /**
   * `absent`; `damaged`; `newer-version`; of `another-store`; `outdated`, of another state of the log; `unreadable`,
   * the system refuses it; `no-room` in the core's memory.
   */
  readonly reason: 'absent' | 'damaged' | 'newer-version' | 'another-store' | 'outdated' | 'unreadable' | 'no-room';
  readonly path: string;
  /** In words, for a report. */
  readonly because: string;
}

/** A file that only repeats what the log says, and that was not used. */
export interface IgnoredFile {
  readonly path: string;
  readonly because: string;
}

/** Whether this is a derived file that is not used. */
export function isUnusable(found: object | undefined): found is Unusable {
  return found !== undefined && 'reason' in found;
}

/** The answer for a file of which the core says this. */
export function unusableFor(path: string, status: number): Unusable {
  if (status === Status.NewerVersion) {
    return { reason: 'newer-version', path, because: 'it was written by a later version of varve' };
  }
  return { reason: 'damaged', path, because: `it is damaged (${statusName(status)})` };
}

/** Runs what reads a derived file; refusals of the system are answers too. */
export function attemptReading<T>(path: string, reading: () => T): T | Unusable {
  try {
    return reading();
  } catch (error) {
    if (VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) return { reason: 'absent', path, because: 'there is none' };
    if (VarveError.is(error, 'ERR_VARVE_MEMORY_FULL')) return { reason: 'no-room', path, because: error.message };
    if (VarveError.is(error, 'ERR_VARVE_IO') || VarveError.is(error, 'ERR_VARVE_UNSUPPORTED')) {
      return { reason: 'unreadable', path, because: error.message };
    }
    throw error;
  }
}

/** Makes the file that is going to be renamed to `path`; what a crash has left of one is removed. */
export function createReplacement({ storage }: DerivedContext, path: string): StoredFile {
  storage.remove(replacementPath(path));
  return storage.create(replacementPath(path));
}

/** Closes and removes a replacement that will not take its place; never fails. */
export function abandonReplacement({ storage }: DerivedContext, file: StoredFile): void {
  try {
    file.close();
    storage.remove(file.path);
  } catch {
    // Whoever opens the store next removes it.
  }
}

/** Removes what crashes have left of derived files that were never finished. For writers only. */
export function removeUnfinished({ storage, directory }: DerivedContext, names: readonly string[]): void {
  for (const name of names) {
    const finished = name.replace(/\.new$/, '');
    if (finished === name || (finished !== KEYDIR_NAME && hintBaseLsnOf(finished) === undefined)) continue;
    storage.remove(join(directory, name));
  }
}
