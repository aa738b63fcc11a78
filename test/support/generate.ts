/**
 * The generator for tests: sources in a directory of their own, and a version of the tool that never changes.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { Core } from '../../host/core/core.ts';
import { generate, type GenerateResult } from '../../host/generate/generate.ts';

/** What generated files of tests say that they are from. */
export const VERSION = '0.0.0';

/** A directory with sources. */
export class Project {
  readonly directory = mkdtempSync(join(tmpdir(), 'varve-generate-'));

  write(name: string, text: string): string {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return name;
  }

  read(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8');
  }

  /** Names of the files, those of directories below too. */
  list(): string[] {
    return readdirSync(this.directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.directory.length + 1)).sort();
  }

  generate(inputs: readonly string[], { out, check = false }: { out?: string; check?: boolean } = {}): GenerateResult {
    return generate({ ts, core: Core.shared(), version: VERSION, inputs, out, check, directory: this.directory });
  }

  /** The mistakes of one source, as the command prints them. */
  mistakes(text: string): string[] {
    this.write('types.ts', text);
    const before = this.list();
    const { files, mistakes } = this.generate(['types.ts']);
    if (mistakes.length > 0 && (files.length > 0 || this.list().length !== before.length)) {
      throw new Error('something was written in spite of mistakes');
    }
    return mistakes.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
