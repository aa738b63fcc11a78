/**
 * What processes that died have left beside a target: the hidden `.<name>.<pid>.<random>.tmp` files and directories
 * that were to become it. Those of processes that live stay, and so does what cannot be removed.
 */
import { basename, dirname, join } from 'node:path';
import type { Storage } from './storage.ts';

const BEHIND_NAME = /^(\d+)(?:\.[0-9a-f]{12})?\.tmp$/;

/** Removes what dead processes have left of `target`; never fails. To be called before it is written anew. */
export function removeLeftovers(storage: Storage, target: string): void {
  const directory = dirname(target);
  const before = `.${basename(target)}.`;
  try {
    for (const name of storage.list(directory) ?? []) {
      const pid = name.startsWith(before) ? BEHIND_NAME.exec(name.slice(before.length))?.[1] : undefined;
      if (pid === undefined || storage.alive(Number(pid))) continue;
      removeWhole(storage, join(directory, name));
    }
  } catch {
    // Whoever writes the target next tries again.
  }
}

/** Removes a file, or a directory of files. */
function removeWhole(storage: Storage, path: string): void {
  try {
    storage.remove(path);
  } catch {
    for (const name of storage.list(path) ?? []) storage.remove(join(path, name));
    storage.removeDirectory(path);
  }
}
