/**
 * Opening a log for writing: everything that stands between a directory in any state and a log that is whole.
 *
 * The order matters, because a crash can come at each step and the next opening must come to the same end:
 *   1. lock, so that nobody else writes;
 *   2. load and examine, changing nothing: a corrupt store is refused here as it was found;
 *   3. save what will be cut, synced, before a byte of it is changed;
 *   4. drop the segments behind the cut, newest first, then zero what is cut in the segment where the prefix ends;
 *   5. sync all of it, then write CONTROL, so that the marks never promise more than the disk holds.
 */
import { join } from 'node:path';
import type { Marks, StoreIdentity } from '../core/control-page.ts';
import { VarveError } from '../errors/varve-error.ts';
import { FRAMES_OFFSET } from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { ControlFile, requireIdentity, requireKind } from './control.ts';
import { examine, type Finding } from './examine.ts';
import { loadSegments, refuseForeign, type Headless, type Loaded } from './load.ts';
import { cutPath, isReplacement, replacementPath } from './names.ts';
import type { SegmentPool } from './pool.ts';
import type { CutFile, RecoveryReport } from './report.ts';
import type { LogContext, Segment } from './segment.ts';
import { statusName } from './segments.ts';

const PAGE_BYTES = 4096;

/** A log ready to be written to. */
export interface Recovered {
  readonly control: ControlFile;
  readonly identity: StoreIdentity;
  readonly segments: Segment[];
  readonly epoch: number;
  readonly nextLsn: number;
  readonly nextPosition: number;
  readonly report: RecoveryReport;
}

/** The error for a store whose synced bytes are damaged. */
export function corruptStore(directory: string, finding: Finding, segments: readonly Segment[]): VarveError {
  const segment = segments[finding.at];
  const where = segment === undefined ? directory : `${segment.path} at offset ${finding.offset}`;
  return new VarveError('ERR_VARVE_CORRUPT',
    `${where}: record ${finding.lastLsn + 1} is damaged or missing although it was synced: ${finding.because} `
    + `(${statusName(finding.status)}). Nothing was changed. Restore a copy, or see \`varve check ${directory}\` and `
    + '`varve repair`; opening with readOnly: true reads what is intact',
    {
      path: segment?.path ?? directory, segment: segment?.baseLsn, offset: finding.offset, lsn: finding.lastLsn + 1,
      status: statusName(finding.status), evidence: finding.evidence, because: finding.because,
    });
}

function newIdentity(context: LogContext, storeKind: number): StoreIdentity {
  const id = new BigUint64Array(2);
  context.storage.random(new Uint8Array(id.buffer));
  return { storeKind, idLow: id[0]!, idHigh: id[1]! };
}

/** Segments all of whose records retention had given up when it was interrupted. */
export function expired(loaded: Loaded, marks: Marks | undefined): Segment[] {
  if (marks === undefined) return [];
  return loaded.segments.filter((_, at) => (loaded.segments[at + 1]?.baseLsn ?? Infinity) <= marks.firstLsn);
}

/** A name for what is cut that nothing has yet: a recovery that died has saved more than is left to be saved now. */
function freeCutPath({ storage, directory }: LogContext, baseLsn: number, offset: number, epoch: number): string {
  let path = cutPath(directory, baseLsn, offset, epoch);
  for (let copy = 2; storage.exists(path); copy++) path = cutPath(directory, baseLsn, offset, epoch, copy);
  return path;
}

function writeCut(context: LogContext, path: string, bytes: Uint8Array): CutFile {
  const { storage } = context;
  const file = storage.create(path);
  try {
    file.write(bytes, 0);
    file.syncNow();
  } finally {
    file.close();
  }
  return { path, bytes: bytes.length };
}

/** Copies the bytes [offset, offset + count) of a mounted segment to a file beside it, synced. */
export function saveCut(context: LogContext, segment: Segment, offset: number, count: number, epoch: number): CutFile {
  const from = segment.view!.base + offset;
  const bytes = context.core.memory.bytes.subarray(from, from + count);
  return writeCut(context, freeCutPath(context, segment.baseLsn, offset, epoch), bytes);
}

/** Moves a whole segment file aside. */
export function setAside(context: LogContext, path: string, baseLsn: number, epoch: number): CutFile {
  const file = context.storage.open(path, 'read');
  const bytes = file.size();
  file.close();
  const target = freeCutPath(context, baseLsn, 0, epoch);
  context.storage.rename(path, target);
  return { path: target, bytes };
}

