/**
 * Groups of write-ahead logs on the command line: told from other directories, opened for reading, and what is said to
 * those who point a command for one log at a group, or at the log of one of its cores.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { WalGroup } from '../../index.ts';
import { STORE_KIND_GROUP_CORE } from '../../generated/abi.ts';
import { GROUP_NAME } from '../../log/names.ts';
import { storeKindOf } from '../context.ts';
import { UsageError } from '../exit.ts';

/** Opens for reading: without a lock, and nothing is made. */
export function openGroup(directory: string): Promise<WalGroup> {
  return WalGroup.open(directory, { readOnly: true });
}

/** Whether a directory holds a group. */
export function isGroup(directory: string): boolean {
  return existsSync(join(directory, GROUP_NAME));
}

/** Refuses the directory of a core's log, which is a part of a group; `command` is what to do with that, DIR. */
export function refuseCore(directory: string, command: string): void {
  if (storeKindOf(directory) !== STORE_KIND_GROUP_CORE) return;
  throw new UsageError(`${directory} is the log of one core of a group`,
    `give the directory of the group: ${command.replace('DIR', dirname(resolve(directory)))}`);
}
