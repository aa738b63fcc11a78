/**
 * The ready codec over msgpackr, which is an optional peer dependency: it is loaded when `msgpack` is called, never
 * before. Values are plain MessagePack, without msgpackr's extensions for records, so that any program can read them.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { VarveError, wrongType } from '../errors/varve-error.ts';
import type { Codec } from './types.ts';

/** What is used of msgpackr. */
interface Packr {
  pack(value: unknown, mode?: number): Buffer;
  unpack(bytes: Uint8Array): unknown;
}

interface Msgpackr {
  readonly Packr: new (options: object) => Packr;
  readonly RESET_BUFFER_MODE: number;
}

/** A codec of MessagePack; made by `msgpack`. */
export class MsgpackCodec<V = unknown> implements Codec<V> {
  private readonly packr: Packr;
  private readonly reset: number;

  constructor({ Packr, RESET_BUFFER_MODE }: Msgpackr) {
    // What is read may be a view of a mapped file: bytes in it are copied.
    this.packr = new Packr({ useRecords: false, copyBuffers: true });
    this.reset = RESET_BUFFER_MODE;
  }

  /** The bytes of a value, which are the caller's. */
  encode(value: V): Buffer {
    return Buffer.from(this.encodeShared(value));
  }

  /** The same as a part of msgpackr's own buffer: the next call overwrites it. */
  encodeShared(value: unknown): Buffer {
    // msgpackr would write both as a nothing that is read as undefined, which is what an absent key gives.
    if (value === undefined || typeof value === 'function') {
      throw wrongType('value', 'a value that MessagePack can hold', value);
    }
    return this.packr.pack(value, this.reset);
  }

  /** The value of bytes, which shares no memory with them. */
  decode(bytes: Uint8Array): V {
    return this.packr.unpack(bytes) as V;
  }
}

/**
 * Loads msgpackr as it is installed beside one of the files or directories, the first that has it.
 *
 * Errors: ERR_VARVE_UNSUPPORTED where none has
 */
export function loadMsgpackr(places: readonly string[]): Msgpackr {
  let missing: unknown;
  for (const place of places) {
    try {
      return createRequire(place)('msgpackr') as Msgpackr;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      missing ??= error;
    }
  }
  throw new VarveError('ERR_VARVE_UNSUPPORTED', 'msgpack() needs the package msgpackr, which is not installed: '
    + 'npm i msgpackr', { package: 'msgpackr' }, missing);
}

/**
 * A codec that keeps values as MessagePack, by the package msgpackr, which is to be installed beside varve
 * (`npm i msgpackr`). Maps of any keys come back as objects; `undefined` is refused.
 *
 * @example
 * const store = await KeyValueStore.open<string, { name: string }>('./people', { values: msgpack() });
 * @throws ERR_VARVE_UNSUPPORTED where msgpackr is not installed
 */
export function msgpack<V = unknown>(): MsgpackCodec<V> {
  return new MsgpackCodec<V>(loadMsgpackr([import.meta.url, join(process.cwd(), 'package.json')]));
}
