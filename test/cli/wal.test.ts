/**
 * `varve wal`: what stat, check, cat, merge and repair say of groups that are whole, in use, torn and damaged, with
 * which exit code; what is said to those who point another command at a group or at one of its cores; and that looking
 * needs no lock and changes nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeyValueStore, WalGroup } from '../../host/index.ts';
import { damage, edit, ended, makeLog, segmentsOf, start, tear, varve, varveJson } from '../support/cli.ts';
import { Scratch } from '../support/dwal.ts';
import { filesIn } from '../support/files-in.ts';

const scratch = new Scratch('cli-wal');
afterAll(() => { scratch.remove(); });

const COMMANDS = ['stat', 'check', 'cat', 'merge', 'repair'];
const BIG = 2n ** 60n;
let whole: string;

/** A copy of the group, with its cores and checkpoints. */
function copy(change: (directory: string) => void): string {
  const directory = scratch.path();
  cpSync(whole, directory, { recursive: true });
  change(directory);
  return directory;
}

const core = (directory: string, number: number): string => join(directory, `core-000${number}`);
/** Every file of the group with its bytes. */
const allOf = (directory: string) => filesIn(directory).map((path) => [path, readFileSync(path).toString('base64')]);

beforeAll(async () => {
  whole = scratch.path();
  await using group = await WalGroup.create(whole, { cores: 3, now: () => 1_700_000_000_000 });
  const [a, b] = [group.writer(0), group.writer(1)];
  a.put('plain', 'value');
  a.put(Uint8Array.of(0xff, 0), 'two\nlines \u001b[31m');
  b.delete('gone');
  b.commit({ 'a source': 7, 'big': BIG }, -5);
  await group.barrierAll();
  a.append(40, 'own', Uint8Array.of(0xfe));
  a.checkpoint(77);
  await group.checkpoint({ state: 'the state', offsets: { s: BIG }, watermark: 3 });
  b.put('behind', 'x');
});

