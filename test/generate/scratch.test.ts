/**
 * A project of somebody else: varve is installed from what `npm pack` makes, generates a class, and the class compiles
 * under strict options and runs, as an ES module and as CommonJS. Needs the npm registry, or its cache.
 *
 * TypeScript comes as npm gives it by default, version 7, whose parser programs cannot call, and then with version 6
 * beside it. Version 6 alone is what all other tests of the generator use.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT } from '../support/repository.ts';

const TYPES = `
import type { bool, Bytes, f64, FixedArray, i64, Str, Timestamp, u32, u64 } from 'varve/schema';

/**
 * A deal.
 * @varve version=1
 */
export interface Deal {
  /** What was dealt in. */
  symbol: Str<8>;
  price: f64;
  bid: f64 | null;
  side: 'buy' | 'sell';
  at: Timestamp;
  place: FixedArray<u32, 2>;
  id: u64;
  count: i64<number>;
  isLive: bool;
  digest: Bytes<4>;
}
`;
const USE = `
import { TypedStore } from 'varve';
import { DealSchema, DealStore, type Deal } from './deal-store.js';
import type { Deal as Source } from './types.js';

async function main(): Promise<void> {
  const store = await DealStore.create(process.argv[2] as string, { capacity: 100 });
  const deal: Source = {
    symbol: 'VRV', price: 12.5, bid: null, side: 'sell', at: 1000, place: [1, 2], id: 7n, count: -1, isLive: true,
    digest: Uint8Array.of(1),
  };
  const index = store.append(deal);
  store.setPrice(index, store.getPrice(index) + 1);
  store.setSide(index, 'buy');
  const bid: number | null = store.getBid(index);
  const read: Deal = store.get(index);
  // @ts-expect-error there is no such side
  if (read.side === 'hold') return;
  // @ts-expect-error a price is a number
  if (bid === null) try { store.setPrice(index, '1'); } catch (error) { console.log((error as { code: string }).code); }
  console.log(store instanceof TypedStore, store.schema.name === DealSchema.name, store.column('price').sum());
  await store.close();
  const again = DealStore.openSync(process.argv[2] as string, { readOnly: true });
  for (const { side, price, bid: none, place, id } of again) console.log(side, price, none, place, id);
  again.closeSync();
}
void main();
`;
const PRINTED = 'ERR_VARVE_INVALID_ARGUMENT\ntrue true 13.5\nbuy 13.5 null [ 1, 2 ] 7n\n';

let directory: string;

function run(command: string, args: readonly string[]) {
  const env = { ...process.env, FORCE_COLOR: undefined };
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: directory, encoding: 'utf8', env });
  return { status, stdout, stderr: stderr.split('\n').filter((line) => !line.startsWith('npm ')).join('\n') };
}

function install(...names: readonly string[]): void {
  // No scripts: what is native comes built, or is not needed.
  const options = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
  execFileSync('npm', ['install', ...options, ...names], { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
}

const generate = (...args: readonly string[]) => run('npx', ['--no-install', 'varve', 'generate', 'types.ts', ...args]);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-scratch-'));
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', directory], { cwd: ROOT, stdio: 'ignore' });
  const [tarball] = readdirSync(directory);
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }');
  writeFileSync(join(directory, 'types.ts'), TYPES);
  install(`./${tarball!}`);
}, 120_000);

afterAll(() => { rmSync(directory, { recursive: true, force: true }); });

it('says what to install where there is no TypeScript, or one without a parser', () => {
  expect(generate()).toEqual({ status: 1, stdout: '', stderr: 'varve: varve generate needs TypeScript, which is not installed\n'
    + 'hint: npm i -D typescript@6\n' });
  install('-D', 'typescript@7.0.2');
  expect(generate()).toEqual({ status: 1, stdout: '', stderr: 'varve: TypeScript 7.0.2 gives programs no parser, which varve '
    + 'generate needs\nhint: npm i -D @typescript/typescript6, which stands beside it; or typescript@6 in its place\n' });
  expect(readdirSync(directory)).not.toContain('deal-store.ts');
}, 120_000);

it('generates a class that compiles under strict options and runs', () => {
  install('-D', '@typescript/typescript6@6.0.2', '@types/node@20.19.43');
  expect(generate()).toEqual({ status: 0, stdout: 'written    deal-store.ts\n', stderr: 'varve: 1 file: 1 written, 0 unchanged\n' });
  const generated = readFileSync(join(directory, 'deal-store.ts'), 'utf8');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  expect(generated).toContain(`(varve ${version}, codegen-v1) from types.ts, interface Deal, version 1.`);
  expect(generate('--check')).toMatchObject({ status: 0, stderr: 'varve: 1 file, unchanged\n' });

  writeFileSync(join(directory, 'use.ts'), USE);
  const options = {
    strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, isolatedModules: true,
    noImplicitOverride: true, noUnusedLocals: true, noUnusedParameters: true, target: 'es2022', module: 'nodenext',
    // A program for Node.js has no types of browsers.
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'], declaration: true,
  };
  for (const [name, more] of Object.entries({ module: { verbatimModuleSyntax: true }, commonjs: {} })) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'package.json'), JSON.stringify({ type: name }));
    for (const file of ['types.ts', 'deal-store.ts', 'use.ts']) {
      writeFileSync(join(directory, name, file), readFileSync(join(directory, file)));
    }
    writeFileSync(join(directory, name, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, ...more } }));
    // Version 7, and 6 where it is said so.
    const tsc = name === 'module' ? 'typescript' : '@typescript/old';
    expect(run('node', [`node_modules/${tsc}/bin/tsc`, '-p', name])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(run('node', [`${name}/use.js`, `${name}/deals.varve`])).toEqual({ status: 0, stdout: PRINTED, stderr: '' });
  }
}, 120_000);
