/**
 * The soak: mixed load on one log for minutes to hours, by a writer and a follower in processes of their own, sampled
 * all the while. Fails where memory, open files or mappings grow, where a record is wrong, or where a process dies.
 *
 *     node test/lab/soak.mjs [--seconds 60] [--every 1] [--leak files|mappings|memory] [--out soak.svg]
 *
 * What may grow by how much (see METRICS): the log is bounded, so nothing has a reason to. Samples are taken after a
 * collection. The tolerances cover what a healthy process does: the heap and the allocator's arenas breathe by some
 * MiB; of the log's 4 MiB (and of segments whose views are not collected yet) more or fewer pages are mapped in;
 * a sample falls between the opening and closing of readers, each of which takes a few files and mappings.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { judge, median, quantile } from './growth.mjs';
import { plot } from './plot.mjs';

const MIB = 1 / 1024;
/** Shorter runs say nothing about latency: other work of the machine decides it. */
const LATENCY_SECONDS_MIN = 60;

const METRICS = [
  { name: 'anonymous memory', unit: 'MiB', ratio: 1.15, slack: 24, of: (sample) => sample.anonymous },
  { name: 'mapped file pages', unit: 'MiB', ratio: 1.25, slack: 16, of: (sample) => sample.mapped },
  { name: 'open files', unit: 'files', ratio: 1, slack: 16, of: (sample) => sample.files },
  { name: 'mappings', unit: 'lines of maps', ratio: 1.1, slack: 100, of: (sample) => sample.mappings },
];

/** What the kernel says of a process. */
function look(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const kibibytes = (field) => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return {
    anonymous: kibibytes('RssAnon') * MIB,
    mapped: kibibytes('RssFile') * MIB,
    files: readdirSync(`/proc/${pid}/fd`).length,
    mappings: readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').length - 1,
  };
}

class Subject {
  constructor(name, args) {
    this.name = name;
    this.samples = [];
    this.latencies = [];
    this.child = fork(fileURLToPath(new URL(`soak-${name}.mjs`, import.meta.url)), args, { execArgv: ['--expose-gc'] });
    this.ended = once(this.child, 'exit').then(([code, signal]) => ({ code, signal }));
  }

  /** Its next message; an error where it ends instead. */
  async told() {
    const end = this.ended.then(({ code, signal }) => {
      throw new Error(`the ${this.name} of the soak has ended with ${signal ?? code}`);
    });
    const [message] = await Promise.race([once(this.child, 'message'), end]);
    return message;
  }

  async sample(seconds) {
    const answer = this.told();
    this.child.send('sample');
    const { sample: { counts, latencies } } = await answer;
    this.counts = counts;
    this.latencies.push(...latencies);
    const times = { p50: median(latencies), p99: quantile(latencies, 0.99) };
    this.samples.push({ seconds, ...look(this.child.pid), ...times });
  }

  async stop() {
    this.child.send('stop');
    const { code, signal } = await this.ended;
    if (code !== 0) throw new Error(`the ${this.name} of the soak has ended with ${signal ?? code}`);
  }

  /** What each metric did, and whether it grew. */
  verdicts() {
    const samples = this.samples;
    const rows = METRICS.map(({ name, unit, of, ...limits }) => ({
      process: this.name, metric: name, unit, ...judge(samples.map(of), limits),
    }));
    if (this.latencies.length === 0) return rows;
    const verdict = judge(samples.map(({ p50 }) => p50), { ratio: 3, slack: 1 });
    const long = samples.at(-1).seconds >= LATENCY_SECONDS_MIN;
    return [...rows, { process: this.name, metric: 'append and sync, p50', unit: 'ms', ...verdict, grows: long && verdict.grows }];
  }
}

