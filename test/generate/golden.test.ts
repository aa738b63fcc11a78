/**
 * What the generator writes, to the byte: the files in test/fixtures/generate. `UPDATE=1 npx vitest run test/generate`
 * records a change that is meant. The type checker and the linter see them too: here, and in `npm run typecheck`.
 */
import { ESLint } from 'eslint';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/repository.ts';
import { Project } from '../support/generate.ts';

const FIXTURES = join(ROOT, 'test/fixtures/generate');
const OF_SOURCES: Readonly<Record<string, readonly string[]>> = {
  'everything.ts': ['everything-store.ts'], 'plain.ts': ['plain-store.ts'],
  'ticks.ts': ['http-request2-store.ts', 'price-tick-store.ts'],
};
const sources = Object.keys(OF_SOURCES);

const projects: Project[] = [];
afterAll(() => { for (const project of projects) project.remove(); });

/** A project that holds the sources. */
function newProject(): Project {
  const project = new Project();
  projects.push(project);
  for (const name of sources) project.write(name, readFileSync(join(FIXTURES, name), 'utf8'));
  return project;
}

describe('generated files', () => {
  it.each(Object.entries(OF_SOURCES))('of %s are as recorded', (source, expected) => {
    const project = newProject();
    const { files, mistakes } = project.generate([source]);
    expect(mistakes).toEqual([]);
    expect(files.map(({ path, state }) => [path, state]).sort()).toEqual(expected.map((path) => [path, 'written']));
    for (const path of expected) {
      if (process.env['UPDATE'] === '1') writeFileSync(join(FIXTURES, path), project.read(path));
      expect(project.read(path)).toBe(readFileSync(join(FIXTURES, path), 'utf8'));
    }
  });

  it('are all recorded, and nothing else is', () => {
    expect(readdirSync(FIXTURES).sort()).toEqual(Object.entries(OF_SOURCES).flat(2).sort());
  });

  it('are the same wherever, whenever and in whichever order they are made', () => {
    const [first, second] = [newProject(), newProject()];
    first.generate(sources);
    second.generate([...sources].reverse().map((name) => join(second.directory, name)));
    const generated = Object.values(OF_SOURCES).flat();
    for (const name of generated) expect(second.read(name)).toBe(first.read(name));
  });

  it('do not depend on how the source ends its lines, nor on a mark before it', () => {
    const project = newProject();
    project.generate(['ticks.ts']);
    const expected = project.read('price-tick-store.ts');
    project.write('ticks.ts', `\uFEFF${project.read('ticks.ts').replaceAll('\n', '\r\n')}`);
    expect(project.generate(['ticks.ts'], { check: true }).files.map(({ state }) => state)).toEqual(['unchanged', 'unchanged']);
    expect(project.read('price-tick-store.ts')).toBe(expected);
  });

  it('are not touched by a second run', () => {
    const project = newProject();
    project.generate(['ticks.ts']);
    const path = join(project.directory, 'price-tick-store.ts');
    utimesSync(path, 1, 1);
    const { ino } = statSync(path);
    expect(project.generate(['ticks.ts']).files.map(({ state }) => state)).toEqual(['unchanged', 'unchanged']);
    expect(statSync(path)).toMatchObject({ ino, mtimeMs: 1000 });
  });

  it('have a hash that tells schemas apart, and says nothing about comments', () => {
    const project = newProject();
    const hashOf = (members: string): string => {
      project.write('a.ts', `import type { f64, u8 } from 'varve/schema';\n/** @varve version=1 */\nexport interface A { ${members} }`);
      return project.generate(['a.ts']).files[0]!.schemaHash;
    };
    const hashes = ['a: f64; b: f64', 'b: f64; a: f64', 'a: f64; b: u8', 'a: f64 | null; b: f64', 'a: \'x\'; b: f64'].map(hashOf);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashOf('/** first */ a: f64; /** second */ b: f64')).toBe(hashes[0]);
    expect(project.read('a-store.ts')).toContain(`Schema hash: ${hashes[0]}\n`);
  });
});

describe('generated code', () => {
  const generated = Object.values(OF_SOURCES).flat().map((name) => join(FIXTURES, name));

  it('imports nothing but the versioned runtime', () => {
    for (const path of generated) {
      const imports = [...readFileSync(path, 'utf8').matchAll(/^(?:import|\}) .*from '(.*)';$/gm)].map(([, name]) => name);
      expect(imports).toEqual(['varve/codegen-v1']);
    }
  });

  it('passes the linter', async () => {
    const results = await new ESLint({ cwd: ROOT, ignore: false }).lintFiles(generated);
    expect(results.map(({ filePath }) => filePath).sort()).toEqual([...generated].sort());
    expect(results.flatMap(({ messages }) => messages.map(({ line, message }) => `${line}: ${message}`))).toEqual([]);
  }, 60_000);

  it('passes the strictest type checks', () => {
    const program = ts.createProgram(generated, {
      strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, verbatimModuleSyntax: true,
      isolatedModules: true, noImplicitOverride: true, noUnusedLocals: true, noUnusedParameters: true,
      noImplicitReturns: true, noPropertyAccessFromIndexSignature: true, erasableSyntaxOnly: true, noEmit: true,
      target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, skipLibCheck: true, types: ['node'],
    });
    const found = [...program.getOptionsDiagnostics(), ...generated.flatMap((path) => {
      const source = program.getSourceFile(path);
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    })];
    expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))).toEqual([]);
  }, 60_000);
});
