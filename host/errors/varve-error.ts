/**
 * The one error class of varve, and the two helpers for wrong arguments. Nothing here knows what it is about: the
 * caller gives code, message and details.
 */
import { ERROR_CODES, type ErrorCode, type ErrorKind } from './codes.ts';

const BRAND = Symbol.for('varve.error');

/** Facts of an error, for programs: path, segment, offset, lsn, expected, actual, errno, syscall, pid … */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** Every error that varve throws or rejects with, but for wrong arguments (`TypeError`, `RangeError`). */
export class VarveError extends Error {
  /** One of the codes of docs/errors.md. */
  readonly code: ErrorCode;
  /** The sort of trouble. */
  readonly kind: ErrorKind;
  /** The facts, by name. */
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'VarveError';
    this.code = code;
    this.kind = ERROR_CODES[code].kind;
    this.details = details;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Whether `value` is a `VarveError`, of this copy of the package or of another one. */
  static is(value: unknown, code?: ErrorCode): value is VarveError {
    if (typeof value !== 'object' || value === null || !(BRAND in value)) return false;
    return code === undefined || (value as unknown as VarveError).code === code;
  }

  /** So that `instanceof` agrees between the ES module, the CommonJS build and other copies. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === VarveError ? VarveError.is(value) : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'object') return `an instance of ${value.constructor?.name ?? 'Object'}`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
  return String(value);
}

function withCode<E extends Error>(error: E, argument: string, expected: string, actual: unknown): E {
  return Object.assign(error, {
    code: 'ERR_VARVE_INVALID_ARGUMENT' as const,
    kind: 'invalid' as const,
    details: { argument, expected, actual: describe(actual) },
  });
}

/** The error for an argument of the wrong type. */
export function wrongType(argument: string, expected: string, actual: unknown): TypeError {
  return withCode(
    new TypeError(`${argument} must be ${expected}, not ${describe(actual)}`), argument, expected, actual);
}

/** The error for an argument of the right type but out of range. */
export function outOfRange(argument: string, expected: string, actual: unknown): RangeError {
  return withCode(
    new RangeError(`${argument} must be ${expected}, not ${describe(actual)}`), argument, expected, actual);
}
