/**
 * Bundles the host for both module systems. The wasm modules are embedded, once in each of dist/esm and dist/cjs: the
 * command line shares a chunk with the library. Packages that are dependencies stay outside; the rest is bundled.
 */
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fromRoot, toRoot, walk, writeIfChanged } from './files.mjs';

const ENTRIES = {
  'index': 'host/index.ts', 'schema': 'host/schema.ts', 'codegen-v1': 'host/codegen-v1.ts', 'cli': 'host/cli/main.ts',
};
/** The command line is an ES module only. */
const CJS_ENTRIES = { index: ENTRIES.index, schema: ENTRIES.schema };
/** The CommonJS entry that stands on the one of the package. */
const CJS_SECOND = { 'codegen-v1': ENTRIES['codegen-v1'] };
/** What it takes from there, because of these there may be one only. */
const SHARED = /^\.{1,2}\/(.*\/)?(typed-store|core)\.ts$/;
const CLI = 'cli.js';

/** CommonJS has no import.meta.url, so the bundle defines it from the file's own name. */
const CJS_URL = 'importMetaUrl';

/** Returns the entries whose source exists. */
function entries() {
  return Object.fromEntries(Object.entries(ENTRIES).filter(([, path]) => existsSync(fromRoot(path))));
}

/** Returns the files of the bundles as they stand; nothing unless the ones with fixed names are there. */
export function bundleFiles() {
  const esm = Object.keys(entries()).map((name) => `esm/${name}.js`);
  const cjs = [...Object.keys({ ...CJS_ENTRIES, ...CJS_SECOND }).map((name) => `cjs/${name}.js`), 'cjs/package.json'];
  const names = [...cjs, ...esm].map((name) => fromRoot('dist', name));
  if (!names.every((name) => existsSync(name))) return [];
  return [...walk(fromRoot('dist/esm')), ...names.slice(0, cjs.length)];
}

/** Writes dist/esm and dist/cjs. */
export async function buildBundles() {
  if (!existsSync(fromRoot(ENTRIES.cli))) console.warn(`${ENTRIES.cli} is missing: no command line is built`);
  const outputs = [...await bundleEsm(), ...await bundleCjs()];
  removeOld(fromRoot('dist/esm'), new Set(outputs.map(({ path }) => path)));
  for (const { path, contents } of outputs) {
    writeIfChanged(path, contents);
    if (basename(path) === CLI) chmodSync(path, 0o755);
  }
  writeIfChanged(fromRoot('dist/cjs/package.json'), '{\n  "type": "commonjs"\n}\n');
}

function options() {
  const manifest = JSON.parse(readFileSync(fromRoot('package.json'), 'utf8'));
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifest;
  return {
    absWorkingDir: fromRoot(),
    bundle: true,
    write: false,
    platform: 'node',
    // The decoder of embedded binaries depends on it: with a later target it needs a newer Node than we support.
    target: 'node20',
    loader: { '.wasm': 'binary' },
    // Bugs on purpose, for tests alone: host/canary.d.ts.
    dropLabels: ['CANARY'],
    external: Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }),
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'silent',
  };
}

async function bundleEsm() {
  const outputs = await run({
    ...options(),
    entryPoints: entries(),
    outdir: 'dist/esm',
    format: 'esm',
    splitting: true,
    chunkNames: 'chunk-[hash]',
  });
  return withStableNames(outputs).map(withShebang);
}

/** Numbers the shared chunks instead of naming them by hash, so that a build changes contents and not names. */
function withStableNames(outputs) {
  const names = outputs.map(({ path }) => /chunk-[A-Z0-9]{8}(?=\.js$)/.exec(path)?.[0]).filter((name) => name);
  const rename = (text) => names.reduce((all, name, at) => all.replaceAll(name, `chunk-${at + 1}`), text);
  return outputs.map(({ path, text }) => ({ path: rename(path), text: rename(text), contents: rename(text) }));
}

/** Without chunks, which only ES modules have: the package's entry is one file, and another one requires it. */
async function bundleCjs() {
  const cjs = {
    ...options(),
    outdir: 'dist/cjs',
    format: 'cjs',
    define: { 'import.meta.url': CJS_URL },
    banner: { js: `const ${CJS_URL} = require('node:url').pathToFileURL(__filename).href;` },
  };
  const shared = {
    name: 'shared',
    setup: (build) => { build.onResolve({ filter: SHARED }, () => ({ path: './index.js', external: true })); },
  };
  return [
    ...await run({ ...cjs, entryPoints: CJS_ENTRIES }),
    ...await run({ ...cjs, entryPoints: CJS_SECOND, plugins: [shared] }),
  ];
}

async function run(settings) {
  const esbuild = await import('esbuild');
  try {
    const result = await esbuild.build(settings);
    if (result.warnings.length > 0) throw result;
    return result.outputFiles;
  } catch (problem) {
    const messages = [...problem.errors ?? [], ...problem.warnings ?? []];
    if (messages.length === 0) throw problem;
    const lines = messages.map(({ text, location }) =>
      location ? `${location.file}:${location.line}:${location.column}: ${text}` : text);
    throw new Error(`esbuild\n${lines.join('\n')}`, { cause: problem });
  }
}

/** The line goes where esbuild put none, and the source map moves down by that line. */
function withShebang(file) {
  const name = basename(file.path);
  if (name === CLI && !file.text.startsWith('#!')) {
    return { path: file.path, contents: `#!/usr/bin/env node\n${file.text}` };
  }
  if (name === `${CLI}.map`) {
    const map = JSON.parse(file.text);
    const shift = readFileSync(fromRoot(ENTRIES.cli), 'utf8').startsWith('#!') ? '' : ';';
    return { path: file.path, contents: JSON.stringify({ ...map, mappings: shift + map.mappings }) };
  }
  return file;
}

/** Chunks that an earlier build left would be packed and published. */
function removeOld(directory, keep) {
  for (const path of walk(directory)) {
    if (!keep.has(path)) rmSync(path);
  }
  if (!keep.has(join(directory, 'index.js'))) throw new Error(`${toRoot(directory)} has no index.js`);
}
