/**
 * What the tests of the real storage share: a directory of their own, the system calls to look at the kernel with, and
 * child processes that run the storage from a bundle.
 */
import { build } from 'esbuild';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { ErrorCode } from '../../host/errors/codes.ts';
import { VarveError } from '../../host/errors/varve-error.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const requireHere = createRequire(import.meta.url);

export const LINUX = process.platform === 'linux';
/** Packages that a child finds, when nothing else is said. */
export const ALL_PACKAGES = ['koffi', '@koromix', '@riaskov'];

/** Makes an empty directory and removes it with `remove`. */
export function scratch(): { path: string; file(name: string): string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'varve-real-'));
  return {
    path,
    file: (name) => join(path, name),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Runs what must fail and returns its error, which must be a `VarveError` of that code. */
export function failure(code: ErrorCode, operation: () => unknown): VarveError {
  let error: unknown;
  try {
    operation();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(VarveError);
  expect((error as VarveError).code).toBe(code);
  return error as VarveError;
}

/** The kernel, asked without the code under test. */
export function kernel() {
  const koffi = requireHere('koffi') as typeof import('koffi');
  const libc = koffi.load(null);
  const mincore = libc.func('mincore', 'int', ['intptr_t', 'size_t', 'void *']);
  const syscall = LINUX ? libc.func('syscall', 'long', ['long', 'intptr_t', 'int', 'int', 'void *']) : undefined;
  const FUTEX = process.arch === 'arm64' ? 98 : 202;
  return {
    address: (bytes: Uint8Array): number => Number(koffi.address(bytes)),
    /** How many pages of [address, address + length) are in memory. */
    residentPages(address: number, length: number): number {
      const pages = new Uint8Array(Math.ceil(length / 4096));
      expect(mincore(address, length, pages)).toBe(0);
      return pages.reduce((sum, page) => sum + (page & 1), 0);
    },
    /** Wakes the waiters of a word and returns how many there were. */
    futexWake: (address: number): number => syscall?.(FUTEX, address, 1, 0x7fffffff, null),
    /** Waits up to 30 seconds and returns 0 when woken, -1 otherwise. */
    futexWait: (address: number, seen: number): Promise<number> => new Promise((resolve, reject) => {
      const timeout = new BigInt64Array([30n, 0n]);
      syscall?.async(FUTEX, address, 0, seen, timeout, (error: unknown, result: number) => {
        if (error) reject(error as Error);
        else resolve(result);
      });
    }),
  };
}

/** Looks again and again until `condition` holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Puts the storage as `storage.mjs` and only these packages into a directory; `start` runs children there. */
export async function childKit(directory: string, packages: readonly string[] = ALL_PACKAGES) {
  const modules = join(directory, 'node_modules');
  mkdirSync(modules, { recursive: true });
  for (const name of packages) {
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  await build({
    stdin: {
      contents: `
        export { realStorage } from './host/io/real-storage.ts';
        export { CoreMemory } from './host/core/memory.ts';
      `,
      resolveDir: ROOT,
    },
    bundle: true, platform: 'node', format: 'esm', target: 'node20', outfile: join(directory, 'storage.mjs'),
    logLevel: 'error',
  });
  let count = 0;
  return {
    modules,
    /** Starts a child whose code finds `storage`, `CoreMemory` and `tell(message)`. */
    start(code: string, options: ChildOptions = {}): Child {
      const entry = join(directory, `child-${count++}.mjs`);
      writeFileSync(entry, PRELUDE + code);
      const command = [process.execPath, ...options.flags ?? [], entry, ...options.args ?? []];
      const [program, ...rest] = options.shell === undefined ? command
        : ['/bin/sh', '-c', `${options.shell}; exec "$@"`, 'sh', ...command];
      return new Child(spawn(program as string, rest, {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, ...options.env },
      }));
    },
  };
}

export interface ChildOptions {
  flags?: string[];
  args?: string[];
  env?: Record<string, string>;
  /** What the shell does before it becomes the child, such as `ulimit`. */
  shell?: string;
}

const PRELUDE = `
import { CoreMemory, realStorage } from './storage.mjs';
const storage = realStorage();
const tell = (message) => process.send(message);
const codeOf = (operation) => { try { operation(); return 'none'; } catch (error) { return error.code; } };
`;

/** A child process and the messages that it has sent. */
export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
  private readonly messages: unknown[] = [];
  private over = false;

  constructor(process: ChildProcess) {
    this.process = process;
    process.on('message', (message) => this.messages.push(message));
    this.ended = once(process, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    void this.ended.then(() => { this.over = true; });
  }

  /** The next message; fails when the child ends without one. */
  async told(): Promise<unknown> {
    await until(() => this.messages.length > 0 || this.over);
    if (this.messages.length === 0) throw new Error('the child ended without a message');
    return this.messages.shift();
  }
}
