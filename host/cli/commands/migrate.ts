/**
 * `varve migrate`: brings a typed file to a schema that appends to its own; see host/typed/migrate.ts.
 */
import type { Command } from 'commander';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { TypedStore, type Field, type Schema } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit, UsageError } from '../exit.ts';
import { count, good, plural } from '../format.ts';
import { startProgress } from '../progress.ts';
import { requireFormat } from '../typed/open.ts';
import { readSchema, SCHEMA_FILE } from '../typed/schema-file.ts';
import { parseValue } from '../typed/values.ts';

interface Options {
  readonly schema?: string;
  readonly interface?: string;
  readonly from?: string;
  readonly default?: readonly string[];
  readonly json?: true;
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function declareMigrate(program: Command, run: Run): void {
  declare(program, {
    usage: 'migrate <file> [schema]',
    summary: 'bring a typed file to a schema that appends to its own',
    description: 'Fields may be appended, values of an enum too, text and bytes may get more room. The new file takes '
      + 'the place of the old one in one step; until then it needs as much room once more. Nobody may write meanwhile. '
      + 'Where the file has the schema already, nothing is done.',
    examples: [
      'varve migrate ./ticks.varve src/types.ts --interface Tick --default currency=EUR --default fee=0.5',
      'varve migrate ./ticks.mmf tick-v2.json --from tick-v1.json',
    ],
  })
    .option('--schema <file>', `the same as [schema]: ${SCHEMA_FILE}`)
    .option('--interface <name>', 'which interface of types.ts; needed where it has several')
    .option('--from <file>', `the schema that the file has, which one of format mmfg-1 does not keep: ${SCHEMA_FILE}`)
    .option('--default <field=value>', 'what an appended field holds in the records that are there; may be given again '
      + '(default: zero, empty, false)', collect)
    .option('--json', 'print one JSON object, schema varve.migrate.v1')
    .action((path: string, schema: string | undefined, options: Options) =>
      run((context) => migrate(context, path, schema, options)));
}

async function migrate(
  { out }: Context, path: string, given: string | undefined, options: Options,
): Promise<Exit> {
  const file = given ?? options.schema;
  if (file === undefined || (given !== undefined && options.schema !== undefined)) {
    throw new UsageError('the schema must be given, once', 'varve migrate FILE types.ts');
  }
  const format = requireFormat(path);
  if (format === 'mmfg-1' && options.from === undefined) {
    throw new UsageError(`${path} has format mmfg-1, which does not keep its schema`, `give it as --from ${SCHEMA_FILE}`);
  }
  const schema = await readSchema(file, options.interface);
  const from = options.from === undefined ? {} : { from: await readSchema(options.from) };
  const defaults = defaultsOf(schema, options.default ?? []);
  const { size } = statSync(path);
  const progress = startProgress('migrating', size, options.json === true);
  const begun = performance.now();
  const done = await TypedStore.migrate(path, schema, {
    defaults, format, ...from,
    onProgress: (records, total) => { progress.update(total === 0 ? size : size * records / total); },
  }).finally(() => { progress.stop(); });
  const seconds = (performance.now() - begun) / 1000;
  if (options.json === true) {
    await out.json({ schema: 'varve.migrate.v1', path: resolve(path), ...done, seconds });
    return Exit.Ok;
  }
  const { migrated, records, fromVersion, toVersion, appended, recovery } = done;
  if (!migrated) {
    await out.line(`${good('nothing to do')}: the file has this schema, version ${toVersion}`);
    return Exit.Ok;
  }
  const fields = appended.length === 0 ? 'no field appended' : `appended ${appended.join(', ')}`;
  await out.line(`${good('migrated')} ${plural(records, 'record')} from version ${fromVersion} to ${toVersion}: ${fields}`);
  if (recovery.torn.length > 0) {
    await out.line(`a dead writer may have left half-written: ${recovery.torn.map(count).join(' ')}`);
  }
  return Exit.Ok;
}

function defaultsOf(schema: Schema, given: readonly string[]): Record<string, unknown> {
  const defaults: Record<string, unknown> = {};
  for (const one of given) {
    const at = one.indexOf('=');
    const name = one.slice(0, Math.max(at, 0));
    const field = (schema.fields as Readonly<Record<string, Field>>)[name];
    if (at < 0 || field === undefined) {
      throw new UsageError(`--default ${one} names no field of ${schema.name}`, `write --default field=value, with one of `
        + Object.keys(schema.fields).join(', '));
    }
    defaults[name] = parseValue(name, field, one.slice(at + 1));
  }
  return defaults;
}
