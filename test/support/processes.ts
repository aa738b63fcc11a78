/**
 * Starting the children of the process tests, which run the built package as a user's program would.
 */
import { fork, type ForkOptions, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, LINUX, until } from './real-storage.ts';
import { ROOT } from './repository.ts';
import { laboratoryFactor } from './tally.ts';

const CHILDREN = join(ROOT, 'test/process/children');
/** Whether this process may mount, change its user and so on. */
export const SUPERUSER = process.getuid?.() === 0;
/** How much longer than in a plain run the tests of this directory may take, and how often they repeat. */
export const LAB = Math.max(1, laboratoryFactor());
/** A user without rights. */
export const NOBODY = 65534;

/** Returns the path of a child's program; fails where the package was not built. */
export function programOf(name: string): string {
  if (!existsSync(join(ROOT, 'dist/esm/index.js'))) throw new Error('there is no dist/esm/index.js; run npm run build');
  return join(CHILDREN, `${name}.mjs`);
}

/** Starts children/`name`.mjs. */
export function start(name: string, args: readonly (string | number)[], options: ForkOptions = {}): Child {
  return new Child(fork(programOf(name), args.map(String), { execArgv: [], ...options }));
}

/** Starts a child behind a shell that first does what `before` says, such as `ulimit`. */
export function startBehind(before: string, name: string, args: readonly (string | number)[]): Child {
  const command = [process.execPath, programOf(name), ...args.map(String)];
  return new Child(spawn('/bin/sh', ['-c', `${before}; exec "$@"`, 'sh', ...command], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  }));
}

/** An empty directory and its removal. */
export function temporary(): { path: string; file(...names: string[]): string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'varve-process-'));
  return {
    path,
    file: (...names) => join(path, ...names),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Name, size and time of change of every entry, to see whether anything was touched. */
export function listing(directory: string): string[] {
  return readdirSync(directory).sort().map((name) => {
    const { size, mtimeMs, ctimeMs, mode } = statSync(join(directory, name));
    return `${name} ${size} ${mtimeMs} ${ctimeMs} ${mode}`;
  });
}

/** Resolves after some milliseconds: for moments that are random anyway. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Resolves when a process stands still after SIGSTOP; where that cannot be seen, it is given a moment. */
export async function untilStopped(pid: number): Promise<void> {
  if (!LINUX) return pause(20);
  await until(() => /^\d+ \(.*\) T/.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
}

/** Says on the console why a test does not run here. */
export function cannot(context: { skip(note?: string): void }, reason: string): void {
  console.warn(`not run: ${reason}`);
  context.skip(reason);
}
