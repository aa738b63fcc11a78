/**
 * `varve kv`: single keys in every notation, the exit codes, expiries and conditions, the list of keys; and that what
 * only reads needs no lock and makes nothing.
 */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { KeyValueStore } from '../../host/index.ts';
import { damage, ended, makeLog, segmentsOf, start, tear, varve, varveJson } from '../support/cli.ts';
import { Scratch } from '../support/dwal.ts';

const scratch = new Scratch('cli-kv');
afterAll(() => { scratch.remove(); });

const COMMANDS = ['put', 'get', 'del', 'keys', 'export', 'import', 'compact', 'stat', 'check', 'repair'];

/** A closed store of text. */
async function makeStore(entries: readonly (readonly [string, string])[]): Promise<string> {
  const directory = scratch.path();
  await using store = await KeyValueStore.open<string, string>(directory, {
    values: 'utf8', segmentBytes: 65536, autoCompact: false,
  });
  for (const [key, value] of entries) store.put(key, value);
  return directory;
}

describe.concurrent('varve kv', () => {
  it.each(COMMANDS)('%s has help with its options and examples', async (command) => {
    const { code, stdout } = await varve(['kv', command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: varve kv ${command} `);
    expect(stdout).toMatch(/--json +(print one JSON object|one object a line), schema\s+varve\.kv-[a-z]+\.v1/);
    expect(stdout).toMatch(new RegExp(`\nExamples:\n  \\$ .*varve kv ${command}`));
    expect(stdout).toMatch(/4 a generated file is stale or missing,\s+or, of varve kv get and del, there is no such key/);
  });

  it.each(['get x', 'keys', 'export', 'stat', 'check', 'del x', 'compact', 'compact --to out', 'repair'])(
    '%s of a missing store ends with 1 and makes nothing', async (args) => {
      const parent = scratch.directory({ mine: 'x' });
      const [command, ...rest] = args.split(' ');
      for (const directory of [join(parent, 'none'), parent]) {
        const { code, stdout, stderr } = await varve(['kv', command!, directory, ...rest]);
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        expect(stderr).toMatch(/^varve: ERR_VARVE_(NOT_FOUND|FOREIGN_DIRECTORY): .*\n$/);
      }
      expect(readdirSync(parent)).toEqual(['mine']);
    });

  it.each([
    [['get', 'x'], 'a key is missing'],
    [['get', 'x', 'xyz', '--key-encoding', 'hex'], 'the key is not hexadecimal: xyz'],
    [['put', 'x', '', 'v'], 'a key has 1 to 65536 bytes, not 0'],
    [['put', 'x', 'k'.repeat(65537), 'v'], 'a key has 1 to 65536 bytes, not 65537'],
    [['put', 'x', 'k', 'a b', '--value-encoding', 'base64'], 'the value is not base64: a b'],
    [['put', 'x', 'k', 'v', '--value-file', 'f'], 'there is a value and --value-file'],
    [['put', 'x', 'k', 'v', '--ttl', '1s', '--expires-at', '2030-01-01'], '--ttl and --expires-at exclude each other'],
    [['put', 'x', 'k', 'v', '--ttl', '0'], 'It must be a time above 0 such as'],
    [['put', 'x', 'k', 'v', '--if-absent', '--if-version', '1'], '--if-version and --if-absent exclude each other'],
    [['put', 'x', '--key-file', '-', '--value-file', '-'], 'key and value cannot both be standard input'],
    [['export', 'x', '--format', 'dwal'], 'a datawal directory cannot be printed'],
    [['export', 'x', '--json'], '--json goes with a file'],
    [['import', 'x', '--format', 'dwal'], 'a datawal directory cannot be standard input'],
  ])('%j is refused with 1, and nothing is made', async (args, message) => {
    const [command, name, ...rest] = args;
    const directory = join(scratch.directory(), name!);
    const { code, stdout, stderr } = await varve(['kv', command!, directory, ...rest]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(existsSync(directory)).toBe(false);
  });
});

describe.concurrent('single keys', () => {
  it('are put, printed, and removed; 4 says that there is none', async () => {
    const directory = scratch.path();
    expect(await varve(['kv', 'put', directory, 'ada', '1815'])).toMatchObject({ code: 0, stdout: 'version 1\n' });
    expect(await varve(['kv', 'put', directory, 'alan'], 'from\nstdin')).toMatchObject({ code: 0, stdout: 'version 2\n' });
    expect(await varve(['kv', 'get', directory, 'ada'])).toMatchObject({ code: 0, stdout: '1815\n', stderr: '' });
    expect(await varve(['kv', 'get', directory, 'alan', '--no-newline'])).toMatchObject({ stdout: 'from\nstdin' });
    expect(await varve(['kv', 'get', directory, 'nobody'])).toMatchObject({
      code: 4, stdout: '', stderr: 'varve: there is no such key\n',
    });
    expect(await varve(['kv', 'del', directory, 'ada'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await varve(['kv', 'del', directory, 'ada'])).toMatchObject({ code: 4, stderr: 'varve: there is no such key\n' });
    expect(await varveJson(['kv', 'get', directory, 'ada'])).toMatchObject({
      code: 4, json: [{ schema: 'varve.kv-get.v1', found: false, key: 'ada' }],
    });
    expect(await varveJson(['kv', 'get', directory, 'alan'])).toMatchObject({
      code: 0,
      json: [{ schema: 'varve.kv-get.v1', found: true, key: 'alan', value: 'from\nstdin', version: 2, expiresAt: null, lsn: 2 }],
    });
  });

  it('are written in every notation, and come from files', async () => {
    const directory = scratch.path();
    const files = scratch.directory({ key: Buffer.from([0, 255]), value: Buffer.from([1, 10, 254]) });
    const [key, value] = [join(files, 'key'), join(files, 'value')];
    const put = ['kv', 'put', directory];
    expect(await varve([...put, '--key-file', key, '--value-file', value])).toMatchObject({ code: 0 });
    expect(await varve([...put, 'AP8B', 'ffFE00', '--key-encoding', 'base64', '--value-encoding', 'hex'])).toMatchObject({
      code: 0,
    });
    expect(await varve([...put, '--key-file', '-', 'v'], 'piped')).toMatchObject({ code: 0 });
    const got = await varve(['kv', 'get', directory, '00FF', '--key-encoding', 'hex', '--no-newline']);
    expect(got.bytes).toEqual(Buffer.from([1, 10, 254]));
    expect(await varve(['kv', 'get', directory, '--key-file', key, '--value-encoding', 'base64'])).toMatchObject({
      stdout: 'AQr+\n',
    });
    expect(await varveJson(['kv', 'get', directory, '00ff01', '--key-encoding', 'hex'])).toMatchObject({
      json: [{ key_b64: 'AP8B', value_b64: '//4A' }],
    });
    expect(await varve(['kv', 'keys', directory, '--key-encoding', 'hex'])).toMatchObject({
      stdout: '00ff\n00ff01\n7069706564\n',
    });
    expect(await varve(['kv', 'keys', directory, '--prefix', 'AP8=', '--key-encoding', 'base64', '--limit', '1'])).toMatchObject({
      stdout: 'AP8=\n',
    });
    expect((await varveJson(['kv', 'keys', directory])).json).toEqual([
      { schema: 'varve.kv-key.v1', key_b64: 'AP8=' }, { schema: 'varve.kv-key.v1', key_b64: 'AP8B' },
      { schema: 'varve.kv-key.v1', key: 'piped' },
    ]);
  });

  it('are written on a condition, and expire', async () => {
    const directory = scratch.path();
    const put = (...args: string[]) => varve(['kv', 'put', directory, 'k', ...args]);
    expect(await put('1', '--if-absent')).toMatchObject({ code: 0 });
    const conflict = await put('2', '--if-absent');
    expect(conflict).toMatchObject({ code: 1, stdout: '' });
    expect(conflict.stderr).toMatch(/^varve: ERR_VARVE_CONFLICT: .* its version is 1; /);
    expect(await put('3', '--if-version', '1')).toMatchObject({ code: 0, stdout: 'version 2\n' });
    expect(await varve(['kv', 'del', directory, 'k', '--if-version', '1'])).toMatchObject({ code: 1 });
    const before = Date.now();
    const { json } = await varveJson(['kv', 'put', directory, 'k', '4', '--ttl', '2h']);
    const [{ expiresAt }] = json as [{ expiresAt: number }];
    expect(expiresAt).toBeGreaterThanOrEqual(before + 7_200_000);
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + 7_200_000);
    expect((await varveJson(['kv', 'get', directory, 'k'])).json).toMatchObject([{ value: '4', expiresAt }]);
    expect(await put('5', '--expires-at', '1999-12-31T23:59:59Z')).toMatchObject({ code: 0 });
    expect(await varve(['kv', 'get', directory, 'k'])).toMatchObject({ code: 4 });
  });

  it('are read and listed beside a writer, and written only without one', async () => {
    const directory = scratch.path();
    await using store = await KeyValueStore.open<string, string>(directory, { values: 'utf8' });
    store.put('k', 'live');
    const names = readdirSync(directory);
    expect(await varve(['kv', 'get', directory, 'k'])).toMatchObject({ code: 0, stdout: 'live\n' });
    expect(await varve(['kv', 'keys', directory])).toMatchObject({ code: 0, stdout: 'k\n' });
    expect(await varve(['kv', 'check', directory])).toMatchObject({ code: 0 });
    expect(await varve(['kv', 'export', directory])).toMatchObject({
      code: 0, stdout: '{"key_b64":"aw==","value_b64":"bGl2ZQ=="}\n',
    });
    expect(readdirSync(directory)).toEqual(names);
    for (const args of [['put', directory, 'k', 'x'], ['del', directory, 'k'], ['compact', directory]]) {
      const { code, stderr } = await varve(['kv', ...args]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^varve: ERR_VARVE_LOCKED: /);
    }
    expect(store.get('k')).toBe('live');
  });
});

describe.concurrent('a store as a whole', () => {
  const many = Array.from({ length: 400 }, (_, at) => [`key ${at % 100}`, `${at} `.repeat(200)] as const);

  it('is described by varve kv stat and by varve stat', async () => {
    const directory = await makeStore(many);
    for (const command of [['kv', 'stat'], ['stat']]) {
      const { code, json } = await varveJson([...command, directory]);
      expect(code).toBe(0);
      expect(json).toMatchObject([{
        schema: 'varve.kv-stat.v1', directory, keys: 100, lastLsn: 400, keydir: 'loaded', damaged: [],
        state: { outcome: 'whole' },
      }]);
      const [{ deadRatio }] = json as [{ deadRatio: number }];
      expect(deadRatio).toBeGreaterThan(0.7);
      const { stdout } = await varve([...command, directory]);
      expect(stdout).toMatch(/^store +.*\nkeys +100\nlog +\d+ segments, .*\nlive +.*7\d\.\d % is dead\n/);
    }
  });

  it('is compacted in place, or to a copy that no lock is needed for', async () => {
    const directory = await makeStore(many);
    const target = scratch.path();
    expect(await varveJson(['kv', 'compact', directory, '--to', target])).toMatchObject({
      code: 0, json: [{ schema: 'varve.kv-compact.v1', directory, target, keys: 100 }],
    });
    expect((await varve(['kv', 'keys', target])).stdout.split('\n').slice(0, 3)).toEqual(['key 0', 'key 1', 'key 10']);
    expect(await varve(['kv', 'compact', directory, '--to', target])).toMatchObject({ code: 1, stdout: '' });
    const { code, stdout } = await varve(['kv', 'compact', directory]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^dropped [1-9]\d* segments and copied \d+ records .* are free; 100 keys in /);
    const sorted = async (from: string) => (await varve(['kv', 'export', from])).stdout;
    expect(await sorted(directory)).toBe(await sorted(target));
  });

  it('is copied wholly or not at all, whenever the command is killed', async () => {
    const directory = await makeStore(Array.from({ length: 20_000 }, (_, at) => [`key ${at}`, 'v'.repeat(100)] as const));
    const parent = scratch.directory();
    const target = join(parent, 'copy');
    let whole = 0;
    for (let kill = 0; kill < 12; kill++) {
      const child = start(['kv', 'compact', directory, '--to', target]);
      const end = ended(child);
      await setTimeout(100 + kill * 50);
      child.kill('SIGKILL');
      await end;
      const isThere = existsSync(target);
      if (isThere) {
        whole++;
        expect(await varveJson(['kv', 'check', target])).toMatchObject({ code: 0, json: [{ keys: 20_000 }] });
      }
      for (const name of readdirSync(parent)) {
        expect(name).toMatch(/^copy$|^\.copy\.\d+\.[0-9a-f]{12}\.tmp$/);
        rmSync(join(parent, name), { recursive: true });
      }
    }
    expect(whole).toBeLessThan(12);
    expect(await varve(['kv', 'compact', directory, '--to', target])).toMatchObject({ code: 0 });
  }, 60_000);

  it('of which a record is damaged is checked with 3, by its key; that get gives 3, the others 0', async () => {
    const directory = await makeStore([['a', 'value one'], ['b', 'value two']]);
    damage(segmentsOf(directory)[0]!, 'value one');
    for (const command of [['kv', 'check'], ['check']]) {
      const { code, stdout } = await varve([...command, directory]);
      expect(code).toBe(3);
      expect(stdout).toMatch(/^damaged: record 1, key "a" \(BadCrc\) at offset 4096 of .*\.seg$/m);
      expect((await varveJson([...command, directory])).json).toMatchObject([{
        schema: 'varve.kv-check.v1', outcome: 'corrupt', keys: 2, damaged: [{ lsn: 1, key: 'a' }], keydir: [],
      }]);
    }
    const { code, stderr } = await varve(['kv', 'get', directory, 'a']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^varve: ERR_VARVE_CORRUPT: /);
    expect(await varve(['kv', 'get', directory, 'b'])).toMatchObject({ code: 0, stdout: 'value two\n' });
    expect(await varve(['kv', 'export', directory])).toMatchObject({ code: 3 });
  });

  it('is repaired by varve kv repair and by varve repair, which say which keys that costs', { timeout: 120_000 }, async () => {
    for (const command of [['kv', 'repair'], ['repair']]) {
      const directory = await makeStore([['a', 'old'], ['b', 'beside'], ['a', 'the newest'], ['c', 'last']]);
      damage(segmentsOf(directory)[0]!, 'the newest');
      const planned = await varve([...command, directory, '--dry-run']);
      expect(planned).toMatchObject({ code: 0, stderr: '' });
      expect(planned.stdout).toMatch(/^lost: the value of "a"\nwould be deleted: what is older of "a"\nwould be given up: /);
      expect(await varve(['kv', 'check', directory])).toMatchObject({ code: 3 });
      expect(await varveJson([...command, directory, '--json'])).toMatchObject({ code: 0, json: [{
        schema: 'varve.kv-repair.v1', dryRun: false, changed: true, lostKeys: [{ key: 'a' }], lostUnnamed: 0,
        removedKeys: [{ key: 'a' }], unknown: 0, unknownLsn: 0, lost: [{ firstLsn: 3, lastLsn: 3 }],
      }] });
      expect(await varve(['kv', 'check', directory])).toMatchObject({ code: 0 });
      expect(await varve(['kv', 'get', directory, 'a'])).toMatchObject({ code: 4 });
      expect(await varve(['kv', 'get', directory, 'b'])).toMatchObject({ code: 0, stdout: 'beside\n' });
      expect((await varve([...command, directory])).stdout).toMatch(/^nothing to repair: /);
    }
  });

  it('that ends in a torn tail is checked and described with 2, and dumped without damage', async () => {
    const directory = await makeStore([['a', '1']]);
    tear(directory);
    rmSync(join(directory, 'CONTROL'));
    for (const command of [['kv', 'check'], ['kv', 'stat']]) {
      expect({ command, code: (await varve([...command, directory])).code }).toEqual({ command, code: 2 });
    }
    const { code, stdout } = await varve(['dump', directory]);
    expect(code).toBe(0);
    expect(stdout).toContain('frame 1 at 4096');
    expect(await varve(['kv', 'get', directory, 'a'])).toMatchObject({ code: 0, stdout: '1\n' });
  });

  it('is dumped; varve cat says what to use instead; a log is no key-value store', async () => {
    const directory = await makeStore([['a', '1']]);
    expect((await varve(['dump', directory])).stdout).toMatch(/frame 1 at 4096, 32 bytes, put, key 1, payload 1/);
    const { code, stderr } = await varve(['cat', directory]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^varve: .* is a key-value store\nhint: varve kv export .*\n$/);
    const log = await makeLog(scratch.path(), ['record']);
    expect(await varve(['kv', 'get', log, 'a'])).toMatchObject({ code: 1, stdout: '' });
  });
});

describe.concurrent('varve kv export and import', () => {
  const entries = [['b', 'two'], ['a', 'one'], ['ü', 'three']] as const;
  const lines = '{"key_b64":"YQ==","value_b64":"b25l"}\n{"key_b64":"Yg==","value_b64":"dHdv"}\n'
    + '{"key_b64":"w7w=","value_b64":"dGhyZWU="}\n';

  it('move a store by files, pipes and datawal directories', async () => {
    const directory = await makeStore(entries);
    const parent = scratch.directory();
    const file = join(parent, 'out.jsonl');
    expect((await varve(['kv', 'export', directory])).stdout).toBe(lines);
    expect(await varveJson(['kv', 'export', directory, file])).toMatchObject({
      code: 0, json: [{ schema: 'varve.kv-export.v1', target: file, format: 'jsonl', records: 3, bytes: lines.length }],
    });
    const copies = [join(parent, 'a'), join(parent, 'b'), join(parent, 'c')] as const;
    expect(await varveJson(['kv', 'import', copies[0], file])).toMatchObject({
      code: 0, json: [{ schema: 'varve.kv-import.v1', records: 3, keys: 3, format: 'jsonl', torn: null }],
    });
    expect(await varve(['kv', 'import', copies[1]], lines)).toMatchObject({ code: 0, stderr: '' });
    const dwal = join(parent, 'dwal');
    expect(await varve(['kv', 'export', directory, dwal, '--format', 'dwal', '--segment-size', '40'])).toMatchObject({
      code: 0, stdout: expect.stringMatching(/^exported 3 keys, 99 bytes, /) as string,
    });
    expect(readdirSync(dwal)).toHaveLength(3);
    expect(await varve(['kv', 'import', copies[2], dwal, '--format', 'dwal'])).toMatchObject({
      code: 0, stdout: expect.stringMatching(/ now holds 3 keys\n$/) as string,
    });
    for (const copy of copies) expect((await varve(['kv', 'export', copy])).stdout).toBe(lines);
  });

  it('remove a store that they have made where the source is wrong, and leave one that was there', async () => {
    const parent = scratch.directory();
    const file = join(parent, 'in.jsonl');
    writeFileSync(file, `${lines}no json\n`);
    const { code, stdout, stderr } = await varve(['kv', 'import', join(parent, 'new', 'store'), file]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/^varve: ERR_VARVE_FORMAT: .*in\.jsonl, line 4: it is no JSON /);
    expect(readdirSync(parent)).toEqual(['in.jsonl']);
    const directory = await makeStore(entries);
    expect(await varve(['kv', 'import', directory, file])).toMatchObject({ code: 3 });
    expect((await varve(['kv', 'export', directory])).stdout).toBe(lines);
    expect(await varve(['kv', 'import', directory, join(parent, 'none')])).toMatchObject({ code: 1 });
  });
});
