/**
 * `varve append`: a record a line from standard input. Input is read only as fast as it is appended; a record is
 * committed, and survives the death of the command, as soon as its line is read.
 */
import type { Command } from 'commander';
import { fstatSync } from 'node:fs';
import { RecordLog } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit, Interrupted } from '../exit.ts';
import { count, plural, rate, sizeExact, throughput, time } from '../format.ts';
import { LineCutter } from '../lines.ts';
import { integerFrom, SEGMENT_SIZE } from '../parse.ts';
import { startProgress } from '../progress.ts';

interface Options {
  readonly sync?: true;
  readonly syncEvery?: number;
  readonly segmentSize?: number;
  readonly json?: true;
}

export function declareAppend(program: Command, run: Run): void {
  declare(program, {
    usage: 'append <dir>',
    summary: 'append a record for each line of standard input',
    description: 'The bytes of a line are the record, as they are: any encoding, a carriage return included. An empty '
      + 'line is an empty record; a last line without a newline counts. The log is made where there is none.',
    examples: [
      'varve append ./log < events.ndjson',
      'tail -f app.log | varve append ./log --sync-every 1000',
      'varve append ./log --segment-size 256M --sync --json < big.txt',
    ],
  })
    .option('--sync', 'sync to the disk at the end, before the time is taken (closing syncs in any case)')
    .option('--sync-every <n>', 'sync after every n records too', integerFrom(1))
    .option('--segment-size <size>', 'size of new segments: bytes, or 512K, 64M, 1G (default: 64M)', SEGMENT_SIZE)
    .option('--json', 'print one JSON object, schema varve.append.v1')
    .action((directory: string, options: Options) => run((context) => append(context, directory, options)));
}

async function append(context: Context, directory: string, options: Options): Promise<Exit> {
  const { segmentSize } = options;
  const log = await RecordLog.open(directory, segmentSize === undefined ? {} : { segmentBytes: segmentSize });
  try {
    for (const { path, bytes } of log.recovery.cutFiles) {
      context.note(`varve: cut a torn tail, ${plural(bytes, 'byte')} saved in ${path}`);
    }
    const { lastLsn: before, position } = log;
    const begun = performance.now();
    const interrupted = await appendLines(context, log, options);
    if (options.sync === true) await log.sync();
    const seconds = (performance.now() - begun) / 1000;
    const { lastLsn } = log;
    const frameBytes = log.position - position;
    // Closing syncs: what is reported as durable is durable when it is printed.
    await log.close();
    await report(context, options, {
      directory: log.directory, records: lastLsn - before, firstLsn: before + 1, lastLsn, durableLsn: lastLsn,
      frameBytes, seconds,
    });
    if (!interrupted) return Exit.Ok;
    context.note('varve: interrupted; the lines read so far are in the log');
    return Exit.Interrupted;
  } finally {
    await log.close();
  }
}

/** Appends until the input ends or the user interrupts; whether the user did. */
async function appendLines(context: Context, log: RecordLog, { syncEvery, json }: Options): Promise<boolean> {
  const input = process.stdin;
  const signal = context.interruptible();
  const stop = () => { input.destroy(signal.reason as Error); };
  signal.addEventListener('abort', stop);
  const progress = startProgress('appending', inputBytes(), json === true);
  let bytes = 0;
  let sinceSync = 0;
  const cutter = new LineCutter((line) => {
    log.append(line);
    if (syncEvery === undefined || ++sinceSync < syncEvery) return;
    sinceSync = 0;
    log.syncNow();
  });
  try {
    signal.throwIfAborted();
    for await (const chunk of input) {
      cutter.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      progress.update(bytes);
    }
    cutter.finish();
    return false;
  } catch (error) {
    if (error instanceof Interrupted) return true;
    throw error;
  } finally {
    progress.stop();
    signal.removeEventListener('abort', stop);
    input.destroy();
  }
}

/** Bytes of standard input where it is a file. */
function inputBytes(): number | undefined {
  try {
    const stats = fstatSync(0);
    return stats.isFile() ? stats.size : undefined;
  } catch {
    return undefined;
  }
}

interface Summary {
  readonly directory: string;
  readonly records: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly durableLsn: number;
  readonly frameBytes: number;
  readonly seconds: number;
}

async function report({ out }: Context, options: Options, summary: Summary): Promise<void> {
  const { records, firstLsn, lastLsn, frameBytes, seconds } = summary;
  if (options.json === true) {
    const recordsPerSecond = seconds > 0 ? Math.round(records / seconds) : 0;
    await out.json({ schema: 'varve.append.v1', ...summary, recordsPerSecond });
    return;
  }
  if (records === 0) {
    await out.line(`nothing appended; last LSN ${count(lastLsn)}`);
    return;
  }
  await out.line(`appended ${plural(records, 'record')}, LSN ${count(firstLsn)} to ${count(lastLsn)}`);
  await out.line(`${sizeExact(frameBytes)} of frames in ${time(seconds)}: ${rate(records, seconds)}, `
    + throughput(frameBytes, seconds));
}
