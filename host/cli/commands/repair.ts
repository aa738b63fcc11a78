/**
 * `varve repair`: makes a corrupt log usable again. It is explicit, because it gives up records that had been durable;
 * everything that it overwrites or cuts is saved beside the segments first.
 */
import type { Command } from 'commander';
import { RecordLog } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { repairKeyValue } from '../kv/repair.ts';
import { isKeyValueStore } from '../kv/store.ts';
import { printRepair, type RepairOptions } from '../repair-report.ts';
import { Exit } from '../exit.ts';
import { isGroup, refuseCore } from '../wal/group.ts';
import { repairGroup } from '../wal/repair.ts';

export function declareRepair(program: Command, run: Run): void {
  declare(program, {
    usage: 'repair <dir>',
    summary: 'give up damaged records so that the log can be written to again',
    description: 'Damaged records become placeholders and keep their LSNs; intact ones are not touched. What is '
      + 'overwritten or cut is saved in .cut files first. Needs the writer\'s lock, but for --dry-run. Of a '
      + 'key-value store it does what `varve kv repair` does, of a group what `varve wal repair` does.',
    examples: ['varve repair ./log --dry-run', 'varve repair ./log'],
  })
    .option('--dry-run', 'say what would be done and change nothing')
    .option('--json', 'print one JSON object, schema varve.repair.v1, varve.kv-repair.v1 or varve.wal-repair.v1')
    .action((directory: string, options: RepairOptions) => run((context) => repair(context, directory, options)));
}

async function repair(context: Context, directory: string, options: RepairOptions): Promise<Exit> {
  if (isKeyValueStore(directory)) return repairKeyValue(context, directory, options);
  if (isGroup(directory)) return repairGroup(context, directory, options);
  refuseCore(directory, 'varve repair DIR');
  const dryRun = options.dryRun === true;
  const report = await RecordLog.repair(directory, { dryRun });
  if (options.json === true) await context.out.json({ schema: 'varve.repair.v1', directory, dryRun, ...report });
  else await printRepair(context, report, dryRun);
  return Exit.Ok;
}
