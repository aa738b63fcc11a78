/**
 * Codecs: how values become bytes and bytes become values. A codec is compiled once, when a store is opened, into one
 * shape, so that no call decides again what it is.
 *
 * - Encoding comes before anything is touched: an error of a user's codec leaves the store as it was, and passes
 *   through unchanged.
 * - Bytes that a codec with a buffer of its own has encoded are overwritten by its next call (`transient`).
 */
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import { MsgpackCodec } from './msgpack.ts';
import { VALUE_BYTES_MAX } from '../limits.ts';
import type { BufferCodec, Codec, ValueCodec } from './types.ts';

/** A codec as the store uses it. */
export interface CompiledCodec<V> {
  /** The bytes of a value, or its text, which the store writes as UTF-8 where it belongs. */
  readonly encode: (value: V) => Uint8Array | string;
  /** The value of bytes: bytes of its own, unless `copies`. */
  readonly decode: (bytes: Buffer) => V;
  /** The value of [from, to) of a buffer; only where `copies`. Text needs no view of its bytes. */
  readonly decodeWithin: (buffer: Buffer, from: number, to: number) => V;
  /** Whether values share no memory with the bytes that they came from: then these may be a view of the mapped file. */
  readonly copies: boolean;
  /** Whether it only reads text of the bytes: no code of a user's, and nothing that lasts, sees them. */
  readonly text: boolean;
  /** Whether the bytes that `encode` gave change with its next call: who needs them longer copies them. */
  readonly transient: boolean;
}

const BUFFER_BYTES = 16384;
/** Most bytes of UTF-8 for one unit of a text. */
const UTF8_BYTES_MAX = 3;

function compiled<V>(
  encode: (value: V) => Uint8Array | string, decode: (bytes: Buffer) => V,
  decodeWithin: (buffer: Buffer, from: number, to: number) => V, copies: boolean, transient: boolean,
  text = false,
): CompiledCodec<V> {
  return { encode, decode, decodeWithin, copies, transient, text };
}

function within<V>(decode: (bytes: Buffer) => V): (buffer: Buffer, from: number, to: number) => V {
  return (buffer, from, to) => decode(buffer.subarray(from, to));
}

function binary(): CompiledCodec<Uint8Array> {
  const encode = (value: Uint8Array): Uint8Array => {
    if (value instanceof Uint8Array) return bounded(value);
    throw wrongType('value', 'a Uint8Array', value);
  };
  const decode = (bytes: Buffer): Buffer => bytes;
  return compiled<Uint8Array>(encode, decode, within(decode), false, false);
}

function utf8(): CompiledCodec<string> {
  const encode = (value: string): string => {
    if (typeof value === 'string') return bounded(value);
    throw wrongType('value', 'a string', value);
  };
  return compiled(encode, (bytes) => bytes.utf8Slice(0, bytes.length),
    (buffer, from, to) => buffer.utf8Slice(from, to), true, false, true);
}

function json(): CompiledCodec<unknown> {
  const encode = (value: unknown): string => {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      // A bigint, or an object that contains itself. What a `toJSON` of the user throws is the user's.
      if (!(error instanceof TypeError)) throw error;
      throw Object.assign(wrongType('value', 'a value that JSON can hold', value), { cause: error });
    }
    if (text === undefined) throw wrongType('value', 'a value that JSON can hold', value);
    return bounded(text);
  };
  const parse = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw badValue('json', 'JSON', error);
    }
  };
  return compiled(encode, (bytes) => parse(bytes.utf8Slice(0, bytes.length)),
    (buffer, from, to) => parse(buffer.utf8Slice(from, to)), true, false, true);
}

/** The error for bytes that are no value of the codec that the store was opened with. */
function badValue(codec: string, what: string, cause: unknown): VarveError {
  return new VarveError('ERR_VARVE_BAD_VALUE',
    `the value is not ${what}; open the store with the codec that it was written with`, { codec }, cause);
}

function msgpack(codec: MsgpackCodec): CompiledCodec<unknown> {
  const decode = (bytes: Buffer): unknown => {
    try {
      return codec.decode(bytes);
    } catch (error) {
      throw badValue('msgpack', 'MessagePack', error);
    }
  };
  return compiled((value) => bounded(codec.encodeShared(value)), decode, within(decode), true, true);
}

function own<V>(codec: Codec<V>): CompiledCodec<V> {
  const { encode, decode } = codec;
  return compiled<V>((value) => {
    const bytes = encode.call(codec, value);
    if (typeof bytes === 'string' || bytes instanceof Uint8Array) return bounded(bytes);
    throw wrongType('the result of values.encode', 'a Uint8Array or a string', bytes);
  }, (bytes) => decode.call(codec, bytes), within((bytes) => decode.call(codec, bytes)), false, false);
}

