/**
 * `varve kv export` and `import`: JSON Lines, and the stores of datawal.
 */
import { Option, type Command } from 'commander';
import { resolve } from 'node:path';
import {
  exportDwal, exportJsonl, importDwal, importJsonl, VarveError, type DwalTorn, type TransferOptions,
} from '../../index.ts';
import { Before } from '../before.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit, UsageError } from '../exit.ts';
import { plural, rate, sizeExact, time } from '../format.ts';
import { SEGMENT_SIZE, sizeBetween } from '../parse.ts';
import { startProgress } from '../progress.ts';
import { openForReading, openForWriting, type ByteStore } from './store.ts';

interface Options {
  readonly format: 'jsonl' | 'dwal';
  readonly segmentSize?: number;
  readonly json?: true;
}

const STANDARD = '-';
/** A segment of one small record is of use in tests. */
const DWAL_SEGMENT_SIZE = sizeBetween(32, 2 ** 40);

function formatOption(): Option {
  return new Option('--format <format>', 'jsonl: {"key_b64":"…","value_b64":"…"} a line; dwal: a store of datawal')
    .choices(['jsonl', 'dwal']).default('jsonl');
}

export function declareKeyValueExport(group: Command, run: Run): void {
  declare(group, {
    usage: 'export <dir> [out]',
    summary: 'write all keys and values, sorted by key, to a file or a datawal directory',
    description: 'What is live when the command begins. A file or directory appears whole, at the end, or not at all; a '
      + 'file that is there is replaced. Versions and expiries are not part of it. Takes no lock.',
    examples: ['varve kv export ./users users.jsonl', 'varve kv export ./users | gzip > users.jsonl.gz',
      'varve kv export ./users ./datawal-store --format dwal'],
  })
    .addOption(formatOption())
    .option('--segment-size <size>', 'dwal: size of a segment: bytes, or 512K, 64M, 1G (default: 64M)', DWAL_SEGMENT_SIZE)
    .option('--json', 'print one JSON object, schema varve.kv-export.v1; not where the export itself is printed')
    .action((directory: string, out: string | undefined, options: Options) =>
      run((context) => exportStore(context, directory, out ?? STANDARD, options)));
}

async function exportStore(context: Context, directory: string, to: string, options: Options): Promise<Exit> {
  const { format, segmentSize } = options;
  const isPrinted = to === STANDARD;
  if (isPrinted && format === 'dwal') throw new UsageError('a datawal directory cannot be printed', 'name a directory');
  if (isPrinted && options.json === true) throw new UsageError('--json goes with a file', 'name a file to export to');
  const store = await openForReading(directory);
  const { stats, recovery: { log } } = { stats: store.stats(), recovery: store.recovery };
  const progress = startProgress('exporting', stats.liveBytes, options.json === true || isPrinted);
  try {
    if (log.outcome === 'corrupt') {
      context.note(`varve: ERR_VARVE_CORRUPT: ${store.directory}: ${log.because}; repair it first, or export a copy`);
      return Exit.Corrupt;
    }
    const begun = performance.now();
    const transfer: TransferOptions = {
      onProgress: (done) => { progress.update(done); }, signal: context.interruptible(),
    };
    const target = isPrinted ? STANDARD : resolve(to);
    const segments = segmentSize === undefined ? {} : { segmentBytes: segmentSize };
    const { records, bytes } = format === 'dwal'
      ? await exportDwal(store, target, { ...transfer, ...segments })
      : await exportJsonl(store, isPrinted ? process.stdout : target, transfer);
    progress.stop();
    const seconds = (performance.now() - begun) / 1000;
    if (options.json === true) {
      await context.out.json({
        schema: 'varve.kv-export.v1', directory: store.directory, target, format, records, bytes, seconds,
      });
    } else if (!isPrinted) {
      await context.out.line(`exported ${plural(records, 'key')}, ${sizeExact(bytes)}, in ${time(seconds)}: `
        + `${rate(records, seconds)}; ${target}`);
    }
    return Exit.Ok;
  } finally {
    progress.stop();
    await store.close();
  }
}

export function declareKeyValueImport(group: Command, run: Run): void {
  declare(group, {
    usage: 'import <dir> [source]',
    summary: 'put all keys and values of a file or a datawal directory',
    description: 'Over what the store holds; it is made where there is none. On an error, with exit code 3 where a line or '
      + 'a record is wrong, a store that was made is removed again; in one that was there, the batches before stay. Of a '
      + 'datawal directory a torn last segment is imported up to the torn frame, reported, and gives exit code 2.',
    examples: ['varve kv import ./users users.jsonl', 'gunzip -c users.jsonl.gz | varve kv import ./users',
      'varve kv import ./users ./datawal-store --format dwal'],
  })
    .addOption(formatOption())
    .option('--segment-size <size>', 'size of new segments: bytes, or 512K, 64M, 1G (default: 64M)', SEGMENT_SIZE)
    .option('--json', 'print one JSON object, schema varve.kv-import.v1')
    .action((directory: string, source: string | undefined, options: Options) =>
      run((context) => importStore(context, resolve(directory), source ?? STANDARD, options)));
}

interface Imported {
  readonly records: number;
  readonly bytes: number;
  readonly torn?: DwalTorn | undefined;
}

async function importStore(context: Context, directory: string, from: string, options: Options): Promise<Exit> {
  if (from === STANDARD && options.format === 'dwal') {
    throw new UsageError('a datawal directory cannot be standard input', 'name the directory');
  }
  const before = new Before(directory);
  const begun = performance.now();
  let store: ByteStore | undefined;
  let imported: Imported;
  let keys: number;
  try {
    store = await openForWriting(context, directory, { create: true, segmentSize: options.segmentSize });
    imported = await transferInto(context, store, from, options);
    keys = store.size;
    await store.close();
  } catch (error) {
    await store?.close().catch(() => undefined);
    // Whoever has the store locked has made it, or is about to use it.
    if (before.isNew && !VarveError.is(error, 'ERR_VARVE_LOCKED')) before.removeMade();
    throw error;
  }
  const seconds = (performance.now() - begun) / 1000;
  await report(context, { directory, source: from, keys, seconds, ...imported }, options);
  return imported.torn === undefined ? Exit.Ok : Exit.Torn;
}

async function transferInto(context: Context, store: ByteStore, from: string, options: Options): Promise<Imported> {
  const progress = startProgress('importing', undefined, options.json === true);
  const transfer = { onProgress: (done: number) => { progress.update(done); }, signal: context.interruptible() };
  try {
    if (options.format === 'dwal') return await importDwal(store, resolve(from), transfer);
    return await importJsonl(store, from === STANDARD ? process.stdin : resolve(from), transfer);
  } finally {
    progress.stop();
    if (from === STANDARD) process.stdin.destroy();
  }
}

async function report(
  { out, note }: Context, result: Imported & { directory: string; source: string; keys: number; seconds: number },
  { json, format }: Options,
): Promise<void> {
  const { torn, directory, records, bytes, keys, seconds } = result;
  if (torn !== undefined) {
    note(`varve: torn tail: ${torn.path} at offset ${torn.offset}: ${torn.message}; ${plural(torn.bytes, 'byte')} left out`);
  }
  if (json === true) {
    await out.json({ schema: 'varve.kv-import.v1', ...result, format, torn: torn ?? null });
    return;
  }
  await out.line(`imported ${plural(records, format === 'dwal' ? 'record' : 'pair')}, ${sizeExact(bytes)}, in ${time(seconds)}: `
    + `${rate(records, seconds)}; ${directory} now holds ${plural(keys, 'key')}`);
}
