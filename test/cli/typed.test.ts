/**
 * The command line over typed files: what they are, their records, their damage, and what changes in them.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TYPED_CAPACITY_OFFSET } from '../../host/generated/abi.ts';
import { bool, bytes, defineSchema, f64, i64, str, u32, u64 } from '../../host/typed/schema.ts';
import { TypedStores } from '../support/typed-stores.ts';
import { CLI, edit, ended, start, varve, varveJson } from '../support/cli.ts';
import { cannot } from '../support/processes.ts';
import { until } from '../support/real-storage.ts';
import { ROOT } from '../support/repository.ts';

const Tick = defineSchema('Tick', { version: 2, fields: {
  symbol: str(12), price: f64, volume: u64, delta: i64, ok: bool, raw: bytes(4),
} });
type Record = Parameters<ReturnType<typeof open>['append']>[0];
const RECORDS_OFFSET = 4096;

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

function open(name = 'ticks.varve', options = {}) {
  return stores.open(Tick, options, name);
}

function tick(at: number): NonNullable<Record> {
  return { symbol: `S${at}`, price: at + 0.5, volume: BigInt(at), delta: -BigInt(at), ok: at % 2 === 0, raw: Uint8Array.of(at) };
}

/** A closed file of some records. */
function make(count: number, name = 'ticks.varve', options = {}): string {
  const store = open(name, options);
  for (let at = 0; at < count; at++) store.append(tick(at));
  store.closeSync();
  return store.path;
}

/** The schema of mmapforge's file as JSON. */
function tickSchema(): string {
  const path = stores.file('tick.json');
  writeFileSync(path, JSON.stringify({ name: 'Tick', version: 1, fields: [
    { name: 'symbol', type: 'string', max: 64 }, { name: 'price', type: 'float64' }, { name: 'volume', type: 'float64' },
    { name: 'timestamp', type: 'uint64' },
  ] }));
  return path;
}

const MMFG = join(ROOT, 'test/fixtures/mmfg-tick.mmf');

describe('varve stat', () => {
  it('says what a typed file is, without a schema at hand', async () => {
    const path = make(3, 'ticks.varve', { metadata: Buffer.from('hello') });
    const { code, stdout } = await varve(['stat', path]);
    expect(code).toBe(0);
    for (const text of ['Tick, version 2', '3 of 64 bytes, room for 64', '5 bytes', 'closed by epoch 1', 'symbol', 'max 12']) {
      expect(stdout).toContain(text);
    }
    const { json: [facts] } = await varveJson(['stat', path]);
    expect(facts).toMatchObject({
      schema: 'varve.stat-typed.v1', path, format: 'varve', length: 3, capacity: 64, stride: 64, metadataBytes: 5,
      schemaHash: expect.stringMatching(/^[0-9a-f]{64}$/), storeId: expect.stringMatching(/^[0-9a-f]{32}$/),
      writer: { epoch: 1, open: false, writers: 'one' },
      recordSchema: { name: 'Tick', version: 2, fields: expect.arrayContaining([{ name: 'symbol', type: 'string', max: 12 }]) },
    });
  });

  it('says who writes now', async () => {
    const store = open();
    const { json: [facts] } = await varveJson(['stat', store.path]);
    expect(facts).toMatchObject({ writer: { open: true, pid: process.pid, alive: true } });
    expect((await varve(['stat', store.path])).stdout).toContain(`open, epoch 1, process ${process.pid}`);
  });

  it('knows mmapforge\'s files, with their schema', async () => {
    expect(await varve(['stat', MMFG])).toMatchObject({ code: 1, stderr: expect.stringContaining('--schema') });
    const { json: [facts], code } = await varveJson(['stat', MMFG, '--schema', tickSchema()]);
    expect(code).toBe(0);
    expect(facts).toMatchObject({ format: 'mmfg-1', length: 1, capacity: 64, stride: 104, writer: null, storeId: null });
  });

  it('refuses what is no typed file, no schema, or another one, in one line', async () => {
    const text = stores.file('text');
    writeFileSync(text, 'no store');
    const cases = [
      [['stat', text], 3, 'ERR_VARVE_FORMAT'], [['stat', stores.file('nothing')], 1, 'ERR_VARVE_NOT_FOUND'],
      [['stat', MMFG, '--schema', text], 1, 'holds no schema'],
      [['stat', MMFG, '--schema', stores.file('none.json')], 1, 'cannot be read'],
      [['stat', make(1), '--schema', tickSchema()], 1, 'ERR_VARVE_SCHEMA_MISMATCH'],
    ] as const;
    for (const [args, code, message] of cases) {
      const end = await varve(args);
      expect([args, end.code, end.stdout]).toEqual([args, code, '']);
      expect(end.stderr).toContain(message);
      expect(end.stderr).not.toContain('    at ');
    }
  });

  it('says that a header is damaged', async () => {
    const path = make(1);
    edit(path, (bytes) => { bytes.writeBigUInt64LE(2n ** 40n, TYPED_CAPACITY_OFFSET); return bytes; });
    expect(await varve(['stat', path])).toMatchObject({ code: 3, stderr: expect.stringContaining('ERR_VARVE_CORRUPT') });
  });
});

