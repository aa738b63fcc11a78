/**
 * `varve kv stat`, `check` and `compact`: a store as a whole. `varve stat` and `varve check` of a key-value store are
 * the first two.
 */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import type { KeyValueCheck } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, doubtful, facts, good, plural, size, sizeExact, throughput, time } from '../format.ts';
import { startProgress } from '../progress.ts';
import { share } from './bytes.ts';
import { openForReading, openForWriting } from './store.ts';

interface JsonOptions {
  readonly json?: true;
}

const OUTCOMES = {
  created: { exit: Exit.Ok, colour: good },
  whole: { exit: Exit.Ok, colour: good },
  ok: { exit: Exit.Ok, colour: good },
  cut: { exit: Exit.Torn, colour: doubtful },
  torn: { exit: Exit.Torn, colour: doubtful },
  truncate: { exit: Exit.Torn, colour: doubtful },
  corrupt: { exit: Exit.Corrupt, colour: bad },
} as const;

export function declareKeyValueStat(group: Command, run: Run): void {
  declare(group, {
    usage: 'stat <dir>',
    summary: 'show how many keys a store holds, and how much of it is live',
    description: 'Takes no lock. Exit code 2 for a torn tail, 3 where synced records are damaged or missing.',
    examples: ['varve kv stat ./users', 'varve kv stat ./users --json | jq .keys'],
  })
    .option('--json', 'print one JSON object, schema varve.kv-stat.v1')
    .action((directory: string, options: JsonOptions) => run((context) => statKeyValue(context, directory, options)));
}

/** Prints what a store holds. */
export async function statKeyValue({ out }: Context, directory: string, options: JsonOptions): Promise<Exit> {
  const begun = performance.now();
  const store = await openForReading(directory);
  try {
    const seconds = (performance.now() - begun) / 1000;
    const { lastLsn, durableLsn, recovery: { log, keydir, hints, ignored, damaged } } = store;
    const { keys, segments, bytes, liveBytes, tableBytes, tableLoad } = store.stats();
    const deadRatio = bytes === 0 ? 0 : 1 - liveBytes / bytes;
    const { exit, colour } = OUTCOMES[log.outcome];
    if (options.json === true) {
      await out.json({
        schema: 'varve.kv-stat.v1', directory: store.directory, keys, segments, bytes, liveBytes, deadRatio, lastLsn,
        durableLsn, tableBytes, tableLoad,
        state: { outcome: log.outcome, because: log.because, tornBytes: log.tornBytes },
        keydir, hints, ignored, damaged, seconds,
      });
      return exit;
    }
    const made = keydir === 'loaded' ? 'as it was left' : `made anew, ${plural(hints, 'hint file')} used`;
    await out.line(facts([
      ['store', store.directory],
      ['keys', count(keys)],
      ['log', `${plural(segments, 'segment')}, ${sizeExact(bytes)} of frames, last LSN ${count(lastLsn)}, durable to `
        + count(durableLsn)],
      ['live', `${size(liveBytes)}; ${(deadRatio * 100).toFixed(1)} % is dead`],
      ['table', `${size(tableBytes)}, ${(tableLoad * 100).toFixed(0)} % full; ${made}, opened in ${time(seconds)}`],
      ['state', `${colour(log.outcome)}: ${log.because}`],
      ...ignored.map(({ path, because }) => ['not used', `${path}: ${because}`] as const),
      ...damaged.map(({ path, offset, lsn }) => (
        [bad('damaged'), `record ${count(lsn)} at offset ${offset} of ${path}`] as const)),
    ]));
    return exit;
  } finally {
    await store.close();
  }
}

export function declareKeyValueCheck(group: Command, run: Run): void {
  declare(group, {
    usage: 'check <dir>',
    summary: 'verify every record and the key directory, and list all damage',
    description: 'Reads every frame and computes its checksum again; then compares the key directory with one that is made '
      + 'of the log alone. Takes no lock. Exit code 2 for a torn tail, 3 for damage.',
    examples: ['varve kv check ./users', 'varve kv check ./users --json | jq .damaged'],
  })
    .option('--json', 'print one JSON object, schema varve.kv-check.v1: keys as text where they are UTF-8, else key_b64')
    .action((directory: string, options: JsonOptions) => run((context) => checkKeyValue(context, directory, options)));
}

/** Checks a store and prints what was found. */
export async function checkKeyValue({ out }: Context, directory: string, options: JsonOptions): Promise<Exit> {
  const store = await openForReading(directory);
  try {
    const begun = performance.now();
    const progress = startProgress('checking', 1, options.json === true);
    let report: KeyValueCheck<Buffer>;
    try {
      report = store.check({ onProgress: (done, total) => { progress.update(done, total); } });
    } finally {
      progress.stop();
    }
    const seconds = (performance.now() - begun) / 1000;
    if (options.json === true) {
      await out.json({
        schema: 'varve.kv-check.v1', directory: store.directory, ...report, damaged: report.damaged.map(withKey),
        keydir: report.keydir.map(withKey), seconds,
      });
    } else {
      for (const line of linesOf(report, seconds)) await out.line(line);
    }
    return OUTCOMES[report.outcome].exit;
  } finally {
    await store.close();
  }
}

