/**
 * Runs the benchmarks, each in a process of its own, so that none meets what another has left of the engine's state or
 * of the memory, and so that one that crashes does not take the others along.
 *
 *     node bench/run.mjs [names…] [--smoke] [--rounds N] [--dir DIR] [--core simd|baseline] [--json FILE] [--strict]
 *
 * A missed floor is reported and no more, unless `--strict`: timings depend on the machine. What failed to run, or gave
 * a wrong result, makes the exit code 1. See bench/README.md for how to read the figures.
 */
import { execFileSync, fork } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { environmentOf, freeBytes } from './lib/environment.mjs';
import { missingPeers } from './lib/peers.mjs';
import { printEnvironment, printFailure, printSummary, printTopic } from './lib/report.mjs';

const NAMES = ['append', 'batch', 'scan', 'check', 'read', 'durable', 'open', 'crc', 'memory', 'readers', 'catch-up',
  'writer-cost', 'typed', 'typed-watch', 'kv-load', 'kv-get', 'kv-durable', 'kv-open', 'kv-scan', 'kv-compact',
  'kv-memory', 'kv-flip', 'wal-append', 'wal-workers', 'wal-recover', 'wal-checkpoint'];
const FREE_BYTES_MIN = 6 * 2 ** 30;
/** Memory that is touched before the first benchmark, if so much is free. */
const TOUCHED_BYTES_MAX = 6 * 2 ** 30;
const MINUTES_MAX = 15;
const HELP = `node bench/run.mjs [names…] [options]

  names            ${NAMES.join(' ')}; default: all
  --smoke          a few hundred records of each, to see that they run; the figures mean nothing
  --rounds N       rounds of each benchmark, default 5
  --dir DIR        where the data goes, default the system's temporary directory; should be a real disk
  --core VARIANT   simd or baseline, default what the engine has
  --json FILE      writes everything that was measured to FILE
  --strict         exit code 2 where a floor is missed
`;

function here(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}

/** Reads the arguments; a message for the user where they are wrong. */
function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      smoke: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
      core: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const unknown = positionals.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) throw new Error(`no benchmark is called ${unknown.join(', ')}; there are ${NAMES.join(', ')}`);
  const rounds = Number(values.rounds ?? (values.smoke ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be a number from 1, not ${values.rounds}`);
  if (![undefined, 'simd', 'baseline'].includes(values.core)) {
    throw new Error(`--core must be simd or baseline, not ${values.core}`);
  }
  if (!existsSync(values.dir)) throw new Error(`${values.dir} does not exist`);
  if (!existsSync(here('../dist/esm/index.js'))) throw new Error('nothing is built; run `npm run build` first');
  return { ...values, rounds, names: positionals.length > 0 ? positionals : NAMES };
}

/** Runs one benchmark; returns what it measured, or `{ name, reason }` where it did not come to its end. */
function runOne(name, directory, { smoke, rounds, core }) {
  const child = fork(here('lib/child.mjs'), [], {
    execArgv: ['--expose-gc'],
    env: { ...process.env, ...core === undefined ? {} : { VARVE_CORE: core } },
  });
  const { promise, settle } = settled();
  const late = setTimeout(() => { child.kill('SIGKILL'); }, MINUTES_MAX * 60e3);
  let outcome;
  child.once('message', (message) => { outcome = message; });
  child.once('error', (error) => { outcome ??= { name, reason: `could not be started: ${error.message}` }; });
  child.once('close', (code, signal) => {
    clearTimeout(late);
    running.delete(child);
    settle(code === 0 && outcome !== undefined ? outcome
      : outcome?.reason === undefined ? { name, reason: `ended with ${signal ?? `exit code ${code}`}` } : outcome);
  });
  running.add(child);
  child.send({ name, directory, smoke, rounds });
  return promise;
}

function settled() {
  let settle;
  const promise = new Promise((done) => { settle = done; });
  return { promise, settle };
}

const running = new Set();

/** Says what makes the figures doubtful before time is spent on them. */
function warnings(directory, { smoke }) {
  const list = [];
  const missing = missingPeers();
  if (missing.length > 0) {
    list.push(`not installed: ${missing.join(', ')}; run \`npm ci --prefix bench/peers\` first to compare with them`);
  }
  if (!smoke && /^(tmpfs|ramfs|overlay)/.test(environmentOf(directory).directory)) {
    list.push(`${directory} is no real disk: what is durable there costs nothing; choose another with --dir`);
  }
  return list;
}

async function main(options) {
  const directory = realpathSync(mkdtempSync(join(resolve(options.dir), 'varve-bench-')));
  const stop = () => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    if (!options.smoke && freeBytes(directory) < FREE_BYTES_MIN) {
      throw new Error(`${options.dir} has less than ${FREE_BYTES_MIN / 2 ** 30} GiB free; choose another with --dir`);
    }
    const environment = environmentOf(directory, await variantOf(options));
    printEnvironment(environment);
    for (const warning of warnings(directory, options)) console.warn(`\n${warning}`);
    if (!options.smoke) warmMemory();
    const topics = [];
    const failures = [];
    for (const name of options.names) {
      const outcome = await runOne(name, join(directory, name), options);
      if (outcome.reason === undefined) {
        topics.push(outcome);
        printTopic(outcome);
      } else {
        failures.push(outcome);
        printFailure(name, outcome.reason);
      }
      rmSync(join(directory, name), { recursive: true, force: true });
    }
    printSummary(topics, failures);
    if (options.json !== undefined) {
      writeFileSync(options.json, `${JSON.stringify({ environment, topics, failures }, undefined, 2)}\n`);
    }
    if (failures.length > 0) return 1;
    const missed = topics.some(({ rows }) => rows.some(({ floors }) => floors.some(({ met }) => met === false)));
    return options.strict && missed ? 2 : 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The build of the core that the benchmarks will run on. */
async function variantOf({ core }) {
  const { Core } = await import('../dist/esm/index.js');
  return new Core({ memoryBytes: 16 << 20, variant: core }).variant;
}

/** In a process of its own, so that it is given back at once. */
function warmMemory() {
  const bytes = Math.floor(Math.min(TOUCHED_BYTES_MAX, freemem() / 2));
  execFileSync(process.execPath, [here('lib/touch.mjs'), String(bytes)]);
}

try {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else process.exitCode = await main(options);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
