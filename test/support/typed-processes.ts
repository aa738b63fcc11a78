/**
 * Child processes that work on the file of a typed store, from a bundle of the sources: the package does not give the
 * file itself to anyone.
 */
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALL_PACKAGES, Child } from './real-storage.ts';
import { ROOT } from './repository.ts';

const ENTRY = `
  export { Core } from './host/core/core.ts';
  export { realStorage } from './host/io/real-storage.ts';
  export { openTypedFile } from './host/typed/open.ts';
  export { layoutOf } from './host/typed/layout.ts';
  export { defineSchema, f64, str, u64 } from './host/typed/schema.ts';
  export { SCRATCH_OFFSET, Status } from './host/generated/abi.ts';
`;

/** What a child finds: `open(path, options)`, `append(file, count)`, `number(file, index)`, `tell`, `orders`. */
const PRELUDE = `
import { once } from 'node:events';
import {
  Core, SCRATCH_OFFSET, Status, defineSchema, f64, layoutOf, openTypedFile, realStorage, str, u64,
} from './typed.mjs';
const Tick = defineSchema('Tick', { fields: { symbol: str(64), price: f64, volume: f64, timestamp: u64 } });
const core = new Core({ memoryBytes: 512 << 20 });
const [path] = process.argv.slice(2);
const tell = (message) => process.send(message);
const told = async () => (await once(process, 'message'))[0];
process.on('disconnect', () => process.exit());
function open({ readOnly = false, ...options } = {}) {
  return openTypedFile({ core, storage: realStorage(), path, readOnly }, layoutOf(core, Tick),
    { format: 'varve', create: true, writers: 'one', ...options });
}
const row = new DataView(core.memory.buffer, SCRATCH_OFFSET, 104);
function fill(number) {
  row.setFloat64(80, number + 0.5, true);
  row.setFloat64(88, number * 2, true);
  row.setBigUint64(96, BigInt(number) * 1000n, true);
}
function appendOne(file, number) {
  fill(number);
  let index = file.view.appendRow(true);
  while (index < 0) {
    if (index === Status.Cold) file.makeReady();
    else file.makeRoom();
    fill(number);
    index = file.view.appendRow(true);
  }
  return index;
}
function numberAt(file, index) {
  if (index < file.view.first || index >= file.view.first + file.view.limit) file.moveTo(index);
  const status = file.view.readRow(index);
  if (status < 0) return status;
  const number = row.getFloat64(80, true) - 0.5;
  const same = row.getFloat64(88, true) === number * 2 && row.getBigUint64(96, true) === BigInt(number) * 1000n;
  return same ? number : NaN;
}
const codeOf = (call) => { try { call(); return 'none'; } catch (error) { return error.code; } };
`;

/** Starts children. */
export interface TypedKit {
  /** Runs code behind the prelude, on a path; `before` is what a shell does first, such as `ulimit`. */
  start(code: string, path: string, before?: string): Child;
}

/** Makes the bundle in a directory. */
export async function typedKit(directory: string): Promise<TypedKit> {
  const modules = join(directory, 'node_modules');
  mkdirSync(modules, { recursive: true });
  for (const name of ALL_PACKAGES) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  await build({
    stdin: { contents: ENTRY, resolveDir: ROOT }, bundle: true, platform: 'node', format: 'esm', target: 'node20',
    outfile: join(directory, 'typed.mjs'), loader: { '.wasm': 'binary' }, logLevel: 'error',
  });
  let count = 0;
  return {
    start(code, path, before = ':') {
      const entry = join(directory, `typed-${count++}.mjs`);
      writeFileSync(entry, PRELUDE + code);
      return new Child(spawn('/bin/sh', ['-c', `${before}; exec "$@"`, 'sh', process.execPath, entry, path], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }));
    },
  };
}
