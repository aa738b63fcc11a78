/**
 * `varve wal`: the commands for groups of write-ahead logs.
 */
import type { Command } from 'commander';
import type { Run } from '../context.ts';
import { declareWalCheck } from './check.ts';
import { declareWalCat, declareWalMerge } from './entries.ts';
import { declareWalRepair } from './repair.ts';
import { declareWalStat } from './stat.ts';

export function declareWal(program: Command, run: Run): void {
  const group = program.command('wal').summary('look at, check and repair a group of write-ahead logs')
    .description('Commands for groups of write-ahead logs. All but repair take no lock and create nothing; they '
      + 'work beside running writers.')
    .showHelpAfterError('hint: varve wal --help');
  for (const add of [
    declareWalStat, declareWalCheck, declareWalCat, declareWalMerge, declareWalRepair,
  ]) add(group, run);
}
