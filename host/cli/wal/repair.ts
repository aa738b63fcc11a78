/**
 * `varve wal repair`: makes the damaged logs of a group usable again. `varve repair` of a group is the same.
 */
import type { Command } from 'commander';
import { WalGroup } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { doubtful, good, plural } from '../format.ts';
import { printRepair, type RepairOptions } from '../repair-report.ts';

export function declareWalRepair(group: Command, run: Run): void {
  declare(group, {
    usage: 'repair <dir>',
    summary: 'give up damaged entries so that their cores can be written to again',
    description: 'Damaged entries become placeholders, which a recovery counts and passes over; intact ones are not touched. '
      + 'What is overwritten or cut is saved in .cut files first. Damaged checkpoints stay: a recovery walks over them. '
      + 'Nobody may have the group or a core open, but for --dry-run.',
    examples: ['varve wal repair ./wal --dry-run', 'varve wal repair ./wal'],
  })
    .option('--dry-run', 'say what would be done and change nothing')
    .option('--json', 'print one JSON object, schema varve.wal-repair.v1')
    .action((directory: string, options: RepairOptions) => run((context) => repairGroup(context, directory, options)));
}

/** Repairs a group and prints what that did. */
export async function repairGroup(context: Context, directory: string, options: RepairOptions): Promise<Exit> {
  const { out } = context;
  const dryRun = options.dryRun === true;
  const report = await WalGroup.repair(directory, { dryRun });
  const { cores, restoredGroup, changed } = report;
  if (options.json === true) {
    await out.json({ schema: 'varve.wal-repair.v1', directory, dryRun, ...report });
    return Exit.Ok;
  }
  const mended = cores.filter((core) => core.changed);
  for (const core of mended) {
    await out.line(`core ${core.core}, ${core.path}:`);
    await printRepair(context, core, dryRun);
  }
  if (restoredGroup) await out.line(`${dryRun ? 'would be ' : ''}restored: the damaged copy of what the group is`);
  const state = !changed ? good('nothing to repair') : dryRun ? doubtful('nothing changed') : good('repaired');
  await out.line(`${state}: ${plural(mended.length, 'log')} of ${cores.length}; varve wal check says what a recovery has`);
  return Exit.Ok;
}
