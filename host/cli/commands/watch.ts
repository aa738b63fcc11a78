/**
 * `varve watch`: what changes in a typed file, as it happens: a table on a terminal, lines elsewhere. Takes no lock and
 * writes nothing; works beside any writers.
 */
import type { Command } from 'commander';
import type { TypedStore } from '../../index.ts';
import type { Change } from '../../typed/watch.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit, Interrupted } from '../exit.ts';
import { integerFrom } from '../parse.ts';
import { LiveTable } from '../typed/live-table.ts';
import { openTyped, SCHEMA_OPTION } from '../typed/open.ts';
import { jsonRecord } from '../typed/values.ts';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly limit?: number;
  readonly records?: true;
  readonly json?: true;
  readonly schema?: string;
}

export function declareWatch(program: Command, run: Run): void {
  declare(program, {
    usage: 'watch <file>',
    summary: 'show what changes in a typed file, as it happens',
    description: 'On a terminal a table of the records that have changed last; elsewhere a line for each range of '
      + 'records that has changed or was appended. Changes that come together are shown together. Ends when it is '
      + 'interrupted (exit code 0).',
    examples: ['varve watch ./ticks.varve', 'varve watch ./ticks.varve --json --records | jq .record.price'],
  })
    .option('--from <n>', 'first record (default: 0)', integerFrom(0))
    .option('--to <n>', 'last record, inclusive (default: all that come)', integerFrom(0))
    .option('--limit <n>', 'end after n ranges', integerFrom(1))
    .option(...SCHEMA_OPTION)
    .option('--records', 'with --json: a line for each record, with its values, instead of one for each range')
    .option('--json', 'one object a line, schema varve.change.v1')
    .action((path: string, options: Options) => run((context) => watch(context, path, options)));
}

async function watch(context: Context, path: string, options: Options): Promise<Exit> {
  const { from = 0, to = Infinity, limit = Infinity } = options;
  const signal = context.interruptible();
  const { store } = await openTyped(path, options.schema);
  const watcher = store.watch({ from, to, signal });
  const table = options.json === true || process.stdout.isTTY !== true ? undefined : new LiveTable(context.out, store);
  try {
    await table?.begin();
    let seen = 0;
    for await (const change of watcher) {
      if (table !== undefined) table.take(change);
      else await print(context, store, change, options);
      if (++seen === limit) break;
    }
    return Exit.Ok;
  } catch (error) {
    // To be interrupted is how it ends.
    if (error instanceof Interrupted) return Exit.Ok;
    throw error;
  } finally {
    await table?.end();
    await store.close();
  }
}

async function print({ out }: Context, store: TypedStore, change: Change, options: Options): Promise<void> {
  const { from, to, kind } = change;
  if (options.json !== true) await out.line(`${kind} ${from === to ? from : `${from} to ${to}`}`);
  else if (options.records !== true) await out.json({ schema: 'varve.change.v1', ...change });
  else {
    // In a ring, what was overwritten since is not there any more.
    for (let index = Math.max(from, store.first); index <= to; index++) {
      await out.json({ schema: 'varve.change.v1', kind, index, record: jsonRecord(store.get(index)) });
    }
  }
  // Whoever watches wants to see it now.
  await out.flush();
}
