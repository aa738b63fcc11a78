/**
 * `varve import dwal` and `varve export dwal`: the same bytes there and back, and all or nothing.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { ended, makeLog, start, tear, varve, varveJson } from '../support/cli.ts';
import { contents, fixtureBytes, frame, Scratch } from '../support/dwal.ts';

const scratch = new Scratch('cli-dwal');
afterAll(() => { scratch.remove(); });

const SEGMENT = '00000001.dwal';
/** Enough records for several batches, and then a frame that no reader accepts. */
const broken = () => scratch.directory({
  [SEGMENT]: Buffer.concat([
    ...Array.from({ length: 30 }, (_, at) => frame({ txid: at + 1, payload: 'x'.repeat(100_000) })), frame({ magic: 'XXXX' }),
  ]),
});

const recordsOf = async (directory: string): Promise<string[]> => {
  await using log = await RecordLog.open(directory, { readOnly: true });
  return [...log.scan()].map(({ payload }) => Buffer.from(payload).toString('latin1'));
};

describe.concurrent('import and export', () => {
  it('give back the bytes of the fixture', async () => {
    const source = scratch.directory({ [SEGMENT]: fixtureBytes() });
    const [log, out] = [scratch.path(), scratch.path()];
    const imported = await varve(['import', 'dwal', source, log]);
    expect(imported).toMatchObject({ code: 0, stderr: '' });
    expect(imported.stdout).toMatch(/^imported 3 records from 1 segment, txid 1 to 3\n98 bytes in .* now ends at LSN 3\n$/);
    expect(await recordsOf(log)).toEqual(['alpha', 'beta', 'gamma']);
    const exported = await varve(['export', 'dwal', log, out]);
    expect(exported).toMatchObject({ code: 0, stderr: '' });
    expect(exported.stdout).toMatch(/^exported 3 records to 1 segment, txid 1 to 3\n98 bytes in /);
    expect(contents(out)).toEqual({ [SEGMENT]: fixtureBytes().toString('hex') });
  });

  it('keep kinds and keys, in segments of the asked size, and report as JSON', async () => {
    const log = await makeLog(scratch.path(), [
      { kind: 1, key: 'k', payload: 'v' }, { kind: 2, key: 'k', payload: '' }, 'raw',
    ]);
    const [out, again] = [scratch.path(), scratch.path()];
    expect(await varveJson(['export', 'dwal', log, out, '--segment-size', '40'])).toMatchObject({
      code: 0, json: [{ schema: 'varve.export.v1', target: out, segments: 3, records: 3, firstTxid: 1, lastTxid: 3 }],
    });
    expect(contents(out)).toEqual({
      '00000001.dwal': frame({ txid: 1, type: 1, key: 'k', payload: 'v' }).toString('hex'),
      '00000002.dwal': frame({ txid: 2, type: 2, key: 'k' }).toString('hex'),
      '00000003.dwal': frame({ txid: 3, payload: 'raw' }).toString('hex'),
    });
    expect(await varveJson(['import', 'dwal', out, again])).toMatchObject({
      code: 0, json: [{ schema: 'varve.import.v1', segments: 3, records: 3, firstLsn: 1, lastLsn: 3, torn: null }],
    });
    expect((await varveJson(['cat', again])).json).toEqual((await varveJson(['cat', log])).json);
  });
});

