/**
 * What a repair can be told on the command line, and how its report is printed: the part that all logs have.
 */
import type { RepairReport } from '../index.ts';
import type { Context } from './context.ts';
import { bad, count, doubtful, good, plural } from './format.ts';

export interface RepairOptions {
  readonly dryRun?: true;
  readonly json?: true;
}

/** Prints what was given up of a log, and what it is now. */
export async function printRepair({ out }: Context, report: RepairReport, dryRun: boolean): Promise<void> {
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
