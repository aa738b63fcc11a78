/**
 * The command `varve`: which commands there are, and how their results and errors become exit codes. Nothing below
 * calls process.exit: a command that has ended has closed and flushed everything.
 */
import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { declareAppend } from './commands/append.ts';
import { declareCat } from './commands/cat.ts';
import { declareCheck } from './commands/check.ts';
import { declareDump } from './commands/dump.ts';
import { declareExport } from './commands/export.ts';
import { declareGenerate } from './commands/generate.ts';
import { declareImport } from './commands/import.ts';
import { declareRepair } from './commands/repair.ts';
import { declareMigrate } from './commands/migrate.ts';
import { declareStat } from './commands/stat.ts';
import { declareWatch } from './commands/watch.ts';
import { declareKeyValue } from './kv/kv.ts';
import { declareWal } from './wal/wal.ts';
import { makeContext, type Run } from './context.ts';
import { declareDemo } from './demo.ts';
import { describeError, Exit, EXIT_HELP, exitOf } from './exit.ts';
import { BrokenPipe, Output } from './output.ts';

/** The bundle and this file lie at the same depth below package.json. */
const PACKAGE = new URL('../../package.json', import.meta.url);

function version(): string {
  return (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version;
}

function makeProgram(run: Run): Command {
  const program = new Command('varve')
    .description('Looks at, fills, checks and repairs the stores of varve, an embedded storage engine for Node.js, and writes the '
      + 'classes of its typed stores.')
    .version(version(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .showHelpAfterError('hint: varve --help')
    .configureOutput({ outputError: (text, write) => { write(text.replace(/^error: /, 'varve: ')); } })
    .exitOverride();
  program.addHelpText('after', `
cat, stat, check, dump and watch take no lock and create nothing; they work beside a running writer.

${EXIT_HELP}`);
  for (const add of [
    declareAppend, declareCat, declareStat, declareCheck, declareDump, declareWatch, declareKeyValue, declareWal,
    declareRepair, declareMigrate, declareImport, declareExport, declareGenerate, declareDemo,
  ]) add(program, run);
  return program;
}

async function main(): Promise<number> {
  const out = new Output(process.stdout);
  // A reader of standard error that goes away is no reason to stop.
  process.stderr.on('error', () => undefined);
  let exit: number = Exit.Ok;
  const run: Run = async (work) => {
    exit = await work(makeContext(out));
    await out.flush();
  };
  try {
    await makeProgram(run).parseAsync();
    return exit;
  } catch (error) {
    if (error instanceof BrokenPipe) return Exit.Ok;
    // Commander has printed what there is to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.Ok : Exit.Misuse;
    for (const line of describeError(error)) process.stderr.write(`${line}\n`);
    return exitOf(error);
  }
}

process.exitCode = await main();
