/**
 * Writing pairs as JSON Lines, in bounded memory (the longest line, at least 1 MiB): to a file that appears whole or
 * not at all, or to a stream with its back-pressure.
 */
import type { Writable } from 'node:stream';
import { AtomicFile } from './atomic-file.ts';
import { jsonlLine } from './jsonl.ts';
import { pause, RUN_BYTES_MAX, type Pairs, type TransferOptions } from './pairs.ts';

/** What was written. */
export interface JsonlTarget {
  readonly records: number;
  readonly bytes: number;
}

/**
 * Writes pairs, in the order in which they come, to a file; one that is there is replaced in one step, at the end, when
 * the new one is durable. On an error, of the pairs too, and on abort, nothing is left and the old one stands.
 *
 * @throws (rejects with) ERR_VARVE_NOT_FOUND where there is no such directory, ERR_VARVE_DISK_FULL, ERR_VARVE_IO, what
 *   the iteration throws, the signal's reason
 */
export async function writeJsonlFile(pairs: Pairs, path: string, options: TransferOptions = {}): Promise<JsonlTarget> {
  options.signal?.throwIfAborted();
  const file = await AtomicFile.create(path);
  let written: JsonlTarget;
  try {
    written = await writeRuns(pairs, (bytes) => file.write(bytes), options);
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await file.finish();
  return written;
}

/**
 * Writes pairs to a stream, which is not ended; each piece when the one before was taken.
 *
 * @throws (rejects with) what the stream or the iteration fails with, the signal's reason
 */
export async function writeJsonlStream(
  pairs: Pairs, stream: Writable, options: TransferOptions = {},
): Promise<JsonlTarget> {
  options.signal?.throwIfAborted();
  // The error comes by the callback; without a listener it would end the process as well.
  const ignore = (): void => undefined;
  stream.on('error', ignore);
  const written = await writeRuns(pairs, (bytes) => new Promise((resolve, reject) => {
    stream.write(bytes, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  }), options);
  stream.off('error', ignore);
  return written;
}

async function writeRuns(
  pairs: Pairs, write: (bytes: Uint8Array) => Promise<void>, options: TransferOptions,
): Promise<JsonlTarget> {
  let records = 0;
  let bytes = 0;
  let run = '';
  const flush = async (): Promise<void> => {
    const piece = Buffer.from(run, 'latin1');
    run = '';
    await write(piece);
    bytes += piece.length;
    await pause(bytes, options);
  };
  for await (const [key, value] of pairs) {
    run += jsonlLine(key, value);
    records++;
    if (run.length >= RUN_BYTES_MAX) await flush();
  }
  if (run !== '') await flush();
  return { records, bytes };
}