describe('varve dump', () => {
  it('prints records in columns', async () => {
    const { code, stdout } = await varve(['dump', make(3)]);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'index  symbol  price  volume  delta  ok     raw',
      '    0  S0        0.5       0      0  true   00',
      '    1  S1        1.5       1     -1  false  01',
      '    2  S2        2.5       2     -2  true   02',
      '',
    ]);
  });

  it('prints records as JSON and CSV, exactly', async () => {
    const store = open();
    store.append({ symbol: 'a,"b"\n', price: NaN, volume: 2n ** 64n - 1n, delta: -(2n ** 53n), ok: false, raw: Uint8Array.of(1, 255) });
    store.append({ symbol: '', price: -Infinity, volume: 2n ** 53n - 1n, delta: 5n, ok: true, raw: new Uint8Array() });
    const { json } = await varveJson(['dump', store.path]);
    expect(json).toEqual([
      { schema: 'varve.typed-record.v1', index: 0, record: {
        symbol: 'a,"b"\n', price: 'NaN', volume: '18446744073709551615', delta: '-9007199254740992', ok: false, raw: '01ff',
      } },
      { schema: 'varve.typed-record.v1', index: 1, record: {
        symbol: '', price: '-Infinity', volume: 9007199254740991, delta: 5, ok: true, raw: '',
      } },
    ]);
    const csv = await varve(['dump', store.path, '--csv']);
    expect(csv.stdout).toBe('index,symbol,price,volume,delta,ok,raw\n'
      + '0,"a,""b""\n",NaN,18446744073709551615,-9007199254740992,false,01ff\n'
      + '1,"",-Infinity,9007199254740991,5,true,\n');
  });

  it('shows no control characters on a terminal', async () => {
    const store = open();
    store.append({ ...tick(0), symbol: '\x1b[2J\u202e\x9b"' });
    const { stdout } = await varve(['dump', store.path]);
    expect(stdout).toContain('\\u001b[2J\\u202e\\u009b"');
    expect(stdout).not.toContain('\x1b[2J');
  });

  it('prints the part that was asked for', async () => {
    const path = make(1000);
    const indices = async (...args: string[]) => (await varveJson(['dump', path, ...args])).json
      .map((line) => (line as { index: number }).index);
    expect(await indices('--from', '3', '--to', '5')).toEqual([3, 4, 5]);
    expect(await indices('--from', '998')).toEqual([998, 999]);
    expect(await indices('--limit', '2')).toEqual([0, 1]);
    expect(await indices('--from', '5', '--limit', '1')).toEqual([5]);
    expect(await indices('--limit', '0')).toEqual([]);
    expect(await indices('--from', '5000')).toEqual([]);
    expect((await indices()).length).toBe(1000);
    expect(await varve(['dump', path, '--csv', '--json'])).toMatchObject({ code: 1 });
    expect(await varve(['dump', stores.directory, '--csv'])).toMatchObject({ code: 1 });
  });

  it('prints mmapforge\'s records', async () => {
    const { json } = await varveJson(['dump', MMFG, '--schema', tickSchema()]);
    expect(json).toMatchObject([{ index: 0, record: { symbol: 'AAPL', price: 189.5, volume: 52_000_000, timestamp: 7 } }]);
  });

  it('ends quietly where its reader goes away, and reads no more than is read of it', async () => {
    const path = make(200_000);
    const child = start(['dump', path, '--json']);
    const [first] = await once(child.stdout, 'data') as [Buffer];
    expect(first.toString()).toContain('"index":0,');
    child.stdout.destroy();
    const [code, signal] = await once(child, 'exit');
    expect([code, signal]).toEqual([0, null]);
  });
});

