/**
 * The command line itself: help, wrong use, missing stores, and the demo.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { KeyValueStore, RecordLog, TypedStore, WalGroup } from '../../host/index.ts';
import { defineSchema, f64, i32, u32 } from '../../host/schema.ts';
import { ROOT } from '../support/repository.ts';
import { ended, makeLog, start, varve, varveJson } from '../support/cli.ts';
import { Scratch } from '../support/dwal.ts';

const scratch = new Scratch('cli-use');
afterAll(() => { scratch.remove(); });

const COMMANDS = ['append', 'cat', 'stat', 'check', 'dump', 'repair', 'wal stat', 'import dwal', 'export dwal', 'generate', 'demo'];

describe.concurrent('help', () => {
  it('lists every command and the exit codes', async () => {
    const { code, stdout } = await varve(['--help']);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command.split(' ')[0]!}\\b`, 'm'));
    expect(stdout).toMatch(/Exit codes: 0 all is well; 1 .*; 2 torn tail .*3 damaged.*4 a generated file/s);
  });

  it.each(COMMANDS)('of %s has its options and examples', async (command) => {
    const { code, stdout } = await varve([...command.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: varve ${command} `);
    expect(stdout).toMatch(/--json +(print one JSON object|one object a line), schema\s+varve\.[a-z-]+\.v1/);
    expect(stdout).toMatch(new RegExp(`\nExamples:\n  \\$ .*varve ${command}`));
  });

  it('gives the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await varve(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  it('is what a bare command gives, with 1', async () => {
    for (const args of [[], ['import'], ['export']]) {
      const { code, stderr } = await varve(args);
      expect({ code, usage: stderr.startsWith('Usage: varve') }).toEqual({ code: 1, usage: true });
    }
  });
});

describe('colours', () => {
  it('are printed where somebody asks for them, and never into a pipe that nobody asked them for', async () => {
    const log = await makeLog(scratch.path(), ['record']);
    const printed = async (colours: { [name: string]: string }) => {
      const child = start(['stat', log], colours);
      child.stdin.end();
      return (await ended(child)).stdout;
    };
    const plain = await printed({});
    expect(plain).not.toContain('\x1b');
    expect(await printed({ CI: 'true' })).toBe(plain);
    expect(await printed({ FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(plain);
    const coloured = await printed({ FORCE_COLOR: '1' });
    expect(coloured).toContain('\x1b');
    expect(stripVTControlCharacters(coloured)).toBe(plain);
  });
});

describe.concurrent('wrong use', () => {
  it.each([
    [['frobnicate'], 'varve: unknown command \'frobnicate\'', 'varve --help'],
    [['stat'], 'varve: missing required argument \'path\'', 'varve stat --help'],
    [['stat', 'a', 'b'], 'varve: too many arguments for \'stat\'. Expected 1 argument but got 2', 'varve stat --help'],
    [['cat', 'a', '--quux'], 'varve: unknown option \'--quux\'', 'varve cat --help'],
    [['cat', 'a', '--limit', '-1'], 'varve: option \'--limit <n>\' argument \'-1\' is invalid. It must be an integer, at '
      + 'least 0.', 'varve cat --help'],
    [['append', 'a', '--segment-size', '3T'], 'varve: option \'--segment-size <size>\' argument \'3T\' is invalid. It must '
      + 'be a size from 64K to 1G, such as 65536, 512K, 64M or 1G.', 'varve append --help'],
    [['import', 'dwal', 'a'], 'varve: missing required argument \'dir\'', 'varve import dwal --help'],
  ])('%j ends with 1, one line and a hint', async (args, message, hint) => {
    const { code, stdout, stderr } = await varve(args);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr.trim().split('\n')).toEqual([expect.stringContaining(message), `hint: ${hint}`]);
  });
});

describe.concurrent('a missing store', () => {
  it.each(['cat', 'stat', 'check', 'dump', 'repair'])('is refused by %s with 1, and nothing is made', async (command) => {
    const parent = scratch.directory({ mine: 'x' });
    const { code, stdout, stderr } = await varve([command, join(parent, 'none')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^varve: ERR_VARVE_NOT_FOUND: there is no store in .*none; .*\n$/);
    const foreign = await varve([command, parent]);
    expect(foreign).toMatchObject({ code: 1, stdout: '' });
    expect(foreign.stderr).toMatch(/^varve: ERR_VARVE_[A-Z_]+: .*\n$/);
    expect(readdirSync(parent)).toEqual(['mine']);
  });
});

describe.concurrent('varve demo', () => {
  it('does the main job on another data set and keeps the files', async () => {
    const input = join(scratch.directory({ 'in.ndjson': '{"a":1}\n{"a":"ü"}\n\n[3]\n' }), 'in.ndjson');
    const directory = scratch.path();
    const { code, json } = await varveJson(['demo', '--input', input, '--dir', directory, '--reads', '50']);
    expect(code).toBe(0);
    const [report] = json as [{ steps: { step: string; records: number }[] }];
    expect(report).toMatchObject({ schema: 'varve.demo.v1', records: 3, directory, kept: true });
    expect(report.steps.map(({ step, records }) => [step, records])).toEqual([
      ['parse the input', 3], ['append, one by one', 3], ['sync to the disk', 3], ['open again', 0],
      ['scan and compare', 3], ['check every frame', 3], ['read by random LSN', 50],
      ['keys: put, one by one', 3], ['keys: sync to the disk', 3], ['keys: get by random key', 50],
      ['keys: open again', 0], ['keys: compact, every second one deleted', 2], ['keys: check', 2],
      ['group: put by 3 processes, one killed', expect.any(Number)], ['group: recover and replay', expect.any(Number)],
      ['group: check', expect.any(Number)],
    ]);
    expect(report).toMatchObject({
      keys: { keys: 2 }, group: { processes: 3, killedOf: 1, totals: { records: 3, miles: 0 } },
    });
    await using group = await WalGroup.open(join(directory, 'wal'), { readOnly: true });
    const puts = [...group.merge()].filter(({ type }) => type === 'put');
    expect(puts.map(({ value }) => Buffer.from(value).toString()).sort()).toEqual(['[3]', '{"a":"ü"}', '{"a":1}'].sort());
    await using keys = await KeyValueStore.open<string, string>(join(directory, 'keys'), { readOnly: true, values: 'utf8' });
    expect([...keys]).toEqual([['record/0000001', '{"a":"ü"}'], ['owner', 'second']]);
    await using log = await RecordLog.open(directory, { readOnly: true });
    expect([...log].map(({ payload }) => Buffer.from(payload).toString())).toEqual(['{"a":1}', '{"a":"ü"}', '[3]']);
  });

  it('takes the real data set by default, prints a table, and removes the files where it is told to', async () => {
    const { code, stdout } = await varve(['demo', '--no-keep']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/│ append, one by one +│ 200,000 │ /);
    expect(stdout).toMatch(/│ read by random LSN +│ 100,000 │ /);
    for (const step of ['append, one by one', 'read by a second process meanwhile', 'sync to the disk']) {
      expect(stdout).toMatch(new RegExp(`│ typed: ${step} +│ 200,000 │ `));
    }
    expect(stdout).toMatch(/│ typed: sum of each column +│ 600,000 │ /);
    expect(stdout).toMatch(/│ typed: read by random index +│ 100,000 │ /);
    expect(stdout).toMatch(/│ keys: put, one by one +│ 200,000 │ /);
    expect(stdout).toMatch(/│ keys: get by random key +│ 100,000 │ /);
    expect(stdout).toMatch(/│ keys: update of departures +│ +5,366 │ /);
    expect(stdout).toMatch(/│ keys: entries with a prefix +│ +3,376 │ /);
    expect(stdout).toMatch(/^keys +103,\d{3}; compaction made [\d.]+ MiB of [\d.]+ MiB$/m);
    expect(stdout).toMatch(/│ group: put by 3 processes, one killed +│ 1\d\d,\d{3} │ /);
    expect(stdout).toMatch(/│ group: check +│ 200,\d{3} │ /);
    // It is killed when three quarters of its records are there, and has work for a while then.
    expect(stdout).toMatch(/^group +of 3 processes one was killed, after (49,999|[56]\d,\d{3}) of 66,666 records; /m);
    expect(stdout).toContain('every record was read back as it was appended');
    expect(stdout).toMatch(/live +the second process found more records [1-9][\d,]* times, and the last one [\d.]+ ms after/);
    const [, directory] = /files +(\S+) \(removed\)/.exec(stdout)!;
    expect(existsSync(directory!)).toBe(false);
  });

  it('writes flights as typed records, of which a second process has read every one', async () => {
    const flights = Array.from({ length: 5000 }, (_, at) => ({ delay: at % 90 - 30, distance: at, time: at / 256 }));
    const input = join(scratch.directory({ 'flights.json': JSON.stringify(flights) }), 'flights.json');
    const directory = scratch.path();
    const { code, json } = await varveJson(['demo', '--input', input, '--dir', directory, '--reads', '50']);
    expect(code).toBe(0);
    const [report] = json as [{ typed: { steps: number }; steps: { step: string; records: number }[] }];
    expect(report.typed).toMatchObject({ records: 5000, distance: 5000 * 4999 / 2 });
    expect(report.typed.steps).toBeGreaterThan(0);
    expect(report.steps.filter(({ step }) => step.startsWith('typed: ')).map(({ records }) => records))
      .toEqual([5000, 5000, 5000, 15_000, 50]);
    const Flight = defineSchema('Flight', { fields: { delay: i32, distance: u32, time: f64 } });
    const store = await TypedStore.open(join(directory, 'flights.varve'), Flight, { readOnly: true });
    expect([...store]).toEqual(flights);
    await store.close();
  });

  it('has no typed part where the records are no flights, and no commands for its other processes in the help', async () => {
    const input = join(scratch.directory({ 'in.json': '[{"delay":1,"distance":2,"time":3},{"delay":1.5}]' }), 'in.json');
    const { code, json } = await varveJson(['demo', '--input', input, '--dir', scratch.path()]);
    expect({ code, typed: (json[0] as { typed: unknown }).typed }).toEqual({ code: 0, typed: null });
    expect((await varve(['--help'])).stdout).not.toMatch(/demo-(reader|ingester)/);
  });

  it('refuses a missing input, one that is no JSON, and a directory that is not empty', async () => {
    const input = join(scratch.directory({ 'bad.json': 'no json' }), 'bad.json');
    const full = await makeLog(scratch.path(), ['mine']);
    for (const [args, message] of [
      [['--input', join(scratch.root, 'none')], /^varve: there is no file .*\nhint: .*\n$/],
      [['--input', input], /^varve: .*bad\.json is neither a JSON array nor one JSON value a line: .*\n$/],
      [['--dir', full], /^varve: .* is not empty\nhint: .*\n$/],
    ] as const) {
      const { code, stderr } = await varve(['demo', ...args]);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) as string });
    }
  });
});
