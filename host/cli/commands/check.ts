/**
 * `varve check`: verifies every frame of a log and lists all damage. Takes no lock and changes nothing.
 */
import type { Command } from 'commander';
import { RecordLog } from '../../index.ts';
import type { CheckReport } from '../../log/check.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, doubtful, good, plural, sizeExact, throughput, time } from '../format.ts';
import { checkKeyValue } from '../kv/state.ts';
import { isKeyValueStore } from '../kv/store.ts';
import { startProgress } from '../progress.ts';
import { checkTyped, type TypedCheckOptions } from '../typed/check.ts';
import { isTypedPath, SCHEMA_OPTION } from '../typed/open.ts';
import { checkGroup } from '../wal/check.ts';
import { isGroup, refuseCore } from '../wal/group.ts';

type Options = TypedCheckOptions;

const EXITS = { ok: Exit.Ok, torn: Exit.Torn, corrupt: Exit.Corrupt } as const;

export function declareCheck(program: Command, run: Run): void {
  declare(program, {
    usage: 'check <path>',
    summary: 'verify every record and list all damage',
    description: 'Reads every frame of every segment and computes its checksum again. Exit code 2 for a torn tail, 3 for '
      + 'damage to records that had been synced. Of a key-value store it does what `varve kv check` does, of a group what '
      + '`varve wal check` does. Of a typed file it reads every record: exit code 2 where a writer that '
      + 'is stopped or dead has one, 3 where one is damaged.',
    examples: ['varve check ./log', 'varve check ./log --json | jq .damaged', 'varve check ./ticks.varve'],
  })
    .option(...SCHEMA_OPTION)
    .option('--json', 'print one JSON object, schema varve.check.v1, varve.kv-check.v1, varve.wal-check.v1 or '
      + 'varve.check-typed.v1')
    .action((path: string, options: Options) => run((context) => (
      isTypedPath(path) ? checkTyped(context, path, options) : check(context, path, options))));
}

async function check(context: Context, directory: string, options: Options): Promise<Exit> {
  if (isKeyValueStore(directory)) return checkKeyValue(context, directory, options);
  if (isGroup(directory)) return checkGroup(context, directory, options);
  refuseCore(directory, 'varve wal check DIR');
  const log = await RecordLog.open(directory, { readOnly: true });
  try {
    const begun = performance.now();
    const progress = startProgress('checking', 1, options.json === true);
    let report: CheckReport;
    try {
      report = log.check({ onProgress: (done, total) => { progress.update(done, total); } });
    } finally {
      progress.stop();
    }
    const seconds = (performance.now() - begun) / 1000;
    const { firstLsn, lastLsn } = log;
    if (options.json === true) {
      await context.out.json({
        schema: 'varve.check.v1', directory: log.directory, firstLsn, lastLsn, ...report, seconds,
      });
    } else {
      await print(context, report, firstLsn, lastLsn, seconds);
    }
    return EXITS[report.outcome];
  } finally {
    await log.close();
  }
}

async function print(
  { out }: Context, report: CheckReport, firstLsn: number, lastLsn: number, seconds: number,
): Promise<void> {
  const range = report.records === 0 ? '' : `, LSN ${count(firstLsn)} to ${count(lastLsn)}`;
  await out.line(`${plural(report.records, 'intact record')} in ${plural(report.segments, 'segment')}${range}`);
  await out.line(`${sizeExact(report.bytes)} checked in ${time(seconds)}: ${throughput(report.bytes, seconds)}`);
  for (const { lsn, records, offset, path, status } of report.damaged) {
    const which = records > 1 ? `records ${count(lsn)} to ${count(lsn + records - 1)}` : `record ${count(lsn)}`;
    // Where data simply end, no frame is wrong: the next file is gone.
    const why = status === 'Ok' ? 'missing' : status;
    await out.line(`${bad('damaged')}: ${which} (${why}) at offset ${offset} of ${path}`);
  }
  if (report.lostLsns.length > 0) {
    await out.line(`${doubtful('given up')} by an earlier repair: ${plural(report.lostLsns.length, 'record')}, LSN `
      + ranges(report.lostLsns));
  }
  if (report.tornAt !== undefined) {
    await out.line(`${doubtful('torn tail')}: ${plural(report.tornBytes, 'byte')} at offset ${report.tornAt.offset} of `
      + `segment ${report.tornAt.segment}; the next opening for writing saves and cuts it`);
  }
  const colour = { ok: good, torn: doubtful, corrupt: bad }[report.outcome];
  await out.line(`${colour(report.outcome)}: ${report.because}`);
}

/** `3-5, 9` */
export function ranges(lsns: readonly number[]): string {
  const texts: string[] = [];
  for (let at = 0; at < lsns.length;) {
    const first = at;
    while (at + 1 < lsns.length && lsns[at + 1] === lsns[at]! + 1) at++;
    texts.push(first === at ? String(lsns[first]) : `${lsns[first]}-${lsns[at]}`);
    at++;
  }
  return texts.join(', ');
}
