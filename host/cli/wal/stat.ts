/**
 * `varve wal stat`: what a group is, who has its cores, and how far each is. `varve stat` of a group is the same.
 */
import type { Command } from 'commander';
import type { CheckpointInfo, CoreStats, UnusableCheckpoint, WalGroup, WalStats } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, date, doubtful, facts, good, plural, size, sizeExact, table } from '../format.ts';
import { openGroup } from './group.ts';

interface Options {
  readonly json?: true;
}

export function declareWalStat(group: Command, run: Run): void {
  declare(group, {
    usage: 'stat <dir>',
    summary: 'show epochs, checkpoints, and each core of a group',
    description: 'Who has each core, its entries, positions and epochs, and what recovery would find at its end. Exit code '
      + '2 for a torn tail, 3 where synced entries are damaged or missing; `varve wal check` reads all of them.',
    examples: ['varve wal stat ./wal', 'varve wal stat ./wal --json | jq .completeEpoch'],
  })
    .option('--json', 'print one JSON object, schema varve.wal-stat.v1')
    .action((directory: string, options: Options) => run((context) => statGroup(context, directory, options)));
}

/** Prints what a group is like. */
export async function statGroup({ out }: Context, directory: string, options: Options): Promise<Exit> {
  const group = await openGroup(directory);
  try {
    const stats = group.stats();
    if (options.json === true) {
      const { epoch, completeEpoch, checkpoints, cores } = stats;
      await out.json({
        schema: 'varve.wal-stat.v1', directory: group.directory, epoch, completeEpoch,
        cores: cores.map(coreJson), checkpoints: checkpoints.map(checkpointJson),
      });
    } else {
      for (const text of textsOf(group, stats)) await out.line(text);
    }
    return exitOf(stats);
  } finally {
    await group.close();
  }
}

function exitOf({ cores }: WalStats): Exit {
  const outcomes = new Set(cores.map(({ log }) => log?.outcome));
  if (outcomes.has('corrupt')) return Exit.Corrupt;
  return outcomes.has('cut') || outcomes.has('truncate') ? Exit.Torn : Exit.Ok;
}

function coreJson({ attached, log, ...core }: CoreStats): object {
  const { outcome, because, tornBytes, tornAt } = log ?? {};
  return {
    ...core, attached: attached ?? null,
    state: log === undefined ? null : { outcome, because, tornBytes, tornAt: tornAt ?? null },
  };
}

/** A checkpoint as JSON can hold it: integers beyond 2^53 - 1 as text. */
export function checkpointJson(checkpoint: CheckpointInfo | UnusableCheckpoint): object {
  if ('reason' in checkpoint) return checkpoint;
  const { createdAt, offsets, watermark } = checkpoint;
  return {
    ...checkpoint, createdAt: new Date(createdAt).toISOString(),
    offsets: Object.fromEntries([...offsets].map(([name, offset]) => [name, exact(offset)])),
    watermark: watermark === undefined ? null : exact(watermark),
  };
}

/** A number; text where it is a bigint, which JSON has not. */
export function exact(value: number | bigint): number | string {
  return typeof value === 'bigint' ? value.toString() : value;
}

function* textsOf({ directory, cores: number }: WalGroup, { epoch, completeEpoch, checkpoints, cores }: WalStats) {
  const last = checkpoints.findLast((each): each is CheckpointInfo => !('reason' in each));
  const bytes = cores.reduce((sum, core) => sum + core.bytes, 0);
  const entries = cores.reduce((sum, core) => sum + core.lastSequence - core.firstSequence + 1, 0);
  const attached = cores.filter((core) => core.attached !== undefined).length;
  yield facts([
    ['group', directory],
    ['cores', `${count(number)}; ${count(attached)} attached`],
    ['epoch', `${count(epoch)}; complete up to ${count(completeEpoch)}`],
    ['logs', `${plural(entries, 'entry', 'entries')}, ${sizeExact(bytes)}`],
    ['checkpoints', last === undefined ? 'none' : `${count(checkpoints.length)}; the newest is ${last.id}, of epoch `
      + `${count(last.epoch)}, ${size(last.bytes)}, ${date(last.createdAt)}`],
    ...checkpoints.flatMap((each) => (
      'reason' in each ? [[bad('damaged'), `checkpoint ${each.id}: ${each.because}`] as const] : [])),
  ]);
  yield table(
    ['core', 'writer', 'entries', 'first', 'last', 'position', 'synced', 'epoch', 'ended', 'segments', 'bytes', 'state'],
    cores.map((core) => [
      String(core.core), writerOf(core), count(core.lastSequence - core.firstSequence + 1), count(core.firstSequence),
      count(core.lastSequence), count(core.position), count(core.syncedPosition), count(core.epoch),
      count(core.endedEpoch), count(core.segments), size(core.bytes), stateOf(core),
    ]), [0, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

function writerOf({ attached, poisoned }: CoreStats): string {
  if (attached === undefined) return '-';
  return poisoned ? bad(`${attached}, poisoned`) : String(attached);
}

function stateOf({ log }: CoreStats): string {
  if (log === undefined) return 'never attached';
  if (log.outcome === 'corrupt') return bad('corrupt');
  return log.outcome === 'cut' || log.outcome === 'truncate' ? doubtful('torn') : good('whole');
}