describe.concurrent('varve wal', () => {
  it.each(COMMANDS)('%s has help with its options and examples', async (command) => {
    const { code, stdout } = await varve(['wal', command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: varve wal ${command} `);
    expect(stdout).toMatch(/--json +(print one JSON object|one object a line), schema\s+varve\.wal-[a-z]+\.v1/);
    expect(stdout).toMatch(new RegExp(`\nExamples:\n  \\$ .*varve wal ${command}`));
  });

  it.each(['stat', 'check', 'cat --core 0', 'merge', 'repair', 'repair --dry-run'])(
    '%s of what is no group ends with 1 and makes nothing', async (args) => {
      const parent = scratch.directory({ mine: 'x' });
      const log = await makeLog(scratch.path(), ['record']);
      const keys = scratch.path();
      await (await KeyValueStore.open(keys)).close();
      const [command, ...rest] = args.split(' ');
      for (const [directory, error] of [
        [join(parent, 'none'), 'NOT_FOUND'], [parent, 'NOT_FOUND'], [log, 'FOREIGN_DIRECTORY'], [keys, 'FOREIGN_DIRECTORY'],
        [core(whole, 0), 'FOREIGN_DIRECTORY'],
      ] as const) {
        const { code, stdout, stderr } = await varve(['wal', command!, directory, ...rest]);
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        expect(stderr).toMatch(new RegExp(`^varve: ERR_VARVE_${error}: .*\\n$`));
      }
      expect(readdirSync(parent)).toEqual(['mine']);
    });

  it.each([
    [['cat', 'x'], "required option '--core <n>' not specified"],
    [['cat', 'x', '--core', '-1'], 'It must be an integer, at least 0'],
    [['merge', 'x', '--up-to', 'now'], "It must be 'end', 'epoch' or the number of an epoch."],
    [['merge', 'x', '--up-to', '4294967296'], "It must be 'end', 'epoch' or the number of an epoch."],
  ])('%j is refused with 1', async (args, message) => {
    const { code, stdout, stderr } = await varve(['wal', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('refuses a core or a sequence that is not there', async () => {
    const noCore = await varve(['wal', 'cat', whole, '--core', '3']);
    expect(noCore).toMatchObject({ code: 1, stdout: '' });
    expect(noCore.stderr).toContain('options.core must be an integer from 0 to 2, not 3');
    const noEntry = await varve(['wal', 'cat', whole, '--core', '0', '--from', '99']);
    expect(noEntry).toMatchObject({ code: 1, stdout: '' });
    expect(noEntry.stderr).toMatch(/^varve: ERR_VARVE_OUT_OF_RANGE: entry 99 is not in the log of core 0, which holds 1 to /);
  });
});

describe.concurrent('the entries of a group', () => {
  it('are printed a line each, of one core or of all in order', async () => {
    const one = await varve(['wal', 'cat', whole, '--core', '0']);
    expect(one).toMatchObject({ code: 0, stderr: '' });
    expect(one.stdout.split('\n').slice(0, 5)).toEqual([
      '1 1 0 put "plain" "value"',
      '1 2 0 put 0xff00 "two\\nlines \\u001b[31m"',
      '1 3 0 barrier ends 1',
      expect.stringMatching(/^\d+ \d+ 0 (barrier ends \d+|user 40 "own" 0xfe)$/) as string,
      expect.stringMatching(/^\d+ \d+ 0 /) as string,
    ]);
    expect(one.stdout).toContain(' user 40 "own" 0xfe\n');
    expect(one.stdout).toContain(' checkpoint 77\n');
    const all = await varve(['wal', 'merge', whole]);
    expect(all).toMatchObject({ code: 0, stderr: '' });
    const places = all.stdout.trimEnd().split('\n').map((line) => line.split(' ').slice(0, 3).map(Number));
    const sorted = [...places].sort((x, y) => x[0]! - y[0]! || x[1]! - y[1]! || x[2]! - y[2]!);
    expect(places).toEqual(sorted);
    expect(all.stdout).toContain(`1 2 1 commit "a source"=7 "big"=${BIG} watermark -5\n`);
    expect(all.stdout).toContain('1 1 1 delete "gone"\n');
    expect((await varve(['wal', 'cat', whole, '--core', '0', '--from', '2', '--limit', '1'])).stdout)
      .toBe('1 2 0 put 0xff00 "two\\nlines \\u001b[31m"\n');
    expect((await varve(['wal', 'merge', whole, '--limit', '0'])).stdout).toBe('');
  });

  it('end where they are told to', async () => {
    const lines = async (upTo: string) => (await varve(['wal', 'merge', whole, '--up-to', upTo])).stdout;
    expect((await lines('1')).split('\n').every((line) => (
      line === '' || line.startsWith('1 ') || line.endsWith('barrier ends 1')))).toBe(true);
    expect(await lines('0')).toBe('');
    expect(await lines('epoch')).not.toContain('"behind"');
    expect(await lines('end')).toContain('put "behind" "x"\n');
  });

  it('are objects with --json, in which nothing is lost', async () => {
    const { code, json } = await varveJson(['wal', 'merge', whole, '--up-to', '1']);
    expect(code).toBe(0);
    const common = { schema: 'varve.wal-entry.v1', epoch: 1, timestamp: '1700000000000000000' };
    expect(json.slice(0, 4)).toEqual([
      { ...common, core: 0, sequence: 1, position: 0, kind: 1, type: 'put', key: 'plain', value: 'value' },
      { ...common, core: 1, sequence: 1, position: 0, kind: 2, type: 'delete', key: 'gone' },
      {
        ...common, core: 0, sequence: 2, position: expect.any(Number) as number, kind: 1, type: 'put', key_b64: '/wA=',
        value: 'two\nlines \u001b[31m',
      },
      {
        ...common, core: 1, sequence: 2, position: expect.any(Number) as number, kind: 132, type: 'commit',
        offsets: { 'a source': 7, 'big': BIG.toString() }, watermark: -5,
      },
    ]);
    expect((await varveJson(['wal', 'cat', whole, '--core', '0'])).json).toContainEqual(
      expect.objectContaining({ kind: 40, type: 'user', key: 'own', value_b64: '/g==' }));
  });

  it('end at a damaged one with 3, and mention what a repair gave up and what is torn', async () => {
    const damaged = copy((directory) => { damage(segmentsOf(core(directory, 0))[0]!, 'plain'); });
    const before = allOf(damaged);
    const { code, stderr } = await varve(['wal', 'merge', damaged]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^varve: ERR_VARVE_CORRUPT: record 1 is damaged \(BadCrc\) at offset 4096 of .*core-0000/);
    expect(allOf(damaged)).toEqual(before);
    expect((await varve(['wal', 'cat', damaged, '--core', '0', '--from', '2'])).code).toBe(0);
    const torn = copy((directory) => { tear(core(directory, 1)); });
    const entries = await varve(['wal', 'cat', torn, '--core', '1']);
    expect(entries).toMatchObject({ code: 0 });
    expect(entries.stderr).toMatch(/^varve: a torn tail of [\d,]+ bytes follows in core 1 \(segment 1, offset \d+\); /);
    expect((await varve(['wal', 'cat', torn, '--core', '0'])).stderr).toBe('');
  });

  it('are read beside a writer, whose core stat names with its process', async () => {
    const used = copy(() => undefined);
    await using group = await WalGroup.open(used);
    group.writer(2).put('live', 'x');
    expect((await varve(['wal', 'merge', used])).stdout).toContain(' 2 put "live" "x"\n');
    const { code, json } = await varveJson(['wal', 'stat', used]);
    expect(code).toBe(0);
    expect((json[0] as { cores: { attached: number | null }[] }).cores.map(({ attached }) => attached))
      .toEqual([null, null, process.pid]);
    expect(await varveJson(['wal', 'check', used])).toMatchObject({ code: 0, json: [{ outcome: 'ok' }] });
    const locked = await varve(['wal', 'repair', used]);
    expect(locked).toMatchObject({ code: 1, stdout: '' });
    expect(locked.stderr).toMatch(/^varve: ERR_VARVE_LOCKED: /);
  });

  it('of a process that was killed are there, and stat says that nobody has the core any more', async () => {
    const used = copy(() => undefined);
    const index = new URL('../../dist/esm/index.js', import.meta.url).href;
    const child = spawn(process.execPath, ['--input-type=module', '-e', `import { WalGroup } from '${index}';
      const writer = await WalGroup.attach(process.argv[1], 1);
      writer.put('last words', 'x');
      process.stdout.write('ready');
      setInterval(() => undefined, 1000);`, used]);
    await once(child.stdout, 'data');
    const attached = async () => ((await varveJson(['wal', 'stat', used])).json[0] as {
      cores: { attached: number | null }[];
    }).cores[1]!.attached;
    expect(await attached()).toBe(child.pid);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await attached()).toBe(null);
    expect((await varve(['wal', 'cat', used, '--core', '1'])).stdout).toContain('put "last words" "x"\n');
    expect(await varveJson(['wal', 'check', used])).toMatchObject({ code: 0, json: [{ outcome: 'ok' }] });
  });

  it('end quietly where nobody reads on', async () => {
    const child = start(['wal', 'merge', whole]);
    child.stdin.end();
    child.stdout.destroy();
    expect(await ended(child)).toMatchObject({ code: 0, stderr: '' });
  });
});

describe.concurrent('varve wal stat', () => {
  it('shows epochs, checkpoints and every core; so does varve stat', async () => {
    const { code, json: [stat] } = await varveJson(['wal', 'stat', whole]);
    expect(code).toBe(0);
    expect(stat).toMatchObject({
      schema: 'varve.wal-stat.v1', directory: whole,
      checkpoints: [{ id: 1, stateBytes: 9, offsets: { s: BIG.toString() }, watermark: 3 }],
      cores: [
        { core: 0, attached: null, poisoned: false, firstSequence: 1, segments: 1, state: { outcome: 'whole' } },
        { core: 1 }, { core: 2 },
      ],
    });
    expect((await varve(['stat', whole, '--json'])).stdout).toBe((await varve(['wal', 'stat', whole, '--json'])).stdout);
    const plain = await varve(['wal', 'stat', whole]);
    expect(plain).toMatchObject({ code: 0, stderr: '' });
    expect(plain.stdout).toMatch(/^cores +3; 0 attached$/m);
    expect(plain.stdout).toMatch(/^checkpoints +1; the newest is 1, of epoch \d+, \d+ B, /m);
    expect(plain.stdout).toMatch(/│ +0 │ - +│ +\d+ │ +1 │/);
  });

  it('tells a torn tail by 2 and missing entries by 3', async () => {
    const torn = copy((directory) => { tear(core(directory, 1)); });
    expect(await varveJson(['stat', torn])).toMatchObject({ code: 2, json: [{ cores: [{}, { state: { outcome: 'cut' } }, {}] }] });
    const gone = copy((directory) => { rmSync(segmentsOf(core(directory, 1))[0]!); });
    expect(await varveJson(['wal', 'stat', gone])).toMatchObject({ code: 3 });
  });
});

describe.concurrent('varve wal check', () => {
  const damaged: readonly [string, number, (directory: string) => void, object][] = [
    ['nothing', 0, () => undefined, { outcome: 'ok', joined: true, damaged: [], unusable: [], checkpoints: [{ id: 1 }] }],
    ['a torn tail', 2, (directory) => { tear(core(directory, 1)); }, {
      outcome: 'torn', cores: [{ tornBytes: 0 }, { outcome: 'torn', tornAt: { segment: 1 } }, {}],
    }],
    ['a damaged entry', 3, (directory) => { damage(segmentsOf(core(directory, 1))[0]!, 'gone'); }, {
      outcome: 'corrupt', joined: true, replay: null, damaged: [{ core: 1, sequence: 1, entries: 1, offset: 4096, status: 'BadCrc' }],
    }],
    ['a damaged state', 3, (directory) => {
      damage(join(directory, 'checkpoints', readdirSync(join(directory, 'checkpoints'))[0]!), 'the state');
    }, { outcome: 'corrupt', unusable: [{ id: 1, reason: 'damaged' }], checkpoints: [] }],
    ['a damaged copy of what the group is', 3, (directory) => {
      edit(join(directory, 'GROUP'), (bytes) => { bytes[2048 + 20]! ^= 1; return bytes; });
    }, { outcome: 'corrupt', joined: true, damaged: [{ offset: 2048, status: 'BadHeader' }] }],
    ['a core that is gone', 3, (directory) => { rmSync(core(directory, 0), { recursive: true }); }, {
      outcome: 'corrupt', joined: false, damaged: [{ core: 0, status: 'Absent' }],
    }],
    ['cores in each other\'s place', 3, (directory) => {
      renameSync(core(directory, 0), join(directory, 'aside'));
      renameSync(core(directory, 1), core(directory, 0));
      renameSync(join(directory, 'aside'), core(directory, 1));
    }, { outcome: 'corrupt', joined: false, damaged: [{ core: 0, status: 'ForeignStore' }, { core: 1, status: 'ForeignStore' }] }],
  ];

  it.each(damaged)('finds %s, with %i, and changes nothing', async (_, exit, change, expected) => {
    const directory = copy(change);
    const before = allOf(directory);
    const { code, json: [report] } = await varveJson(['wal', 'check', directory]);
    expect(report).toMatchObject({ schema: 'varve.wal-check.v1', directory, ...expected });
    expect(code).toBe(exit);
    const plain = await varve(['check', directory]);
    expect({ code: plain.code, stderr: plain.stderr }).toEqual({ code: exit, stderr: '' });
    expect(plain.stdout).toMatch(new RegExp(`\n${['ok', '', 'torn', 'corrupt'][exit]}: .*\n$`));
    if (exit === 3) expect(plain.stdout).toMatch(/^damaged: /m);
    if (exit === 2) expect(plain.stdout).toMatch(/^torn tail: [\d,]+ bytes at offset \d+ of segment 1 of core 1; /m);
    expect(allOf(directory)).toEqual(before);
  });

  it('says what a recovery has', async () => {
    expect((await varve(['wal', 'check', whole])).stdout).toMatch(/^recovery: checkpoint 1 and \d+ entr(y|ies)$/m);
  });

  it('says with 3 that both copies of what the group is are damaged', async () => {
    const directory = copy((path) => {
      edit(join(path, 'GROUP'), (bytes) => { bytes[20]! ^= 1; bytes[2048 + 20]! ^= 1; return bytes; });
    });
    const { code, stderr } = await varve(['wal', 'check', directory]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^varve: ERR_VARVE_CORRUPT: .*GROUP is damaged \(BadHeader\): restore a copy\./);
  });
});

describe.concurrent('repair', () => {
  it('mends the logs of a group, and a dry run changes nothing', async () => {
    const directory = copy((path) => { damage(segmentsOf(core(path, 1))[0]!, 'gone'); });
    const before = allOf(directory);
    const dry = await varve(['repair', directory, '--dry-run']);
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(dry.stdout).toContain('would be given up: record 1');
    expect(dry.stdout).toMatch(/\nnothing changed: 1 log of 3; varve wal check says what a recovery has\n$/);
    expect(allOf(directory)).toEqual(before);
    const { code, json } = await varveJson(['wal', 'repair', directory]);
    expect(code).toBe(0);
    expect(json).toMatchObject([{
      schema: 'varve.wal-repair.v1', changed: true, restoredGroup: false,
      cores: [{ changed: false }, { core: 1, changed: true, lost: [{ firstLsn: 1, lastLsn: 1 }] }, { changed: false }],
    }]);
    expect(await varveJson(['wal', 'check', directory])).toMatchObject({
      code: 0, json: [{ outcome: 'ok', cores: [{}, { lostSequences: [1] }, {}] }],
    });
    const merged = await varve(['wal', 'merge', directory]);
    expect(merged).toMatchObject({ code: 0, stderr: 'varve: 1 entry given up by a repair left out\n' });
    expect((await varve(['repair', directory])).stdout).toMatch(/^nothing to repair: 0 logs of 3;/);
  });
});

describe.concurrent('commands for one log', () => {
  it.each(['cat', 'stat', 'check', 'repair'])('%s of a core says to take the group', async (command) => {
    const { code, stdout, stderr } = await varve([command, core(whole, 0)]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^varve: .*core-0000 is the log of one core of a group
hint: give the directory of the group: varve .*${whole}.*\n$`));
  });

  it('cat of a group says how its entries are printed', async () => {
    const { code, stderr } = await varve(['cat', whole]);
    expect(code).toBe(1);
    expect(stderr).toContain(`hint: varve wal merge ${whole} prints all entries in order, varve wal cat ${whole} --core N `);
  });

  it.each([['append'], ['dump'], ['watch'], ['kv', 'stat'], ['kv', 'put']])(
    '%s %s of a group is refused with 1, and makes nothing', async (...command) => {
      const before = readdirSync(whole);
      const [first, second] = command;
      const rest = second === 'put' ? ['k', 'v'] : [];
      const { code, stdout, stderr } = await varve([first!, ...second === undefined ? [] : [second], whole, ...rest], 'x');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      if (first !== 'watch') expect(stderr).toMatch(/^varve: ERR_VARVE_FOREIGN_DIRECTORY: .* holds a group of write-ahead logs; /);
      expect(readdirSync(whole)).toEqual(before);
    });
});
