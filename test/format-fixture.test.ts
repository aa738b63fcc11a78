/**
 * Files of every published format version stay readable: the fixtures below test/fixtures/format-N were written by the
 * version that introduced format N and are never made again. The dump in docs/format.md shows one of them.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../host/index.ts';

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

/** The lines of a dump that are not the zeros of the header page, 16 bytes each. */
function hexdump(bytes: Uint8Array): string {
  const lines: string[] = [];
  let zeros = false;
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16);
    const blank = part.every((byte) => byte === 0);
    if (blank && zeros) continue;
    zeros = blank;
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, '0'));
    const shown = [...part].map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.').join('');
    const groups = [0, 4, 8, 12].map((from) => hex.slice(from, from + 4).join(' ')).join('  ');
    lines.push(blank ? '    *' : `    ${at.toString(16).padStart(6, '0')}  ${groups.padEnd(50)}  |${shown}|`);
  }
  return lines.join('\n');
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
    const page = readFileSync(FORMAT_PAGE, 'utf8');
    const section = /<!-- hexdump: .* -->\n[\s\S]*?<!-- \/hexdump -->/;
    const filled = page.replace(section, () => `<!-- hexdump: ${SEGMENT} -->\n\n${dump}\n\n<!-- /hexdump -->`);
    if (process.env['UPDATE'] === '1') writeFileSync(FORMAT_PAGE, filled);
    expect(page).toBe(filled);
  });
});
