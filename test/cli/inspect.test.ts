/**
 * `varve stat`, `check`, `dump` and `repair`: what they say of whole, torn and damaged logs, with which exit code, and
 * that looking changes nothing.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { copyDirectory, damage, ended, makeLog, segmentsOf, start, tear, varve, varveJson } from '../support/cli.ts';
import { contents, Scratch } from '../support/dwal.ts';

const scratch = new Scratch('cli-inspect');
afterAll(() => { scratch.remove(); });

const RECORDS = Array.from({ length: 12 }, (_, at) => `record number ${at + 1}, ${'.'.repeat(20_000)}`);
let whole: string;
let torn: string;
let corrupt: string;
let gap: string;

beforeAll(async () => {
  whole = await makeLog(scratch.path(), RECORDS);
  torn = copyDirectory(whole, scratch.path());
  tear(torn);
  corrupt = copyDirectory(whole, scratch.path());
  damage(segmentsOf(corrupt)[1]!, 'number 5');
  gap = copyDirectory(whole, scratch.path());
  rmSync(segmentsOf(gap)[1]!);
});

type Json = Record<string, unknown>;

describe.concurrent('varve check', () => {
  it.each([
    ['ok', () => whole, 0, { outcome: 'ok', records: 12, damaged: [], tornBytes: 0 }],
    ['torn', () => torn, 2, { outcome: 'torn', records: 12, damaged: [] }],
    ['corrupt', () => corrupt, 3, { outcome: 'corrupt', records: 11, damaged: [{ lsn: 5, records: 1, status: 'BadCrc' }] }],
    ['a missing segment', () => gap, 3, { outcome: 'corrupt', records: 9, damaged: [{ lsn: 4 }] }],
  ])('finds %s, changes nothing, and its exit code says so', async (_, directory, exit, expected) => {
    const before = contents(directory());
    const { code, json: [report] } = await varveJson(['check', directory()]);
    expect(code).toBe(exit);
    expect(report).toMatchObject({ schema: 'varve.check.v1', directory: directory(), firstLsn: 1, ...expected });
    expect(contents(directory())).toEqual(before);
  });

  it('says where the damage is', async () => {
    const { code, stdout } = await varve(['check', corrupt]);
    expect(code).toBe(3);
    expect(stdout).toContain('11 intact records in 4 segments, LSN 1 to 12\n');
    expect(stdout).toMatch(/\ndamaged: record 5 \(BadCrc\) at offset \d+ of .*0004\.seg\n/);
    expect(stdout).toMatch(/\ncorrupt: .*\n$/);
    expect((await varve(['check', torn])).stdout).toMatch(/\ntorn tail: [\d,]+ bytes at offset \d+ of segment 10;/);
  });
});

describe.concurrent('varve stat', () => {
  it('shows the store, its writer and its segments', async () => {
    const { code, json } = await varveJson(['stat', whole]);
    const stat = json[0] as Json & { segments: Json[] };
    expect(code).toBe(0);
    expect(stat).toMatchObject({
      schema: 'varve.stat.v1', directory: whole, kind: 'record-log', controlValid: true, epoch: 1, firstLsn: 1, lastLsn: 12,
      durableLsn: 12, records: 12, storeId: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      writer: { pid: process.pid, open: false, live: false, epoch: 1 },
      state: { outcome: 'whole', closedCleanly: true, tornBytes: 0, tornAt: null },
    });
    expect(stat.segments.map(({ baseLsn, records, state, synced }) => [baseLsn, records, state, synced]))
      .toEqual([1, 4, 7, 10].map((lsn) => [lsn, 3, 'sealed', true]));
    expect(stat.segments.reduce((sum, { bytes }) => sum + Number(bytes), 0)).toBe(stat['position']);
    const plain = await varve(['stat', whole]);
    expect(plain).toMatchObject({ code: 0, stderr: '' });
    expect(plain.stdout).toContain('records  12: LSN 1 to 12, durable to 12\n');
    expect(plain.stdout).toMatch(/│ 0{19}1\.seg │ +1 │ +3 │/);
  });

  it('tells a torn tail by 2 and missing records by 3', async () => {
    const tornStat = await varveJson(['stat', torn]);
    expect(tornStat).toMatchObject({ code: 2, json: [{ state: { outcome: 'cut', tornAt: { segment: 10 } } }] });
    expect(await varveJson(['stat', gap])).toMatchObject({ code: 3, json: [{ state: { outcome: 'corrupt' } }] });
    expect((await varve(['stat', torn])).stdout).toMatch(/\nstate +cut: the last write was interrupted; [\d,]+ torn bytes at/);
  });

  it('A6: needs no lock and makes nothing: a living writer is no hindrance, and a missing store is exit 1', async () => {
    await using log = await RecordLog.open(scratch.path());
    log.append('held');
    const missing = join(scratch.path(), 'not', 'there');
    for (const command of ['stat', 'check', 'dump', 'cat', 'repair']) {
      // Repair writes, so it needs the lock; its dry run does not.
      const args = command === 'repair' ? [command, '--dry-run'] : [command];
      expect((await varve([...args, log.directory])).code, command).toBe(0);
      expect(await varve([...args, missing]), command).toMatchObject({
        code: 1, stdout: '', stderr: expect.stringContaining('ERR_VARVE_NOT_FOUND') as string,
      });
    }
    expect(existsSync(join(missing, '..'))).toBe(false);
  });

  it('works beside a writer that lives, and tells one that died', async () => {
    const directory = scratch.path();
    const child = start(['append', directory]);
    const end = ended(child);
    child.stdin.write('one\ntwo\n');
    const look = async () => (await varveJson(['stat', directory])).json[0] as Json | undefined;
    let stat = await look();
    while (stat?.['lastLsn'] !== 2) stat = await look();
    expect(stat).toMatchObject({
      writer: { pid: child.pid, live: true }, durableLsn: 0, segments: [{ state: 'active', records: 2, bytes: 64 }],
    });
    expect((await varve(['cat', directory])).stdout).toBe('one\ntwo\n');
    expect((await varve(['dump', directory, '--from', '2'])).stdout).toMatch(/frame 2 at 4128, 32 bytes, raw/);
    child.kill('SIGKILL');
    await end;
    expect(await look()).toMatchObject({
      writer: { pid: child.pid, live: false, open: true }, lastLsn: 2, segments: [{ state: 'unsealed', records: 2 }],
      state: { outcome: 'whole', closedCleanly: false },
    });
    expect((await varve(['stat', directory])).stdout).toContain(`process ${child.pid} ended without closing`);
  });

  it('shows cursors, how far they are behind, and which are damaged', async () => {
    const directory = copyDirectory(whole, scratch.path());
    expect((await varveJson(['stat', directory])).json).toMatchObject([{ cursors: [] }]);
    const log = await RecordLog.open(directory, { readOnly: true });
    for (const [at, name] of ['mailer', 'index\u001b[2J\u009b', 'hurt'].entries()) log.cursor(name).saveNow(5 * at + 1);
    log.cursor('new');
    await log.close();
    damage(join(directory, 'cursors', 'hurt.cursor'), 'hurt');
    const date = expect.stringMatching(/^\d{4}-.*Z$/) as string;
    const { code, json: [stat] } = await varveJson(['stat', directory]);
    expect([code, (stat as Json)['cursors']]).toEqual([0, [
      { name: 'hurt', damaged: true },
      { name: 'index\u001b[2J\u009b', lsn: 6, lag: 6, savedAt: date },
      { name: 'mailer', lsn: 1, lag: 11, savedAt: date },
      { name: 'new', lsn: null, lag: 12, savedAt: null },
    ]]);
    const { stdout } = await varve(['stat', directory]);
    expect(stdout).toMatch(/│ "mailer" +│ +1 │ +11 │ \d{4}-/);
    expect(stdout).toMatch(/│ "hurt" +│ +damaged │/);
    expect(stdout).toMatch(/│ "new" +│ +- │ +12 │ - /);
    expect(stdout).toContain('"index\\u001b[2J\\u{9b}"');
  });

  it('takes the identity from the segments where CONTROL is gone', async () => {
    const directory = copyDirectory(whole, scratch.path());
    const { json: [before] } = await varveJson(['stat', directory]);
    rmSync(join(directory, 'CONTROL'));
    const { code, json: [after] } = await varveJson(['stat', directory]);
    expect(code).toBe(0);
    expect(after).toMatchObject({ storeId: (before as Json)['storeId'], controlValid: false, writer: null, records: 12 });
  });
});

describe.concurrent('varve dump', () => {
  it('names every field, in the order of the file', async () => {
    const directory = await makeLog(scratch.path(), [{ payload: 'value', key: 'key', kind: 1 }]);
    const { code, stdout } = await varve(['dump', directory]);
    expect(code).toBe(0);
    expect([...stdout.matchAll(/^\S.*/gm)].map(([line]) => line.replace(/ at .*/, ''))).toEqual([
      ...['identity', 'writer', 'marks 0', 'marks 1', 'committed', 'wake'].map((group) => `CONTROL: ${group}`),
      ...['header', 'frame 1', 'footer'].map((part) => `00000000000000000001.seg: ${part}`),
    ]);
    expect(stdout).toMatch(/00000000 {2}56 41 52 56 45 53 45 47 {2}magic +"VARVESEG"/);
    expect(stdout).toMatch(/frame 1 at 4096, 32 bytes, put, key 3, payload 5\n/);
    expect(stdout).toMatch(/00001018 {2}6b 65 79 76 61 6c 75 65 +keyvalue\n/);
  });

  it('gives the same as JSON, for a range of LSNs', async () => {
    const { code, json } = await varveJson(['dump', whole, '--from', '4', '--to', '8', '--limit', '4']);
    const lines = json as Json[];
    expect(code).toBe(0);
    expect(new Set(lines.map(({ schema }) => schema))).toEqual(new Set(['varve.dump.v1']));
    const frames = lines.filter(({ type }) => type === 'frame');
    expect(frames.map(({ lsn }) => lsn)).toEqual([4, 5, 6, 7]);
    const [second, third] = segmentsOf(whole).slice(1, 3).map((path) => basename(path));
    const structures = lines.filter(({ type }) => type === 'segment').map(({ file, name }) => [file, name]);
    expect(structures).toEqual([[second, 'header'], [second, 'footer'], [third, 'header']]);
    const [first] = frames as [Json & { offset: number; hex: string; fields: Json }];
    const bytes = readFileSync(segmentsOf(whole)[1]!).subarray(first.offset, first.offset + 88).toString('hex');
    expect(first).toMatchObject({ hex: bytes, fields: { lsn: 4, epoch: 1 }, payloadBytes: RECORDS[3]!.length });
  });

  it('shows damage where it lies and goes on behind it, with 3', async () => {
    const { code, json } = await varveJson(['dump', corrupt]);
    expect(code).toBe(3);
    const pieces = (json as Json[]).filter(({ type }) => type === 'frame' || type === 'damage');
    expect(pieces.map(({ type, lsn }) => `${String(type)} ${String(lsn)}`))
      .toEqual(RECORDS.map((_, at) => `${at === 4 ? 'damage' : 'frame'} ${at + 1}`));
    expect(pieces[4]).toMatchObject({ status: 'BadCrc', nextLsn: 6 });
    expect((await varveJson(['dump', gap])).json).toContainEqual(expect.objectContaining({
      type: 'missing', firstLsn: 4, lastLsn: 6,
    }));
  });

  it('takes a torn tail for what it is, with 0', async () => {
    const { code, json } = await varveJson(['dump', torn]);
    expect(code).toBe(0);
    expect((json as Json[]).at(-1)).toMatchObject({ type: 'torn', lsn: 13 });
  });
});

