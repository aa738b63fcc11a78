/**
 * `varve generate` as its users run it: what it writes and where, what it prints, and its exit codes.
 */
import {
  existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFile } from '../../host/generate/files.ts';
import { CLI, varve, varveJson } from '../support/cli.ts';

const TYPES = 'import type { f64, Str } from \'varve/schema\';\n/** @varve version=1 */\nexport interface PriceTick {\n'
  + '  symbol: Str<8>;\n  price: f64;\n}\n/** @varve version=2 */\nexport interface Bar { open: f64 }\n';
const FILES = ['bar-store.ts', 'price-tick-store.ts'];

let directory: string;
let types: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-command-'));
  types = join(directory, 'types.ts');
  writeFileSync(types, TYPES);
});
afterEach(() => { rmSync(directory, { recursive: true, force: true }); });

const lines = (text: string): string[] => text.split('\n').slice(0, -1);
const inDirectory = (...names: string[]): string => join(directory, ...names);

describe('varve generate', () => {
  it('writes beside the source, and nothing the second time', async () => {
    const first = await varve(['generate', types]);
    expect(first).toMatchObject({ code: 0, stderr: 'varve: 2 files: 2 written, 0 unchanged\n' });
    expect(lines(first.stdout)).toEqual(FILES.toReversed().map((name) => `written    ${inDirectory(name)}`));
    expect(readdirSync(directory).sort()).toEqual([...FILES, 'types.ts']);
    const inodes = FILES.map((name) => statSync(inDirectory(name)).ino);

    const second = await varve(['generate', types]);
    expect(second).toMatchObject({ code: 0, stderr: 'varve: 2 files, unchanged\n' });
    expect(lines(second.stdout)).toEqual(FILES.toReversed().map((name) => `unchanged  ${inDirectory(name)}`));
    expect(FILES.map((name) => statSync(inDirectory(name)).ino)).toEqual(inodes);

    writeFileSync(types, TYPES.replace('Str<8>', 'Str<9>'));
    expect(await varve(['generate', types])).toMatchObject({ code: 0, stderr: 'varve: 2 files: 1 written, 1 unchanged\n' });
    expect(readdirSync(directory).sort()).toEqual([...FILES, 'types.ts']);
  });

  it('writes into a directory that it makes, and names the source from there', async () => {
    const other = inDirectory('other.mts');
    writeFileSync(other, TYPES.replace('PriceTick', 'Order').replace('Bar', 'Fill'));
    const out = inDirectory('a', 'b');
    const { code, stderr } = await varve(['generate', types, other, '--out', out]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'varve: 4 files: 4 written, 0 unchanged\n' });
    expect(readdirSync(out).sort()).toEqual([...FILES, 'fill-store.ts', 'order-store.ts'].sort());
    expect(readFileSync(join(out, 'fill-store.ts'), 'utf8')).toContain(' from ../../other.mts, interface Fill, version 2.');
    expect(readdirSync(directory).sort()).toEqual(['a', 'other.mts', 'types.ts']);
  });

  it('prints JSON', async () => {
    const { code, json } = await varveJson(['generate', types]);
    expect(code).toBe(0);
    expect(json).toEqual([{
      schema: 'varve.generate.v1', check: false, mistakes: [],
      files: [['PriceTick', 'price-tick-store.ts'], ['Bar', 'bar-store.ts']].map(([name, file]) => ({
        path: inDirectory(file!), source: types, interface: name, state: 'written',
        schemaHash: expect.stringMatching(/^[\da-f]{64}$/) as string,
      })),
    }]);
  });

  it('says each mistake with its place, and writes nothing', async () => {
    writeFileSync(types, TYPES.replace('price: f64', 'price: number').replace('version=2', ''));
    const { code, stdout, stderr } = await varve(['generate', types]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(lines(stderr)).toEqual([
      expect.stringContaining(`${types}:5:10: number has no width; `),
      `${types}:7:5: @varve lacks its version; write @varve version=1`, 'varve: 2 mistakes; nothing was written',
    ]);
    expect(readdirSync(directory)).toEqual(['types.ts']);
    const again = await varveJson(['generate', types]);
    expect(again).toMatchObject({ code: 1, json: [{ files: [], mistakes: [
      { file: types, line: 5, column: 10 }, { file: types, line: 7, column: 5 },
    ] }] });
  });

  it('replaces no file that it has not written', async () => {
    writeFileSync(inDirectory('bar-store.ts'), '// mine\n');
    for (const args of [[], ['--check']]) {
      const { code, stderr } = await varve(['generate', types, ...args]);
      expect({ code, stderr: lines(stderr)[0] }).toEqual({ code: 1, stderr: `${types}:8:18: ${inDirectory('bar-store.ts')} is `
        + 'there already and was not generated; move it, or generate into another directory' });
    }
    expect(readFileSync(inDirectory('bar-store.ts'), 'utf8')).toBe('// mine\n');
    expect(readdirSync(directory).sort()).toEqual(['bar-store.ts', 'types.ts']);
  });

  it('writes nothing outside of the directory, also where a link leads there', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'varve-outside-'));
    try {
      await varve(['generate', types, '--out', outside]);
      const stale = readFileSync(join(outside, 'bar-store.ts'), 'utf8').replace('Schema hash', 'Old hash');
      writeFileSync(join(outside, 'bar-store.ts'), stale);
      mkdirSync(inDirectory('out'));
      symlinkSync(join(outside, 'bar-store.ts'), inDirectory('out', 'bar-store.ts'));
      expect(await varve(['generate', types, '--out', inDirectory('out')])).toMatchObject({ code: 0 });
      expect(readFileSync(join(outside, 'bar-store.ts'), 'utf8')).toBe(stale);
      expect(lstatSync(inDirectory('out', 'bar-store.ts')).isSymbolicLink()).toBe(false);
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  });

  it('leaves nothing behind where it cannot write', async () => {
    const place = inDirectory('out', 'bar-store.ts');
    mkdirSync(place, { recursive: true });
    const { code, stderr } = await varve(['generate', types, '--out', inDirectory('out')]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^varve: EISDIR.*\n$/) as string });
    // By now the new file is whole, and only its name is wanting.
    expect(() => { writeFile(place, 'new'); }).toThrow(/EISDIR/);
    expect(readdirSync(inDirectory('out'))).toEqual(['bar-store.ts']);
  });
});

