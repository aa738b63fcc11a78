/**
 * Generated files on the disk: what is there, and writing what is not. A file is replaced in one step or not at all,
 * one that was not generated is never replaced, and none lies outside the directory that was asked for.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MARK } from './emit.ts';

/** How a file on the disk compares with what is generated. */
export type FileState = 'missing' | 'stale' | 'fresh' | 'foreign';

/** `foreign` is one that somebody else wrote. */
export function stateOf(path: string, text: string): FileState {
  if (!existsSync(path)) return 'missing';
  const found = readFileSync(path, 'utf8');
  if (found === text) return 'fresh';
  return found.replaceAll('\r\n', '\n').startsWith(MARK) ? 'stale' : 'foreign';
}

/** Writes a file; readers see the old one or the new one, whole. */
export function writeFile(path: string, text: string): void {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true });
  const temporary = join(directory, `.${basename(path)}.${process.pid}.tmp`);
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Reads a source, without the mark that some editors put before it. */
export function readText(path: string): string {
  return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
}
