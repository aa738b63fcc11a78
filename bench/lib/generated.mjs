/**
 * The classes that `varve generate` writes for bench/lib/records.ts, as modules. They are made anew, below build/, so
 * that what is measured is what the generator writes now.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transformSync } from 'esbuild';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const OUT = at('build/bench-generated');

/** Generates, and returns everything that the modules export. */
export async function generatedClasses() {
  execFileSync(process.execPath, [at('dist/esm/cli.js'), 'generate', at('bench/lib/records.ts'), '--out', OUT],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  const exported = {};
  for (const name of readdirSync(OUT).filter((one) => one.endsWith('.ts'))) {
    const { code } = transformSync(readFileSync(`${OUT}/${name}`, 'utf8'), { loader: 'ts', format: 'esm' });
    const path = `${OUT}/${name.replace(/\.ts$/, '.mjs')}`;
    writeFileSync(path, code);
    Object.assign(exported, await import(pathToFileURL(path).href));
  }
  return exported;
}
