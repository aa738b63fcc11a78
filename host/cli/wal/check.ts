/**
 * `varve wal check`: verifies a group, its logs and its checkpoints. `varve check` of a group is the same.
 */
import type { Command } from 'commander';
import type { WalCheck } from '../../index.ts';
import { ranges } from '../commands/check.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, doubtful, good, plural, sizeExact, throughput, time } from '../format.ts';
import { startProgress } from '../progress.ts';
import { openGroup } from './group.ts';
import { checkpointJson } from './stat.ts';

interface Options {
  readonly json?: true;
}

const OUTCOMES = {
  ok: { exit: Exit.Ok, colour: good },
  torn: { exit: Exit.Torn, colour: doubtful },
  corrupt: { exit: Exit.Corrupt, colour: bad },
} as const;

export function declareWalCheck(group: Command, run: Run): void {
  declare(group, {
    usage: 'check <dir>',
    summary: 'verify every entry and every checkpoint of a group, and list all damage',
    description: 'Reads every frame of every core and every checkpoint with its state, computes their checksums again, and '
      + 'says whether the logs join on to the newest whole checkpoint. Exit code 2 for a torn tail, 3 for damage.',
    examples: ['varve wal check ./wal', 'varve wal check ./wal --json | jq .damaged'],
  })
    .option('--json', 'print one JSON object, schema varve.wal-check.v1')
    .action((directory: string, options: Options) => run((context) => checkGroup(context, directory, options)));
}

/** Checks a group and prints what was found. */
export async function checkGroup({ out }: Context, directory: string, options: Options): Promise<Exit> {
  const group = await openGroup(directory);
  try {
    const begun = performance.now();
    const progress = startProgress('checking', 1, options.json === true);
    let report: WalCheck;
    try {
      report = group.check({ onProgress: (done, total) => { progress.update(done, total); } });
    } finally {
      progress.stop();
    }
    const seconds = (performance.now() - begun) / 1000;
    if (options.json === true) {
      await out.json({
        schema: 'varve.wal-check.v1', directory: group.directory, ...report, replay: report.replay ?? null,
        checkpoints: report.checkpoints.map(checkpointJson), seconds,
      });
    } else {
      for (const line of linesOf(report, seconds)) await out.line(line);
    }
    return OUTCOMES[report.outcome].exit;
  } finally {
    await group.close();
  }
}

function* linesOf(report: WalCheck, seconds: number): Generator<string> {
  const { cores, checkpoints, unusable, completeEpoch, damaged, joined, replay, outcome, because } = report;
  const entries = cores.reduce((sum, core) => sum + core.entries, 0);
  const bytes = [...cores, ...checkpoints].reduce((sum, each) => sum + each.bytes, 0);
  yield `${plural(entries, 'intact entry', 'intact entries')} of ${plural(cores.length, 'core')}, `
    + `${plural(checkpoints.length, 'whole checkpoint')}; epochs are complete up to ${count(completeEpoch)}`;
  yield `${sizeExact(bytes)} checked in ${time(seconds)}: ${throughput(bytes, seconds)}`;
  for (const { core, path, offset, sequence, entries: many, status } of damaged) {
    const whose = core === undefined ? 'the group' : `core ${core}`;
    const which = sequence === undefined ? whose : many > 1
      ? `entries ${count(sequence)} to ${count(sequence + many - 1)} of ${whose}` : `entry ${count(sequence)} of ${whose}`;
    yield `${bad('damaged')}: ${which} (${status === 'Ok' ? 'missing' : status}) at offset ${offset} of ${path}`;
  }
  for (const { id, path, because: why } of unusable) yield `${bad('damaged')}: checkpoint ${id} of ${path}: ${why}`;
  for (const { core, lostSequences, tornAt, tornBytes } of cores) {
    if (lostSequences.length > 0) {
      yield `${doubtful('given up')} by an earlier repair: ${plural(lostSequences.length, 'entry', 'entries')} of core `
        + `${core}, ${ranges(lostSequences)}`;
    }
    if (tornAt !== undefined) {
      yield `${doubtful('torn tail')}: ${plural(tornBytes, 'byte')} at offset ${tornAt.offset} of segment `
        + `${tornAt.segment} of core ${core}; whoever attaches the core saves and cuts it`;
    }
  }
  const newest = checkpoints.at(-1);
  const base = newest === undefined ? 'nothing' : `checkpoint ${newest.id}`;
  if (!joined) yield `${bad('recovery')}: the logs do not join on to ${base}`;
  else if (replay !== undefined) yield `recovery: ${base} and ${plural(replay, 'entry', 'entries')}`;
  yield `${OUTCOMES[outcome].colour(outcome)}: ${because}`;
}
