/**
 * The command line over typed files that change: `varve watch`, on a terminal and off it, and `varve migrate`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineSchema, f64, u32 } from '../../host/typed/schema.ts';
import { CLI, ended, start, varve, varveJson } from '../support/cli.ts';
import { cannot } from '../support/processes.ts';
import { until } from '../support/real-storage.ts';
import { TypedStores } from '../support/typed-stores.ts';
import { makeTicks, MMFG, mmfgSchema, openTicks, RECORDS_OFFSET } from '../support/typed-ticks.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const open = () => openTicks(stores);
const make = (count: number) => makeTicks(stores, count);
const tickSchema = () => mmfgSchema(stores);

describe('varve watch', () => {
  const Point = defineSchema('Point', { fields: { x: f64, y: u32 } });

  it('prints a line for each range, until it is interrupted', async () => {
    const store = stores.open(Point, {}, 'points');
    store.append();
    const child = start(['watch', store.path]);
    const end = ended(child);
    // Its first line comes from a change that it has seen begin: until then it is told again.
    const timer = setInterval(() => { store.fields.x.set(0, Math.random()); }, 20);
    const [first] = await once(child.stdout, 'data') as [Buffer];
    clearInterval(timer);
    expect(first.toString()).toMatch(/^changed 0\n/);
    store.appendMany([{ x: 1, y: 1 }, { x: 2, y: 2 }]);
    const lines = [first.toString()];
    while (!lines.join('').includes('appended')) lines.push(String((await once(child.stdout, 'data'))[0]));
    child.kill('SIGINT');
    const { code, signal, stdout, stderr } = await end;
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(stdout).toMatch(/^(changed 0\n)+appended 1 to 2\n$/);
  });

  it('prints JSON, of ranges or of records, and ends after as many as were asked for', async () => {
    const store = stores.open(Point, {}, 'points');
    store.append();
    store.append();
    const told = async (...args: string[]) => {
      const child = start(['watch', store.path, '--json', ...args]);
      const end = ended(child);
      const timer = setInterval(() => {
        store.set(0, { x: 0.5, y: 7 });
        store.set(1, { x: 1.5, y: 8 });
      }, 20);
      const { code, stdout } = await end;
      clearInterval(timer);
      expect(code).toBe(0);
      return stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line) as unknown);
    };
    const change = { schema: 'varve.change.v1', from: 0, to: 1, kind: 'changed' };
    expect(await told('--limit', '2')).toEqual([change, change]);
    expect(await told('--limit', '1', '--from', '1', '--records'))
      .toEqual([{ schema: 'varve.change.v1', kind: 'changed', index: 1, record: { x: 1.5, y: 8 } }]);
  });

  it('says that its file was replaced', async () => {
    const path = make(3);
    const child = start(['watch', path]);
    const end = ended(child);
    const copy = stores.file('copy');
    copyFileSync(path, copy);
    const store = open();
    const timer = setInterval(() => { store.fields.price.set(0, 1); }, 20);
    await once(child.stdout, 'data');
    clearInterval(timer);
    renameSync(copy, path);
    expect(await end).toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_VARVE_REPLACED') });
    expect(readFileSync(path).length).toBeGreaterThan(RECORDS_OFFSET);
  });

  it('says of a log that it is none, and how a log is followed', async () => {
    const { directory } = stores;
    const { code, stderr } = await varve(['watch', directory]);
    expect(code).toBe(1);
    expect(stderr).toContain(`${directory} is a directory and no file of a typed store`);
    expect(stderr).toContain(`varve cat ${directory} --follow`);
  });
});

describe('varve watch on a terminal', () => {
  const Point = defineSchema('Point', { fields: { x: f64, y: u32 } });
  const terminal = spawnSync('script', ['--version'], { encoding: 'utf8' });

  it('shows a table of what has changed last, in place, and leaves the terminal as it was', async (context) => {
    if (!(terminal.stdout ?? '').includes('util-linux')) return cannot(context, 'there is no script(1) of util-linux');
    const store = stores.open(Point, {}, 'points');
    store.appendMany(Array.from({ length: 40 }, () => ({ x: 0, y: 0 })));
    const command = `stty rows 10 cols 40; exec '${process.execPath}' '${CLI}' watch '${store.path}'`;
    const env = { ...process.env, SHELL: '/bin/sh', TERM: 'xterm' };
    const child = spawn('script', ['-qec', command, '/dev/null'], { env });
    let seen = '';
    child.stdout.on('data', (chunk: Buffer) => { seen += chunk.toString(); });
    let x = 100;
    const timer = setInterval(() => {
      x++;
      for (let at = 0; at < 40; at++) store.set(at, { x, y: at });
    }, 20);
    await until(() => seen.split('\x1b[9A').length > 3);
    clearInterval(timer);
    // Ctrl+C, as a terminal gives it.
    child.stdin.write('\x03');
    const [code] = await once(child, 'close') as [number];
    expect(code).toBe(0);
    expect(seen.startsWith('\x1b[?25l')).toBe(true);
    expect(seen.trimEnd().endsWith('\x1b[?25h')).toBe(true);
    const last = seen.split('\x1b[9A').at(-1)!;
    const lines = last.split('\n').map((line) => stripVTControlCharacters(line).replaceAll('\r', ''));
    expect(lines[0]!.length).toBe(40);
    expect(lines[1]).toMatch(/^index +x +y$/);
    // The newest on top, with the values of now; no more than there are lines for.
    expect(lines.slice(2, 9)).toEqual([39, 38, 37, 36, 35, 34, 33].map((at) => `${at}     ${x}  ${at}`));
    expect(lines.slice(9).join('').trim()).toBe('');
  });
});

describe('varve migrate', () => {
  const fields = [
    { name: 'symbol', type: 'string', max: 20 }, { name: 'price', type: 'float64' }, { name: 'volume', type: 'uint64' },
    { name: 'delta', type: 'int64' }, { name: 'ok', type: 'bool' }, { name: 'raw', type: 'bytes', max: 4 },
  ];
  const more = [
    { name: 'fee', type: 'float32' }, { name: 'currency', type: 'string', max: 3 }, { name: 'id', type: 'uint64' },
    { name: 'flag', type: 'bool' }, { name: 'tag', type: 'bytes', max: 2 },
  ];

  function schemaFile(list: readonly object[], version = 3): string {
    const path = stores.file(`schema-${version}.json`);
    writeFileSync(path, JSON.stringify({ name: 'Tick', version, fields: list }));
    return path;
  }

  it('appends fields with the values that are given, and does nothing the second time', async () => {
    const path = make(3);
    const file = schemaFile([...fields, ...more]);
    const args = ['migrate', path, file, '--default', 'fee=0.25', '--default', 'currency=E=R',
      '--default', 'id=18446744073709551615', '--default', 'flag=true', '--default', 'tag=0aFF'];
    const first = await varve(args);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toBe('migrated 3 records from version 2 to 3: appended fee, currency, id, flag, tag\n');
    const { json } = await varveJson(['dump', path]);
    expect(json).toMatchObject([0, 1, 2].map((at) => ({ index: at, record: {
      symbol: `S${at}`, price: at + 0.5, volume: at, fee: 0.25, currency: 'E=R', id: '18446744073709551615', flag: true,
      tag: '0aff',
    } })));
    const { json: [again], code } = await varveJson(args);
    expect(code).toBe(0);
    expect(again).toMatchObject({ schema: 'varve.migrate.v1', migrated: false, records: 3, fromVersion: 3 });
    expect((await varve(['migrate', path, '--schema', file])).stdout).toContain('nothing to do');
  });

  it('refuses what would lose something, and wrong use, and changes nothing', async () => {
    const path = make(3);
    const before = readFileSync(path);
    const file = schemaFile([...fields, ...more]);
    const cases: [string[], string][] = [
      [['migrate', path], 'must be given'], [['migrate', path, file, '--schema', file], 'once'],
      [['migrate', path, schemaFile(fields.slice(1), 4)], 'a migration only appends'],
      [['migrate', path, file, '--default', 'fee'], 'names no field'],
      [['migrate', path, file, '--default', 'none=1'], 'names no field'],
      [['migrate', path, file, '--default', 'price=1'], 'appended fields'],
      [['migrate', path, file, '--default', 'fee='], 'must be a number'],
      [['migrate', path, file, '--default', 'id=1.5'], 'must be an integer'],
      [['migrate', path, file, '--default', 'flag=1'], 'true or false'],
      [['migrate', path, file, '--default', 'tag=xy'], 'hexadecimal'],
      [['migrate', path, file, '--default', 'currency=long'], 'ERR_VARVE_VALUE_TOO_LONG'],
      [['migrate', MMFG, file], '--from'], [['migrate', file, file], 'ERR_VARVE_FORMAT'],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await varve(args);
      expect([args, code === 0, stdout]).toEqual([args, false, '']);
      expect(stderr).toContain(message);
      expect(stderr).not.toContain('    at ');
    }
    expect(readFileSync(path).subarray(RECORDS_OFFSET)).toEqual(before.subarray(RECORDS_OFFSET));
    const writer = open();
    expect(await varve(['migrate', path, file])).toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_VARVE_LOCKED') });
    writer.closeSync();
  });

  it('takes the schema from an annotated interface', async () => {
    const source = stores.file('types.ts');
    writeFileSync(source, `
      import type { bool, Bytes, f32, f64, FixedArray, i64, Str, Timestamp, u64 } from 'varve/schema';
      /** @varve version=3 */
      export interface Tick {
        symbol: Str<12>; price: f64; volume: u64; delta: i64; ok: bool; raw: Bytes<4>;
        side: 'buy' | 'sell'; at: Timestamp; fee: f32 | null; note: Str<3> | null; path: FixedArray<f64, 2>;
      }
      /** @varve version=1 */
      export interface Other { price: f64 }
    `);
    const path = make(2);
    const several = await varve(['migrate', path, source]);
    expect(several).toMatchObject({ code: 1, stderr: expect.stringContaining('several records: Tick, Other') });
    expect(await varve(['migrate', path, `${source}:None`]))
      .toMatchObject({ code: 1, stderr: expect.stringContaining('no annotated interface None') });
    expect(await varve(['migrate', path, source, '--interface', 'Other']))
      .toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_VARVE_SCHEMA_MISMATCH') });
    const done = await varve(['migrate', path, source, '--interface', 'Tick', '--default', 'side=sell',
      '--default', 'at=2026-01-31T12:00:00Z', '--default', 'note=null', '--default', 'path=[1, -2.5]']);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    const { json } = await varveJson(['dump', path]);
    expect(json).toMatchObject([0, 1].map((at) => ({ record: {
      symbol: `S${at}`, side: 'sell', at: 1769860800000, fee: null, note: null, path: [1, -2.5],
    } })));
    const { stdout } = await varve(['dump', path, '--limit', '1']);
    expect(stdout).toMatch(/ sell {2}2026-01-31T12:00:00\.000Z +- +- +\[1 -2\.5\]\n/);
    const csv = await varve(['dump', path, '--limit', '1', '--csv', '--schema', `${source}:Tick`]);
    expect(csv.stdout).toContain(',sell,1769860800000,,,"[1,-2.5]"\n');
    writeFileSync(source, 'export interface Tick { }');
    expect(await varve(['dump', MMFG, '--schema', source]))
      .toMatchObject({ code: 1, stderr: expect.stringContaining('no interface is annotated') });
  });

  it('migrates mmapforge\'s files, with the schema that they have', async () => {
    const path = stores.file('ticks.mmf');
    copyFileSync(MMFG, path);
    const old = tickSchema();
    const { fields: known } = JSON.parse(readFileSync(old, 'utf8')) as { fields: object[] };
    const file = schemaFile([...known, { name: 'more', type: 'int32' }], 2);
    expect(await varve(['migrate', path, file, '--from', old, '--default', 'more=-7'])).toMatchObject({ code: 0 });
    const { json } = await varveJson(['dump', path, '--schema', file]);
    expect(json).toMatchObject([{ record: { symbol: 'AAPL', price: 189.5, more: -7 } }]);
  });
});
