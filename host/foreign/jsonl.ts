/**
 * JSON Lines of keys and values, as datawal exports them: `{"key_b64":"…","value_b64":"…"}` a line, in UTF-8, keys and
 * values in base64 of RFC 4648, with padding. This is one line, and its limits; files are jsonl-writer.ts and
 * jsonl-reader.ts.
 */
import { KEY_BYTES_MAX } from '../generated/abi.ts';
import { VALUE_BYTES_MAX } from '../limits.ts';
import type { Pair } from './pairs.ts';

/** What can be wrong with a line. */
export type JsonlFault =
  | 'json' | 'object' | 'unknown-property' | 'missing-property' | 'type' | 'base64' | 'empty-key' | 'key-length'
  | 'value-length' | 'line-length';

/** What is wrong, in words. */
export interface JsonlProblem {
  readonly fault: JsonlFault;
  readonly message: string;
}

/** Most bytes of a line: the largest value in base64, with room for other ways to write the same JSON. */
export const JSONL_LINE_BYTES_MAX = 1 << 27;

const KEY = 'key_b64';
const VALUE = 'value_b64';
const BEGIN = `{"${KEY}":"`;
const MIDDLE = `","${VALUE}":"`;
const END = '"}';
const QUOTE = 0x22;

/** The line of a pair, with its newline. It is ASCII. */
export function jsonlLine(key: Uint8Array, value: Uint8Array): string {
  return `${BEGIN}${base64(key)}${MIDDLE}${base64(value)}${END}\n`;
}

/** The pair of a line, which comes without its newline; its bytes are new. */
export function parseJsonlLine(line: Buffer): Pair | JsonlProblem {
  return parsePlain(line) ?? parseAny(line);
}

/** A line exactly as `jsonlLine` writes it, without making an object of it; `undefined` for any other. */
function parsePlain(line: Buffer): Pair | undefined {
  const keyEnd = line.indexOf(QUOTE, BEGIN.length);
  const valueAt = keyEnd + MIDDLE.length;
  const valueEnd = line.length - END.length;
  if (keyEnd < 0 || valueAt > valueEnd || !has(line, 0, BEGIN) || !has(line, keyEnd, MIDDLE)
    || !has(line, valueEnd, END)) return undefined;
  const key = bytesOf(line.toString('latin1', BEGIN.length, keyEnd));
  const value = bytesOf(line.toString('latin1', valueAt, valueEnd));
  return key === undefined || value === undefined || problemOf(key, value) !== undefined ? undefined : [key, value];
}

function has(line: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (line[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

function parseAny(line: Buffer): Pair | JsonlProblem {
  let object: unknown;
  try {
    object = JSON.parse(line.toString('utf8'));
  } catch (error) {
    return { fault: 'json', message: `it is no JSON (${(error as Error).message})` };
  }
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    return { fault: 'object', message: 'it is no object' };
  }
  for (const name of Object.keys(object)) {
    if (name !== KEY && name !== VALUE) {
      return { fault: 'unknown-property', message: `it has a property ${JSON.stringify(name)}; ${KEY} and ${VALUE} are known` };
    }
  }
  const found: Buffer[] = [];
  for (const name of [KEY, VALUE]) {
    if (!(name in object)) return { fault: 'missing-property', message: `it has no ${name}` };
    const text = (object as Record<string, unknown>)[name];
    if (typeof text !== 'string') return { fault: 'type', message: `its ${name} is no string` };
    const bytes = bytesOf(text);
    if (bytes === undefined) return { fault: 'base64', message: `its ${name} is no base64 with padding` };
    found.push(bytes);
  }
  const [key, value] = found as [Buffer, Buffer];
  return problemOf(key, value) ?? [key, value];
}

function problemOf(key: Buffer, value: Buffer): JsonlProblem | undefined {
  if (key.length === 0) return { fault: 'empty-key', message: 'its key is empty' };
  if (key.length > KEY_BYTES_MAX) {
    return { fault: 'key-length', message: `its key has ${key.length} bytes; at most ${KEY_BYTES_MAX} are allowed` };
  }
  if (value.length <= VALUE_BYTES_MAX) return undefined;
  return { fault: 'value-length', message: `its value has ${value.length} bytes; at most ${VALUE_BYTES_MAX} are allowed` };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** The bytes of base64; `undefined` where it is none, or not the one way to write them. */
function bytesOf(text: string): Buffer | undefined {
  // Node.js passes over what is no base64: only the way back shows whether there was something else.
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