/** Takes away what lies behind the prefix; returns what was saved of it. */
function cutBehind(
  context: LogContext, pool: SegmentPool, loaded: Loaded, finding: Finding, epoch: number, save: boolean,
): CutFile[] {
  CANARY: if (globalThis.varveCanary === 'tail') return [];
  const saved: CutFile[] = [];
  const { storage } = context;
  const here = loaded.segments[finding.at];
  if (save && here !== undefined && finding.restBytes > 0) {
    // Looking at later segments may have unmapped this one.
    pool.view(here);
    saved.push(saveCut(context, here, finding.offset, finding.restBytes, epoch));
  }
  const files: (Segment | Headless)[] = [...finding.later, ...finding.headless].sort((a, b) => b.baseLsn - a.baseLsn);
  for (const file of files) {
    if ('header' in file) {
      pool.unmount(file);
      file.closeFile();
    }
    const blank = 'blank' in file && file.blank;
    if (save && !blank) saved.push(setAside(context, file.path, file.baseLsn, epoch));
    else storage.remove(file.path);
  }
  loaded.segments.length = finding.at + 1;
  if (files.length > 0 || saved.length > 0) storage.syncDirectoryNow(context.directory);
  if (here !== undefined && finding.restBytes > 0) clearBehind(context, pool, here);
  return saved;
}

/** Zeros everything behind the last record of a segment. */
function clearBehind(context: LogContext, pool: SegmentPool, segment: Segment): void {
  const view = pool.view(segment);
  const end = view.endOfBytes(segment.dataEnd, segment.mapping!.length);
  context.core.memory.bytes.fill(0, view.base + segment.dataEnd, view.base + end);
}

/** Makes all that recovery has read or changed durable, and seals what should have been sealed. */
function settle(context: LogContext, pool: SegmentPool, segments: readonly Segment[], durableLsn: number): void {
  for (const [at, segment] of segments.entries()) {
    if (segment.synced) continue;
    const last = at === segments.length - 1;
    if (!last && segment.footer === undefined) segment.seal(pool, context.storage.now());
    segment.trimNow();
    writeAgain(context, pool, segment, durableLsn);
    segment.stored.syncNow();
    if (segment.footer !== undefined && segment.footer.records === segment.records) segment.markSynced();
    if (!last) pool.unmount(segment);
  }
}

/**
 * Writes once more what no sync is known to have covered. Where a sync has failed, pages can be in the cache alone and
 * count as clean: a sync would pass them over, and they would be gone when the cache is.
 */
function writeAgain({ core }: LogContext, pool: SegmentPool, segment: Segment, durableLsn: number): void {
  const view = pool.view(segment);
  const ordinal = durableLsn + 1 - segment.baseLsn;
  const offset = ordinal <= 0 ? 0 : ordinal < view.records ? Math.max(0, view.locate(ordinal)) : view.dataEnd;
  const from = offset - offset % PAGE_BYTES;
  // Never beyond the end of a sealed file, which its mapping may go beyond: its footer must stay its last bytes.
  const end = segment.footer === undefined ? view.dataEnd : segment.stored.size();
  if (from < end) segment.stored.write(core.memory.bytes.subarray(view.base + from, view.base + end), from);
}

/** A segment that has a footer but fewer records than it says loses the footer; whether it was so. */
function unsealCut(segment: Segment | undefined): boolean {
  if (segment?.footer === undefined || segment.records === segment.footer.records) return false;
  segment.footer = undefined;
  return true;
}

/** What recovery needs to know of a store that it may have to make. */
export interface RecoveryOptions {
  readonly storeKind: number;
  readonly segmentBytes: number;
  /** The LSN that a new store begins with. Default 1. */
  readonly firstLsn?: number | undefined;
  /** The identity that a new store gets, and that any other one must have. Default: a new one, and any. */
  readonly identity?: StoreIdentity | undefined;
}

/**
 * Brings the store in `context.directory` into a state that can be appended to, or makes it.
 *
 * The caller holds the lock. Errors: ERR_VARVE_CORRUPT, ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION,
 * ERR_VARVE_DISK_FULL, ERR_VARVE_IO; nothing is left open then.
 */
