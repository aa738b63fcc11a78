/**
 * The names of a store's files. Nothing that a user chooses ever becomes part of one.
 */
import { join } from 'node:path';

export const CONTROL_NAME = 'CONTROL';
export const LOCK_NAME = 'LOCK';
const SEGMENT_NAME = /^(\d{20})\.seg$/;
const NEW_NAME = /^\d{20}\.seg\.new$/;
const OWN_NAME = /^(CONTROL|CONTROL\.new|LOCK|\d{20}\.seg(\.new)?|\d{20}[-.\w]*\.cut)$/;

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

/** Where what stays of a segment is written before it takes the segment's place. */
export function replacementPath(segmentPath: string): string {
  return `${segmentPath}.new`;
}

/** Whether a file is a replacement that never took its place. */
export function isReplacement(name: string): boolean {
  return NEW_NAME.test(name);
}

/** Whether varve gave a file this name. */
export function isOwnName(name: string): boolean {
  return OWN_NAME.test(name);
}

/**
 * Where the bytes that were cut from a segment at `offset` are kept. The epoch keeps two cuts apart, `copy` what
 * several attempts at one have saved.
 */
export function cutPath(directory: string, baseLsn: number, offset: number, epoch: number, copy = 1): string {
  const name = `${String(baseLsn).padStart(20, '0')}-${offset}-e${epoch}`;
  return join(directory, copy === 1 ? `${name}.cut` : `${name}-${copy}.cut`);
}
