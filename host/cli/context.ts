/**
 * What every command gets: where it prints, how it is interrupted, and how it is declared. A command is a function that
 * returns an exit code; whatever it throws, main.ts prints.
 */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { Core } from '../core/core.ts';
import { realStorage } from '../io/real-storage.ts';
import { StoreInspector } from '../log/inspect.ts';
import { EXIT_HELP, Interrupted, type Exit } from './exit.ts';
import type { Output } from './output.ts';

export interface Context {
  readonly out: Output;
  /** One line on standard error. */
  note(text: string): void;
  /** Aborted, with an `Interrupted`, by the first SIGINT or SIGTERM; only while somebody has asked for it. */
  interruptible(): AbortSignal;
}

/** Makes the context of this process. */
export function makeContext(out: Output): Context {
  let controller: AbortController | undefined;
  return {
    out,
    note: (text) => { process.stderr.write(`${text}\n`); },
    interruptible() {
      if (controller !== undefined) return controller.signal;
      const made = new AbortController();
      controller = made;
      const stop = () => { made.abort(new Interrupted()); };
      // The second signal does what signals do.
      process.once('SIGINT', stop);
      process.once('SIGTERM', stop);
      return made.signal;
    },
  };
}

/** The files of a store, to be looked at without a lock. Errors: ERR_VARVE_NOT_FOUND, ERR_VARVE_FOREIGN_DIRECTORY */
export function inspect(directory: string): StoreInspector {
  return new StoreInspector(resolve(directory), realStorage(), Core.shared());
}

/** The kind of the log in a directory, as far as its files can be read; `undefined` where there is none. */
export function storeKindOf(directory: string): number | undefined {
  try {
    const inspector = inspect(directory);
    const control = inspector.control();
    if (control?.valid === true) return control.storeKind;
    return inspector.segments().find(({ header }) => header !== undefined)?.header?.identity.storeKind;
  } catch {
    // Whoever opens it says what is wrong.
    return undefined;
  }
}

/** How a command is declared. */
export interface Declaration {
  /** `cat <dir>` */
  readonly usage: string;
  readonly summary: string;
  /** More about it. */
  readonly description?: string;
  /** Lines after `$ `. */
  readonly examples: readonly string[];
}

/** Adds a command with its help. */
export function declare(parent: Command, { usage, summary, description, examples }: Declaration): Command {
  const command = parent.command(usage).summary(summary);
  command.description(description === undefined ? `${summary}.` : `${summary}. ${description}`);
  const names: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name());
  command.showHelpAfterError(`hint: ${names.join(' ')} --help`);
  command.allowExcessArguments(false);
  command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ ${line}\n`).join('')}\n${EXIT_HELP}`);
  return command;
}

/** Runs a command and takes note of its exit code. */
export type Run = (work: (context: Context) => Promise<Exit>) => Promise<void>;
