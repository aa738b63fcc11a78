/**
 * `varve kv put`, `get`, `del` and `keys`: single keys of a store, and the list of them.
 */
import type { Command } from 'commander';
import type { RecordRef } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit, UsageError } from '../exit.ts';
import { integerFrom, SEGMENT_SIZE } from '../parse.ts';
import {
  addKeyEncoding, addKeyOptions, addValueEncoding, bytesOfFile, decoded, duration, encoded, type Encoding, instant,
  type KeyOptions, member, requireKey, takeKey, type ValueOptions,
} from './bytes.ts';
import { openForReading, openForWriting } from './store.ts';

const NEWLINE = Uint8Array.of(0x0a);
const ABSENT = 'varve: there is no such key';

interface PutOptions extends KeyOptions, ValueOptions {
  readonly valueFile?: string;
  readonly ttl?: number;
  readonly expiresAt?: number;
  readonly ifVersion?: number;
  readonly ifAbsent?: true;
  readonly segmentSize?: number;
  readonly json?: true;
}

export function declarePut(group: Command, run: Run): void {
  const command = declare(group, {
    usage: 'put <dir> [key] [value]',
    summary: 'give a key a value',
    description: 'The value is the argument, the bytes of --value-file, or else what standard input holds, to its end. The '
      + 'store is made where there is none. The value is on the disk when the command ends.',
    examples: [
      'varve kv put ./users ada \'{"born":1815}\'',
      'varve kv put ./photos ada --value-file ada.jpg --if-absent',
      'date | varve kv put ./sessions 7f3a --key-encoding hex --ttl 30m',
    ],
  });
  addValueEncoding(addKeyOptions(command), 'the value is written')
    .option('--value-file <file>', 'the value is the bytes of this file (-: standard input)')
    .option('--ttl <time>', 'gone after this time: milliseconds, or 30s, 5m, 12h, 7d', duration)
    .option('--expires-at <time>', 'gone at this time: a date, or milliseconds since 1970', instant)
    .option('--if-version <lsn>', 'only where this is the version of the key; 0: where there is none', integerFrom(0))
    .option('--if-absent', 'only where there is no such key')
    .option('--segment-size <size>', 'size of new segments: bytes, or 512K, 64M, 1G (default: 64M)', SEGMENT_SIZE)
    .option('--json', 'print one JSON object, schema varve.kv-put.v1')
    .action((directory: string, key: string | undefined, value: string | undefined, options: PutOptions) =>
      run((context) => put(context, directory, given(key, value), options)));
}

/** The arguments that are there. */
function given(...args: readonly (string | undefined)[]): string[] {
  return args.filter((each) => each !== undefined);
}

async function put(context: Context, directory: string, args: string[], options: PutOptions): Promise<Exit> {
  const { ttl, expiresAt, ifVersion, ifAbsent, segmentSize } = options;
  const key = takeKey(args, options);
  const value = takeValue(args, options);
  requireKey(key);
  if (ttl !== undefined && expiresAt !== undefined) throw new UsageError('--ttl and --expires-at exclude each other');
  if (ifVersion !== undefined && ifAbsent === true) {
    throw new UsageError('--if-version and --if-absent exclude each other');
  }
  const store = await openForWriting(context, directory, { create: true, segmentSize });
  try {
    const expiry = ttl !== undefined ? { ttl } : expiresAt !== undefined ? { expiresAt } : {};
    const condition = ifAbsent === true ? { ifAbsent } : ifVersion !== undefined ? { ifVersion } : {};
    const version = store.put(key, value as Buffer, { ...expiry, ...condition });
    const expires = store.expiresAtOf(key) ?? null;
    // Closing syncs: what is reported is on the disk.
    await store.close();
    if (options.json === true) {
      await context.out.json({
        schema: 'varve.kv-put.v1', directory: store.directory, ...member('key', key), bytes: value.length, version,
        expiresAt: expires,
      });
    } else {
      await context.out.line(`version ${version}`);
    }
    return Exit.Ok;
  } finally {
    await store.close();
  }
}

function takeValue(args: string[], { valueFile, valueEncoding, keyFile }: PutOptions): Uint8Array {
  const text = args.shift();
  if (args.length > 0) throw new UsageError('there is a key and --key-file', 'leave one of them out');
  if (valueFile !== undefined) {
    if (text !== undefined) throw new UsageError('there is a value and --value-file', 'leave one of them out');
    if (valueFile === '-' && keyFile === '-') throw new UsageError('key and value cannot both be standard input');
    return bytesOfFile(valueFile);
  }
  if (text !== undefined) return decoded('the value', text, valueEncoding);
  if (keyFile === '-') throw new UsageError('key and value cannot both be standard input');
  const bytes = bytesOfFile('-');
  return valueEncoding === 'text' ? bytes : decoded('the value', String(bytes).trim(), valueEncoding);
}

interface GetOptions extends KeyOptions, ValueOptions {
  readonly newline: boolean;
  readonly json?: true;
}

