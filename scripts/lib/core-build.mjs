/**
 * Builds the core for each target of asconfig.json, as its options say. The files are written when all targets have
 * compiled, so that the two builds never come from different sources.
 */
import { readFileSync } from 'node:fs';
import { compile } from './asc.mjs';
import { fromRoot, writeIfChanged } from './files.mjs';

function targets() {
  return JSON.parse(readFileSync(fromRoot('asconfig.json'), 'utf8')).targets;
}

/** Returns the files that the build makes. */
export function coreFiles() {
  return Object.values(targets()).flatMap(({ outFile, textFile }) => [fromRoot(outFile), fromRoot(textFile)]);
}

/** Compiles all targets; a warning is a failure. */
export async function buildCore() {
  const outputs = new Map();
  for (const target of Object.keys(targets())) {
    const compiled = await compile(['--config', 'asconfig.json', '--target', target]);
    for (const [name, content] of compiled) outputs.set(name, content);
  }
  for (const [name, content] of outputs) writeIfChanged(fromRoot(name), content);
}
