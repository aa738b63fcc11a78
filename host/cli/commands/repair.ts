/**
 * `varve repair`: makes a corrupt log usable again. It is explicit, because it gives up records that had been durable;
 * everything that it overwrites or cuts is saved beside the segments first.
 */
import type { Command } from 'commander';
import { RecordLog } from '../../index.ts';
import type { RepairReport } from '../../log/repair.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, doubtful, good, plural } from '../format.ts';

interface Options {
  readonly dryRun?: true;
  readonly json?: true;
}

export function declareRepair(program: Command, run: Run): void {
  declare(program, {
    usage: 'repair <dir>',
    summary: 'give up damaged records so that the log can be written to again',
    description: 'Damaged records become placeholders and keep their LSNs; intact ones are not touched. What is '
      + 'overwritten or cut is saved in .cut files first. Needs the writer\'s lock, but for --dry-run.',
    examples: ['varve repair ./log --dry-run', 'varve repair ./log'],
  })
    .option('--dry-run', 'say what would be done and change nothing')
    .option('--json', 'print one JSON object, schema varve.repair.v1')
    .action((directory: string, options: Options) => run((context) => repair(context, directory, options)));
}

async function repair(context: Context, directory: string, options: Options): Promise<Exit> {
  const dryRun = options.dryRun === true;
  const report = await RecordLog.repair(directory, { dryRun });
  if (options.json === true) await context.out.json({ schema: 'varve.repair.v1', directory, dryRun, ...report });
  else await print(context, report, dryRun);
  return Exit.Ok;
}

async function print({ out }: Context, report: RepairReport, dryRun: boolean): Promise<void> {
  const would = dryRun ? 'would be ' : '';
  for (const { firstLsn, lastLsn, segment, offset, bytes } of report.lost) {
    const which = firstLsn === lastLsn ? `record ${count(firstLsn)}` : `records ${count(firstLsn)} to ${count(lastLsn)}`;
    await out.line(`${bad(`${would}given up`)}: ${which}, ${plural(bytes, 'byte')} at offset ${offset} of segment `
      + segment);
  }
  if (report.cutBytes > 0) {
    await out.line(`${doubtful(`${would}cut`)}: ${plural(report.cutBytes, 'byte')} behind the last record`);
  }
  for (const { path, bytes } of report.cutFiles) await out.line(`saved: ${path} (${plural(bytes, 'byte')})`);
  const holds = report.lastLsn < report.firstLsn ? 'no record' : `LSN ${count(report.firstLsn)} to ${count(report.lastLsn)}`;
  const state = !report.changed ? good('nothing to repair') : dryRun ? doubtful('nothing changed') : good('repaired');
  await out.line(`${state}: ${report.because}; the log ${dryRun && report.changed ? 'would hold' : 'holds'} ${holds}`);
}
