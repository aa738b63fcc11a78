/**
 * Keys: text or bytes, 1 byte to 64 KiB. Text is its UTF-8. A lone surrogate has none, and would become the same bytes
 * as another key: it is refused, never replaced. Short keys of ASCII, as most are, pay for none of the checks.
 */
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import { utf8BytesMax, writeUtf8 } from '../log/utf8.ts';
import { KEY_VALUE_KEY_BYTES_MAX, type Key } from './types.ts';

const SHORT = 48;

/** Most bytes that `writeKey` writes for a key. Errors: as `checkKey`, of type and length alone */
export function keyRoom(key: Key): number {
  if (typeof key === 'string') {
    // No text of more units than the limit has fewer bytes.
    if (key.length > KEY_VALUE_KEY_BYTES_MAX) throw tooLong(Buffer.byteLength(key));
    return utf8BytesMax(key);
  }
  if (key instanceof Uint8Array) return key.length;
  throw wrongType('key', 'a string or a Uint8Array', key);
}

/**
 * Writes a key at `at` of `target`, which has the room that `keyRoom` says, and returns how many bytes it took.
 *
 * Errors: as `checkKey`; `target` holds rubbish then
 */
export function writeKey(target: Uint8Array, at: number, key: Key): number {
  if (typeof key === 'string') {
    const { length } = key;
    if (length > 0 && length <= SHORT) {
      let i = 0;
      while (i < length) {
        const unit = key.charCodeAt(i);
        if (unit > 127) break;
        target[at + i] = unit;
        i++;
      }
      if (i === length) return length;
    }
    requireWellFormed('key', key);
    const bytes = writeUtf8(target, at, key);
    requireLength('key', bytes);
    return bytes;
  }
  if (!(key instanceof Uint8Array)) throw wrongType('key', 'a string or a Uint8Array', key);
  requireLength('key', key.length);
  target.set(key, at);
  return key.length;
}

/**
 * Checks a key, wholly, without writing it anywhere.
 *
 * Errors: ERR_VARVE_INVALID_ARGUMENT (another type, empty, a lone surrogate), ERR_VARVE_RECORD_TOO_LARGE
 */
export function checkKey(key: unknown, name = 'key'): Key {
  if (typeof key === 'string') {
    requireWellFormed(name, key);
    requireLength(name, utf8BytesMax(key) <= KEY_VALUE_KEY_BYTES_MAX ? key.length : Buffer.byteLength(key));
    return key;
  }
  if (!(key instanceof Uint8Array)) throw wrongType(name, 'a string or a Uint8Array', key);
  requireLength(name, key.length);
  return key;
}

/** The bytes of a key or a prefix that was checked: those of text are new, others are the caller's. */
export function keyBytes(key: Key): Uint8Array {
  return typeof key === 'string' ? Buffer.from(key) : key;
}

/** Checks what the keys of an iteration begin with: as a key, but it may be empty. */
export function checkPrefix(prefix: unknown): Key {
  if (prefix === '' || (prefix instanceof Uint8Array && prefix.length === 0)) return prefix;
  return checkKey(prefix, 'options.prefix');
}

function requireWellFormed(name: string, text: string): void {
  if (!text.isWellFormed()) throw outOfRange(name, 'text without lone surrogates, which no UTF-8 has', text);
}

function requireLength(name: string, bytes: number): void {
  if (bytes === 0) throw outOfRange(name, `1 to ${KEY_VALUE_KEY_BYTES_MAX} bytes long`, bytes);
  if (bytes > KEY_VALUE_KEY_BYTES_MAX) throw tooLong(bytes);
}

function tooLong(bytes: number): VarveError {
  return new VarveError('ERR_VARVE_RECORD_TOO_LARGE',
    `key of ${bytes} bytes is above the limit of ${KEY_VALUE_KEY_BYTES_MAX} bytes`,
    { what: 'key', bytes, limit: KEY_VALUE_KEY_BYTES_MAX });
}

declare global {
  interface String {
    /** Whether there is no lone surrogate. Node.js 20. */
    isWellFormed(): boolean;
  }
}
