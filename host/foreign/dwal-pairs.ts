/**
 * Key-value stores as DWAL directories, which are datawal's stores: puts and deletes in, live pairs out. The store is
 * known here only by what it can do. Undoing an import that failed is the caller's; an export undoes itself.
 */
import { VarveError } from '../errors/varve-error.ts';
import { Kind } from '../generated/abi.ts';
import type { DwalReader, DwalSource } from './dwal-reader.ts';
import { DwalWriter, type DwalTarget, type DwalWriterOptions } from './dwal-writer.ts';
import type { DwalRecord } from './dwal.ts';
import { OperationRun, type OperationTarget } from './operations.ts';
import { VALUE_BYTES_MAX } from '../limits.ts';
import { pause, RUN_BYTES_MAX, type Pairs, type TransferOptions } from './pairs.ts';

/**
 * Does what the records of a DWAL directory say, in their order: puts and deletes, in batches of at most 1 MiB. The
 * store then holds what datawal would give, over what it held before.
 *
 * @returns what was read; `torn` where the last segment ends in a torn frame
 * Errors: ERR_VARVE_FORMAT (also a raw record, a record without a key or a value that no store takes, each named by its
 * txid), and those of the store; the batches before stay
 */
export async function importDwalPairs(
  source: DwalReader, target: OperationTarget, options: TransferOptions = {},
): Promise<DwalSource> {
  const run = new OperationRun(target);
  for (const record of source) {
    const wrong = problemOf(record);
    if (wrong !== undefined) throw refused(source, record, wrong);
    const { kind, key, payload } = record;
    const full = kind === Kind.Put ? run.put(key, payload) : run.delete(key);
    if (full) await pause(source.bytes, options);
  }
  run.flush();
  return source;
}

function problemOf({ kind, key, payload }: DwalRecord): string | undefined {
  if (kind !== Kind.Put && kind !== Kind.Delete) {
    return 'is raw, which only logs hold: import it into a log, or leave it out where it was written';
  }
  if (key.length === 0) return 'has no key';
  if (kind === Kind.Put && payload.length > VALUE_BYTES_MAX) {
    return `has a value of ${payload.length} bytes; a store takes at most ${VALUE_BYTES_MAX}`;
  }
  return undefined;
}

function refused(source: DwalReader, { txid }: DwalRecord, wrong: string): VarveError {
  return new VarveError('ERR_VARVE_FORMAT', `${source.directory}: record ${txid} ${wrong}`,
    { path: source.directory, txid });
}

/**
 * Writes pairs, which come sorted by key, as a DWAL directory of puts with the txids 1, 2, 3 …, whole or not at all.
 *
 * @param directory must not exist, or be empty; its parent must exist
 * Errors: ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_DISK_FULL, ERR_VARVE_IO, and those of the iteration
 */
export async function exportDwalPairs(
  pairs: Pairs, directory: string, options: DwalWriterOptions & TransferOptions = {},
): Promise<DwalTarget> {
  const writer = new DwalWriter(directory, options);
  try {
    options.signal?.throwIfAborted();
    let reported = 0;
    for await (const [key, payload] of pairs) {
      writer.write({ lsn: writer.records + 1, kind: Kind.Put, key, payload });
      if (writer.bytes - reported < RUN_BYTES_MAX) continue;
      reported = writer.bytes;
      await pause(reported, options);
    }
  } catch (error) {
    writer.abandon();
    throw error;
  }
  await writer.finish();
  return writer;
}
