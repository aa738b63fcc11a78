/**
 * Exit codes, and how an error becomes one line on standard error and an exit code. No stack is shown but for what can
 * only be a bug.
 */
import { VarveError } from '../errors/varve-error.ts';

/** What a command ends with; docs and `varve --help` say the same. */
export const Exit = {
  /** All is well. */
  Ok: 0,
  /** Wrong use, a missing store, a locked directory, a refusal of the system. */
  Misuse: 1,
  /** An interrupted write lies behind the last record. */
  Torn: 2,
  /** Damaged or missing records, or a foreign file that breaks its format. */
  Corrupt: 3,
  /** `varve generate --check`: a generated file is stale or missing. */
  Stale: 4,
  /** `varve kv get` and `del`: there is no such key. */
  Absent: 4,
  /** 128 + SIGINT. */
  Interrupted: 130,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

export const EXIT_HELP = `Exit codes: 0 all is well; 1 wrong use, missing store, locked, input/output error; 2 torn tail (an
interrupted write: opening for writing cuts it); 3 damaged or missing records; 4 a generated file is stale or missing,
or, of varve kv get and del, there is no such key.`;

/** Wrong use, found by a command; `hint` says what to do instead. */
export class UsageError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'UsageError';
    this.hint = hint;
  }
}

/** The user has ended the command with Ctrl+C or SIGTERM. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

/** The exit code of an error. */
export function exitOf(error: unknown): Exit {
  if (error instanceof Interrupted) return Exit.Interrupted;
  if (!VarveError.is(error)) return Exit.Misuse;
  // A fault was found in a foreign file; without one, it is the user's wish that the foreign format cannot express.
  const isFault = error.code === 'ERR_VARVE_FORMAT' && 'fault' in error.details;
  return error.kind === 'corruption' || isFault ? Exit.Corrupt : Exit.Misuse;
}

/** What is printed about an error: lines without a newline at their end. */
export function describeError(error: unknown): string[] {
  if (error instanceof UsageError) {
    return [`varve: ${error.message}`, ...(error.hint === undefined ? [] : [`hint: ${error.hint}`])];
  }
  if (error instanceof Interrupted) return ['varve: interrupted'];
  if (!(error instanceof Error)) return [`varve: ${String(error)}`];
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_VARVE_INTERNAL' && typeof code === 'string') {
    // Node's own messages begin with the code.
    return [`varve: ${error.message.startsWith(`${code}: `) ? '' : `${code}: `}${error.message}`];
  }
  return [`varve: ${error.stack ?? error.message}`];
}