/** Encodes into a buffer that grows until values fit, up to the largest value. */
class BufferEncoder<V> {
  private readonly codec: BufferCodec<V>;
  private readonly encodeInto: BufferCodec<V>['encodeInto'];
  /** Absent while a value is being encoded: a codec that puts another one meanwhile gets a buffer of its own. */
  private buffer: Buffer | undefined;

  constructor(codec: BufferCodec<V>) {
    this.codec = codec;
    this.encodeInto = codec.encodeInto;
  }

  encode(value: V): Uint8Array {
    const before = this.buffer ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.buffer = undefined;
    let kept = before;
    try {
      let buffer = before;
      let written = this.attempt(value, buffer);
      while (written < 0) {
        if (buffer.length >= VALUE_BYTES_MAX) throw tooLarge(`above the limit of ${VALUE_BYTES_MAX} bytes`);
        buffer = Buffer.allocUnsafeSlow(Math.min(buffer.length * 2, VALUE_BYTES_MAX));
        written = this.attempt(value, buffer);
      }
      kept = buffer;
      return buffer.subarray(0, written);
    } finally {
      // After an error it is as large as it was: only values that exist decide how much is kept.
      this.buffer = kept;
    }
  }

  /** How many bytes were written; -1 where there is too little room. */
  private attempt(value: V, buffer: Buffer): number {
    let written: number;
    try {
      written = this.encodeInto.call(this.codec, value, buffer);
    } catch (error) {
      // Writing beyond a buffer is a RangeError, in any of its ways. With the most room there can be, it is another.
      if (error instanceof RangeError && buffer.length < VALUE_BYTES_MAX) return -1;
      throw error;
    }
    if (typeof written !== 'number') throw wrongType('the result of values.encodeInto', 'a number', written);
    if (Number.isInteger(written) && written >= -1 && written <= buffer.length) return written;
    throw outOfRange('the result of values.encodeInto', `an integer from -1 to ${buffer.length}`, written);
  }
}

/** Refuses what compaction could not copy, having no room for version and expiry any more. */
function bounded<B extends Uint8Array | string>(bytes: B): B {
  // No text of fewer units has more bytes than the limit.
  if (bytes.length > VALUE_BYTES_MAX / UTF8_BYTES_MAX) requireRoom(bytes);
  return bytes;
}

function requireRoom(bytes: Uint8Array | string): void {
  const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
  if (length <= VALUE_BYTES_MAX) return;
  throw tooLarge(`of ${length} bytes, above the limit of ${VALUE_BYTES_MAX} bytes`, { bytes: length });
}

function tooLarge(what: string, details: { readonly bytes?: number } = {}): VarveError {
  return new VarveError('ERR_VARVE_RECORD_TOO_LARGE', `the value is ${what}`,
    { what: 'value', ...details, limit: VALUE_BYTES_MAX });
}

function bufferNative<V>(codec: BufferCodec<V>): CompiledCodec<V> {
  const encoder = new BufferEncoder(codec);
  const { decode } = codec;
  return compiled<V>((value) => encoder.encode(value), (bytes) => decode.call(codec, bytes),
    within((bytes) => decode.call(codec, bytes)), true, true);
}

const WANTED = "'binary', 'utf8', 'json', {encode, decode} or {encodeInto, decode}";

/**
 * Compiles what `values` was given. Its functions are read here, once, and called as methods of the codec.
 *
 * Errors: ERR_VARVE_INVALID_ARGUMENT
 */
export function compileCodec<V>(codec: ValueCodec<V>): CompiledCodec<V> {
  return choose(codec) as CompiledCodec<unknown> as CompiledCodec<V>;
}

function choose<V>(codec: ValueCodec<V>) {
  if (typeof codec === 'string') {
    if (codec === 'binary') return binary();
    if (codec === 'utf8') return utf8();
    if (codec === 'json') return json();
    throw outOfRange('options.values', WANTED, codec);
  }
  if (typeof codec !== 'object' || codec === null) throw wrongType('options.values', WANTED, codec);
  if (codec instanceof MsgpackCodec) return msgpack(codec);
  const { encode, encodeInto, decode } = codec as Partial<Codec<V> & BufferCodec<V>>;
  if (typeof decode !== 'function') throw wrongType('options.values.decode', 'a function', decode);
  if (encode !== undefined && encodeInto !== undefined) {
    throw wrongType('options.values', 'a codec with encode or encodeInto, not both', codec);
  }
  if (encodeInto !== undefined) {
    if (typeof encodeInto !== 'function') throw wrongType('options.values.encodeInto', 'a function', encodeInto);
    return bufferNative(codec as BufferCodec<V>);
  }
  if (typeof encode !== 'function') throw wrongType('options.values.encode', 'a function', encode);
  return own(codec as Codec<V>);
}

declare global {
  interface Buffer {
    /** The runtime's unchecked reader behind `toString('utf8', from, to)`. */
    utf8Slice(from: number, to: number): string;
  }
}
