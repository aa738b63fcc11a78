/**
 * Files of the build: where the root is, hashes of inputs, and writes that change a file only when its content changes.
 * Every write goes through a temporary name and a rename, so that whoever reads at the same time sees a whole file.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');

/** Returns the absolute path of a path below the root. */
export function fromRoot(...parts) {
  return join(ROOT, ...parts);
}

/** Returns the path below the root, with slashes, for messages. */
export function toRoot(path) {
  return relative(ROOT, path).replaceAll('\\', '/');
}

/** Returns all files below a directory, sorted, as absolute paths; nothing where there is no directory. */
export function walk(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? walk(path) : [path];
    });
}

/** The generated file of offsets, sizes and codes. */
export const ABI_FILE = fromRoot('host/generated/abi.ts');

/** The page whose tables are generated. */
export const FORMAT_FILE = fromRoot('docs/format.md');

/** Returns the files that declare the ABI. */
export function abiSources() {
  return ['assembly/abi', 'assembly/layout'].flatMap((path) => walk(fromRoot(path))).filter((path) => path.endsWith('.ts'));
}

/** Returns a hash over the names and contents of files. A missing file counts as such. */
export function hashFiles(paths, ...extra) {
  const hash = createHash('sha256');
  for (const part of extra) hash.update(`${part}\0`);
  for (const path of paths) {
    hash.update(`${toRoot(path)}\0`);
    if (existsSync(path) && statSync(path).isFile()) hash.update(readFileSync(path));
    hash.update('\0');
  }
  return hash.digest('hex');
}

/** Writes atomically, and only when the content differs; returns whether it did. */
export function writeIfChanged(path, content) {
  const bytes = Buffer.from(content);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return false;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, bytes);
  renameSync(temporary, path);
  return true;
}

/** Returns the version of an installed package. */
export function versionOf(name) {
  return JSON.parse(readFileSync(fromRoot('node_modules', name, 'package.json'), 'utf8')).version;
}

/**
 * Runs a step unless its inputs and outputs are those of the last time. `inputs` and `outputs` return absolute paths;
 * the stamp lies in build/stamps and holds the hash of both.
 */
export async function whenChanged({ name, inputs, outputs, salt = '' }, run) {
  const stamp = fromRoot('build', 'stamps', name);
  const state = () => `${hashFiles(inputs(), salt)} ${hashFiles(outputs())}`;
  const complete = () => outputs().length > 0 && outputs().every((path) => existsSync(path));
  if (existsSync(stamp) && complete() && readFileSync(stamp, 'utf8') === state()) return false;
  const before = hashFiles(inputs(), salt);
  await run();
  // Whoever edits a source while the step runs gets another run, not a stamp that hides the edit.
  writeIfChanged(stamp, `${before} ${hashFiles(outputs())}`);
  return true;
}

/** Runs a script's main function; a failure prints its message alone, because compilers say there what is wrong. */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    console.error(process.env.DEBUG ? error : error.message);
    process.exitCode = 1;
  }
}
