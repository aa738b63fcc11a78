/**
 * The package as its users get it: every path that package.json names exists, both module systems give the same names,
 * the wasm is embedded once in each, and the types resolve for every kind of consumer.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBuild } from './support/disassemble.ts';
import { filesIn } from './support/files-in.ts';
import { ROOT } from './support/repository.ts';

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  main: string; module: string; types: string; bin: Record<string, string>;
  exports: Record<string, unknown>;
};

/** Returns every path in a tree of conditions. */
function pathsIn(exports: unknown): string[] {
  if (typeof exports === 'string') return [exports];
  return typeof exports === 'object' && exports !== null ? Object.values(exports).flatMap(pathsIn) : [];
}

describe('the package', () => {
  it('has every file that package.json names', () => {
    const { main, module, types, bin, exports } = manifest;
    const named = [main, module, types, ...Object.values(bin), ...pathsIn(exports)];
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('has a command that can be started', () => {
    const path = join(ROOT, manifest.bin['varve'] as string);
    expect(readFileSync(path, 'utf8').startsWith('#!/usr/bin/env node\n')).toBe(true);
    expect(statSync(path).mode & 0o111).toBe(0o111);
  });

  it.each(['.', './schema', './codegen-v1'])('exports the same names to import and to require: %s', async (entry) => {
    const { import: esm, require: cjs } = manifest.exports[entry] as Record<'import' | 'require', { default: string }>;
    const required = createRequire(import.meta.url)(join(ROOT, cjs.default)) as object;
    const imported = await import(/* @vite-ignore */ pathToFileURL(join(ROOT, esm.default)).href) as object;
    const names = Object.keys(imported).sort();
    expect(names).toContain('defineSchema');
    expect(Object.keys(required).filter((name) => name !== '__esModule').sort()).toEqual(names);
  });

  it.each(['import', 'require'] as const)('has one TypedStore for both entries that give one: %s', async (way) => {
    const load = async (entry: string): Promise<Record<string, object>> => {
      const path = join(ROOT, (manifest.exports[entry] as Record<'import' | 'require', { default: string }>)[way].default);
      return way === 'require' ? createRequire(import.meta.url)(path) as Record<string, object>
        : await import(/* @vite-ignore */ pathToFileURL(path).href) as Record<string, object>;
    };
    const [main, codegen] = [await load('.'), await load('./codegen-v1')];
    expect(Object.getPrototypeOf(codegen['GeneratedStore'])).toBe(main['TypedStore']);
  });

  it('loads nothing of the engine for a schema', () => {
    expect(statSync(join(ROOT, 'dist/cjs/schema.js')).size).toBeLessThan(32768);
  });

  it.each(['dist/esm', 'dist/cjs'])('embeds each build of the core once: %s', (directory) => {
    const text = filesIn(join(ROOT, directory)).filter((path) => path.endsWith('.js'))
      .map((path) => readFileSync(path, 'utf8')).join('');
    const modules = (['baseline', 'simd'] as const).map((build) => Buffer.from(readBuild(build)).toString('base64'));
    // Both builds are the same bytes as long as no source asks for SIMD.
    const expected = modules.map((one) => modules.filter((other) => other === one).length);
    expect(modules.map((one) => text.split(one).length - 1)).toEqual(expected);
  });
});

describe('the types', () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'varve-consumer-'));
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(ROOT, join(directory, 'node_modules/varve'));
    symlinkSync(join(ROOT, 'node_modules/@types'), join(directory, 'node_modules/@types'));
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  const { ModuleKind, ModuleResolutionKind } = ts;
  it.each([
    ['import under node16', 'a.mts', ModuleKind.Node16, ModuleResolutionKind.Node16, 'dist/types'],
    ['require under node16', 'b.cts', ModuleKind.Node16, ModuleResolutionKind.Node16, 'dist/cjs/types'],
    ['import under nodenext', 'c.mts', ModuleKind.NodeNext, ModuleResolutionKind.NodeNext, 'dist/types'],
    ['require under nodenext', 'd.cts', ModuleKind.NodeNext, ModuleResolutionKind.NodeNext, 'dist/cjs/types'],
    ['import under bundler', 'e.ts', ModuleKind.ESNext, ModuleResolutionKind.Bundler, 'dist/types'],
  ])('are strict and complete for %s', (_, name, module, moduleResolution, expected) => {
    const file = join(directory, name);
    writeFileSync(file, 'import { type TypedStore, VarveError } from \'varve\';\n'
      + 'import { defineSchema, f64, u64 } from \'varve/schema\';\n'
      + 'const Tick = defineSchema(\'Tick\', { fields: { price: f64, at: u64 } });\n'
      + 'export const at = (store: TypedStore<typeof Tick.fields>): bigint => store.get(0).at;\n'
      + '// @ts-expect-error a float is no bigint\n'
      + 'export const price = (store: TypedStore<typeof Tick.fields>): bigint => store.fields.price.get(0);\n'
      + 'export const is: boolean = VarveError.is(0);\n// @ts-expect-error a boolean is no string\n'
      + 'export const wrong: string = VarveError.is(0);\n');
    const program = ts.createProgram([file], { module, moduleResolution, strict: true, noEmit: true, types: ['node'],
      target: ts.ScriptTarget.ES2022, skipLibCheck: false, skipDefaultLibCheck: true, typeRoots: [
        join(directory, 'node_modules/@types'),
      ] });
    const own = program.getSourceFiles().filter(({ fileName }) => fileName.includes('/dist/') || fileName === file);
    const messages = own.flatMap((source) => [
      ...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source),
    ]).map(({ messageText, file: where }) =>
      `${where?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
    expect(messages).toEqual([]);
    const entry = own.find(({ fileName }) => fileName.endsWith('/index.d.ts'));
    expect(dirname(entry?.fileName ?? '').endsWith(expected)).toBe(true);
  }, 60_000);
});
