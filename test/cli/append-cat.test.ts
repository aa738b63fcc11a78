/**
 * `varve append` and `varve cat`: what goes in comes out, byte for byte, in order, however it is piped.
 */
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { damage, edit, ended, makeLog, segmentsOf, start, tear, varve, varveJson } from '../support/cli.ts';
import { contents, Scratch } from '../support/dwal.ts';

const scratch = new Scratch('cli-append');
afterAll(() => { scratch.remove(); });

const recordsOf = async (directory: string): Promise<string[]> => {
  await using log = await RecordLog.open(directory, { readOnly: true });
  return [...log.scan()].map(({ payload }) => Buffer.from(payload).toString('latin1'));
};

describe.concurrent('varve cat --follow', () => {
  it('prints what is there and what comes, and ends well when it is interrupted', async () => {
    const directory = await makeLog(scratch.path(), ['one', 'two']);
    const child = start(['cat', directory, '--follow', '--json']);
    const end = ended(child);
    const lines: string[] = [];
    let rest = '';
    const printed = async (count: number) => {
      while (lines.length < count) {
        const [chunk] = await once(child.stdout, 'data') as [Buffer];
        const parts = (rest + chunk.toString()).split('\n');
        rest = parts.pop()!;
        lines.push(...parts);
      }
    };
    await printed(2);
    await using log = await RecordLog.open(directory);
    log.append('three');
    await printed(3);
    log.appendBatch(['four', 'five']);
    await printed(5);
    child.kill('SIGINT');
    expect(await end).toMatchObject({ code: 0, stderr: '' });
    expect(lines.map((line) => (JSON.parse(line) as { payload: string }).payload))
      .toEqual(['one', 'two', 'three', 'four', 'five']);
  });

  it('prints durable records alone, up to a limit, a last LSN, or a cut through what it has printed', async () => {
    const directory = await makeLog(scratch.path(), ['one', 'two', 'three']);
    expect(await varve(['cat', directory, '--follow', '--limit', '2'])).toMatchObject({ code: 0, stdout: 'one\ntwo\n' });
    expect(await varve(['cat', directory, '--follow', '--from', '2', '--to', '3']))
      .toMatchObject({ code: 0, stdout: 'two\nthree\n' });
    await using log = await RecordLog.open(directory);
    const durable = ended(start(['cat', directory, '--follow', '--durable', '--limit', '4']));
    const cut = start(['cat', directory, '--follow']);
    const cutEnd = ended(cut);
    await once(cut.stdout, 'data');
    log.append('four');
    await log.sync();
    expect(await durable).toMatchObject({ code: 0, stdout: 'one\ntwo\nthree\nfour\n' });
    log.truncateAfter(1);
    const { code, stderr } = await cutEnd;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^varve: ERR_VARVE_TRUNCATED: /) as string });
    for (const wrong of [['--durable'], ['--follow', '--reverse']]) {
      expect((await varve(['cat', directory, ...wrong])).code).toBe(1);
    }
  });
});

