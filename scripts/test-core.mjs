/**
 * Runs the specs of test-as/ with as-pect, and fails where as-pect would not: without a spec, without a test, with a
 * test that expects nothing, or when the run ends before every spec has reported. The last line is the count.
 *
 * Specs find [1 MiB, 4 MiB) of the memory free for files that they play: data and heap begin above (as-pect.asconfig).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fromRoot, toRoot, walk } from './lib/files.mjs';

const RESULTS = fromRoot('build', `specs.${process.pid}.json`);

function runSpecs() {
  mkdirSync(fromRoot('build'), { recursive: true });
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [fromRoot('node_modules/@as-pect/cli/lib/test.js'), '--no-logo'],
    { cwd: fromRoot(), encoding: 'utf8', env: { ...process.env, VARVE_SPEC_RESULTS: RESULTS }, maxBuffer: 1 << 28 },
  );
  const results = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : [];
  rmSync(RESULTS, { force: true });
  return { status, output: `${stdout}${stderr}`, results };
}

function judge(files, { status, output, results }) {
  const problems = [];
  const reported = new Set(results.map(({ file }) => file));
  const silent = files.filter((file) => !reported.has(file));
  if (files.length === 0) problems.push('no spec was found in test-as/');
  if (silent.length > 0) problems.push(`no result from ${silent.join(', ')}\n${output.trim()}`);
  for (const { file, tests, errors } of results) {
    if (tests.length === 0) problems.push(`${file}: no test ran`);
    for (const error of errors) problems.push(`${file}: ${error}`);
  }
  const tests = results.flatMap((spec) => spec.tests.map((test) => ({ ...test, file: spec.file })));
  const failed = tests.filter(({ pass, expectations }) => !pass || expectations === 0);
  if (status !== 0 && failed.length === 0 && problems.length === 0) problems.push(`as-pect failed\n${output.trim()}`);
  return { problems, failed, passed: tests.length - failed.length };
}

function describe({ file, name, pass, message, actual, expected, negated, stack }) {
  if (pass) return `${file}: ${name}\n    expects nothing`;
  const lines = [message && `    ${message}`, actual && `    actual    ${actual}`,
    expected && `    expected  ${negated ? 'not ' : ''}${expected}`, stack && `    ${stack.replaceAll('\n', '\n    ')}`];
  return [`${file}: ${name}`, ...lines.filter(Boolean)].join('\n');
}

const files = walk(fromRoot('test-as')).filter((path) => path.endsWith('.spec.ts')).map(toRoot);
const run = runSpecs();
const { problems, failed, passed } = judge(files, run);
for (const { file, tests } of run.results) console.log(`${file}: ${tests.length} tests`);
for (const { name, logs } of run.results.flatMap(({ tests }) => tests)) {
  for (const log of logs) console.log(`${name}: ${log}`);
}
for (const problem of problems) console.error(`FAILED ${problem}`);
for (const test of failed) console.error(`FAILED ${describe(test)}`);
console.log(`${passed} passed, ${failed.length + problems.length} failed`);
process.exitCode = failed.length + problems.length === 0 ? 0 : 1;
