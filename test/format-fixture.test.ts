/**
 * Files of every published format version stay readable: the fixtures below test/fixtures/format-N were written by the
 * version that introduced format N and are never made again. The dump in docs/format.md shows one of them.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../host/index.ts';
import { hexdump, shownIn } from './support/hexdump.ts';

const FIXTURES = new URL('./fixtures/format-1/', import.meta.url).pathname;
const FORMAT_PAGE = new URL('../docs/format.md', import.meta.url).pathname;
const SEGMENT = '00000000000000000001.seg';
const TORN_BYTES = 37;

const RECORDS = [
  { lsn: 1, kind: 0, key: '', text: 'alpha' },
  { lsn: 2, kind: 1, key: 'k', text: 'beta' },
  { lsn: 3, kind: 0, key: '', text: 'gamma' },
  { lsn: 4, kind: 0, key: '', text: 'delta' },
];

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

function contents(log: RecordLog): unknown[] {
  return [...log.scan()].map(({ lsn, kind, key, payload }) => ({ lsn, kind, key: text(key), text: text(payload) }));
}

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-format-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function copyOf(name: string): string {
  const target = join(directory, name);
  cpSync(join(FIXTURES, name), target, { recursive: true });
  return target;
}

describe('a store of format 1', () => {
  it.each([
    ['closed', 'whole', 0, 0], ['crashed', 'whole', 4, 0], ['torn', 'cut', 4, TORN_BYTES],
  ] as const)('that was %s is recovered and can be appended to', async (name, outcome, scanned, tornBytes) => {
    const log = await RecordLog.open(copyOf(name));
    expect(log.recovery).toMatchObject({ outcome, scannedRecords: scanned, lastLsn: 4, epoch: 2 });
    expect(log.recovery.tornBytes).toBeGreaterThanOrEqual(tornBytes);
    expect(contents(log)).toEqual(RECORDS);
    expect(log.append('epsilon')).toBe(5);
    await log.close();
    const again = await RecordLog.open(log.directory);
    expect(contents(again)).toEqual([...RECORDS, { lsn: 5, kind: 0, key: '', text: 'epsilon' }]);
    expect(again.check().outcome).toBe('ok');
    await again.close();
  });

  it.each(['closed', 'crashed', 'torn'])('that was %s is read without being changed', async (name) => {
    const store = copyOf(name);
    const before = readFileSync(join(store, SEGMENT));
    const log = await RecordLog.open(store, { readOnly: true });
    expect(contents(log)).toEqual(RECORDS);
    await log.close();
    expect(readFileSync(join(store, SEGMENT)).equals(before)).toBe(true);
  });
});

describe('a cursor of format 1', () => {
  it('is read, and followed from where it was', async () => {
    const log = await RecordLog.open(copyOf('followed'), { readOnly: true });
    expect(log.cursors()).toMatchObject([{ name: 'Mailer é', lsn: 3 }]);
    const cursor = log.cursor('Mailer é');
    expect([cursor.lsn, cursor.epoch]).toEqual([3, 1]);
    const { value } = await cursor.follow().next();
    expect([value?.lsn, text(value!.payload)]).toEqual([4, 'delta']);
    await log.close();
  });

  it('gives its older position where the newer one is damaged', async () => {
    const store = copyOf('followed');
    const path = join(store, 'cursors', '%4Dailer%20%C3%A9.cursor');
    const bytes = readFileSync(path);
    expect(bytes.length).toBe(8192);
    bytes.fill(0xee, 4096);
    writeFileSync(path, bytes);
    const log = await RecordLog.open(store);
    expect(log.cursor('Mailer é').lsn).toBe(1);
    await log.close();
  });
});

describe('docs/format.md', () => {
  it('shows the bytes of the fixture', () => {
    const dump = hexdump(readFileSync(join(FIXTURES, 'closed', SEGMENT)));
    const { page, filled } = shownIn(FORMAT_PAGE, SEGMENT, dump);
    if (process.env['UPDATE'] === '1') writeFileSync(FORMAT_PAGE, filled);
    expect(page).toBe(filled);
  });
});
