/**
 * `varve export dwal`: a log becomes a datawal directory, whole or not at all.
 */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { RecordLog, VarveError, type LogRecord } from '../../index.ts';
import { exportDwal } from '../../foreign/dwal-transfer.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { count, plural, rate, sizeExact, time } from '../format.ts';
import { sizeBetween } from '../parse.ts';
import { startProgress } from '../progress.ts';

interface Options {
  readonly segmentSize?: number;
  readonly json?: true;
}

/** A segment of one small record is of use in tests. */
const DWAL_SEGMENT_SIZE = sizeBetween(32, 2 ** 40);

export function declareExport(program: Command, run: Run): void {
  const group = program.command('export').summary('export records to another format')
    .description('Exports records to another format. Known: dwal, the record logs and stores of datawal.')
    .showHelpAfterError('hint: varve export --help');
  declare(group, {
    usage: 'dwal <dir> <out>',
    summary: 'export a log as a datawal directory',
    description: 'LSNs become txids. All or nothing: the files are written beside <out>, synced and renamed. Records of '
      + 'other kinds than 0 raw, 1 put and 2 delete, and records that a repair gave up, cannot be exported.',
    examples: ['varve export dwal ./log ./datawal-store', 'varve export dwal ./log ./out --segment-size 16M'],
  })
    .option('--segment-size <size>', 'size of a segment: bytes, or 512K, 64M, 1G (default: 64M)', DWAL_SEGMENT_SIZE)
    .option('--json', 'print one JSON object, schema varve.export.v1')
    .action((directory: string, target: string, options: Options) =>
      run((context) => exportFrom(context, directory, resolve(target), options)));
}

async function exportFrom(context: Context, directory: string, target: string, options: Options): Promise<Exit> {
  const log = await RecordLog.open(directory, { readOnly: true });
  const { recovery } = log;
  const progress = startProgress('exporting', log.position, options.json === true);
  try {
    const begun = performance.now();
    if (recovery.outcome === 'corrupt') {
      context.note(`varve: ERR_VARVE_CORRUPT: ${log.directory}: ${recovery.because}; repair it first, or export a copy`);
      return Exit.Corrupt;
    }
    const { segments, records, bytes, firstTxid, lastTxid } = await exportDwal(whole(log), target, {
      ...(options.segmentSize === undefined ? {} : { segmentBytes: options.segmentSize }),
      onProgress: (done) => { progress.update(done); },
      signal: context.interruptible(),
    });
    progress.stop();
    const seconds = (performance.now() - begun) / 1000;
    const { out } = context;
    if (options.json === true) {
      await out.json({
        schema: 'varve.export.v1', directory: log.directory, target, segments, records, bytes, firstTxid, lastTxid,
        seconds,
      });
    } else {
      const txids = records === 0 ? '' : `, txid ${count(firstTxid)} to ${count(lastTxid)}`;
      await out.line(`exported ${plural(records, 'record')} to ${plural(segments, 'segment')}${txids}`);
      await out.line(`${sizeExact(bytes)} in ${time(seconds)}: ${rate(records, seconds)}; ${target}`);
    }
    if (recovery.outcome === 'cut') {
      context.note(`varve: the log ends in a torn tail of ${plural(recovery.tornBytes, 'byte')}, which is not part of it`);
    }
    return Exit.Ok;
  } finally {
    progress.stop();
    await log.close();
  }
}

/** Every record; an error where one is missing, because a repair has given it up. */
function* whole(log: RecordLog): Generator<LogRecord, void> {
  const { lastLsn } = log;
  let next = log.firstLsn;
  for (const record of log.scan({ to: lastLsn })) {
    if (record.lsn !== next) throw lost(log, next);
    next++;
    yield record;
  }
  if (next <= lastLsn) throw lost(log, next);
}

function lost(log: RecordLog, lsn: number): VarveError {
  return new VarveError('ERR_VARVE_RECORD_LOST',
    `record ${lsn} of ${log.directory} was given up by a repair, and DWAL allows no gap`, { path: log.directory, lsn });
}
