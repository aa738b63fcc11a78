/**
 * `check`: finds every damaged record and says whose it is, finds what is wrong with the key directory, and throws for
 * neither.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FRAMES_OFFSET, KEYDIR_ENTRY_BYTES, KeydirEntry } from '../../host/generated/abi.ts';
import { Core, KeyValueStore } from '../../host/index.ts';
import type { Keydir } from '../../host/core/keydir.ts';
import { edit } from '../support/cli.ts';
import { Scratch } from '../support/dwal.ts';

const scratch = new Scratch('kv-check');
afterAll(() => { scratch.remove(); });

const SMALL = { segmentBytes: 65536, autoCompact: false } as const;

/** A closed store of several segments: 300 keys with values of 700 bytes, of which the first 100 were put twice. */
async function filled() {
  const store = await KeyValueStore.open(scratch.path(), SMALL);
  for (let at = 0; at < 400; at++) store.put(`key ${at % 300}`, Buffer.alloc(700, `${at} `));
  store.delete('key 299');
  const refs = new Map([...store.keys()].map((key) => [key, store.refOf(key)!]));
  await store.close();
  return {
    directory: store.directory,
    refOf: (key: string) => {
      const { segment, offset, lsn } = refs.get(key)!;
      return { path: join(store.directory, `${String(segment).padStart(20, '0')}.seg`), offset, lsn };
    },
  };
}

function flip(path: string, offset: number): void {
  edit(path, (bytes) => {
    bytes[offset]! ^= 1;
    return undefined;
  });
}

/** Removes what only repeats the log. */
function forgetTables(directory: string): void {
  for (const name of readdirSync(directory)) if (/^KEYDIR$|\.hint$/.test(name)) rmSync(join(directory, name));
}

