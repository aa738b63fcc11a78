/**
 * Keys with their values, as they go between a key-value store and foreign files, and the runs that they are moved in.
 * The store is known here only by what it can do.
 */
import { setImmediate } from 'node:timers/promises';

/** A key with its value, as bytes. */
export type Pair = readonly [key: Uint8Array, value: Uint8Array];

/** Pairs from a store or a file; they need not stay valid beyond the next one. */
export type Pairs = Iterable<Pair> | AsyncIterable<Pair>;

/** Bytes of keys and values that are moved at a time, unless a single one is larger. */
export const RUN_BYTES_MAX = 1 << 20;

/** What a transfer can be told. */
export interface TransferOptions {
  /** Told about once a mebibyte how many bytes of the foreign file were moved. */
  readonly onProgress?: (doneBytes: number) => void;
  /** Ends the transfer with its reason. */
  readonly signal?: AbortSignal;
}

/** Between two runs: tells of the progress, gives syncs and signals their turn, and ends where it was asked to. */
export async function pause(doneBytes: number, { onProgress, signal }: TransferOptions): Promise<void> {
  onProgress?.(doneBytes);
  await setImmediate();
  signal?.throwIfAborted();
}