/** A finding with its key as JSON can hold it. */
function withKey<T extends { readonly key?: Buffer }>({ key, ...rest }: T): object {
  return key === undefined ? rest : { ...rest, ...keyMember(key) };
}

/** A key as JSON can hold it. */
export function keyMember(key: Buffer): object {
  const text = key.toString();
  return Buffer.from(text).equals(key) ? { key: text } : { key_b64: key.toString('base64') };
}

function* linesOf(report: KeyValueCheck<Buffer>, seconds: number): Generator<string> {
  const { keys, records, segments, bytes, damaged, keydir, tornAt, tornBytes, outcome, because } = report;
  yield `${plural(keys, 'key')}, ${plural(records, 'intact record')} in ${plural(segments, 'segment')}`;
  yield `${sizeExact(bytes)} checked in ${time(seconds)}: ${throughput(bytes, seconds)}`;
  for (const { lsn, records: many, offset, path, status, key } of damaged) {
    const which = many > 1 ? `records ${count(lsn)} to ${count(lsn + many - 1)}` : `record ${count(lsn)}`;
    yield `${bad('damaged')}: ${which}${ofKey(key)} (${status === 'Ok' ? 'missing' : status}) at offset ${offset} of ${path}`;
  }
  for (const { problem, lsn, offset, path, key } of keydir) {
    const where = lsn === 0 ? '' : `: record ${count(lsn)}${ofKey(key)} at offset ${offset}`;
    yield `${bad(`key directory, ${problem}`)}${where} of ${path}`;
  }
  if (tornAt !== undefined) {
    yield `${doubtful('torn tail')}: ${plural(tornBytes, 'byte')} at offset ${tornAt.offset} of segment ${tornAt.segment}; `
      + 'the next opening for writing saves and cuts it';
  }
  yield `${OUTCOMES[outcome].colour(outcome)}: ${because}`;
}

function ofKey(key: Buffer | undefined): string {
  return key === undefined ? '' : `, key ${keyText(key)}`;
}

/** A key for people; it may hold anything, and JSON escapes what a terminal would obey. */
export function keyText(key: Buffer): string {
  return JSON.stringify(key.toString()).replace(/[\p{Cc}\p{Cf}]/gu, '?');
}

interface CompactOptions extends JsonOptions {
  readonly to?: string;
  readonly minDeadRatio?: number;
}

export function declareCompact(group: Command, run: Run): void {
  declare(group, {
    usage: 'compact <dir>',
    summary: 'give the space of dead records back, or copy the live ones to a new store',
    description: 'In place, under the writer\'s lock; readers go on. With --to no lock is needed and the store stays as it '
      + 'is: the copy holds the live records, sorted by key, with their versions and expiries, or is not made at all.',
    examples: ['varve kv compact ./users', 'varve kv compact ./users --to ./users-copy --json'],
  })
    .option('--to <dir>', 'copy to this directory, which must not exist or be empty')
    .option('--min-dead-ratio <share>', 'only the oldest segments of which at least this share is dead, 0 to 1', share)
    .option('--json', 'print one JSON object, schema varve.kv-compact.v1')
    .action((directory: string, options: CompactOptions) => run((context) => (options.to === undefined
      ? compact(context, directory, options) : copy(context, directory, options.to, options))));
}

async function compact(context: Context, directory: string, options: CompactOptions): Promise<Exit> {
  const store = await openForWriting(context, directory, { create: false });
  const progress = startProgress('compacting', 1, options.json === true);
  try {
    const begun = performance.now();
    const { minDeadRatio = 0 } = options;
    const report = await store.compact({
      minDeadRatio, signal: context.interruptible(),
      onProgress: ({ doneBytes, totalBytes }) => { progress.update(doneBytes, totalBytes); },
    });
    progress.stop();
    const { keys, bytes } = store.stats();
    await store.close();
    const seconds = (performance.now() - begun) / 1000;
    if (options.json === true) {
      await context.out.json({
        schema: 'varve.kv-compact.v1', directory: store.directory, target: null, keys, bytes, ...report, seconds,
      });
    } else {
      await context.out.line(`dropped ${plural(report.segments, 'segment')} and copied ${plural(report.copiedRecords, 'record')} `
        + `(${size(report.copiedBytes)}) in ${time(seconds)}: ${sizeExact(report.freedBytes)} are free; ${plural(keys, 'key')} in `
        + size(bytes));
    }
    return Exit.Ok;
  } finally {
    progress.stop();
    await store.close();
  }
}

async function copy(context: Context, directory: string, to: string, options: CompactOptions): Promise<Exit> {
  const store = await openForReading(directory);
  const progress = startProgress('copying', 1, options.json === true);
  try {
    const begun = performance.now();
    const { directory: target, records, bytes } = await store.compactTo(resolve(to), {
      signal: context.interruptible(),
      onProgress: ({ doneBytes, totalBytes }) => { progress.update(doneBytes, totalBytes); },
    });
    progress.stop();
    const seconds = (performance.now() - begun) / 1000;
    if (options.json === true) {
      await context.out.json({
        schema: 'varve.kv-compact.v1', directory: store.directory, target, keys: records, bytes, seconds,
      });
    } else {
      await context.out.line(`copied ${plural(records, 'key')}, ${sizeExact(bytes)}, in ${time(seconds)}: ${target}`);
    }
    return Exit.Ok;
  } finally {
    progress.stop();
    await store.close();
  }
}
