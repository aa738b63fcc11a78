/**
 * Moving records between a DWAL directory and a log, which is known here only by what it can do. Undoing a transfer
 * that failed is the caller's, who knows what was there before; an export undoes itself.
 */
import type { DwalReader, DwalSource } from './dwal-reader.ts';
import { DwalWriter, type DwalTarget, type DwalWriterOptions, type ExportRecord } from './dwal-writer.ts';
import type { DwalRecord } from './dwal.ts';
import { pause, RUN_BYTES_MAX, type TransferOptions } from './pairs.ts';

/** The log that records go to. */
export interface BatchTarget {
  appendBatch(records: readonly DwalRecord[]): unknown;
}

/**
 * Appends every record of a DWAL directory to a log, in runs of at most 1 MiB, each an atomic batch.
 *
 * @returns what was read; `torn` where the last segment ends in a torn frame
 * Errors: ERR_VARVE_FORMAT, and those of the log; the runs before stay appended
 */
export async function importDwal(
  source: DwalReader, target: BatchTarget, options: TransferOptions = {},
): Promise<DwalSource> {
  let run: DwalRecord[] = [];
  let runBytes = 0;
  const append = async () => {
    target.appendBatch(run);
    run = [];
    runBytes = 0;
    await pause(source.bytes, options);
  };
  for (const record of source) {
    const bytes = record.key.length + record.payload.length;
    if (run.length > 0 && runBytes + bytes > RUN_BYTES_MAX) await append();
    run.push(record);
    runBytes += bytes;
  }
  if (run.length > 0) await append();
  return source;
}

/**
 * Writes records as a DWAL directory, whole or not at all.
 *
 * @param directory must not exist, or be empty; its parent must exist
 * Errors: ERR_VARVE_FORMAT (a record that DWAL cannot hold, named by its LSN), ERR_VARVE_FOREIGN_DIRECTORY,
 * ERR_VARVE_DISK_FULL, ERR_VARVE_IO, and those of the iteration
 */
export async function exportDwal(
  records: Iterable<ExportRecord>, directory: string, options: DwalWriterOptions & TransferOptions = {},
): Promise<DwalTarget> {
  const writer = new DwalWriter(directory, options);
  try {
    let reported = 0;
    for (const record of records) {
      writer.write(record);
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
