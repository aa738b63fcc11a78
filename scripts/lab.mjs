/**
 * The fault laboratory: the suites of test/simulation, test/fault and test/process, one after the other and long, and a
 * table of what they did at the end. docs/laboratory.md says what each of them is.
 *
 *     npm run lab                          every suite, with ten times the seeds of a plain test run
 *     npm run lab -- fuzz power-cut        those whose names contain one of these words
 *     npm run lab -- --factor 100          a hundred times the seeds
 *     npm run lab -- --minutes 30          as many as fit into half an hour, shared evenly
 *     npm run lab -- soak --seconds 3600   mixed load for an hour, sampled, judged and plotted: test/lab/soak.mjs
 *
 * A suite appends what it did to the file that VARVE_TALLY names, and takes its length from VARVE_LAB. Suites that know
 * of neither run as they always do.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { runSoak } from '../test/lab/soak.mjs';
import { fromRoot, runMain, toRoot, walk } from './lib/files.mjs';

const DIRECTORIES = ['test/simulation', 'test/fault', 'test/process'];
const FACTOR = 10;

const [first, ...soakOptions] = process.argv.slice(2);
const { values, positionals } = parseArgs({
  args: first === 'soak' ? [] : process.argv.slice(2),
  allowPositionals: true,
  options: { minutes: { type: 'string' }, factor: { type: 'string' } },
});

/** The test files that were asked for. */
function suites() {
  const all = DIRECTORIES.flatMap((directory) => walk(fromRoot(directory))).filter((path) => path.endsWith('.test.ts'));
  const chosen = all.filter((path) => positionals.length === 0
    || positionals.some((word) => basename(path, '.test.ts').includes(word)));
  if (chosen.length === 0) throw new Error(`no suite is named like ${positionals.join(' or ')}`);
  return chosen.map(toRoot);
}

function positive(name, fallback) {
  const value = values[name] === undefined ? fallback : Number(values[name]);
  if (value !== undefined && !(value > 0)) throw new Error(`--${name} must be a positive number`);
  return value;
}

/** Runs one test file; resolves with what it told, how long it took and whether it passed. */
async function run(path, factor) {
  const file = fromRoot('build', `lab.${process.pid}.jsonl`);
  mkdirSync(fromRoot('build'), { recursive: true });
  rmSync(file, { force: true });
  const begun = performance.now();
  const child = spawn(process.execPath, [fromRoot('node_modules/vitest/vitest.mjs'), 'run', path,
    '--testTimeout=0', '--hookTimeout=0', '--disable-console-intercept'], {
    cwd: fromRoot(), stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, VARVE_LAB: String(factor), VARVE_TALLY: file },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => { output += part; });
  const code = await new Promise((resolve) => { child.on('close', resolve); });
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  rmSync(file, { force: true });
  const tallies = lines.map((line) => JSON.parse(line));
  return { path, passed: code === 0, output, tallies, seconds: (performance.now() - begun) / 1000 };
}

/** Runs a suite as long as it may take: `minutes` where given, else by the factor. */
async function runLong(path, factor, minutes) {
  if (minutes === undefined) return run(path, factor);
  const once = await run(path, 1);
  const more = Math.floor((minutes * 60) / once.seconds);
  // What tells nothing does not take its length from here either.
  return !once.passed || once.tallies.length === 0 || more < 2 ? once : run(path, more);
}

function sumOf(tallies) {
  const sum = new Map();
  for (const { counts } of tallies) {
    for (const [name, count] of Object.entries(counts)) sum.set(name, (sum.get(name) ?? 0) + count);
  }
  return sum;
}

const faultsOf = (counts) => [...counts].filter(([name]) => name.startsWith('faults.'));
const total = (pairs) => pairs.reduce((sum, [, count]) => sum + count, 0);
const number = (value) => (value === undefined ? '' : value.toLocaleString('en'));
const right = (content) => ({ content, hAlign: 'right' });

function summary(results) {
  const table = new Table({ head: ['suite', 'seeds', 'faults', 'restarts', 'records checked', 'losses', 'seconds', ''],
    style: { head: [], border: [] } });
  const row = (name, counts, seconds, passed) => {
    const cells = [counts.get('seeds'), total(faultsOf(counts)), counts.get('restarts'), counts.get('records'),
      passed ? counts.get('losses') ?? 0 : undefined, Math.round(seconds)];
    table.push([name, ...cells.map((cell) => right(number(cell))), passed ? 'passed' : 'FAILED']);
  };
  for (const { path, tallies, seconds, passed } of results) {
    if (tallies.length === 0) row(basename(path, '.test.ts'), new Map(), seconds, passed);
    for (const tally of tallies) row(tally.suite, new Map(Object.entries(tally.counts)), tally.seconds, passed);
  }
  row('all', sumOf(results.flatMap(({ tallies }) => tallies)), results.reduce((sum, { seconds }) => sum + seconds, 0),
    results.every(({ passed }) => passed));
  return table.toString();
}

function faults(results) {
  const table = new Table({ head: ['faults injected', 'times'], style: { head: [], border: [] } });
  const kinds = faultsOf(sumOf(results.flatMap(({ tallies }) => tallies))).sort(([, a], [, b]) => b - a);
  for (const [name, count] of kinds) table.push([name.slice('faults.'.length), right(number(count))]);
  return table.toString();
}

async function main() {
  if (first === 'soak') {
    if (!await runSoak(soakOptions)) process.exitCode = 1;
    return;
  }
  const factor = positive('factor', FACTOR);
  const minutes = positive('minutes');
  const paths = suites();
  const results = [];
  for (const path of paths) {
    const result = await runLong(path, factor, minutes === undefined ? undefined : minutes / paths.length);
    results.push(result);
    console.log(`${result.passed ? 'passed' : 'FAILED'} ${path} in ${Math.round(result.seconds)} s`);
    if (!result.passed) console.log(result.output);
  }
  console.log(`\n${faults(results)}\n\n${summary(results)}`);
  if (!results.every(({ passed }) => passed)) process.exitCode = 1;
}

await runMain(main);
