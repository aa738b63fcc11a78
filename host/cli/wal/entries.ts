/**
 * `varve wal cat` and `varve wal merge`: the entries of one core, or of all in order, a line each.
 */
import { InvalidArgumentError, type Command } from 'commander';
import { isUtf8 } from 'node:buffer';
import type { WalEntry, WalGroup, WalMergeOptions } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { describeError, Exit, exitOf } from '../exit.ts';
import { plural } from '../format.ts';
import { member } from '../kv/bytes.ts';
import { BrokenPipe } from '../output.ts';
import { integerFrom } from '../parse.ts';
import { openGroup } from './group.ts';
import { exact } from './stat.ts';

interface Options {
  readonly limit?: number;
  readonly json?: true;
}

interface CatOptions extends Options {
  readonly core: number;
  readonly from?: number;
}

interface MergeOptions extends Options {
  readonly upTo?: 'end' | 'epoch' | number;
}

const JSON_HELP = 'one object a line, schema varve.wal-entry.v1: key and value as text where they are UTF-8, else key_b64, '
  + 'value_b64; integers beyond 2^53 - 1 as text';
const LINE_HELP = 'A line has epoch, sequence, core and type of an entry, then what it holds: keys and values as JSON '
  + 'strings where they are UTF-8, else as 0x and hexadecimal. At a damaged entry printing stops with exit code 3.';

export function declareWalCat(group: Command, run: Run): void {
  declare(group, {
    usage: 'cat <dir>',
    summary: 'print the entries of one core',
    description: LINE_HELP,
    examples: ['varve wal cat ./wal --core 0 --limit 10', 'varve wal cat ./wal --core 3 --from 1000 --json | jq .key'],
  })
    .requiredOption('--core <n>', 'which core, from 0', integerFrom(0))
    .option('--from <sequence>', 'first sequence (default: the oldest)', integerFrom(1))
    .option('--limit <n>', 'print at most n entries', integerFrom(0))
    .option('--json', JSON_HELP)
    .action((directory: string, { core, from, ...options }: CatOptions) => run((context) => (
      print(context, directory, { core, ...from === undefined ? {} : { from } }, options))));
}

export function declareWalMerge(group: Command, run: Run): void {
  declare(group, {
    usage: 'merge <dir>',
    summary: 'print the entries of all cores in order',
    description: `All that the logs still hold, in the order epoch, sequence, core. ${LINE_HELP}`,
    examples: ['varve wal merge ./wal | head', 'varve wal merge ./wal --up-to epoch --json'],
  })
    .option('--up-to <end>', 'end: all (default); epoch: up to the last one that every core has ended; or a number: up to '
      + 'this epoch', parseEnd)
    .option('--limit <n>', 'print at most n entries', integerFrom(0))
    .option('--json', JSON_HELP)
    .action((directory: string, { upTo = 'end', ...options }: MergeOptions) => run((context) => (
      print(context, directory, { upTo }, options))));
}

function parseEnd(text: string): 'end' | 'epoch' | number {
  if (text === 'end' || text === 'epoch') return text;
  const epoch = Number(text);
  if (/^\d+$/.test(text) && epoch <= 0xffffffff) return epoch;
  throw new InvalidArgumentError("It must be 'end', 'epoch' or the number of an epoch.");
}

async function print(context: Context, directory: string, which: WalMergeOptions, options: Options): Promise<Exit> {
  const group = await openGroup(directory);
  try {
    return await printEntries(context, group, which, options);
  } finally {
    await group.close();
  }
}

async function printEntries(
  context: Context, group: WalGroup, which: WalMergeOptions, { limit = Infinity, json }: Options,
): Promise<Exit> {
  const { out } = context;
  const entries = group.merge(which);
  const text = json === true ? jsonOf : lineOf;
  try {
    let printed = 0;
    while (printed < limit) {
      const { value: entry, done } = entries.next();
      if (done === true) {
        noteRest(context, group, which);
        break;
      }
      if (out.add(`${text(entry)}\n`)) await out.flush();
      printed++;
    }
  } catch (error) {
    if (error instanceof BrokenPipe) throw error;
    await out.flush();
    for (const line of describeError(error)) context.note(line);
    return exitOf(error);
  } finally {
    entries.return();
  }
  const lost = entries.tallies().reduce((sum, tally) => sum + tally.lost, 0);
  if (lost > 0) context.note(`varve: ${plural(lost, 'entry', 'entries')} given up by a repair left out`);
  return Exit.Ok;
}

/** Mentions what lies behind the last entries and is no part of the logs. */
function noteRest({ note }: Context, group: WalGroup, { core: only, upTo = 'end' }: WalMergeOptions): void {
  if (upTo !== 'end') return;
  for (const { core, log } of group.stats().cores) {
    if ((only ?? core) !== core || log?.outcome !== 'cut' || log.tornAt === undefined) continue;
    const { tornBytes, tornAt: { segment, offset } } = log;
    note(`varve: a torn tail of ${plural(tornBytes, 'byte')} follows in core ${core} (segment ${segment}, offset ${offset}); `
      + 'whoever attaches the core cuts it');
  }
}

/** Bytes in a line: what a terminal would obey is escaped, and nothing is lost. */
function shown(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!isUtf8(buffer)) return `0x${buffer.toString('hex')}`;
  return JSON.stringify(buffer.toString('utf8'))
    .replace(/[\p{Cc}\p{Cf}]/gu, (character) => Array.from({ length: character.length }, (_, at) => (
      `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)).join(''));
}

function lineOf(entry: WalEntry): string {
  return `${entry.epoch} ${entry.sequence} ${entry.core} ${entry.type} ${holds(entry)}`;
}

function holds(entry: WalEntry): string {
  switch (entry.type) {
    case 'put': return `${shown(entry.key)} ${shown(entry.value)}`;
    case 'delete': return shown(entry.key);
    case 'checkpoint': return String(entry.id);
    case 'barrier': return `ends ${entry.ended}`;
    case 'commit': return [
      ...[...entry.offsets!].map(([name, offset]) => `${shown(Buffer.from(name))}=${offset}`),
      ...entry.watermark === undefined ? [] : [`watermark ${entry.watermark}`],
    ].join(' ');
    case 'user': return `${entry.kind} ${shown(entry.key)} ${shown(entry.value)}`;
  }
}

function jsonOf(entry: WalEntry): string {
  const { core, epoch, sequence, position, kind, type, timestamp } = entry;
  return JSON.stringify({
    schema: 'varve.wal-entry.v1', core, epoch, sequence, position, kind, type, timestamp: timestamp.toString(),
    ...membersOf(entry),
  });
}

function membersOf(entry: WalEntry): object {
  switch (entry.type) {
    case 'put':
    case 'user': return { ...member('key', entry.key), ...member('value', entry.value) };
    case 'delete': return member('key', entry.key);
    case 'checkpoint': return { id: exact(entry.id!) };
    case 'barrier': return { ended: entry.ended };
    case 'commit': return {
      offsets: Object.fromEntries([...entry.offsets!].map(([name, offset]) => [name, exact(offset)])),
      watermark: entry.watermark === undefined ? null : exact(entry.watermark),
    };
  }
}