/** Offsets of fields in a record of `Tick`. */
const OK = 8 + 16 + 8 + 8 + 8;

describe('a damaged record', () => {
  const broken = (count: number, ...at: number[]): string => {
    const path = make(count);
    edit(path, (bytes) => {
      for (const index of at) bytes[RECORDS_OFFSET + index * 64 + OK] = 7;
      return bytes;
    });
    return path;
  };

  it('is found by varve check', async () => {
    expect(await varve(['check', make(10, 'whole')])).toMatchObject({ code: 0, stdout: expect.stringContaining('10 intact records of 10') });
    const path = broken(10, 3, 8);
    const { code, stdout } = await varve(['check', path]);
    expect(code).toBe(3);
    expect(stdout).toContain('8 intact records of 10');
    expect(stdout).toContain('damaged: record 3: ERR_VARVE_BAD_VALUE');
    const { json: [report] } = await varveJson(['check', path]);
    expect(report).toMatchObject({
      schema: 'varve.check-typed.v1', outcome: 'corrupt', records: 10, intact: 8, held: [],
      damaged: [{ index: 3, code: 'ERR_VARVE_BAD_VALUE' }, { index: 8 }],
    });
  });

  it('is shown in its place by varve dump', async () => {
    const path = broken(3, 1);
    const { code, stdout } = await varve(['dump', path]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^ {4}0 .*\n {4}1 {2}ERR_VARVE_BAD_VALUE: .*\n {4}2 /m);
    const { json } = await varveJson(['dump', path]);
    expect(json).toMatchObject([{ index: 0, record: {} }, { index: 1, error: 'ERR_VARVE_BAD_VALUE' }, { index: 2 }]);
    const csv = await varve(['dump', path, '--csv']);
    expect(csv.stdout.split('\n').map((line) => line.split(',')[0])).toEqual(['index', '0', '2', '']);
    expect(csv).toMatchObject({ code: 3, stderr: expect.stringContaining('record 1 left out') });
  });

  it('of a dead writer is torn', async () => {
    const path = make(3);
    edit(path, (bytes) => { bytes.writeBigUInt64LE(7n, RECORDS_OFFSET + 64); return bytes; });
    const { json: [report], code } = await varveJson(['check', path]);
    expect(code).toBe(2);
    expect(report).toMatchObject({ outcome: 'torn', intact: 2, held: [{ index: 1, code: 'ERR_VARVE_CONTENTION' }] });
    expect((await varve(['dump', path])).code).toBe(2);
  });
});

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
    const { renameSync } = await import('node:fs');
    renameSync(copy, path);
    expect(await end).toMatchObject({ code: 1, stderr: expect.stringContaining('ERR_VARVE_REPLACED') });
    expect(readFileSync(path).length).toBeGreaterThan(RECORDS_OFFSET);
  });
});

describe('varve watch on a terminal', () => {
  const Point = defineSchema('Point', { fields: { x: f64, y: u32 } });
  const terminal = spawnSync('script', ['--version'], { encoding: 'utf8' });

  it('shows a table of what has changed last, in place, and leaves the terminal as it was', async (context) => {
    if (!(terminal.stdout ?? '').includes('util-linux')) return cannot(context, 'there is no script(1) of util-linux');
    const store = stores.open(Point, {}, 'points');
    store.appendMany(Array.from({ length: 40 }, () => ({ x: 0, y: 0 })));
    const command = `stty rows 10 cols 40; '${process.execPath}' '${CLI}' watch '${store.path}'`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, TERM: 'xterm' } });
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