export function declareGet(group: Command, run: Run): void {
  const command = declare(group, {
    usage: 'get <dir> [key]',
    summary: 'print the value of a key',
    description: 'The value as it is, and a newline. Exit code 4 where there is no such key. Takes no lock.',
    examples: ['varve kv get ./users ada | jq .born', 'varve kv get ./photos ada --no-newline > ada.jpg'],
  });
  addValueEncoding(addKeyOptions(command), 'the value is printed')
    .option('--no-newline', 'print the value alone')
    .option('--json', 'print one JSON object, schema varve.kv-get.v1: key and value as text where they are UTF-8, else '
      + 'key_b64, value_b64')
    .action((directory: string, key: string | undefined, options: GetOptions) =>
      run((context) => get(context, directory, given(key), options)));
}

async function get({ out, note }: Context, directory: string, args: string[], options: GetOptions): Promise<Exit> {
  const key = takeKey(args, options);
  const store = await openForReading(directory);
  try {
    const value = store.get(key);
    if (options.json === true) {
      const known = value === undefined ? {} : {
        ...member('value', value), version: store.versionOf(key), expiresAt: store.expiresAtOf(key) ?? null,
        ...placeOf(store.refOf(key)!),
      };
      await out.json({ schema: 'varve.kv-get.v1', found: value !== undefined, ...member('key', key), ...known });
    } else if (value !== undefined) {
      out.add(encoded(value, options.valueEncoding));
      if (options.newline) out.add(NEWLINE);
    }
    if (value !== undefined) return Exit.Ok;
    note(ABSENT);
    return Exit.Absent;
  } finally {
    await store.close();
  }
}

function placeOf({ lsn, segment, offset }: RecordRef) {
  return { lsn, segment, offset };
}

interface DeleteOptions extends KeyOptions {
  readonly ifVersion?: number;
  readonly json?: true;
}

export function declareDelete(group: Command, run: Run): void {
  const command = declare(group, {
    usage: 'del <dir> [key]',
    summary: 'remove a key',
    description: 'Exit code 4 where there is no such key; then nothing is written. It is on the disk when the command ends.',
    examples: ['varve kv del ./users ada', 'varve kv del ./users ada --if-version 17'],
  });
  addKeyOptions(command)
    .option('--if-version <lsn>', 'only where this is the version of the key', integerFrom(0))
    .option('--json', 'print one JSON object, schema varve.kv-del.v1')
    .action((directory: string, key: string | undefined, options: DeleteOptions) =>
      run((context) => remove(context, directory, given(key), options)));
}

async function remove(context: Context, directory: string, args: string[], options: DeleteOptions): Promise<Exit> {
  const key = takeKey(args, options);
  const store = await openForWriting(context, directory, { create: false });
  try {
    const { ifVersion } = options;
    const found = store.delete(key, ifVersion === undefined ? {} : { ifVersion });
    await store.close();
    if (options.json === true) await context.out.json({ schema: 'varve.kv-del.v1', found, ...member('key', key) });
    if (found) return Exit.Ok;
    context.note(ABSENT);
    return Exit.Absent;
  } finally {
    await store.close();
  }
}

interface KeysOptions {
  readonly keyEncoding: Encoding;
  readonly prefix?: string;
  readonly limit?: number;
  readonly json?: true;
}

export function declareKeys(group: Command, run: Run): void {
  const command = declare(group, {
    usage: 'keys <dir>',
    summary: 'print the keys',
    description: 'A key a line, in the order in which they were written. Takes no lock. `varve kv export` sorts.',
    examples: ['varve kv keys ./users --prefix user/ --limit 10', 'varve kv keys ./hashes --key-encoding hex'],
  });
  addKeyEncoding(command, 'keys are printed, and the prefix is written')
    .option('--prefix <prefix>', 'only keys that begin with this')
    .option('--limit <n>', 'print at most n keys', integerFrom(0))
    .option('--json', 'one object a line, schema varve.kv-key.v1: key as text where it is UTF-8, else key_b64')
    .action((directory: string, options: KeysOptions) => run((context) => keys(context, directory, options)));
}

async function keys({ out }: Context, directory: string, options: KeysOptions): Promise<Exit> {
  const { prefix = '', limit = Infinity, keyEncoding, json } = options;
  const store = await openForReading(directory);
  try {
    let printed = 0;
    for (const key of store.keys({ prefix: decoded('the prefix', prefix, keyEncoding) })) {
      if (printed++ >= limit) break;
      let full: boolean;
      if (json === true) {
        full = out.add(`${JSON.stringify({ schema: 'varve.kv-key.v1', ...member('key', key) })}\n`);
      } else {
        full = out.add(encoded(key, keyEncoding));
        full = out.add(NEWLINE) || full;
      }
      if (full) await out.flush();
    }
    await out.flush();
    return Exit.Ok;
  } finally {
    await store.close();
  }
}