describe('varve generate --check', () => {
  it('is content with what is as generated now', async () => {
    await varve(['generate', types]);
    const { code, stdout, stderr } = await varve(['generate', types, '--check']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'varve: 2 files, unchanged\n' });
    expect(lines(stdout)).toEqual(FILES.toReversed().map((name) => `unchanged  ${inDirectory(name)}`));
  });

  it('ends with 4 where files are stale or missing, lists them, and writes nothing', async () => {
    await varve(['generate', types]);
    writeFileSync(types, TYPES.replace('Str<8>', 'Str<9>'));
    rmSync(inDirectory('bar-store.ts'));
    const before = readFileSync(inDirectory('price-tick-store.ts'), 'utf8');
    const { code, stdout, stderr } = await varve(['generate', types, '--check']);
    expect({ code, stderr }).toEqual({ code: 4, stderr: 'varve: 2 of 2 files not as generated now; run varve generate\n' });
    expect(lines(stdout)).toEqual([
      `stale      ${inDirectory('price-tick-store.ts')}`, `missing    ${inDirectory('bar-store.ts')}`,
    ]);
    expect(readFileSync(inDirectory('price-tick-store.ts'), 'utf8')).toBe(before);
    expect(existsSync(inDirectory('bar-store.ts'))).toBe(false);
    const { json } = await varveJson(['generate', types, '--check']);
    expect(json).toMatchObject([{ check: true, files: [{ state: 'stale' }, { state: 'missing' }] }]);
  });

  it('finds a file that was edited by hand, and a directory that is not there', async () => {
    await varve(['generate', types]);
    const path = inDirectory('bar-store.ts');
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n`);
    expect(await varve(['generate', types, '--check'])).toMatchObject({ code: 4, stderr: expect.stringContaining('1 of 2') as string });
    expect(await varve(['generate', types, '--check', '--out', inDirectory('none')])).toMatchObject({ code: 4 });
    expect(existsSync(inDirectory('none'))).toBe(false);
  });
});

describe('other commands', () => {
  it('load neither the generator nor TypeScript', () => {
    const loaded = new Set<string>();
    const follow = (name: string): void => {
      if (loaded.has(name)) return;
      loaded.add(name);
      if (!name.startsWith('./')) return;
      const text = readFileSync(join(CLI, '..', name), 'utf8');
      for (const [, next] of text.matchAll(/^(?:import|\} from|export) ?(?:.* from )?"(.*)";$/gm)) follow(next!);
    };
    follow('./cli.js');
    expect([...loaded]).toEqual(expect.arrayContaining(['commander', 'cli-table3', 'node:fs']));
    expect([...loaded].filter((name) => /typescript|code-block-writer/.test(name))).toEqual([]);
  });
});

describe('wrong use', () => {
  it.each([
    [['none.ts'], 'varve: there is no file none.ts'],
    [['.'], 'varve: . is no TypeScript file'],
    [['package.json'], 'varve: package.json is no TypeScript file'],
    [['host/codegen-v1.ts', '--out', 'package.json'], 'varve: package.json is no directory'],
    [[], 'varve: missing required argument \'file\''],
  ])('%j ends with 1', async (args, message) => {
    const { code, stdout, stderr } = await varve(['generate', ...args]);
    expect({ code, stdout, first: lines(stderr)[0] }).toEqual({ code: 1, stdout: '', first: message });
  });
});
