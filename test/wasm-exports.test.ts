/**
 * The boundary between host and core: what both release builds export and import. A change here is meant or a mistake;
 * `UPDATE=1 npx vitest run test/wasm-exports.test.ts` records one that is meant.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BuildName, disassemble, disassembleBuild, readBuild } from './support/disassemble.ts';
import { ROOT } from './support/repository.ts';

const FIXTURE = join(ROOT, 'test/fixtures/core-exports.json');
const BUILDS: readonly BuildName[] = ['baseline', 'simd'];

function exportsOf(build: BuildName): string[] {
  return WebAssembly.Module.exports(new WebAssembly.Module(readBuild(build)))
    .map(({ kind, name }) => `${kind} ${name}`).sort();
}

describe('the release builds', () => {
  it('export what the fixture lists, both the same', () => {
    const [baseline, simd] = BUILDS.map(exportsOf);
    if (process.env['UPDATE'] === '1') writeFileSync(FIXTURE, `${JSON.stringify(baseline, null, 2)}\n`);
    expect(simd).toEqual(baseline);
    expect(baseline).toEqual(JSON.parse(readFileSync(FIXTURE, 'utf8')));
  });

  it.each(BUILDS)('import the memory and nothing else: %s', (build) => {
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(readBuild(build)));
    expect(imports).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
  });

  it('differ in SIMD alone: the baseline has no vector instruction', async () => {
    const baseline = await disassembleBuild('baseline');
    const vector = /^(v128|[if](8x16|16x8|32x4|64x2))\./;
    expect(baseline.names.filter((name) => baseline.instructions(name).some((line) => vector.test(line)))).toEqual([]);
  });

  it.each(BUILDS)('show every exported function to the disassembler: %s', async (build) => {
    const core = await disassembleBuild(build);
    expect(core.names.map((name) => `function ${name}`))
      .toEqual(exportsOf(build).filter((name) => name.startsWith('function ')));
    expect(core.names.filter((name) => core.instructions(name).length === 0)).toEqual([]);
  });
});

describe('the disassembler', () => {
  // twice(i32): i64 is: local.get 0, i64.atomic.load, local.get 0, i64.atomic.load, i64.add.
  const TWICE = new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7e, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 9, 1, 5, 0x74, 0x77,
    0x69, 0x63, 0x65, 0, 0, 10, 17, 1, 15, 0, 0x20, 0, 0xfe, 0x11, 3, 0, 0x20, 0, 0xfe, 0x11, 3, 0, 0x7c, 0x0b,
  ]);

  it('counts instructions by their whole name', async () => {
    const module = await disassemble(TWICE);
    expect(module.names).toEqual(['twice']);
    expect(module.count('twice', 'i64.atomic.load')).toBe(2);
    expect(module.count('twice', 'i64.atomic')).toBe(0);
    expect(module.count('twice', 'i64.add')).toBe(1);
    expect(module.calls('twice')).toEqual([]);
  });

  it('says which functions there are when one is missing', async () => {
    const module = await disassemble(TWICE);
    expect(() => module.instructions('thrice')).toThrow(/thrice.*twice/);
  });
});
