/**
 * A write-ahead log group of format 1 stays readable, entry by entry, with every core. The fixture was written by
 * scripts/wal-format-fixture.mjs of the version that introduced the format, and is never made again. The dumps in
 * docs/format.md show parts of it.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Core } from '../../host/core/core.ts';
import { WalGroup, type WalEntry } from '../../host/index.ts';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { filesIn } from '../support/files-in.ts';
import { hexdump, shownIn } from '../support/hexdump.ts';

const FIXTURE = new URL('../fixtures/format-1/wal/', import.meta.url).pathname;
const FORMAT_PAGE = new URL('../../docs/format.md', import.meta.url).pathname;
const CHECKPOINT = 'checkpoints/00000000000000000001.checkpoint';
const MEMORY_BYTES = 64 << 20;
const TIME = 1_700_000_000_000_000_000n;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** All that can be told of an entry. */
function told(entry: WalEntry): unknown[] {
  const { core, epoch, sequence, position, kind, type, timestamp, key, value, ended, id, offsets, watermark } = entry;
  expect(timestamp).toBe(TIME);
  const said = { barrier: ended, checkpoint: id, commit: [[...offsets ?? []], watermark] } as const;
  const contents = type === 'barrier' || type === 'checkpoint' || type === 'commit' ? said[type] : text(value);
  return [core, epoch, sequence, position, kind, type, text(key), contents];
}

const COVERED = [
  [0, 1, 1, 0, 1, 'put', '17', '300'],
  [1, 1, 1, 0, 1, 'put', '18', '75'],
  [0, 1, 2, 40, 132, 'commit', '', [[['orders', 240]], 1_699_999_999_000]],
  [1, 1, 2, 40, 1, 'put', '19', '12'],
  [0, 1, 3, 104, 130, 'barrier', '', 1],
  [1, 1, 3, 80, 130, 'barrier', '', 1],
];
const COMPLETE = [
  [0, 2, 4, 144, 1, 'put', '17', '250'],
  [1, 2, 4, 120, 2, 'delete', '19', ''],
  [0, 2, 5, 184, 132, 'commit', '', [[['orders', 250], ['payments', 2n ** 63n]], 1_700_000_000_000]],
  [1, 2, 5, 160, 131, 'checkpoint', '', 7],
  [0, 2, 6, 272, 130, 'barrier', '', 2],
  [1, 2, 6, 200, 40, 'user', 'note', '\x00\xff\x01'],
  [1, 2, 7, 240, 132, 'commit', '', [[['orders', 245]], undefined]],
  [1, 2, 8, 304, 130, 'barrier', '', 2],
];
const BEHIND = [[1, 3, 9, 344, 1, 'put', '20', '']];

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-wal-format-'));
  cpSync(FIXTURE, directory, { recursive: true });
});

afterEach(() => { rmSync(directory, { recursive: true, force: true }); });

/** Everything in the copy, by name. */
function contents(): [string, string][] {
  return filesIn(directory).map((path) => [path, readFileSync(path, 'hex')]);
}

describe.each(['baseline', 'simd'] as const)('a group of format 1, with the %s core', (variant) => {
  let core: Core;

  beforeEach(() => { core = takeCore(variant, MEMORY_BYTES); });
  afterEach(() => { giveCore(core); });

  it('is recovered entry by entry, behind its checkpoint and without being changed', async () => {
    const before = contents();
    const group = await WalGroup.open(directory, { core, readOnly: true });
    expect([group.cores, group.epoch, group.completeEpoch]).toEqual([2, 3, 2]);
    const { checkpoint, skipped, completeEpoch, offsets, watermark, cores, entries } = await group.recover();
    expect(skipped).toEqual([]);
    expect(checkpoint).toMatchObject({
      id: 1, epoch: 1, watermark: 1_699_999_999_000, offsets: new Map([['orders', 240]]),
      cores: [{ core: 0, sequence: 3, position: 144 }, { core: 1, sequence: 3, position: 120 }],
    });
    expect(JSON.parse(checkpoint!.readState().toString())).toEqual({ 17: 300, 18: 75, 19: 12 });
    expect([completeEpoch, watermark]).toEqual([2, 1_700_000_000_000]);
    expect(offsets).toEqual(new Map<string, number | bigint>([['orders', 245], ['payments', 2n ** 63n]]));
    expect(cores).toMatchObject([
      { from: 4, to: 6, entries: 3, commits: 1, lost: 0, log: { outcome: 'whole' } },
      { from: 4, to: 9, entries: 6, commits: 1, lost: 0, log: { outcome: 'whole' } },
    ]);
    expect([...entries()].map(told)).toEqual([...COMPLETE, ...BEHIND]);
    await group.close();
    expect(contents()).toEqual(before);
  });

  it('is recovered from its beginning where there is no checkpoint', async () => {
    rmSync(join(directory, CHECKPOINT));
    const group = await WalGroup.open(directory, { core, readOnly: true });
    const recovery = await group.recover();
    expect(recovery.checkpoint).toBeUndefined();
    expect([...recovery.entries()].map(told)).toEqual([...COVERED, ...COMPLETE, ...BEHIND]);
    await group.close();
  });

  it('is cut at its last complete epoch, and written to behind all that was', async () => {
    const group = await WalGroup.open(directory, { core });
    const recovery = await group.recover({ upTo: 'epoch' });
    expect(recovery.cores.map(({ cut }) => cut)).toEqual([0, 1]);
    expect([...recovery.entries()].map(told)).toEqual(COMPLETE);
    const writer = group.writer(1);
    expect([writer.sequence, writer.position, writer.put('21', 'new')]).toEqual([8, 344, 344]);
    expect(writer.epoch).toBeGreaterThan(3);
    expect((await group.checkpoint({ state: 'new' })).id).toBe(2);
    await group.close();
    const again = await WalGroup.open(directory, { core, readOnly: true });
    expect((await again.loadCheckpoint(1))!.readState().toString()).toContain('300');
    expect((await again.loadCheckpoint())!.readState().toString()).toBe('new');
    await again.close();
  });
});

describe('docs/format.md', () => {
  it.each(['GROUP', 'core-0001/00000000000000000001.seg'])('shows the bytes of %s', (name) => {
    const { page, filled } = shownIn(FORMAT_PAGE, name, hexdump(readFileSync(join(FIXTURE, name))));
    if (process.env['UPDATE'] === '1') writeFileSync(FORMAT_PAGE, filled);
    expect(page).toBe(filled);
  });
});
