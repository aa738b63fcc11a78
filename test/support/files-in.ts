/**
 * All files below a directory outside the sources: build products and what a test made.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Returns the paths of all files below `directory`, sorted. */
export function filesIn(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
