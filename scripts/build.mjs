/**
 * Builds everything that `npm test` and the package need, each step only when its inputs changed:
 *
 *     core     assembly/ → build/core.wasm, build/core.simd.wasm and their text
 *     abi      assembly/abi, assembly/layout → host/generated/abi.ts and the tables of docs/format.md
 *     bundles  host/ → dist/esm, dist/cjs
 *     types    host/ → dist/types (ES module consumers) and dist/cjs/types (CommonJS consumers)
 *
 * `node scripts/build.mjs --force` forgets what was built before. The first step that fails ends the build.
 */
import { rmSync } from 'node:fs';
import {
  ABI_FILE, FORMAT_FILE, abiSources, fromRoot, runMain, toRoot, versionOf, walk, whenChanged, writeIfChanged,
} from './lib/files.mjs';
import { buildBundles, bundleFiles } from './lib/bundles.mjs';
import { buildCore, coreFiles } from './lib/core-build.mjs';
import { buildTypes, typeFiles } from './lib/types-build.mjs';

const sources = (directory, ending = '.ts') => walk(fromRoot(directory)).filter((path) => path.endsWith(ending));
const scripts = (...names) => ['lib/files', ...names].map((name) => fromRoot('scripts', `${name}.mjs`));

const steps = [
  {
    name: 'core',
    inputs: () => [...sources('assembly'), fromRoot('asconfig.json'), ...scripts('lib/core-build', 'lib/asc')],
    outputs: coreFiles,
    salt: versionOf('assemblyscript'),
    run: buildCore,
  },
  {
    name: 'abi',
    inputs: () => [...abiSources(), FORMAT_FILE,
      ...scripts('abi', 'format-tables', 'lib/abi-model', 'lib/abi-values', 'lib/asc')],
    outputs: () => [ABI_FILE],
    salt: versionOf('assemblyscript'),
    run: buildAbi,
  },
  {
    name: 'bundles',
    inputs: () => [...sources('host'), ...sources('build', '.wasm'), fromRoot('package.json'),
      ...scripts('lib/bundles')],
    outputs: bundleFiles,
    salt: versionOf('esbuild'),
    run: buildBundles,
  },
  {
    name: 'types',
    inputs: () => [...sources('host'), ...['tsconfig.json', 'tsconfig.types.json'].map((one) => fromRoot(one)),
      ...scripts('lib/types-build')],
    outputs: typeFiles,
    salt: versionOf('typescript'),
    run: buildTypes,
  },
];

async function buildAbi() {
  // These load a compiler, which takes a second: not before it is known that the step runs.
  const { loadAbi, renderAbi } = await import('./abi.mjs');
  const { writeTables } = await import('./format-tables.mjs');
  const modules = await loadAbi();
  writeIfChanged(ABI_FILE, renderAbi(modules));
  const tables = writeTables(modules);
  console.log(`${toRoot(FORMAT_FILE)}: ${tables}`);
}

async function build() {
  if (process.argv.includes('--force')) rmSync(fromRoot('build', 'stamps'), { recursive: true, force: true });
  for (const { run, ...step } of steps) {
    const begun = performance.now();
    const ran = await whenChanged(step, run);
    const took = Math.round(performance.now() - begun);
    console.log(`${step.name.padEnd(8)} ${ran ? `built in ${took} ms` : 'unchanged'}`);
  }
}

await runMain(build);
