/**
 * Exports and imports of key-value stores, as the package gives them. A store is known here only by what it can do: it
 * gives its pairs sorted by key, and takes batches of bytes.
 */
import { Writable } from 'node:stream';
import { wrongType } from '../errors/varve-error.ts';
import { exportDwalPairs, importDwalPairs } from './dwal-pairs.ts';
import { DwalReader, type DwalSource } from './dwal-reader.ts';
import type { DwalTarget, DwalWriterOptions } from './dwal-writer.ts';
import { JsonlReader } from './jsonl-reader.ts';
import { writeJsonlFile, writeJsonlStream, type JsonlTarget } from './jsonl-writer.ts';
import { importJsonl as importLines, type Operation } from './operations.ts';
import type { Pairs, TransferOptions } from './pairs.ts';

/** A store that can be exported: a `KeyValueStore`, also a read-only one. */
export interface PairSource {
  sortedPairs(options?: { readonly signal?: AbortSignal }): Pairs;
}

/** A store that can be imported into: a `KeyValueStore` that is open for writing. */
export interface ImportTarget {
  batchBytes(operations: readonly Operation[]): unknown;
}

/** Both sides of a transfer look at the signal. */
function pairsOf(store: PairSource, { signal }: TransferOptions): Pairs {
  return store.sortedPairs(signal === undefined ? {} : { signal });
}

/** What is imported are bytes, whatever the store's codec. */
function target(store: ImportTarget) {
  return { batch: (operations: readonly Operation[]) => store.batchBytes(operations) };
}

/**
 * Writes the keys and values of a store as JSON Lines, `{"key_b64":"…","value_b64":"…"}` each, sorted by key, bytewise:
 * what is live when it begins. Streamed; versions and expiries are not part of it.
 *
 * @param to a file's path, which then appears, or is replaced, at once and durably at the end; or a stream, which is
 *   written to as fast as it takes it, and not ended
 * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_NOT_FOUND where there is no such directory,
 *   ERR_VARVE_DISK_FULL, ERR_VARVE_IO, what `sortedPairs` throws, the signal's reason, what the stream fails with; of a
 *   file nothing is left behind then
 */
export async function exportJsonl(
  store: PairSource, to: string | Writable, options: TransferOptions = {},
): Promise<JsonlTarget> {
  if (typeof to === 'string') return writeJsonlFile(pairsOf(store, options), to, options);
  if (!(to instanceof Writable)) throw wrongType('to', 'a path or a Writable', to);
  return writeJsonlStream(pairsOf(store, options), to, options);
}

/**
 * Puts every pair of JSON Lines as `exportJsonl` writes them, over what the store holds, in atomic batches of at most
 * 2,048 pairs or 1 MiB.
 *
 * @param from a file's path, or a stream or other source of bytes
 * @returns how many pairs there were, and bytes of lines
 * @throws (rejects with) ERR_VARVE_FORMAT at the first wrong line, with `details` {path?, line, offset, fault};
 *   ERR_VARVE_NOT_FOUND, ERR_VARVE_IO, what `batch` throws, the signal's reason; the batches before stay
 */
export async function importJsonl(
  store: ImportTarget, from: string | AsyncIterable<Uint8Array>, options: TransferOptions = {},
): Promise<{ readonly records: number; readonly bytes: number }> {
  if (typeof from !== 'string' && typeof (from as Partial<typeof from>)[Symbol.asyncIterator] !== 'function') {
    throw wrongType('from', 'a path or an async iterable of bytes', from);
  }
  const { records, bytes } = await importLines(new JsonlReader(from), target(store), options);
  return { records, bytes };
}

/**
 * Writes the keys and values of a store as a DWAL directory, a store of datawal: puts with the txids 1, 2, 3 … in the
 * order of the keys. The directory appears at once, when it is durable.
 *
 * @param directory must not exist, or be empty; its parent must exist
 * @throws (rejects with) ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NOT_FOUND, ERR_VARVE_DISK_FULL, ERR_VARVE_IO, what
 *   `sortedPairs` throws, the signal's reason; nothing is left behind then
 */
export async function exportDwal(
  store: PairSource, directory: string, options: DwalWriterOptions & TransferOptions = {},
): Promise<DwalTarget> {
  const written = await exportDwalPairs(pairsOf(store, options), directory, options);
  const { segments, records, bytes, firstTxid, lastTxid } = written;
  return { segments, records, bytes, firstTxid, lastTxid };
}

/**
 * Does what the records of a DWAL directory say, in their order, over what the store holds: puts and deletes, in atomic
 * batches of at most 2,048 records or 1 MiB.
 *
 * @returns what was read; `torn` where the last segment ends in a torn frame, which is left out
 * @throws (rejects with) ERR_VARVE_NOT_FOUND, ERR_VARVE_FORMAT (also for a raw record, one without a key, or a value
 *   that   is too large), ERR_VARVE_IO, what `batch` throws, the signal's reason; the batches before stay
 */
export async function importDwal(
  store: ImportTarget, directory: string, options: TransferOptions = {},
): Promise<DwalSource> {
  const source = new DwalReader(directory);
  await importDwalPairs(source, target(store), options);
  const { segments, totalBytes, bytes, records, firstTxid, lastTxid, torn } = source;
  return { segments, totalBytes, bytes, records, firstTxid, lastTxid, torn };
}
