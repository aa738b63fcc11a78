/**
 * Opening a log, for reading or for writing: the order of directory, lock, recovery, and what is undone when one fails.
 */
import { dirname, join } from 'node:path';
import type { StoreIdentity } from '../core/control-page.ts';
import { VarveError } from '../errors/varve-error.ts';
import { holdsStore, refuseForeign } from './load.ts';
import { LOCK_NAME } from './names.ts';
import { SegmentPool } from './pool.ts';
import { LogReader } from './reader.ts';
import { recoverForWriting } from './recovery.ts';
import { Repair, type RepairReport } from './repair.ts';
import type { RecoveryReport } from './report.ts';
import type { LogContext } from './segment.ts';
import { LogWriter } from './writer.ts';

export interface WriterOptions {
  readonly storeKind: number;
  readonly segmentBytes: number;
  readonly mappedBytesMax: number;
  /** Whether a store may be made. */
  readonly create: boolean;
  /** The LSN that a new store begins with. Default 1. */
  readonly firstLsn?: number;
  /** The identity that a new store gets, and that any other one must have. */
  readonly identity?: StoreIdentity;
  /**
   * Whether opening a whole log may leave to the background what it has to sync: what a writer that died had not synced
   * is durable later then, as `durableLsn` tells. Default false.
   */
  readonly syncLater?: boolean;
}

/** Opens for reading: takes no lock, writes nothing. */
export function openReader(
  context: LogContext, mappedBytesMax: number, storeKind: number,
): { readonly reader: LogReader; readonly pool: SegmentPool } {
  const pool = new SegmentPool(mappedBytesMax);
  return { reader: new LogReader(context, pool, storeKind), pool };
}

/** Opens for writing, in a directory that is made where it is missing and may be. */
export function openWriter(
  context: LogContext, options: WriterOptions,
): { readonly writer: LogWriter; readonly pool: SegmentPool; readonly report: RecoveryReport } {
  prepareDirectory(context, options.create);
  const { storage, directory } = context;
  const lock = storage.lock(join(directory, LOCK_NAME));
  try {
    const pool = new SegmentPool(options.mappedBytesMax);
    const recovered = recoverForWriting(context, pool, options);
    const writer = new LogWriter(context, pool, recovered, lock, options.segmentBytes);
    recovered.leftovers.syncLater(writer);
    return { writer, pool, report: recovered.report };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Repairs a log as far as it can be: see host/log/repair.ts. A read-only context makes it a dry run, without the lock.
 * Files that repeat the log go on saying what it said before: whoever has some removes them afterwards.
 */
export function repairLog(context: LogContext, options: WriterOptions): RepairReport {
  const { storage, directory, readOnly } = context;
  const names = storage.list(directory);
  if (names === undefined || !holdsStore(names)) {
    throw new VarveError('ERR_VARVE_NOT_FOUND', `there is no store in ${directory}; check the path`, { path: directory });
  }
  const lock = readOnly ? undefined : storage.lock(join(directory, LOCK_NAME));
  const repair = new Repair(context, new SegmentPool(options.mappedBytesMax), options.storeKind);
  let range: { readonly firstLsn: number; readonly lastLsn: number };
  try {
    range = repair.run();
  } finally {
    lock?.release();
  }
  const { lost, cutFiles } = repair;
  let { cutBytes } = repair;
  if (!readOnly) {
    // What is left to do - an interrupted truncation, CONTROL - any opening does.
    const { writer, report } = openWriter(context, { ...options, create: false });
    range = { firstLsn: writer.firstLsn, lastLsn: writer.lastLsn };
    cutFiles.push(...report.cutFiles);
    cutBytes += report.tornBytes;
    writer.closeNow();
  }
  const changed = lost.length > 0 || cutBytes > 0 || cutFiles.length > 0;
  return { changed, lost, cutBytes, cutFiles, ...range, because: describeRepair(lost.length, cutBytes) };
}

function describeRepair(lostRanges: number, cutBytes: number): string {
  if (lostRanges > 0) return `records were damaged in ${lostRanges} place(s)`;
  return cutBytes > 0 ? 'an interrupted write lay behind the last record' : 'nothing was amiss';
}

/** Refuses what is no store before anything is made; makes the directory and its name durable. */
function prepareDirectory({ storage, directory }: LogContext, create: boolean): void {
  const names = storage.list(directory);
  if (names !== undefined) refuseForeign(directory, names);
  if (!create && (names === undefined || !holdsStore(names))) {
    throw new VarveError('ERR_VARVE_NOT_FOUND', `there is no store in ${directory} and create is false; check the path`,
      { path: directory });
  }
  for (const made of storage.createDirectory(directory)) storage.syncDirectoryNow(dirname(made));
}
