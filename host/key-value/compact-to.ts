/**
 * Copying the live records of a store to a new one, sorted by key. The copy is made in a directory beside its place and
 * renamed when it is durable: there is a whole store or none, whatever fails. Only the death of the process leaves a
 * directory `.<name>.<pid>.<random>.tmp`.
 *
 * Versions and expiries stay. The copy's own LSNs follow on the last one of the source, so that no later write of it
 * gets a version that a key of the source has had.
 */
import { basename, dirname, join } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import { Kind, STORE_KIND_KEY_VALUE } from '../generated/abi.ts';
import { removeLeftovers } from '../io/leftovers.ts';
import { openWriter } from '../log/open.ts';
import type { LogContext } from '../log/segment.ts';
import type { LogWriter } from '../log/writer.ts';
import type { CheckedCompact } from './options.ts';
import { SortedRecords, type SortedParts } from './sorted-records.ts';
import { Turns } from './turns.ts';

/** Records between two looks at the clock, and bytes. */
const RUN_RECORDS = 64;
const RUN_BYTES = 256 << 10;

/** What `compactTo` has made. */
export interface CompactToReport {
  /** The new store, as an absolute path. */
  readonly directory: string;
  /** Records, one for each key. */
  readonly records: number;
  /** Bytes of their frames there. */
  readonly bytes: number;
}

/** What is copied, and how. */
export interface CopyParts extends SortedParts {
  readonly segmentBytes: number;
  readonly now: () => number;
}

type Target = CheckedCompact & { readonly directory: string };

/** Makes the copy. Errors: as `KeyValueStore.compactTo`; nothing is left behind then */
export async function compactTo(parts: CopyParts, target: Target): Promise<CompactToReport> {
  const { source: { context } } = parts;
  const { storage } = context;
  const { directory, signal } = target;
  signal?.throwIfAborted();
  if ((storage.list(directory) ?? []).length > 0) {
    throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
      `${directory} is not empty; choose a directory that does not exist yet`, { path: directory });
  }
  removeLeftovers(storage, directory);
  const temporary = temporaryPath(context, directory);
  const made = storage.createDirectory(temporary);
  let copy: { readonly records: number; readonly bytes: number };
  try {
    copy = await copyTo(parts, { ...context, directory: temporary, readOnly: false }, target);
    for (const path of made) await storage.syncDirectory(dirname(path));
    await takePlace(context, temporary, directory);
  } catch (error) {
    remove(context, temporary, made);
    throw error;
  }
  return { directory, ...copy };
}

/** Gives the finished copy its name, durably, or takes it back. */
async function takePlace({ storage }: LogContext, temporary: string, directory: string): Promise<void> {
  storage.rename(temporary, directory);
  try {
    await storage.syncDirectory(dirname(directory));
  } catch (error) {
    storage.rename(directory, temporary);
    throw error;
  }
}

function temporaryPath({ storage }: LogContext, directory: string): string {
  const random = new Uint8Array(6);
  storage.random(random);
  const name = `.${basename(directory)}.${storage.pid}.${Buffer.from(random).toString('hex')}.tmp`;
  return join(dirname(directory), name);
}

/** Removes what was made, the directories above it too; what cannot be removed must not hide why. */
function remove({ storage }: LogContext, temporary: string, made: readonly string[]): void {
  try {
    for (const name of storage.list(temporary) ?? []) storage.remove(join(temporary, name));
    for (const path of [...made].reverse()) storage.removeDirectory(path);
  } catch {
    // The error that is on its way says what failed first.
  }
}

async function copyTo(parts: CopyParts, context: LogContext, { signal, onProgress }: Target) {
  const { source, table, requireOpen } = parts;
  const turns = new Turns(() => {
    signal?.throwIfAborted();
    requireOpen();
  });
  const { bytes, liveBytes } = source.account(table);
  const totalBytes = bytes + liveBytes;
  const { writer } = openWriter(context, {
    storeKind: STORE_KIND_KEY_VALUE, segmentBytes: parts.segmentBytes, mappedBytesMax: 0, create: true,
    firstLsn: source.lastLsn + 1,
  });
  let sorted: SortedRecords | undefined;
  try {
    sorted = await SortedRecords.of(parts, turns, (doneBytes) => {
      onProgress?.({ doneBytes, totalBytes, copiedRecords: 0, copiedBytes: 0 });
    });
    const copied = await append(sorted, writer, parts, turns, (records, copiedBytes) => {
      const doneBytes = Math.min(totalBytes, bytes + copiedBytes);
      onProgress?.({ doneBytes, totalBytes, copiedRecords: records, copiedBytes });
    });
    await writer.sync();
    return copied;
  } finally {
    sorted?.release();
    await writer.close();
  }
}

/** Appends the records in their order. */
async function append(
  sorted: SortedRecords, writer: LogWriter, { source, now }: CopyParts, turns: Turns,
  tell: (records: number, bytes: number) => void,
): Promise<{ readonly records: number; readonly bytes: number }> {
  const { bytes } = source.context.core.memory;
  let records = 0;
  let sinceRecords = 0;
  let sinceBytes = 0;
  for (let index = 0; index < sorted.count; index++) {
    const { keyAt, keyEnd, valueAt, end, version, expiresAt } = sorted.at(index);
    if (expiresAt !== 0 && expiresAt <= now()) continue;
    const value = bytes.subarray(valueAt, end);
    writer.appendKeyedMeta(Kind.PutMeta, bytes.subarray(keyAt, keyEnd), version, expiresAt, value);
    records++;
    sinceBytes += end - keyAt;
    if (++sinceRecords < RUN_RECORDS && sinceBytes < RUN_BYTES) continue;
    sinceRecords = 0;
    sinceBytes = 0;
    if (!turns.due) continue;
    tell(records, writer.position);
    await turns.take();
  }
  tell(records, writer.position);
  return { records, bytes: writer.position };
}
