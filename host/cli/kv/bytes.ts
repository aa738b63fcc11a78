/**
 * Keys and values on the command line: as text, base64 or hexadecimal, or the bytes of a file or of standard input; and
 * how both are printed.
 */
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { KEY_BYTES_MAX } from '../../generated/abi.ts';
import { translated } from '../../io/errors.ts';
import { UsageError } from '../exit.ts';

export type Encoding = 'text' | 'base64' | 'hex';
const ENCODINGS: readonly Encoding[] = ['text', 'base64', 'hex'];
const STANDARD_INPUT = '-';

/** How a key is given. */
export interface KeyOptions {
  readonly keyEncoding: Encoding;
  readonly keyFile?: string;
}

/** How a value is given or printed. */
export interface ValueOptions {
  readonly valueEncoding: Encoding;
}

function encodingOption(flag: string, what: string): Option {
  return new Option(`${flag} <encoding>`, `how ${what}: text (UTF-8), base64, hex`).choices(ENCODINGS).default('text');
}

/** Adds the options of commands that take a key. */
export function addKeyOptions(command: Command): Command {
  return command.addOption(encodingOption('--key-encoding', 'the key is written'))
    .option('--key-file <file>', 'the key is the bytes of this file (-: standard input), and no argument');
}

/** Adds the option of commands that print or take keys that are no arguments. */
export function addKeyEncoding(command: Command, what: string): Command {
  return command.addOption(encodingOption('--key-encoding', what));
}

/** Adds the option of commands that take or print a value. */
export function addValueEncoding(command: Command, what: string): Command {
  return command.addOption(encodingOption('--value-encoding', what));
}

/** Takes the key of a command out of its arguments, or from its file. */
export function takeKey(args: string[], { keyEncoding, keyFile }: KeyOptions): Uint8Array {
  if (keyFile !== undefined) return bytesOfFile(keyFile);
  const text = args.shift();
  if (text === undefined) throw new UsageError('a key is missing', 'give it behind the directory, or by --key-file');
  return decoded('the key', text, keyEncoding);
}

/** Refuses what is no key, before a store is made for it. */
export function requireKey({ length }: Uint8Array): void {
  if (length < 1 || length > KEY_BYTES_MAX) throw new UsageError(`a key has 1 to ${KEY_BYTES_MAX} bytes, not ${length}`);
}

/** The bytes of an argument. */
export function decoded(what: string, text: string, encoding: Encoding): Uint8Array {
  if (encoding === 'text') return Buffer.from(text);
  const bytes = Buffer.from(text, encoding);
  // Node.js passes over what does not belong: only the way back shows it.
  const again = bytes.toString(encoding);
  const same = encoding === 'hex' ? again === text.toLowerCase() : again.replace(/=+$/, '') === text.replace(/=+$/, '');
  if (!same) throw new UsageError(`${what} is not ${encoding === 'hex' ? 'hexadecimal' : encoding}: ${text}`);
  return bytes;
}

/** The bytes of a file, or of standard input. */
export function bytesOfFile(path: string): Uint8Array {
  try {
    return readFileSync(path === STANDARD_INPUT ? 0 : path);
  } catch (error) {
    throw translated(error, path);
  }
}

/** Bytes as they are printed; as text they are given out as they are. */
export function encoded(bytes: Uint8Array, encoding: Encoding): Uint8Array | string {
  return encoding === 'text' ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding);
}

/** Text where the bytes are UTF-8, so that nothing is lost; else base64 under another name. */
export function member(name: string, bytes: Uint8Array): object {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(buffer) ? { [name]: buffer.toString('utf8') } : { [`${name}_b64`]: buffer.toString('base64') };
}

const UNITS: Readonly<Record<string, number>> = { 'ms': 1, '': 1, 's': 1000, 'm': 60_000, 'h': 3_600_000, 'd': 86_400_000 };

/** Milliseconds of `500`, `500ms`, `30s`, `5m`, `12h`, `7d`. */
export function duration(text: string): number {
  const match = /^(\d+)(ms|s|m|h|d)?$/.exec(text);
  const milliseconds = match === null ? NaN : Number(match[1]) * UNITS[match[2] ?? '']!;
  if (Number.isSafeInteger(milliseconds) && milliseconds > 0) return milliseconds;
  throw new InvalidArgumentError('It must be a time above 0 such as 500ms, 30s, 5m, 12h or 7d.');
}

/** Milliseconds since 1970 of a number or a date. */
export function instant(text: string): number {
  const milliseconds = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(milliseconds) && milliseconds > 0) return milliseconds;
  throw new InvalidArgumentError('It must be a date such as 2030-01-31T12:00:00Z, or milliseconds since 1970.');
}

/** A share, 0 to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 1.');
}