describe('check', () => {
  it('finds nothing in a store that is as it should be, for the writer and for a reader', async () => {
    const { directory } = await filled();
    for (const readOnly of [false, true]) {
      await using store = await KeyValueStore.open(directory, { readOnly });
      const progress: number[][] = [];
      const report = store.check({ onProgress: (done, total) => { progress.push([done, total]); } });
      expect(report).toMatchObject({
        outcome: 'ok', keys: 299, records: 401, damaged: [], keydir: [], lostLsns: [], tornBytes: 0,
      });
      expect(progress.length).toBe(report.segments);
      expect(progress.at(-1)![0]).toBe(progress.at(-1)![1]);
    }
  });

  it('stays right through updates, deletes, expiries, compaction and clear, and gives all memory back', async () => {
    const core = new Core({ memoryBytes: 64 << 20 });
    const free = core.memory.largestFree();
    let now = 1e12;
    const store = await KeyValueStore.open(scratch.path(), { ...SMALL, core, now: () => now });
    const ok = () => { expect(store.check()).toMatchObject({ outcome: 'ok', keys: store.size, keydir: [] }); };
    ok();
    for (let round = 0; round < 4; round++) {
      for (let at = 0; at < 500; at++) store.put(`key ${at % 170}`, Buffer.alloc(at), at % 3 === 0 ? { ttl: at + 1 } : {});
      ok();
      now += 250;
      for (let at = 0; at < 170; at += 5) store.delete(`key ${at}`);
      ok();
      await store.compact();
      ok();
    }
    store.clear();
    ok();
    await store.close();
    expect(core.memory.largestFree()).toBe(free);
  });

  it('names the record of a flipped bit in a value, whose get fails, while all others are served', async () => {
    const { directory, refOf } = await filled();
    const { path, offset, lsn } = refOf('key 42');
    flip(path, offset + 300);
    for (const fresh of [false, true]) {
      if (fresh) forgetTables(directory);
      await using store = await KeyValueStore.open(directory);
      expect(() => store.get('key 42')).toThrow(expect.objectContaining({ code: 'ERR_VARVE_CORRUPT' }) as Error);
      const report = store.check();
      expect(report).toMatchObject({ outcome: 'corrupt', keydir: [], keys: 299 });
      expect(report.damaged).toEqual([expect.objectContaining({ path, offset, lsn, records: 1, key: 'key 42' })]);
      for (let at = 0; at < 299; at++) if (at !== 42) expect(store.get(`key ${at}`)).toHaveLength(700);
    }
  });

  it.each([['its size', 4], ['its key', 32], ['its LSN', 8], ['its checksum', 0]])(
    'names the record where %s is damaged, and blames the key directory for nothing', async (_, at) => {
      const { directory, refOf } = await filled();
      const { path, offset, lsn } = refOf('key 42');
      flip(path, offset + at);
      for (const fresh of [false, true]) {
        if (fresh) forgetTables(directory);
        await using store = await KeyValueStore.open(directory, { keys: 'utf8' });
        const { damaged, keydir, outcome } = store.check();
        expect({ outcome, keydir }).toEqual({ outcome: 'corrupt', keydir: [] });
        expect(damaged).toEqual([expect.objectContaining({ path, offset, lsn, records: 1 })]);
        let served = 0;
        for (let key = 100; key < 299; key++) served += Number(store.get(`key ${key}`)?.length === 700);
        expect(served).toBe(199);
      }
    });

  it('gives keys as the store does, and none where it cannot be told whose the record is', async () => {
    const { directory, refOf } = await filled();
    flip(refOf('key 42').path, refOf('key 42').offset + 300);
    // The record that was replaced is nobody's any more.
    const first = join(directory, `${'1'.padStart(20, '0')}.seg`);
    flip(first, FRAMES_OFFSET + 100);
    await using store = await KeyValueStore.open<Buffer>(directory, { keys: 'binary' });
    const { damaged } = store.check();
    expect(damaged.map(({ lsn, key }) => [lsn, key])).toEqual([[1, undefined], [refOf('key 42').lsn, Buffer.from('key 42')]]);
  });

  it('finds a missing segment and a torn tail', async () => {
    const { directory, refOf } = await filled();
    const { path } = refOf('key 298');
    edit(path, (bytes) => bytes.subarray(0, bytes.length - 40));
    await using reader = await KeyValueStore.open(directory, { readOnly: true });
    expect(['torn', 'corrupt', 'ok']).toContain(reader.check().outcome);
    rmSync(refOf('key 150').path);
    if (existsSync(join(directory, 'KEYDIR'))) forgetTables(directory);
    await using gap = await KeyValueStore.open(directory, { readOnly: true });
    const { outcome, damaged } = gap.check();
    expect({ outcome, damaged: damaged.length > 0 }).toEqual({ outcome: 'corrupt', damaged: true });
  });

  it('finds a key directory that leads elsewhere, and says what is wrong with it', async () => {
    const spoilt = async (spoil: (words: Uint32Array, entry: number, first: number) => void) => {
      const store = await KeyValueStore.open(scratch.path());
      store.put('a', Buffer.from('1'));
      const { offset } = store.refOf('a')!;
      store.put('a', Buffer.from('2'));
      const { dir } = (store as unknown as { table: { dir: Keydir } }).table;
      const words = dir.core.memory.unsigned;
      let entry = dir.table / 4;
      while (words[entry + KeydirEntry.place / 4] === 0) entry += KEYDIR_ENTRY_BYTES / 4;
      spoil(words, entry, offset);
      const { outcome, because, keydir } = store.check();
      store.closeSync();
      expect({ outcome, because }).toEqual({
        outcome: 'corrupt', because: 'the key directory is not what the log makes it',
      });
      return keydir.map(({ problem, lsn, key }) => [problem, lsn, key]);
    };
    expect(await spoilt((words, entry, offset) => { words[entry + KeydirEntry.place / 4] = offset / 8; }))
      .toEqual([['stale', 1, 'a'], ['missing', 2, 'a']]);
    expect(await spoilt((words, entry) => { words[entry + KeydirEntry.hash / 4]! ^= 1; }))
      .toEqual([['unreachable', 2, 'a']]);
    expect(await spoilt((words, entry) => { words.fill(0, entry, entry + KEYDIR_ENTRY_BYTES / 4); }))
      .toEqual([['account', 0, undefined], ['account', 0, undefined], ['missing', 2, 'a']]);
  });

  it('refuses a closed store and unknown options', async () => {
    const store = await KeyValueStore.open(scratch.path());
    expect(() => store.check({ from: 1 } as never)).toThrow(expect.objectContaining({
      code: 'ERR_VARVE_INVALID_ARGUMENT',
    }) as Error);
    await store.close();
    expect(() => store.check()).toThrow(expect.objectContaining({ code: 'ERR_VARVE_CLOSED' }) as Error);
  });
});
