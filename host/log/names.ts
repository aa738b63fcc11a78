/**
 * The names of a store's files. Nothing that a user chooses ever becomes part of one as it is: the names of cursors are
 * escaped, so that none is a path, and none differs from another by the case of its letters alone.
 */
import { join } from 'node:path';

export const CONTROL_NAME = 'CONTROL';
export const LOCK_NAME = 'LOCK';
export const CURSORS_NAME = 'cursors';
/** Where a key-value store keeps its table while it is closed. */
export const KEYDIR_NAME = 'KEYDIR';
/** What makes a directory the one of a write-ahead log group, whose logs are below it. */
export const GROUP_NAME = 'GROUP';
const SEGMENT_NAME = /^(\d{20})\.seg$/;
const NEW_NAME = /^\d{20}\.seg\.new$|^spare-e\d+-\d+$/;
const HINT_NAME = /^(\d{20})\.hint$/;
const OWN_NAMES = [
  /^(CONTROL|KEYDIR)(\.new)?$/, /^LOCK$/, /^cursors$/, /^\d{20}\.(seg|hint)(\.new)?$/, /^\d{20}[-.\w]*\.cut$/,
  /^spare-e\d+-\d+$/,
];

/** `00000000000000000001.seg` for base LSN 1. */
export function segmentName(baseLsn: number): string {
  return `${String(baseLsn).padStart(20, '0')}.seg`;
}

/** The base LSN that a file's name states, or `undefined` where it is no segment. */
export function baseLsnOf(name: string): number | undefined {
  const match = SEGMENT_NAME.exec(name);
  if (match === null) return undefined;
  const lsn = Number(match[1]);
  return Number.isSafeInteger(lsn) && lsn >= 1 ? lsn : undefined;
}

/** `00000000000000000001.hint`: what a key-value store notes of the sealed segment with base LSN 1. */
export function hintName(baseLsn: number): string {
  return `${String(baseLsn).padStart(20, '0')}.hint`;
}

/** The base LSN of the segment that a hint is of, or `undefined` where the name is no hint's. */
export function hintBaseLsnOf(name: string): number | undefined {
  const match = HINT_NAME.exec(name);
  return match === null ? undefined : baseLsnOf(segmentName(Number(match[1])));
}

/** Where a file is written before it takes the place of the one of that name. */
export function replacementPath(path: string): string {
  return `${path}.new`;
}

/** The `count`th file that a writer of this epoch makes for a segment ahead: never that of another writer. */
export function spareName(epoch: number, count: number): string {
  return `spare-e${epoch}-${count}`;
}

/** Whether a file was to become a segment's and never did. */
export function isReplacement(name: string): boolean {
  return NEW_NAME.test(name);
}

/** Whether a file only repeats what the log says, and can be made anew from it. */
export function isDerivedName(name: string): boolean {
  return name === KEYDIR_NAME || hintBaseLsnOf(name) !== undefined;
}

/** Whether varve gave a file this name. */
export function isOwnName(name: string): boolean {
  return OWN_NAMES.some((pattern) => pattern.test(name));
}

/**
 * Where the bytes that were cut from a segment at `offset` are kept. The epoch keeps two cuts apart, `copy` what
 * several attempts at one have saved.
 */
export function cutPath(directory: string, baseLsn: number, offset: number, epoch: number, copy = 1): string {
  const name = `${String(baseLsn).padStart(20, '0')}-${offset}-e${epoch}`;
  return join(directory, copy === 1 ? `${name}.cut` : `${name}-${copy}.cut`);
}

const CURSOR_ENDING = '.cursor';

/** The name of a cursor's file: every byte of its UTF-8 but a to z, 0 to 9, `_` and `-` becomes `%XX`. */
export function cursorFileName(name: string): string {
  const escaped = Array.from(Buffer.from(name), (byte) => {
    const character = String.fromCharCode(byte);
    return /[a-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  return `${escaped.join('')}${CURSOR_ENDING}`;
}

/** The cursor whose file has this name, or `undefined` where it is not one that `cursorFileName` gives. */
export function cursorNameOf(fileName: string): string | undefined {
  if (!fileName.endsWith(CURSOR_ENDING)) return undefined;
  const escaped = fileName.slice(0, -CURSOR_ENDING.length);
  const bytes = escaped.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const name = Buffer.from(bytes, 'latin1').toString();
  return name !== '' && cursorFileName(name) === fileName ? name : undefined;
}
