/**
 * Turns refusals of the operating system into `VarveError`s. It owns the table errno → code and the wording; it never
 * retries and never swallows. Every error that it makes has `details` {path, syscall, errno}, where errno is the
 * symbolic name ('ENOSPC'), which is the same on every platform.
 */
import { getSystemErrorName } from 'node:util';
import type { ErrorCode } from '../errors/codes.ts';
import { VarveError } from '../errors/varve-error.ts';

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'ERR_VARVE_DISK_FULL',
  EDQUOT: 'ERR_VARVE_DISK_FULL',
  EFBIG: 'ERR_VARVE_DISK_FULL',
  ENOENT: 'ERR_VARVE_NOT_FOUND',
};

const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_VARVE_DISK_FULL: '; make room, or raise the quota or the file-size limit',
  ERR_VARVE_NOT_FOUND: '; check the path',
  ERR_VARVE_UNSUPPORTED: '; use a local file system',
};

/** Names that mean "this file system cannot do it", where a call may say so. */
export const CANNOT: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL', 'ENODEV', 'ENOLCK']);

/** The symbolic name of a positive errno. */
export function errnoName(errno: number): string {
  return errno > 0 ? getSystemErrorName(-errno) : `errno ${errno}`;
}

/** The error for a system call that failed with the errno named `name`; `code` overrules the table. */
export function refused(syscall: string, path: string, name: string, code?: ErrorCode, cause?: unknown): VarveError {
  const chosen = code ?? CODES[name] ?? 'ERR_VARVE_IO';
  return new VarveError(chosen, `${syscall} failed with ${name}: ${path}${HINTS[chosen] ?? ''}`,
    { path, syscall, errno: name }, cause);
}

/** The same for an error that `node:fs` threw; anything else comes back as it is. */
export function translated(error: unknown, path: string): unknown {
  if (VarveError.is(error)) return error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  // Errors of the system have both; a TypeError of node's own argument checks has only a code.
  if (code === undefined || syscall === undefined) return error;
  return refused(syscall, path, code, undefined, error);
}

/** Runs one `node:fs` operation on `path` and throws what it throws as a `VarveError`. */
export function attempt<T>(path: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw translated(error, path);
  }
}

/** The error for a caller inside varve that broke a rule of `Storage`. */
export function misuse(message: string, details: Record<string, unknown>): VarveError {
  return new VarveError('ERR_VARVE_INTERNAL', `${message}; this is a bug, please report it`, details);
}
