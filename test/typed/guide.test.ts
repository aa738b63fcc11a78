/**
 * The examples of the guide to typed stores, with the classes that they have generated.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect } from 'vitest';
import { CLI } from '../support/cli.ts';
import { describeGuide } from '../support/guide.ts';

/** Writes the sources that the guide names in their first line, and what is generated of them, compiled. */
function generateSources(directory: string, guide: string): void {
  for (const [, name, code] of guide.matchAll(/```ts\n\/\/ ([\w-]+\.ts)\n([\s\S]*?)```/g)) {
    writeFileSync(join(directory, name!), code!);
    const { status, stderr } = spawnSync(process.execPath, [CLI, 'generate', name!], { cwd: directory, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: 'varve: 1 file: 1 written, 0 unchanged\n' });
  }
  for (const name of readdirSync(directory).filter((one) => one.endsWith('-store.ts'))) {
    const { outputText } = ts.transpileModule(readFileSync(join(directory, name), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    writeFileSync(join(directory, name.replace(/\.ts$/, '.js')), outputText);
  }
}

describeGuide('docs/typed-store.md', 5, (directory, guide) => {
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  generateSources(directory, guide);
});