describe.concurrent('varve import dwal', () => {
  it('imports the intact records of a torn directory, reports the rest, and ends with 2', async () => {
    const source = scratch.directory({ [SEGMENT]: fixtureBytes().subarray(0, 90) });
    const log = scratch.path();
    const { code, stderr } = await varve(['import', 'dwal', source, log]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^varve: torn tail: .*00000001\.dwal at offset 65: .*; 25 bytes left out\n$/);
    expect(await recordsOf(log)).toEqual(['alpha', 'beta']);
  });

  it('removes what it has made where it fails, and the directories above that it has made', async () => {
    const source = broken();
    const parent = scratch.directory();
    const { code, stderr } = await varve(['import', 'dwal', source, join(parent, 'a', 'b', 'log')]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^varve: ERR_VARVE_FORMAT: .*00000001\.dwal at offset 3000840: the magic is /);
    expect(readdirSync(parent)).toEqual([]);
    const empty = join(parent, 'empty');
    mkdirSync(empty);
    expect(await varve(['import', 'dwal', source, empty])).toMatchObject({ code: 3 });
    expect(readdirSync(empty)).toEqual([]);
  });

  it('refuses a log that holds records, appends with --append, and cuts what it appended where it fails', async () => {
    const log = await makeLog(scratch.path(), ['mine']);
    const source = scratch.directory({ [SEGMENT]: fixtureBytes() });
    const refused = await varve(['import', 'dwal', source, log]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/holds 1 record already\nhint: add --append/);
    expect(await varve(['import', 'dwal', broken(), log, '--append'])).toMatchObject({ code: 3 });
    expect(await recordsOf(log)).toEqual(['mine']);
    expect(await varve(['import', 'dwal', source, log, '--append'])).toMatchObject({ code: 0 });
    expect(await recordsOf(log)).toEqual(['mine', 'alpha', 'beta', 'gamma']);
  });

  it('makes nothing where there is nothing to import', async () => {
    for (const source of [scratch.path(), scratch.directory({ mine: 'x' })]) {
      const log = scratch.path();
      expect(await varve(['import', 'dwal', source, log])).toMatchObject({
        code: 1, stderr: expect.stringMatching(/^varve: ERR_VARVE_NOT_FOUND: /) as string,
      });
      expect(existsSync(log)).toBe(false);
    }
  });

  it('leaves a locked log alone', async () => {
    const log = scratch.path();
    const child = start(['append', log]);
    const end = ended(child);
    child.stdin.write('one\n');
    while ((await recordsOf(log).catch(() => [])).length < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    const { code, stderr } = await varve(['import', 'dwal', scratch.directory({ [SEGMENT]: fixtureBytes() }), log]);
    expect(code).toBe(1);
    expect(stderr).toContain(`process ${child.pid} has `);
    child.stdin.end('two\n');
    expect(await end).toMatchObject({ code: 0 });
    expect(await recordsOf(log)).toEqual(['one', 'two']);
  });
});

describe.concurrent('varve export dwal', () => {
  it('refuses a record of another kind, names it, and leaves nothing behind', async () => {
    const log = await makeLog(scratch.path(), ['one', { payload: 'two', kind: 9 }]);
    const out = join(scratch.directory(), 'out');
    const { code, stderr } = await varve(['export', 'dwal', log, out]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^varve: ERR_VARVE_FORMAT: record 2 is of kind 9;/);
    expect(readdirSync(dirname(out))).toEqual([]);
  });

  it('refuses a directory that is not empty, and a missing store', async () => {
    const log = await makeLog(scratch.path(), ['one']);
    const out = scratch.directory({ mine: 'x' });
    expect(await varve(['export', 'dwal', log, out])).toMatchObject({
      code: 1, stderr: expect.stringMatching(/^varve: ERR_VARVE_FOREIGN_DIRECTORY: /) as string,
    });
    expect(readdirSync(out)).toEqual(['mine']);
    const parent = scratch.directory();
    expect(await varve(['export', 'dwal', join(parent, 'none'), join(parent, 'out')])).toMatchObject({ code: 1 });
    expect(readdirSync(parent)).toEqual([]);
  });

  it('leaves a torn tail out and says so', async () => {
    const log = await makeLog(scratch.path(), ['one']);
    tear(log);
    const out = scratch.path();
    const { code, stderr } = await varve(['export', 'dwal', log, out]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^varve: the log ends in a torn tail of \d+ bytes/);
    expect(contents(out)).toEqual({ [SEGMENT]: frame({ payload: 'one' }).toString('hex') });
  });
});
