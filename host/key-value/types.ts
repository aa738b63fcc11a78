/**
 * What a KeyValueStore is told and what it gives back, as its users see it. Nothing here runs but the limits.
 */
import { KEY_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../generated/abi.ts';

/** Bytes that a put with a version or an expiry has before its value. */
const META_BYTES = 16;
/** Most bytes of a value: 64 MiB less 16, so that compaction can add version and expiry to any of them. */
export const VALUE_BYTES_MAX = PAYLOAD_BYTES_MAX - META_BYTES;
/** Most bytes of a key, as UTF-8 where it is text: 64 KiB. */
export const KEY_VALUE_KEY_BYTES_MAX = KEY_BYTES_MAX;

/** A key as calls take it: text, which is its UTF-8, or bytes; 1 byte to 64 KiB. */
export type Key = string | Uint8Array;

/** A codec for values: bytes for a value and back. */
export interface Codec<V> {
  /**
   * The bytes of a value, or text, which is kept as UTF-8; at most 64 MiB less 16 bytes. They are copied before the
   * call that asked for them returns. What it throws comes out of that call as it is, and nothing was written.
   */
  encode(value: V): Uint8Array | string;
  /** The value of bytes, which are its own: it may keep them, or give them back. */
  decode(bytes: Buffer): V;
}

/** A codec that works in memory that it is given, without buffers of its own. */
export interface BufferCodec<V> {
  /**
   * Writes a value at the start of `target` and returns how many bytes it took. Where there is too little room it
   * returns -1, or lets the RangeError of a write beyond the end come out: it is called again with twice the room, up
   * to 64 MiB less 16 bytes. Any other error comes out of the call that put the value, and nothing was written.
   */
  encodeInto(value: V, target: Buffer): number;
  /**
   * The value of the bytes in `view`, which are valid during this call only: whatever the value needs of them later
   * must be copied.
   */
  decode(view: Buffer): V;
}

/** How values become bytes: see `KeyValueOptions.values`. */
export type ValueCodec<V> = 'binary' | 'utf8' | 'json' | Codec<V> | BufferCodec<V>;