describe.concurrent('varve append', () => {
  it('makes each line a record, bytes as they are, and cat gives them back', async () => {
    const directory = scratch.path();
    const lines = ['alpha', '', 'tab\tand\r', Buffer.from([0xff, 0x00, 0xfe]).toString('latin1'), ' last without newline'];
    const input = Buffer.from(lines.join('\n'), 'latin1');
    const appended = await varve(['append', directory], input);
    expect(appended).toMatchObject({ code: 0, stderr: '' });
    expect(appended.stdout).toMatch(/^appended 5 records, LSN 1 to 5\n.* of frames in .*\/s\n$/);
    expect(await recordsOf(directory)).toEqual(lines);
    const { code, bytes, stderr } = await varve(['cat', directory]);
    expect({ code, text: bytes.toString('latin1'), stderr }).toEqual({ code: 0, text: `${lines.join('\n')}\n`, stderr: '' });
  });

  it('goes on where the log ends, and says so as JSON', async () => {
    const directory = await makeLog(scratch.path(), ['one', 'two']);
    const { code, json } = await varveJson(['append', directory, '--sync', '--sync-every', '2'], 'three\nfour\nfive\n');
    expect(code).toBe(0);
    expect(json).toEqual([{
      schema: 'varve.append.v1', directory, records: 3, firstLsn: 3, lastLsn: 5, durableLsn: 5, frameBytes: 96,
      seconds: expect.any(Number) as number, recordsPerSecond: expect.any(Number) as number,
    }]);
    expect(await recordsOf(directory)).toEqual(['one', 'two', 'three', 'four', 'five']);
  });

  it('takes no input for no record', async () => {
    const directory = scratch.path();
    expect(await varve(['append', directory])).toMatchObject({ code: 0, stdout: 'nothing appended; last LSN 0\n' });
    expect(await varve(['cat', directory])).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  it('cuts lines that are longer than what is read at once, and begins segments of the asked size', async () => {
    const directory = scratch.path();
    const lines = Array.from({ length: 20 }, (_, at) => String.fromCharCode(97 + at).repeat(at * 10_007));
    expect(await varve(['append', directory, '--segment-size', '256K'], `${lines.join('\n')}\n`)).toMatchObject({ code: 0 });
    expect(await recordsOf(directory)).toEqual(lines);
    expect(segmentsOf(directory).length).toBeGreaterThan(6);
  });

  it('ends with the line number where a line is too large, and keeps the lines before', async () => {
    const directory = scratch.path();
    const input = Buffer.concat([Buffer.from('a\nb\n'), Buffer.alloc((64 << 20) + 1, 'x')]);
    const { code, stderr } = await varve(['append', directory], input);
    expect({ code, stderr }).toMatchObject({
      code: 1, stderr: expect.stringMatching(/^varve: ERR_VARVE_RECORD_TOO_LARGE: line 3 /) as string,
    });
    expect(await recordsOf(directory)).toEqual(['a', 'b']);
  });

  it('commits each line as it comes, closes cleanly when interrupted, and names itself to a second writer', async () => {
    const directory = scratch.path();
    const child = start(['append', directory]);
    const end = ended(child);
    child.stdin.write('first\nsecond\nunfini');
    while (!existsSync(directory) || (await recordsOf(directory).catch(() => [])).length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const second = await varve(['append', directory], 'x\n');
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(new RegExp(`^varve: ERR_VARVE_LOCKED: process ${child.pid} has .*\n$`));
    child.kill('SIGINT');
    expect(await end).toMatchObject({ code: 130, stderr: expect.stringMatching(/interrupted/) as string });
    await using log = await RecordLog.open(directory, { readOnly: true });
    expect(log.recovery).toMatchObject({ closedCleanly: true, lastLsn: 2 });
  });

  it('cuts a torn tail first and says where it is saved', async () => {
    const directory = await makeLog(scratch.path(), ['one']);
    tear(directory);
    const { code, stderr } = await varve(['append', directory], 'two\n');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^varve: cut a torn tail, \d+ bytes saved in .*\.cut\n$/);
    expect(await recordsOf(directory)).toEqual(['one', 'two']);
  });
});

describe.concurrent('varve cat', () => {
  it('honours --from, --to, --reverse and --limit', async () => {
    const directory = await makeLog(scratch.path(), Array.from({ length: 9 }, (_, at) => `r${at + 1}`));
    const cat = async (...options: string[]) => (await varve(['cat', directory, ...options])).stdout.split('\n').join(' ');
    expect(await Promise.all([
      cat('--from', '8'), cat('--to', '2'), cat('--from', '3', '--to', '5', '--reverse'), cat('--reverse', '--limit', '2'),
      cat('--limit', '0'), cat('--from', '10'), cat('--from', '4', '--limit', '1'), cat('--to', '99', '--from', '9'),
    ])).toEqual(['r8 r9 ', 'r1 r2 ', 'r5 r4 r3 ', 'r9 r8 ', '', '', 'r4 ', 'r9 ']);
  });

  it('gives text where it is UTF-8 and base64 elsewhere, so that nothing is lost', async () => {
    const directory = await makeLog(scratch.path(), [
      'plain', { payload: '\ufeffgrün "☃"\u0000', kind: 1, key: 'Schlüssel' },
      { payload: Uint8Array.of(0xff, 1), kind: 2, key: Uint8Array.of(0xc3) }, '',
    ]);
    const { code, json } = await varveJson(['cat', directory]);
    expect(code).toBe(0);
    expect(json).toEqual([
      { schema: 'varve.record.v1', lsn: 1, kind: 0, key: '', payload: 'plain' },
      { schema: 'varve.record.v1', lsn: 2, kind: 1, key: 'Schlüssel', payload: '\ufeffgrün "☃"\u0000' },
      { schema: 'varve.record.v1', lsn: 3, kind: 2, key_b64: 'ww==', payload_b64: '/wE=' },
      { schema: 'varve.record.v1', lsn: 4, kind: 0, key: '', payload: '' },
    ]);
  });

  it('ends quietly with 0 when its reader goes away', async () => {
    const directory = await makeLog(scratch.path(), Array.from({ length: 50 }, () => 'x'.repeat(60_000)));
    for (const options of [[], ['--json']]) {
      const child = start(['cat', directory, ...options]);
      const end = ended(child);
      await once(child.stdout, 'data');
      child.stdout.destroy();
      expect(await end).toMatchObject({ code: 0, signal: null, stderr: '' });
    }
  });

  it('prints every record of a torn log, mentions the tail and ends with 0', async () => {
    const directory = await makeLog(scratch.path(), ['one', 'two']);
    tear(directory);
    const before = contents(directory);
    const { code, stdout, stderr } = await varve(['cat', directory]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'one\ntwo\n' });
    expect(stderr).toMatch(/^varve: a torn tail of \d+ bytes follows/);
    expect(contents(directory)).toEqual(before);
  });

  it('stops with 3 at a damaged record, and goes on behind it', async () => {
    const directory = await makeLog(scratch.path(), ['first', 'second', 'third']);
    damage(segmentsOf(directory)[0]!, 'second');
    const { code, stdout, stderr } = await varve(['cat', directory]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'first\n' });
    expect(stderr).toMatch(/^varve: ERR_VARVE_CORRUPT: record 2 is damaged/);
    expect(await varve(['cat', directory, '--reverse'])).toMatchObject({ code: 3, stdout: 'third\n' });
    expect(await varve(['cat', directory, '--from', '3'])).toMatchObject({ code: 0, stdout: 'third\n', stderr: '' });
  });

  it('says so with 3 where synced records are missing at the end', async () => {
    const directory = await makeLog(scratch.path(), ['first', 'second']);
    edit(segmentsOf(directory)[0]!, (bytes) => bytes.subarray(0, bytes.indexOf('second') - 24));
    const { code, stdout, stderr } = await varve(['cat', directory]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'first\n' });
    expect(stderr).toMatch(/^varve: ERR_VARVE_CORRUPT: records behind 1 are damaged or missing/);
    expect(await varve(['cat', directory, '--to', '1'])).toMatchObject({ code: 0, stdout: 'first\n', stderr: '' });
  });

  it('refuses an LSN that is not there', async () => {
    const directory = await makeLog(scratch.path(), ['one']);
    expect(await varve(['cat', directory, '--from', '5'])).toMatchObject({
      code: 1, stdout: '', stderr: expect.stringMatching(/^varve: ERR_VARVE_OUT_OF_RANGE: /) as string,
    });
    expect(readdirSync(directory).length).toBe(3);
  });
});