export function recoverForWriting(
  context: LogContext, pool: SegmentPool, options: RecoveryOptions,
): Recovered {
  const { storage, directory } = context;
  const { storeKind } = options;
  const names = storage.list(directory) ?? [];
  refuseForeign(directory, names);
  const control = ControlFile.open(context)!;
  const loaded: Loaded = { segments: [], headless: [] };
  try {
    const known = control.identity();
    if (known !== undefined) requireKind(directory, known, storeKind);
    const found = loadSegments(context, names, known);
    loaded.segments.push(...found.segments);
    loaded.headless.push(...found.headless);
    const firstHeader = loaded.segments[0]?.header;
    if (firstHeader !== undefined) requireKind(directory, firstHeader.identity, storeKind);
    const identity = known ?? firstHeader?.identity ?? options.identity ?? newIdentity(context, storeKind);
    if (options.identity !== undefined) requireIdentity(directory, identity, options.identity);
    return recoverLoaded(context, pool, control, loaded, identity, known !== undefined, options);
  } catch (error) {
    pool.unmountAll();
    for (const segment of loaded.segments) segment.closeFile();
    control.close();
    throw error;
  }
}

function recoverLoaded(
  context: LogContext, pool: SegmentPool, control: ControlFile, loaded: Loaded, identity: StoreIdentity,
  controlValid: boolean, options: RecoveryOptions,
): Recovered {
  const { storage, directory } = context;
  const { page } = control;
  const marks = controlValid ? page.marks : undefined;
  const writer = controlValid ? page.writer : undefined;
  const old = expired(loaded, marks);
  loaded.segments.splice(0, old.length);
  const finding = examine(loaded, pool, marks);
  if (finding.outcome === 'corrupt') throw corruptStore(directory, finding, loaded.segments);

  for (const segment of old) {
    segment.closeFile();
    storage.remove(segment.path);
  }
  const epoch = Math.max(writer?.epoch ?? 0, finding.epoch, ...loaded.segments.map((each) => each.header.epoch)) + 1;
  for (const name of storage.list(directory) ?? []) if (isReplacement(name)) storage.remove(join(directory, name));
  const here = loaded.segments[finding.at];
  const unsealed = unsealCut(here);
  const { effective, cutFiles } = applyFinding(context, pool, loaded, finding, marks, epoch);
  // Index and footer of records that never reached the disk are of no use to those that will stand there.
  if (unsealed && here === loaded.segments[finding.at]) clearBehind(context, pool, here!);
  settle(context, pool, loaded.segments, marks?.durableLsn ?? 0);
  storage.syncDirectoryNow(directory);

  const last = loaded.segments.at(-1);
  const firstLsn = loaded.segments[0]?.baseLsn ?? marks?.firstLsn ?? options.firstLsn ?? 1;
  const lastLsn = last?.lastLsn ?? firstLsn - 1;
  const position = last?.endPosition ?? marks?.durablePosition ?? 0;
  const created = !controlValid && loaded.segments.length === 0;
  const now = storage.now();
  const generation = controlValid ? page.generation : 0;
  if (!controlValid) {
    control.blank();
    page.writeIdentity(identity, now);
  }
  page.writeWriter({ epoch, open: true, pid: storage.pid, segmentBytes: options.segmentBytes }, now);
  page.writeMarks({ durableLsn: lastLsn, durablePosition: position, firstLsn, truncateLsn: undefined });
  page.publish(lastLsn, position, last?.baseLsn ?? firstLsn, nextGeneration(generation, effective));
  control.sync();
  return {
    control, identity, segments: loaded.segments, epoch, nextLsn: lastLsn + 1, nextPosition: position,
    report: {
      outcome: created ? 'created' : finding.outcome,
      because: created ? 'there was no store' : finding.because,
      evidence: created ? undefined : finding.evidence,
      closedCleanly: writer?.open === false,
      segments: loaded.segments.length,
      scannedRecords: finding.scannedRecords,
      firstLsn, lastLsn, epoch,
      tornBytes: effective && finding.outcome === 'cut' ? finding.restBytes : 0,
      tornAt: finding.outcome === 'cut' && last !== undefined
        ? { segment: last.baseLsn, offset: finding.offset } : undefined,
      cutFiles,
      controlRebuilt: !controlValid && !created,
    },
  };
}

