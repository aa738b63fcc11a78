/**
 * `varve cat`: prints records, as they are or as JSON. Takes no lock and creates nothing; works beside a writer.
 */
import type { Command } from 'commander';
import { isUtf8 } from 'node:buffer';
import { RecordLog, VarveError, type LogRecord } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { describeError, Exit, exitOf, Interrupted, UsageError } from '../exit.ts';
import { plural } from '../format.ts';
import { isKeyValueStore } from '../kv/store.ts';
import { BrokenPipe, type Output } from '../output.ts';
import { integerFrom } from '../parse.ts';
import { isGroup, refuseCore } from '../wal/group.ts';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly reverse?: true;
  readonly limit?: number;
  readonly json?: true;
  readonly follow?: true;
  readonly durable?: true;
}

const NEWLINE = Uint8Array.of(0x0a);

export function declareCat(program: Command, run: Run): void {
  declare(program, {
    usage: 'cat <dir>',
    summary: 'print records',
    description: 'Each payload as it is, and a newline. A torn tail is not part of the log: it is mentioned on standard '
      + 'error and the exit code is 0. At a damaged record printing stops with exit code 3; go on with --from behind it.',
    examples: [
      'varve cat ./log | head',
      'varve cat ./log --reverse --limit 10',
      'varve cat ./log --from 1000 --to 1999 --json | jq .payload',
      'varve cat ./log --follow --durable',
    ],
  })
    .option('--from <lsn>', 'first LSN (default: the oldest)', integerFrom(1))
    .option('--to <lsn>', 'last LSN, inclusive (default: the newest)', integerFrom(0))
    .option('--reverse', 'from the last to the first')
    .option('--limit <n>', 'print at most n records', integerFrom(0))
    .option('--follow', 'go on with what comes, until interrupted (exit code 0)')
    .option('--durable', 'with --follow: print a record when it is on disk, not when it is committed')
    .option('--json', 'one object a line, schema varve.record.v1: lsn, kind, key, payload as text where it is UTF-8, '
      + 'else key_b64, payload_b64')
    .action((directory: string, options: Options) => run((context) => cat(context, directory, options)));
}

async function cat(context: Context, directory: string, options: Options): Promise<Exit> {
  if (isKeyValueStore(directory)) {
    throw new UsageError(`${directory} is a key-value store`,
      `varve kv export ${directory} prints keys and values, varve dump ${directory} the records of its log`);
  }
  if (isGroup(directory)) {
    throw new UsageError(`${directory} is a group of write-ahead logs`,
      `varve wal merge ${directory} prints all entries in order, varve wal cat ${directory} --core N those of one core`);
  }
  refuseCore(directory, 'varve wal cat DIR --core N');
  if (options.follow === true) return follow(context, directory, options);
  if (options.durable === true) throw new UsageError('--durable goes with --follow');
  const log = await RecordLog.open(directory, { readOnly: true });
  try {
    const { outcome, tornBytes, tornAt, because } = log.recovery;
    const { lastLsn } = log;
    const given = await print(context.out, log, options);
    if (given.error !== undefined) {
      // In a corrupt log, what cannot be found was not cut but is missing.
      if (outcome === 'corrupt' && VarveError.is(given.error, 'ERR_VARVE_TRUNCATED')) {
        context.note(`varve: ERR_VARVE_CORRUPT: record ${given.next} is missing: ${because}; see varve check`);
        return Exit.Corrupt;
      }
      for (const line of describeError(given.error)) context.note(line);
      return exitOf(given.error);
    }
    if (given.lost > 0) context.note(`varve: ${plural(given.lost, 'record')} given up by a repair left out`);
    const sawEnd = (options.to ?? Infinity) > lastLsn && (options.reverse === true || !given.limited);
    if (!sawEnd) return Exit.Ok;
    if (outcome === 'corrupt') {
      context.note(`varve: ERR_VARVE_CORRUPT: records behind ${lastLsn} are damaged or missing: ${because}`);
      return Exit.Corrupt;
    }
    if (outcome === 'cut' && tornAt !== undefined) {
      context.note(`varve: a torn tail of ${plural(tornBytes, 'byte')} follows (segment ${tornAt.segment}, offset `
        + `${tornAt.offset}); the next opening for writing cuts it`);
    }
    return Exit.Ok;
  } finally {
    await log.close();
  }
}

/** Prints what is there and what comes, until it is interrupted or has printed enough. */
async function follow({ out, interruptible }: Context, directory: string, options: Options): Promise<Exit> {
  const { from, to = Infinity, limit = Infinity, json, durable = false } = options;
  if (options.reverse === true) throw new UsageError('--follow and --reverse exclude each other');
  if (limit === 0) return Exit.Ok;
  const log = await RecordLog.open(directory, { readOnly: true });
  try {
    const follower = log.follow({ ...(from === undefined ? {} : { from }), durable, signal: interruptible() });
    let printed = 0;
    for await (const batch of follower.batches()) {
      for (const record of batch) {
        if (record.lsn > to) return Exit.Ok;
        const full = json === true ? out.add(`${toJson(record)}\n`) : addPlain(out, record);
        if (full) await out.flush();
        if (++printed === limit || record.lsn === to) return Exit.Ok;
      }
      // Whoever watches wants to see it now.
      await out.flush();
    }
    return Exit.Ok;
  } catch (error) {
    // To be interrupted is how it ends.
    if (error instanceof Interrupted) return Exit.Ok;
    throw error;
  } finally {
    await out.flush();
    await log.close();
  }
}

interface Given {
  /** What ended the printing before its time. */
  readonly error: unknown;
  /** LSN of the record that would have come next. */
  readonly next: number;
  readonly limited: boolean;
  /** Records on the way that a repair had given up. */
  readonly lost: number;
}

async function print(out: Output, log: RecordLog, options: Options): Promise<Given> {
  const { from, to, reverse = false, limit = Infinity, json } = options;
  const records = log.scan({ ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }), reverse });
  const last = Math.min(to ?? Infinity, log.lastLsn);
  let next = reverse ? last : from ?? log.firstLsn;
  let printed = 0;
  let lost = 0;
  let error: unknown;
  try {
    for (; printed < limit; printed++) {
      const { value: record, done } = records.next();
      if (done === true) break;
      lost += Math.abs(record.lsn - next);
      next = record.lsn + (reverse ? -1 : 1);
      const full = json === true ? out.add(`${toJson(record)}\n`) : addPlain(out, record);
      if (full) await out.flush();
    }
  } catch (thrown) {
    if (thrown instanceof BrokenPipe) throw thrown;
    error = thrown;
  }
  await out.flush();
  const limited = printed >= limit;
  if (error === undefined && !limited) lost += reverse ? next - ((from ?? log.firstLsn) - 1) : last + 1 - next;
  return { error, next, limited, lost: Math.max(0, lost) };
}

function addPlain(out: Output, { payload }: LogRecord): boolean {
  const full = out.add(payload);
  return out.add(NEWLINE) || full;
}

/** Text where the bytes are UTF-8, so that nothing is lost; else base64 under another name. */
function member(name: string, bytes: Uint8Array): object {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(buffer) ? { [name]: buffer.toString('utf8') } : { [`${name}_b64`]: buffer.toString('base64') };
}

function toJson({ lsn, kind, key, payload }: LogRecord): string {
  return JSON.stringify({
    schema: 'varve.record.v1', lsn, kind, ...member('key', key), ...member('payload', payload),
  });
}
