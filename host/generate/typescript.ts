/**
 * Loading TypeScript, whose parser reads the sources. It is no dependency: whoever generates has it. Version 7 of the
 * package `typescript` gives programs no parser; beside it, `@typescript/typescript6` does.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

export type TypeScript = typeof import('typescript');

const NAMES = ['typescript', '@typescript/typescript6'] as const;

/** There is no TypeScript that could parse. */
export class NoTypeScript extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = 'NoTypeScript';
    this.hint = hint;
  }
}

/**
 * Loads TypeScript as it is installed beside varve or, where varve is installed elsewhere, in the working directory.
 *
 * @throws NoTypeScript
 */
export function loadTypeScript(directory: string): TypeScript {
  let unfit: string | undefined;
  for (const from of [import.meta.url, join(directory, 'package.json')]) {
    const load = createRequire(from);
    for (const name of NAMES) {
      const found = find(load, name);
      if (typeof found?.createSourceFile === 'function') return found;
      unfit ??= found?.version;
    }
  }
  if (unfit !== undefined) {
    throw new NoTypeScript(`TypeScript ${unfit} gives programs no parser, which varve generate needs`,
      'npm i -D @typescript/typescript6, which stands beside it; or typescript@6 in its place');
  }
  throw new NoTypeScript('varve generate needs TypeScript, which is not installed', 'npm i -D typescript@6');
}

function find(load: NodeJS.Require, name: string): TypeScript | undefined {
  try {
    return load(name) as TypeScript;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
