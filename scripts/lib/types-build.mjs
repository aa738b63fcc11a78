/**
 * Emits the declarations: dist/types for consumers that import, and the same below dist/cjs for those that require,
 * because a declaration file belongs to the module system of the nearest package.json.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fromRoot, walk, writeIfChanged } from './files.mjs';

const ESM = fromRoot('dist/types');
const CJS = fromRoot('dist/cjs/types');

/** Returns the declarations as they stand; nothing unless both entries are there. */
export function typeFiles() {
  const complete = existsSync(join(ESM, 'index.d.ts')) && existsSync(join(CJS, 'index.d.ts'));
  return complete ? [...walk(ESM), ...walk(CJS)] : [];
}

/** Runs tsc and copies its output for CommonJS. */
export function buildTypes() {
  for (const directory of [ESM, CJS]) rmSync(directory, { recursive: true, force: true });
  runTsc(['-p', 'tsconfig.types.json', '--outDir', ESM]);
  for (const path of walk(ESM)) {
    const text = withJavaScriptEndings(readFileSync(path, 'utf8'));
    writeIfChanged(path, text);
    writeIfChanged(join(CJS, relative(ESM, path)), text);
  }
}

/** Consumers may not import .ts paths, and there are none: `./a.ts` becomes `./a.js`, which finds `./a.d.ts`. */
function withJavaScriptEndings(text) {
  return text.replace(/((?:from|import) ?\(?['"]\.{1,2}\/[^'"]*)\.ts(['"])/g, '$1.js$2');
}

function runTsc(args) {
  try {
    execFileSync(process.execPath, [fromRoot('node_modules/typescript/bin/tsc'), '--pretty', 'false', ...args],
      { cwd: fromRoot(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    throw new Error(`tsc ${args.slice(0, 2).join(' ')}\n${error.stdout}`, { cause: error });
  }
}
