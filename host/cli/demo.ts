/**
 * `varve demo`: the main job on real input. It appends every record of a data set to a log, syncs, closes, opens again,
 * scans and checks all of it, reads at random, does the like with typed records (demo-typed.ts), with keys
 * (demo-keys.ts) and with a group of logs whose writers are processes (demo-group.ts), and prints what it did, how
 * fast, and where the files are. Whatever it reads is compared with the input: a wrong byte ends it with exit code 3.
 */
import type { Command } from 'commander';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { Core, RecordLog } from '../index.ts';
import { declare, type Context, type Run } from './context.ts';
import { declareDemoIngester, demoGroup, type GroupResult } from './demo-group.ts';
import { demoKeys, type KeysResult } from './demo-keys.ts';
import { Mismatch, randomFrom, timed, type Step } from './demo-steps.ts';
import { declareDemoReader, demoTyped, flightsOf, type TypedResult } from './demo-typed.ts';
import { Exit, UsageError } from './exit.ts';
import { bold, count, facts, good, plural, rate, size, sizeExact, table, throughput, time } from './format.ts';
import { integerFrom } from './parse.ts';

interface Options {
  readonly dir?: string;
  readonly input?: string;
  readonly keep: boolean;
  readonly reads: number;
  readonly seed: number;
  readonly json?: true;
}

/** The typed records, beside the segments of the log. */
const TYPED_FILE = 'flights.varve';
/** The key-value store, a directory of its own there. */
const KEYS_DIRECTORY = 'keys';
/** The group of write-ahead logs. */
const GROUP_DIRECTORY = 'wal';
const DATA_SET = 'flights-200k.json';
const READS_DEFAULT = 100_000;

export function declareDemo(program: Command, run: Run): void {
  declare(program, {
    usage: 'demo',
    summary: 'append, scan, check and read 200,000 real records, and say how fast',
    description: 'The records are those of vega-datasets\' flights-200k.json: first in a log, then as typed records that a '
      + 'second process reads while they are written, then by key, with airports beside them, and in the end in a group of write-ahead logs, of whose processes one is '
      + 'killed. The files stay where they are said to be, so that they can be '
      + 'looked at.',
    examples: ['varve demo', 'varve demo --input events.ndjson --dir ./events-log', 'varve demo --no-keep'],
  })
    .option('--dir <dir>', 'where the log is made; must not hold one (default: a new temporary directory)')
    .option('--input <file>', 'another data set: a JSON array, or one JSON value a line')
    .option('--reads <n>', 'how many records are read by random LSN', integerFrom(0), READS_DEFAULT)
    .option('--seed <n>', 'seed of the random LSNs', integerFrom(0), 1)
    .option('--keep', 'keep the files', true)
    .option('--no-keep', 'remove the files at the end')
    .option('--json', 'print one JSON object, schema varve.demo.v1')
    .action((options: Options) => run((context) => demo(context, options)));
  declareDemoReader(program, run);
  declareDemoIngester(program, run);
}

async function demo(context: Context, options: Options): Promise<Exit> {
  const input = inputPath(options);
  if (options.dir !== undefined && existsSync(options.dir) && readdirSync(options.dir).length > 0) {
    throw new UsageError(`${options.dir} is not empty`, 'choose a directory that does not exist yet');
  }
  const steps: Step[] = [];
  const texts = await timed(steps, 'parse the input', () => {
    const parsed = readRecords(input);
    return { value: parsed, records: parsed.length, bytes: statSync(input).size };
  });
  const directory = options.dir === undefined ? mkdtempSync(join(tmpdir(), 'varve-demo-')) : resolve(options.dir);
  try {
    await write(steps, directory, texts);
    await verify(steps, directory, texts, options);
    const flights = flightsOf(texts);
    const typed = flights && await demoTyped(steps, join(directory, TYPED_FILE), flights, options);
    const keys = await demoKeys(steps, join(directory, KEYS_DIRECTORY), input, texts, options);
    const group = await demoGroup(steps, join(directory, GROUP_DIRECTORY), directory, texts);
    await report(context, options, { input, directory, texts, steps, typed, keys, group });
    return Exit.Ok;
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    context.note(`varve: ${error.message}; the files are in ${directory}`);
    return Exit.Corrupt;
  } finally {
    if (!options.keep) rmSync(directory, { recursive: true, force: true });
  }
}

function inputPath({ input }: Options): string {
  if (input !== undefined) {
    if (existsSync(input)) return resolve(input);
    throw new UsageError(`there is no file ${input}`, 'give --input a JSON array or one JSON value a line');
  }
  try {
    // The package's entry lies in build/, its data beside it.
    const entry = createRequire(import.meta.url).resolve('vega-datasets');
    const path = join(dirname(dirname(entry)), 'data', DATA_SET);
    if (existsSync(path)) return path;
  } catch {
    // Told below.
  }
  throw new UsageError(`the data set ${DATA_SET} of the package vega-datasets is not installed`,
    'npm install vega-datasets, or varve demo --input FILE with any JSON array or one JSON value a line');
}

/** The records of a file as JSON texts. */
function readRecords(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  try {
    if (text.trimStart().startsWith('[')) {
      const parsed = JSON.parse(text) as unknown[];
      return parsed.map((record) => JSON.stringify(record));
    }
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    for (const line of lines) JSON.parse(line);
    return lines;
  } catch (error) {
    throw new UsageError(`${path} is neither a JSON array nor one JSON value a line: ${(error as Error).message}`);
  }
}

