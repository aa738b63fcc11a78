/**
 * The AssemblyScript compiler as a function: sources from the disk or from memory, outputs in memory, and every
 * warning is a failure. Nothing here knows what is compiled.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ROOT } from './files.mjs';

/** Compiles with asc's command line arguments; returns the outputs by name. `sources` shadow the files on disk. */
export async function compile(args, sources = new Map()) {
  const { default: asc } = await import('assemblyscript/asc');
  const outputs = new Map();
  const { error, stdout, stderr } = await asc.main(args, {
    readFile(name, base) {
      if (sources.has(name)) return sources.get(name);
      const path = resolve(ROOT, base, name);
      return existsSync(path) ? readFileSync(path, 'utf8') : null;
    },
    writeFile(name, content) {
      outputs.set(name, content);
    },
  });
  const report = `${stderr}${stdout}`.trim();
  if (error || /^WARNING /m.test(report)) {
    const reason = report === '' || !/^(ERROR|WARNING|FAILURE)/m.test(report) ? `${report}\n${error?.stack}` : report;
    throw new Error(`asc ${args.join(' ')}\n${reason.trim()}`);
  }
  return outputs;
}
