/**
 * A key-value store of format 1 stays readable, with its key directory and hints and without them. The fixture was
 * written by the version that introduced the format, and is never made again: puts, a delete, a compaction that moved
 * records, expiries, a batch.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyValueStore } from '../../host/index.ts';

const FIXTURE = new URL('../fixtures/format-1/keyed/', import.meta.url).pathname;
const LATER = Date.UTC(2999, 0, 1);
const CONTENTS = [
  ['kept', 'one'], ['expires', 'later'], ['a', '1'], ['b', '2'], ['é', 'ü'], ['zeros', '\0'.repeat(40000)],
];

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-kv-format-'));
  cpSync(FIXTURE, directory, { recursive: true });
});

afterEach(() => { rmSync(directory, { recursive: true, force: true }); });

function open(readOnly: boolean): KeyValueStore<string, string> {
  return KeyValueStore.openSync<string, string>(directory, { values: 'utf8', readOnly, autoCompact: false });
}

describe.each([
  ['as it is', [], 'loaded', 0],
  ['without its key directory', ['KEYDIR'], 'rebuilt', 2],
  ['without its hints', ['KEYDIR', '.hint'], 'rebuilt', 0],
] as const)('a key-value store of format 1, %s', (_, missing, keydir, hints) => {
  beforeEach(() => {
    const names = readdirSync(directory).filter((name) => missing.some((end) => name.endsWith(end)));
    for (const name of names) rmSync(join(directory, name));
  });

  it.each([true, false])('is read (read-only: %s), and written to', (readOnly) => {
    const store = open(readOnly);
    expect(store.recovery).toMatchObject({ keydir, hints, ignored: [], damaged: [] });
    expect([...store]).toEqual(CONTENTS);
    expect([store.size, store.versionOf('kept'), store.expiresAtOf('expires')]).toEqual([6, 2, LATER]);
    expect([store.get('old'), store.get('more'), store.get('expired')]).toEqual([undefined, undefined, undefined]);
    if (!readOnly) store.put('kept', 'two');
    store.closeSync();
    if (readOnly) return;
    const again = open(false);
    expect([again.get('kept'), again.size, again.recovery.keydir]).toEqual(['two', 6, 'loaded']);
    again.closeSync();
  });

  it('is not changed by who only reads it', () => {
    const names = readdirSync(directory);
    const before = names.map((name) => readFileSync(join(directory, name)));
    const store = open(true);
    expect(store.get('é')).toBe('ü');
    store.closeSync();
    expect(readdirSync(directory)).toEqual(names);
    expect(names.every((name, at) => readFileSync(join(directory, name)).equals(before[at]!))).toBe(true);
  });
});