/** Runs a soak; resolves with what was seen. Linux only: elsewhere there is no /proc to look at. */
export async function soak({ seconds, every = 1, leak = 'none', seed = 1 }) {
  const directory = mkdtempSync(join(tmpdir(), 'varve-soak-'));
  const subjects = [];
  const end = async () => {
    for (const { child } of subjects) child.kill('SIGKILL');
    await Promise.all(subjects.map(({ ended }) => ended));
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (const [name, ...args] of [['writer', join(directory, 'log'), String(seed), leak], ['follower', join(directory, 'log')]]) {
      const subject = new Subject(name, args);
      subjects.push(subject);
      await subject.told();
    }
    const begun = performance.now();
    for (let count = 1; count <= Math.round(seconds / every); count++) {
      await setTimeout(Math.max(0, begun + count * every * 1000 - performance.now()));
      for (const subject of subjects) await subject.sample(count * every);
    }
    for (const subject of subjects) await subject.stop();
    const verdicts = subjects.flatMap((subject) => subject.verdicts());
    return {
      verdicts,
      grows: verdicts.filter(({ grows }) => grows),
      samples: Object.fromEntries(subjects.map(({ name, samples }) => [name, samples])),
      counts: Object.fromEntries(subjects.map(({ name, counts }) => [name, counts])),
      latency: [0.5, 0.99, 0.999].map((part) => quantile(subjects[0].latencies, part)),
    };
  } finally {
    await end();
  }
}

/** The plot of what was seen, as the text of an SVG file. */
export function plotOf({ samples }) {
  const seconds = Math.max(...Object.values(samples).flat().map((sample) => sample.seconds));
  const lines = (of, names = Object.keys(samples)) => names.map((name) => ({
    name, points: samples[name].map((sample) => [sample.seconds, of(sample)]),
  }));
  const latency = { title: 'append and sync', unit: 'ms', lines: [
    { ...lines(({ p50 }) => p50, ['writer'])[0], name: 'p50' }, { ...lines(({ p99 }) => p99, ['writer'])[0], name: 'p99' },
  ] };
  return plot([...METRICS.map(({ name, unit, of }) => ({ title: name, unit, lines: lines(of) })), latency], seconds);
}

/** The verdicts as lines of a table. */
export function tableOf({ verdicts, latency }) {
  const rows = [['process', 'metric', '2nd quarter', 'last quarter', 'limit', ''], ...verdicts.map((verdict) => [
    verdict.process, `${verdict.metric}, ${verdict.unit}`,
    ...[verdict.before, verdict.after, verdict.limit].map((value) => value.toFixed(2)), verdict.grows ? 'GROWS' : 'ok',
  ])];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => row.map((cell, column) => (
    column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  '));
  return [...lines, `append and sync, ms: ${['p50', 'p99', 'p99.9'].map((name, at) => `${name} ${latency[at].toFixed(3)}`).join(', ')}`];
}

/** Runs a soak as the command line says, and prints what it saw; whether nothing grew. */
export async function runSoak(args) {
  const { values } = parseArgs({ args, options: {
    seconds: { type: 'string', default: '60' }, every: { type: 'string', default: '1' },
    leak: { type: 'string', default: 'none' }, out: { type: 'string', default: 'build/soak.svg' },
    seed: { type: 'string', default: '1' },
  } });
  const begun = performance.now();
  const seen = await soak({
    seconds: Number(values.seconds), every: Number(values.every), leak: values.leak, seed: Number(values.seed),
  });
  writeFileSync(values.out, plotOf(seen));
  for (const line of tableOf(seen)) console.log(line);
  for (const [name, counts] of Object.entries(seen.counts)) {
    console.log(`${name}: ${Object.entries(counts).map(([what, count]) => `${what} ${count}`).join(', ')}`);
  }
  console.log(`plot: ${values.out}`);
  const { writer, follower } = seen.counts;
  const counts = {
    records: writer.reads + writer.scanned + writer.followed + follower.followed, restarts: writer.openings,
    growing: seen.grows.length,
  };
  if (process.env.VARVE_TALLY) {
    const seconds = (performance.now() - begun) / 1000;
    appendFileSync(process.env.VARVE_TALLY, `${JSON.stringify({ suite: 'soak', seconds, counts })}\n`);
  }
  return seen.grows.length === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await runSoak(process.argv.slice(2)) ? 0 : 1;
}