async function write(steps: Step[], directory: string, texts: readonly string[]): Promise<void> {
  const log = await RecordLog.open(directory);
  try {
    await timed(steps, 'append, one by one', () => {
      for (const text of texts) log.append(text);
      return { value: undefined, records: texts.length, bytes: log.position };
    });
    await timed(steps, 'sync to the disk', async () => {
      const durable = await log.sync();
      if (durable !== texts.length) throw new Mismatch(`LSN ${durable} is durable instead of ${texts.length}`);
      return { value: undefined, records: texts.length, bytes: log.position };
    });
  } finally {
    await log.close();
  }
}

async function verify(
  steps: Step[], directory: string, texts: readonly string[], { reads, seed }: Options,
): Promise<void> {
  const log = await timed(steps, 'open again', async () => {
    const opened = await RecordLog.open(directory, { create: false });
    return { value: opened, records: 0, bytes: 0 };
  });
  try {
    if (log.length !== texts.length) throw new Mismatch(`the log holds ${log.length} records instead of ${texts.length}`);
    await timed(steps, 'scan and compare', () => {
      let next = 0;
      for (const { lsn, payload } of log.scan()) compare(lsn, ++next, payload, texts);
      if (next !== texts.length) throw new Mismatch(`the scan gave ${next} records instead of ${texts.length}`);
      return { value: undefined, records: next, bytes: log.position };
    });
    await timed(steps, 'check every frame', () => {
      const { outcome, because, records, bytes } = log.check();
      if (outcome !== 'ok' || records !== texts.length) throw new Mismatch(`check says ${outcome}: ${because}`);
      return { value: undefined, records, bytes };
    });
    if (texts.length > 0 && reads > 0) {
      await timed(steps, 'read by random LSN', () => {
        const random = randomFrom(seed);
        let bytes = 0;
        for (let done = 0; done < reads; done++) {
          const lsn = 1 + Math.floor(random() * texts.length);
          const { lsn: actual, payload } = log.read(lsn);
          compare(actual, lsn, payload, texts);
          bytes += payload.length;
        }
        return { value: undefined, records: reads, bytes };
      });
    }
  } finally {
    await log.close();
  }
}

function compare(actual: number, lsn: number, payload: Uint8Array, texts: readonly string[]): void {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8');
  if (actual !== lsn || text !== texts[lsn - 1]) throw new Mismatch(`record ${lsn} is not what was appended`);
}

interface Result {
  readonly input: string;
  readonly directory: string;
  readonly texts: readonly string[];
  readonly steps: readonly Step[];
  /** Where the records are flights. */
  readonly typed: TypedResult | undefined;
  readonly keys: KeysResult;
  readonly group: GroupResult;
}

/** The files of the demo, those in the directories of the other stores too. */
function filesIn(directory: string): { readonly name: string; readonly bytes: number }[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (!entry.isDirectory()) return [{ name: entry.name, bytes: statSync(path).size }];
    return filesIn(path).map(({ name, bytes }) => ({ name: join(entry.name, name), bytes }));
  });
}

async function report({ out }: Context, options: Options, result: Result): Promise<void> {
  const { input, directory, texts, steps, typed, keys, group } = result;
  const files = filesIn(directory);
  const fileBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  const { variant } = Core.shared();
  if (options.json === true) {
    await out.json({
      schema: 'varve.demo.v1', input, directory, kept: options.keep, records: texts.length, steps, typed: typed ?? null,
      keys, group, files,
      peakRssBytes, core: variant, node: process.version, platform: `${process.platform}-${process.arch}`,
    });
    return;
  }
  await out.line(bold(`varve demo: ${plural(texts.length, 'record')} of ${relative('', input)}`));
  await out.line(table(['step', 'records', 'bytes', 'time', 'records/s', 'bytes/s'], steps.map((each) => [
    each.step, each.records === 0 ? '-' : count(each.records), each.bytes === 0 ? '-' : size(each.bytes),
    time(each.seconds), each.records === 0 ? '-' : rate(each.records, each.seconds),
    each.bytes === 0 ? '-' : throughput(each.bytes, each.seconds),
  ]), [1, 2, 3, 4, 5]));
  const started = process.argv[1] ?? '';
  const command = started.endsWith('.js') ? `node ${relative('', started)}` : 'varve';
  await out.line(facts([
    ['result', good('every record was read back as it was appended')],
    ...(typed === undefined ? [] : [
      ['live', `the second process found more records ${count(typed.steps)} times, and the last one `
        + `${typed.behindMs.toFixed(1)} ms after it was appended`],
    ] as const),
    ['keys', `${count(keys.keys)}; compaction made ${size(keys.bytesAfter)} of ${size(keys.bytesBefore)}`],
    ['group', `of ${group.processes} processes one was killed, after ${count(group.killedAfter)} of `
      + `${plural(group.killedOf, 'record')}; a checkpoint and ${plural(group.replayed, 'entry', 'entries')} gave all of it back`],
    ['files', `${options.keep ? directory : `${directory} (removed)`}: ${plural(files.length, 'file')}, ${sizeExact(fileBytes)}`],
    ['memory', `${size(peakRssBytes)} at most, the data set and its texts included`],
    ['core', `${variant}, Node.js ${process.version}, ${process.platform}-${process.arch}`],
    ...(options.keep ? [
      ['look', `${command} stat ${directory}`],
      ['', `${command} cat ${directory} --limit 3`],
      ['', `${command} kv stat ${join(directory, KEYS_DIRECTORY)}`],
      ['', `${command} wal stat ${join(directory, GROUP_DIRECTORY)}`],
    ] as const : []),
  ]));
}
