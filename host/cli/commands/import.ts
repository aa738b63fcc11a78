/**
 * `varve import dwal`: the records of a datawal directory become records of a log. All of them or none: where it
 * fails, what it made is removed and what it appended is cut.
 */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { RecordLog, VarveError } from '../../index.ts';
import { DwalReader } from '../../foreign/dwal-reader.ts';
import { importDwal } from '../../foreign/dwal-transfer.ts';
import { Before } from '../before.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit, UsageError } from '../exit.ts';
import { count, plural, rate, sizeExact, time } from '../format.ts';
import { SEGMENT_SIZE } from '../parse.ts';
import { startProgress } from '../progress.ts';

interface Options {
  readonly append?: true;
  readonly segmentSize?: number;
  readonly json?: true;
}

export function declareImport(program: Command, run: Run): void {
  const group = program.command('import').summary('import records from another format')
    .description('Imports records from another format. Known: dwal, the record logs and stores of datawal.')
    .showHelpAfterError('hint: varve import --help');
  declare(group, {
    usage: 'dwal <src> <dir>',
    summary: 'import a datawal directory into a log',
    description: 'Kinds (raw, put, delete), keys and payloads are kept; a record\'s LSN is its txid where both begin at '
      + '1. All or nothing: on an error the log is as it was before. A torn last segment is imported up to the torn '
      + 'frame, reported, and gives exit code 2; any other fault gives 3.',
    examples: ['varve import dwal ./datawal-store ./log', 'varve import dwal ./more ./log --append'],
  })
    .option('--append', 'append to a log that holds records already')
    .option('--segment-size <size>', 'size of new segments: bytes, or 512K, 64M, 1G (default: 64M)', SEGMENT_SIZE)
    .option('--json', 'print one JSON object, schema varve.import.v1')
    .action((source: string, directory: string, options: Options) =>
      run((context) => importInto(context, source, resolve(directory), options)));
}

async function importInto(context: Context, from: string, directory: string, options: Options): Promise<Exit> {
  // The source comes first: a wrong one is noticed before anything is made.
  const source = new DwalReader(from);
  const before = new Before(directory);
  let lastLsnBefore: number | undefined;
  const begun = performance.now();
  let log: RecordLog | undefined;
  let result: Result;
  try {
    log = await RecordLog.open(
      directory, options.segmentSize === undefined ? {} : { segmentBytes: options.segmentSize });
    if (log.length > 0 && options.append !== true) {
      throw new UsageError(`${directory} holds ${plural(log.length, 'record')} already`, 'add --append, or choose another');
    }
    lastLsnBefore = log.lastLsn;
    await transfer(context, source, log, options);
    const lastLsn = await log.sync();
    await log.close();
    result = { firstLsn: lastLsnBefore + 1, lastLsn, seconds: (performance.now() - begun) / 1000 };
  } catch (error) {
    // Whoever has the store locked has made it, or is about to use it.
    if (!VarveError.is(error, 'ERR_VARVE_LOCKED')) await restore(before, log, lastLsnBefore);
    throw error;
  }
  await report(context, source, directory, result, options);
  return source.torn === undefined ? Exit.Ok : Exit.Torn;
}

async function transfer(context: Context, source: DwalReader, log: RecordLog, options: Options): Promise<void> {
  const progress = startProgress('importing', source.totalBytes, options.json === true);
  try {
    await importDwal(source, log, {
      onProgress: (bytes) => { progress.update(bytes); },
      signal: context.interruptible(),
    });
  } finally {
    progress.stop();
  }
}

/** Makes the directory what it was, or the log as long as it was. */
async function restore(before: Before, log: RecordLog | undefined, lastLsn: number | undefined): Promise<void> {
  if (before.isNew) {
    // Whatever stops a clean close, the files are going to be removed.
    await log?.close().catch(() => undefined);
    before.removeMade();
    return;
  }
  if (lastLsn !== undefined) await cut(log!, lastLsn);
  await log?.close();
}

async function cut(log: RecordLog, lastLsn: number): Promise<void> {
  if (!log.poisoned) {
    log.truncateAfter(lastLsn);
    return;
  }
  // A poisoned log writes nothing any more: opened again, it can.
  await log.close().catch(() => undefined);
  await using again = await RecordLog.open(log.directory);
  if (again.lastLsn > lastLsn) again.truncateAfter(lastLsn);
}

interface Result {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly seconds: number;
}

async function report(
  { out, note }: Context, source: DwalReader, directory: string, result: Result, options: Options,
): Promise<void> {
  const { segments, records, bytes, firstTxid, lastTxid, torn } = source;
  if (torn !== undefined) {
    note(`varve: torn tail: ${torn.path} at offset ${torn.offset}: ${torn.message}; ${plural(torn.bytes, 'byte')} left out`);
    if (torn.intactAt !== undefined) {
      note(`varve: an intact record follows at offset ${torn.intactAt}: this is damage and not an interrupted write`);
    }
  }
  if (options.json === true) {
    await out.json({
      schema: 'varve.import.v1', source: source.directory, directory, segments, records, bytes, firstTxid, lastTxid,
      ...result, torn: torn ?? null,
    });
    return;
  }
  const txids = records === 0 ? '' : `, txid ${count(firstTxid)} to ${count(lastTxid)}`;
  await out.line(`imported ${plural(records, 'record')} from ${plural(segments, 'segment')}${txids}`);
  await out.line(`${sizeExact(bytes)} in ${time(result.seconds)}: ${rate(records, result.seconds)}; `
    + `${directory} now ends at LSN ${count(result.lastLsn)}`);
}