/**
 * Generations are even while nothing is under way, and rise with each cut. No checksum covers the word: what cannot be
 * a generation is none.
 */
function nextGeneration(before: number, cut: boolean): number {
  const valid = Number.isSafeInteger(before) && before >= 0 && before < 2 ** 52 ? before : 0;
  const even = valid + (valid % 2);
  return cut ? even + 2 : even;
}

/** Carries out what was decided; whether anything was cut, and what was saved of it. */
function applyFinding(
  context: LogContext, pool: SegmentPool, loaded: Loaded, finding: Finding, marks: Marks | undefined, epoch: number,
): { readonly effective: boolean; readonly cutFiles: CutFile[] } {
  if (finding.outcome === 'whole') return { effective: false, cutFiles: [] };
  if (finding.outcome === 'cut') {
    return { effective: true, cutFiles: cutBehind(context, pool, loaded, finding, epoch, true) };
  }
  truncateTail(context, pool, loaded, finding, marks!.truncateLsn!);
  return { effective: true, cutFiles: [] };
}

/** Finishes an announced truncation: everything behind `lsn` goes. */
function truncateTail(
  context: LogContext, pool: SegmentPool, loaded: Loaded, finding: Finding, lsn: number,
): void {
  cutBehind(context, pool, loaded, finding, 0, false);
  while (loaded.segments.length > 1 && loaded.segments.at(-1)!.baseLsn > lsn) {
    const segment = loaded.segments.pop()!;
    pool.unmount(segment);
    segment.closeFile();
    context.storage.remove(segment.path);
  }
  const last = loaded.segments.at(-1);
  if (last === undefined || last.lastLsn <= lsn) return;
  takePlace(context, pool, last, writeKept(context, pool, last, lsn));
}

/** What stays of a segment, in a file that has not taken its place yet. */
export interface Replacement {
  readonly file: StoredFile;
  readonly path: string;
  readonly records: number;
  readonly dataEnd: number;
  readonly epoch: number;
}

/**
 * Writes what stays of a segment when everything behind `lsn`, which it holds or directly follows, is cut: a file of
 * its own, synced. The old one must not be changed: whoever has it mapped, as a view or in another process, would see
 * pages vanish under him when it is trimmed later, and die.
 *
 * Errors: ERR_VARVE_DISK_FULL, ERR_VARVE_CORRUPT, ERR_VARVE_IO; nothing was changed then
 */
export function writeKept(context: LogContext, pool: SegmentPool, segment: Segment, lsn: number): Replacement {
  const { core, storage } = context;
  const view = pool.view(segment);
  const records = lsn - segment.baseLsn + 1;
  const dataEnd = records === 0 ? FRAMES_OFFSET : records < view.records ? view.locate(records) : view.dataEnd;
  if (dataEnd < 0) {
    throw new VarveError('ERR_VARVE_CORRUPT', `${segment.path}: record ${lsn + 1} cannot be found; run \`varve check\``,
      { path: segment.path, segment: segment.baseLsn, lsn: lsn + 1 });
  }
  const epoch = segment.epochAt(records);
  const path = replacementPath(segment.path);
  storage.remove(path);
  const file = storage.create(path);
  try {
    file.allocate(dataEnd);
    file.write(core.memory.bytes.subarray(view.base, view.base + dataEnd), 0);
    // A cut through a batch ends the batch there; else recovery would take what stays of it for unfinished, and cut it.
    const last = records === 0 ? -1 : view.read(records - 1);
    const header = last < 0 ? undefined : view.endedBatchHeader(last);
    if (header !== undefined) file.write(header, last);
    file.syncNow();
  } catch (error) {
    file.close();
    storage.remove(path);
    throw error;
  }
  return { file, path, records, dataEnd, epoch };
}

/**
 * Puts the replacement in the place of a segment's file, durably. What a crash leaves is one of the two files under the
 * segment's name; the truncation that CONTROL announces is finished at the next opening.
 */
export function takePlace(context: LogContext, pool: SegmentPool, segment: Segment, replacement: Replacement): void {
  const { file, path, records, dataEnd, epoch } = replacement;
  context.storage.rename(path, segment.path);
  segment.replaceFile(pool, file, records, dataEnd, epoch);
  context.storage.syncDirectoryNow(context.directory);
}
