/**
 * Reading what a store's directory holds, without judging it: CONTROL, and header and footer of each segment. Changes
 * nothing. host/log/recovery.ts judges.
 */
import { join } from 'node:path';
import type { StoreIdentity } from '../core/control-page.ts';
import { FOOTER_BYTES, indexBytesFor, parseFooter, parseHeader, type HeaderFields } from '../core/segment-file.ts';
import { VarveError } from '../errors/varve-error.ts';
import { FORMAT_VERSION, FRAMES_OFFSET, SegmentHeader, Status } from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { baseLsnOf, GROUP_NAME, isOwnName, segmentName } from './names.ts';
import { Segment, type LogContext } from './segment.ts';

/** A file with the name of a segment whose header is not valid. */
export interface Headless {
  readonly path: string;
  readonly baseLsn: number;
  /** Why: `BadMagic` or `BadHeader`, or `ForeignStore` where header and name or header and store disagree. */
  readonly status: number;
  /** Whether the whole header page is zeros: the file was made but its header never reached the disk. */
  readonly blank: boolean;
}

/** What a directory holds. */
export interface Loaded {
  /** Ascending by base LSN. */
  readonly segments: Segment[];
  readonly headless: Headless[];
}

/** Whether the names are those of a store: ours, or none. */
export function holdsStore(names: readonly string[]): boolean {
  return names.some((name) => name === 'CONTROL' || baseLsnOf(name) !== undefined);
}

/** Refuses a directory that holds other files but no store. Errors: ERR_VARVE_FOREIGN_DIRECTORY. */
export function refuseForeign(directory: string, names: readonly string[]): void {
  if (holdsStore(names)) return;
  if (names.includes(GROUP_NAME)) {
    throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
      `${directory} holds a group of write-ahead logs; open it with WalGroup`, { path: directory, names: [GROUP_NAME] });
  }
  const foreign = names.filter((name) => !isOwnName(name));
  if (foreign.length === 0) return;
  throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
    `${directory} holds ${foreign.length} file(s) that varve did not write, such as '${foreign[0]}', and no store; `
    + 'choose an empty directory',
    { path: directory, names: foreign.slice(0, 10) });
}

/** The error for a file of a later version. */
export function newerVersion(path: string): VarveError {
  return new VarveError('ERR_VARVE_NEWER_VERSION',
    `${path} was written by a later version of varve or uses a feature that this one does not know (it reads format `
    + `${FORMAT_VERSION}); update varve`,
    { path, supported: FORMAT_VERSION });
}

function sameStore(a: StoreIdentity, b: StoreIdentity): boolean {
  return a.storeKind === b.storeKind && a.idLow === b.idLow && a.idHigh === b.idHigh;
}

/**
 * The footer at the end of a segment's file; `undefined` where there is none that is valid. Where the next segment is
 * known, also the footer of a file that a living writer has not trimmed yet: it stands where that one says.
 */
export function readFooter(context: LogContext, file: StoredFile, header: HeaderFields, next?: HeaderFields) {
  const footer = footerEndingAt(context, file, header, file.size());
  if (footer !== undefined || next === undefined) return footer;
  const dataEnd = next.basePosition - header.basePosition + FRAMES_OFFSET;
  return footerEndingAt(context, file, header, dataEnd + indexBytesFor(next.baseLsn - header.baseLsn) + FOOTER_BYTES);
}

function footerEndingAt(context: LogContext, file: StoredFile, header: HeaderFields, end: number) {
  if (end < FOOTER_BYTES) return undefined;
  const bytes = new Uint8Array(FOOTER_BYTES);
  file.read(bytes, end - FOOTER_BYTES);
  const footer = parseFooter(context.core, bytes, end, header);
  return typeof footer === 'number' ? undefined : footer;
}

function loadSegment(
  context: LogContext, path: string, baseLsn: number, identity: StoreIdentity | undefined,
): Segment | Headless {
  const file = context.storage.open(path, context.readOnly ? 'read' : 'write');
  let keep = false;
  try {
    const page = new Uint8Array(SegmentHeader.BYTES);
    const count = file.read(page, 0);
    const header = parseHeader(context.core, page.subarray(0, count));
    if (header === Status.NewerVersion) throw newerVersion(path);
    if (typeof header === 'number') return { path, baseLsn, status: header, blank: page.every((byte) => byte === 0) };
    if (header.baseLsn !== baseLsn || (identity !== undefined && !sameStore(header.identity, identity))) {
      return { path, baseLsn, status: Status.ForeignStore, blank: false };
    }
    const segment = new Segment(context, path, header, readFooter(context, file, header));
    if (!segment.synced) {
      segment.attach(file);
      keep = true;
    }
    return segment;
  } finally {
    if (!keep) file.close();
  }
}

/**
 * Loads every segment of a directory.
 *
 * @param identity the store's, where CONTROL is valid: segments of another store are headless
 * Errors: ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO
 */
export function loadSegments(
  context: LogContext, names: readonly string[], identity: StoreIdentity | undefined,
): Loaded {
  const loaded: Loaded = { segments: [], headless: [] };
  const baseLsns = names.map(baseLsnOf).filter((lsn) => lsn !== undefined).sort((a, b) => a - b);
  try {
    for (const baseLsn of baseLsns) {
      const path = join(context.directory, segmentName(baseLsn));
      const found = loadSegment(context, path, baseLsn, identity ?? loaded.segments[0]?.header.identity);
      if (found instanceof Segment) loaded.segments.push(found);
      else loaded.headless.push(found);
    }
    return loaded;
  } catch (error) {
    // A file that is gone since it was listed must not leave those before it open.
    for (const segment of loaded.segments) segment.closeFile();
    throw error;
  }
}