describe.concurrent('varve repair', () => {
  it('says what it would do, does it, and leaves a log that can be written to', async () => {
    const directory = copyDirectory(gap, scratch.path());
    const before = contents(directory);
    const dry = await varveJson(['repair', directory, '--dry-run']);
    expect(dry).toMatchObject({ code: 0, json: [{ schema: 'varve.repair.v1', dryRun: true, changed: true }] });
    expect(contents(directory)).toEqual(before);
    const { code, stdout } = await varve(['repair', directory]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^given up: records 4 to 6, /);
    expect(stdout).toMatch(/\nrepaired: .*; the log holds LSN 1 to 12\n$/);
    expect(await varveJson(['check', directory])).toMatchObject({ code: 0, json: [{ outcome: 'ok', lostLsns: [4, 5, 6] }] });
    const cat = await varve(['cat', directory]);
    expect(cat).toMatchObject({ code: 0, stderr: 'varve: 3 records given up by a repair left out\n' });
    expect(cat.stdout.split('\n').length).toBe(10);
    await using log = await RecordLog.open(directory);
    expect(log.append('next')).toBe(13);
  });

  it('has nothing to do on a whole log', async () => {
    const directory = copyDirectory(whole, scratch.path());
    const { code, stdout } = await varve(['repair', directory]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^nothing to repair: .*; the log holds LSN 1 to 12\n$/);
  });
});
