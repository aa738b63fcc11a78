/**
 * What a KeyValueStore is told and what it gives back, as its users see it. Nothing here runs but the limits.
 */
import { KEY_BYTES_MAX } from '../generated/abi.ts';
import type { LogOptions } from '../log/options.ts';

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
   * must be copied. What is written into it changes neither the store nor what others read.
   */
  decode(view: Buffer): V;
}

/** How values become bytes: see `KeyValueOptions.values`. */
export type ValueCodec<V> = 'binary' | 'utf8' | 'json' | Codec<V> | BufferCodec<V>;

/** Options of `KeyValueStore.open`. */
export interface KeyValueOptions<V = Buffer> extends LogOptions {
  /**
   * What iterators and `watch` give keys as: `'utf8'`, the default, as strings; `'binary'` as Buffers. Calls take both
   * either way. Keys that were put as bytes and are no UTF-8 come as U+FFFD with `'utf8'`.
   */
  readonly keys?: 'utf8' | 'binary';
  /**
   * How values become bytes. It is not part of the store: open it with the codec that it was written with. Default
   * `'binary'`.
   *
   * - `'binary'`: takes Uint8Arrays, gives Buffers.
   * - `'utf8'`: takes and gives strings; a lone surrogate becomes U+FFFD.
   * - `'json'`: takes and gives what JSON can hold.
   * - a `Codec` or a `BufferCodec` of your own, or `msgpack()`.
   */
  readonly values?: ValueCodec<V>;
  /**
   * Whether the store compacts itself, and when: where dead records are at least `minDeadRatio` of its bytes (0 to 1,
   * default 0.5) and at least `minBytes` (default 64 MiB). Default: it does. `false`: `compact` alone does.
   */
  readonly autoCompact?: boolean | AutoCompactOptions;
  /** Milliseconds since 1970, by which keys expire. Default: the clock of the system. */
  readonly now?: () => number;
}

/** When a store compacts itself; both must hold. */
export interface AutoCompactOptions {
  /** Share of the store's bytes that is dead, 0 to 1. Default 0.5. */
  readonly minDeadRatio?: number;
  /** Bytes that are dead, from 0. Default 64 MiB. */
  readonly minBytes?: number;
}

/** When what is put is gone again; one of both, or none. */
export interface ExpiryOptions {
  /** Milliseconds from now, above 0. */
  readonly ttl?: number;
  /** Milliseconds since 1970, an integer from 1. In the past: what is put is absent at once. */
  readonly expiresAt?: number;
}

/** What a write can be told that is to be durable. */
export interface DurableOptions {
  /** Resolves when the write is on disk, as one group with those of others. Default: returns when it is committed. */
  readonly durable?: boolean;
}

/** What `put` can be told. */
export interface PutOptions extends ExpiryOptions, DurableOptions {
  /**
   * Puts only where `versionOf(key)` is this, or, with 0, where there is no such key; else ERR_VARVE_CONFLICT, and
   * nothing was written. Default: puts in any case.
   */
  readonly ifVersion?: number;
  /** The same as `ifVersion: 0`. */
  readonly ifAbsent?: true;
}

/** What `delete` can be told. */
export interface DeleteOptions extends DurableOptions {
  /** Deletes only where `versionOf(key)` is this; 0: where there is no such key. Else ERR_VARVE_CONFLICT. */
  readonly ifVersion?: number;
}

/** What `putMany` can be told; an expiry is that of every entry. */
export interface PutManyOptions extends ExpiryOptions, DurableOptions {}

/** One operation of a batch. */
export type KeyValueOperation<V = Buffer> =
  | ({ readonly type: 'put'; readonly key: Key; readonly value: V } & ExpiryOptions)
  | { readonly type: 'delete'; readonly key: Key };

/** The LSNs of a batch. */
export interface KeyValueBatchResult {
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** What `keys`, `values` and `entries` can be told. */
export interface IterationOptions {
  /** Only keys that begin with this text or these bytes. Default: all. */
  readonly prefix?: Key;
}

/** What `compact` can be told. */
export interface CompactOptions {
  /** Only segments of whose bytes at least this share is dead, 0 to 1. Default 0: as far as anything is dead. */
  readonly minDeadRatio?: number;
  /** Milliseconds that it works at a time before the event loop has its turn, above 0 up to 1000. Default 2. */
  readonly budgetMs?: number;
  /** Ends it with its reason, between two slices. What was done stays done. */
  readonly signal?: AbortSignal;
  /** Told after every slice. */
  readonly onProgress?: (progress: CompactionProgress) => void;
}

/** How far a compaction is. */
export interface CompactionProgress {
  /** Bytes of segments that were looked through, and of all that will be. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Records and bytes that were copied forward, being live. */
  readonly copiedRecords: number;
  readonly copiedBytes: number;
}

/** What `compactTo` can be told. */
export type CompactToOptions = Pick<CompactOptions, 'signal' | 'onProgress'>;

/** What `sortedPairs` can be told. */
export interface SortedPairsOptions extends IterationOptions {
  /** Ends the iteration with its reason. */
  readonly signal?: AbortSignal;
}

/** What `check` can be told. */
export interface KeyValueCheckOptions {
  /** Told after each segment how many bytes of frames were checked, of how many. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** What `watch` can be told. */
export interface KeyValueWatchOptions {
  /** Only keys that begin with this text or these bytes. Default: all. */
  readonly prefix?: Key;
  /** LSN of the first change, from 1. Default: what comes from now on. */
  readonly from?: number;
  /** Ends the iteration: whoever waits for a change is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** One change, as `watch` gives it. */
export type KeyValueChange<K = string, V = Buffer> =
  | { readonly type: 'put'; readonly key: K; readonly value: V; readonly lsn: number }
  | { readonly type: 'delete'; readonly key: K; readonly lsn: number }
  | { readonly type: 'clear'; readonly lsn: number };

/** A record that a replay found damaged. */
export interface DamagedRecord {
  readonly path: string;
  /** Base LSN of the segment. */
  readonly segment: number;
  readonly offset: number;
  readonly lsn: number;
}
