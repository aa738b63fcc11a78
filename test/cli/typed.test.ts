/**
 * The command line over typed files: what they are, their records, and their damage.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TYPED_CAPACITY_OFFSET } from '../../host/generated/abi.ts';
import type { TypedStoreOptions } from '../../host/typed/options.ts';
import { edit, start, varve, varveJson } from '../support/cli.ts';
import { TypedStores } from '../support/typed-stores.ts';
import { makeTicks, MMFG, mmfgSchema, OK, openTicks, RECORDS_OFFSET, STRIDE, tick } from '../support/typed-ticks.ts';

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

const open = (name?: string) => openTicks(stores, name);
const make = (count: number, name?: string, options?: TypedStoreOptions) => makeTicks(stores, count, name, options);
const tickSchema = () => mmfgSchema(stores);

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

describe('a damaged record', () => {
  const broken = (count: number, ...at: number[]): string => {
    const path = make(count);
    edit(path, (bytes) => {
      for (const index of at) bytes[RECORDS_OFFSET + index * STRIDE + OK] = 7;
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
      schema: 'varve.check-typed.v1', outcome: 'corrupt', records: 10, intact: 8, torn: [],
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
    expect(report).toMatchObject({ outcome: 'torn', intact: 2, torn: [1] });
    expect((await varve(['dump', path])).code).toBe(2);
  });
});
