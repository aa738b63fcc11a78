/**
 * The names of a group's files and directories. Nothing that a user chooses becomes part of one.
 */
import { join } from 'node:path';

export { GROUP_NAME } from '../log/names.ts';
export const CHECKPOINTS_NAME = 'checkpoints';
const CORE_DIGITS = 4;

/** The directory of a core's log: `core-0000` for the first. */
export function corePath(directory: string, core: number): string {
  return join(directory, `core-${String(core).padStart(CORE_DIGITS, '0')}`);
}
