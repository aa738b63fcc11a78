/**
 * `varve generate`: writes the classes of annotated interfaces. TypeScript and the generator are loaded when it runs:
 * other commands do not pay for them.
 */
import type { Command } from 'commander';
import { statSync } from 'node:fs';
import { Core } from '../../core/core.ts';
import type { GenerateResult } from '../../generate/generate.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit, UsageError } from '../exit.ts';
import { bad, good, plural } from '../format.ts';

interface Options {
  readonly out?: string;
  readonly check?: true;
  readonly json?: true;
}

export function declareGenerate(program: Command, run: Run): void {
  declare(program, {
    usage: 'generate <file...>',
    summary: 'write the classes of typed records from TypeScript interfaces',
    description: 'For each exported interface whose doc comment has @varve version=1 it writes <name>-store.ts, a class with '
      + 'typed accessors for its fields. Members have types of varve/schema. Where a source has a mistake, nothing is '
      + 'written. Needs TypeScript: npm i -D typescript@6.',
    examples: [
      'varve generate src/types.ts', 'varve generate src/types.ts --out src/generated',
      'varve generate src/types.ts --check || echo "run varve generate"',
    ],
  })
    .option('--out <dir>', 'the directory of the generated files; else beside each source')
    .option('--check', 'write nothing; exit code 4 where a file is stale or missing')
    .option('--json', 'print one JSON object, schema varve.generate.v1')
    .action((files: string[], options: Options) => run((context) => (
      generateFiles(context, files, options, program.version() ?? ''))));
}

async function generateFiles(
  context: Context, inputs: readonly string[], options: Options, version: string,
): Promise<Exit> {
  inputs.forEach(requireSource);
  if (options.out !== undefined) requireDirectory(options.out);
  const { loadTypeScript, NoTypeScript } = await import('../../generate/typescript.ts');
  const { generate } = await import('../../generate/generate.ts');
  const directory = process.cwd();
  let result: GenerateResult;
  try {
    const ts = loadTypeScript(directory);
    result = generate({
      ts, core: Core.shared(), version, inputs, out: options.out, check: options.check === true, directory,
    });
  } catch (error) {
    throw error instanceof NoTypeScript ? new UsageError(error.message, error.hint) : error;
  }
  return print(context, result, options);
}

function requireSource(file: string): void {
  if (!/\.[cm]?tsx?$/.test(file)) throw new UsageError(`${file} is no TypeScript file`, 'varve generate types.ts');
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new UsageError(`there is no file ${file}`);
  if (!found.isFile()) throw new UsageError(`${file} is no file`);
}

function requireDirectory(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory()) throw new UsageError(`${path} is no directory`);
}

async function print({ out, note }: Context, { files, mistakes }: GenerateResult, options: Options): Promise<Exit> {
  const old = files.filter(({ state }) => state === 'stale' || state === 'missing');
  const exit = mistakes.length > 0 ? Exit.Misuse : old.length > 0 ? Exit.Stale : Exit.Ok;
  if (options.json === true) {
    await out.json({ schema: 'varve.generate.v1', check: options.check === true, files, mistakes });
  } else {
    for (const { state, path } of files) {
      await out.line(`${(old.length > 0 && state !== 'unchanged' ? bad : good)(state.padEnd(9))}  ${path}`);
    }
  }
  for (const { file, line, column, message } of mistakes) note(`${file}:${line}:${column}: ${message}`);
  note(mistakes.length > 0 ? `varve: ${plural(mistakes.length, 'mistake')}; nothing was written`
    : summary(files, old.length, options.check === true));
  return exit;
}

function summary(files: GenerateResult['files'], old: number, check: boolean): string {
  if (old > 0) return `varve: ${old} of ${plural(files.length, 'file')} not as generated now; run varve generate`;
  const written = files.filter(({ state }) => state === 'written').length;
  const all = `varve: ${plural(files.length, 'file')}`;
  if (check || written === 0) return `${all}, unchanged`;
  return `${all}: ${written} written, ${files.length - written} unchanged`;
}
