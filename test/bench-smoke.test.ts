/**
 * The benchmarks still run, and the work in them is still done: each in its tiny smoke mode, with whatever peers are
 * installed. No timing decides anything here.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './support/repository.ts';

const NAMES = [
  'append', 'batch', 'scan', 'check', 'read', 'durable', 'open', 'crc', 'memory', 'readers', 'catch-up', 'writer-cost',
  'typed', 'typed-watch', 'kv-load', 'kv-get', 'kv-durable', 'kv-open', 'kv-scan', 'kv-compact', 'kv-memory', 'kv-flip',
  'wal-append', 'wal-workers', 'wal-recover', 'wal-checkpoint',
];

interface Row { group: string; who: string; values: number[]; median: number }
interface Topic { name: string; hash: string; rows: Row[] }
interface Outcome { environment: Record<string, string>; topics: Topic[]; failures: unknown[] }

let directory: string;

/** Runs the benchmarks of these names in smoke mode; returns what it printed and what it wrote. */
function smoke(names: readonly string[], ...options: string[]) {
  const json = join(directory, 'out.json');
  const arguments_ = ['bench/run.mjs', ...names, '--smoke', '--dir', directory, '--json', json, ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, arguments_, {
    cwd: ROOT, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr, outcome: () => JSON.parse(readFileSync(json, 'utf8')) as Outcome };
}

beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'varve-smoke-')); });
afterAll(() => { rmSync(directory, { recursive: true, force: true }); });

describe('the benchmarks', () => {
  it('run in smoke mode, print a result hash each, and nothing that is no number', () => {
    const { status, stdout, stderr, outcome } = smoke(NAMES);
    expect({ status, stderr: status === 0 ? '' : stderr + stdout }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toMatch(/\bNaN\b|\bundefined\b|\bInfinity\b/);
    const { topics, failures, environment } = outcome();
    expect(failures).toEqual([]);
    expect(topics.map(({ name }) => name)).toEqual(NAMES);
    expect(environment['core']).toMatch(/^(simd|baseline)$/);
    for (const { name, hash, rows } of topics) {
      expect(hash, name).toMatch(/^[0-9a-f]{16}$/);
      expect(stdout, name).toContain(`results ${hash}`);
      if (name !== 'memory' || process.platform === 'linux') expect(rows.length, name).toBeGreaterThan(0);
      for (const { group, who, values } of rows) {
        const row = `${name}, ${group}, ${who}`;
        expect(values.length, row).toBeGreaterThan(0);
        expect(values.every((value) => Number.isFinite(value) && value > 0), row).toBe(true);
      }
    }
    expect(readdirSync(directory), 'what is left behind').toEqual(['out.json']);
  }, 120_000);

  it('give the same results with either core, whatever the number of rounds', () => {
    const names = ['append', 'crc'];
    const hashes = (...options: string[]) => smoke(names, ...options).outcome().topics.map(({ hash }) => hash);
    const baseline = hashes('--core', 'baseline');
    expect(baseline).toHaveLength(names.length);
    expect(hashes('--core', 'simd', '--rounds', '2')).toEqual(baseline);
  }, 60_000);

  it('refuse a name that they do not know, and say which there are', () => {
    const { status, stderr } = smoke(['appendix']);
    expect(status).toBe(1);
    expect(stderr).toContain(NAMES.join(', '));
  }, 60_000);
});
