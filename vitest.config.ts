/**
 * The tests of everything but the bare core. Each file runs in a process of its own, so that a fault in mapped memory
 * fails one file and not the run. Imports of `.wasm` give the module's bytes, as in the bundles.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vitest/config';

/** Loads `x.wasm` as esbuild's binary loader does: a Uint8Array as the default export. */
function wasmBytes(): Plugin {
  return {
    name: 'wasm-bytes',
    enforce: 'pre',
    load(id) {
      const path = id.split('?')[0] ?? id;
      if (!path.endsWith('.wasm')) return undefined;
      this.addWatchFile(path);
      return `import { readFileSync } from 'node:fs';\n`
        + `export default new Uint8Array(readFileSync(${JSON.stringify(path)}));\n`;
    },
  };
}

const root = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig({
  root,
  plugins: [wasmBytes()],
  // The package by its own name, as generated classes import it.
  resolve: { alias: [{ find: /^varve\/(schema|codegen-v1)$/, replacement: `${root}host/$1.ts` }] },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // By default one core is left idle. No test decides by the clock, so that two files side by side cost nothing.
    maxWorkers: '100%',
    globals: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Nothing outside the repository decides what a test sees.
    unstubEnvs: true,
    restoreMocks: true,
    passWithNoTests: false,
    allowOnly: false,
  },
});
