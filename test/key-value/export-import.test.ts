/**
 * Stores exported to JSON Lines and to datawal's directories, and back: what comes out is sorted by key and whole, what
 * goes in is what came out, whatever the codec.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { exportDwal, exportJsonl, importDwal, importJsonl, KeyValueStore } from '../../host/index.ts';
import { DwalReader } from '../../host/foreign/dwal-reader.ts';
import { frame, Scratch } from '../support/dwal.ts';

const scratch = new Scratch('kv-transfer');
afterAll(() => { scratch.remove(); });

const SMALL = { segmentBytes: 65536 } as const;

const open = (directory = scratch.path()) => KeyValueStore.open<Buffer>(directory, { ...SMALL, keys: 'binary' });

async function filled() {
  const store = await open();
  for (let at = 0; at < 2000; at++) {
    store.put(Buffer.from([at & 255, 255 - (at & 255), at >> 8]), Buffer.alloc(at % 300, at));
    if (at % 3 === 0) store.delete(Buffer.from([at & 255, 255 - (at & 255), at >> 8]));
  }
  store.put('text', Buffer.from('first'));
  store.put('text', Buffer.from('second'));
  store.put('gone', Buffer.from('x'), { expiresAt: 1 });
  store.put('empty', Buffer.alloc(0), { ttl: 1e9 });
  return store;
}

const contents = (store: KeyValueStore<Buffer>) => (
  [...store].map(([key, value]) => `${key.toString('hex')} ${value.toString('hex')}`).sort());

describe('sortedPairs', () => {
  it('gives every live pair once, sorted by bytes, whatever the codec', async () => {
    await using store = await filled();
    const pairs: string[] = [];
    const keys: Buffer[] = [];
    for await (const [key, value] of store.sortedPairs()) {
      pairs.push(`${key.toString('hex')} ${value.toString('hex')}`);
      keys.push(key);
    }
    expect(keys).toEqual([...keys].sort((a, b) => Buffer.compare(a, b)));
    expect(pairs.sort()).toEqual(contents(store));
    await using json = await KeyValueStore.open<string, unknown>(scratch.path(), { values: 'json' });
    json.put('b', { b: 1 });
    json.put('a', [1]);
    const found: string[] = [];
    for await (const pair of json.sortedPairs()) found.push(pair.join(' '));
    expect(found).toEqual(['a [1]', 'b {"b":1}']);
  });

  it('gives those with a prefix, as they were when it began, while others are written and compacted', async () => {
    await using store = await open();
    for (let at = 0; at < 500; at++) store.put(`${at % 2 === 0 ? 'a' : 'b'}/${at}`, Buffer.alloc(400, at));
    const iterator = store.sortedPairs({ prefix: 'a/' });
    const first = await iterator.next();
    expect(String(first.value![0])).toBe('a/0');
    for (let at = 0; at < 500; at++) store.put(`a/${at}`, Buffer.from('later'));
    const compacting = store.compact();
    await setImmediate();
    let count = 1;
    for await (const [key, value] of iterator) {
      expect(value).toEqual(Buffer.alloc(400, Number(String(key).slice(2))));
      count++;
    }
    await compacting;
    expect(count).toBe(250);
  });

  it('lets compaction go on when it is left, aborted or has failed', async () => {
    await using store = await filled();
    const left = store.sortedPairs();
    await left.next();
    await left.return!();
    const controller = new AbortController();
    const aborted = store.sortedPairs({ signal: controller.signal });
    await aborted.next();
    controller.abort(new Error('enough'));
    await expect((async () => { for await (const pair of aborted) void pair; })()).rejects.toThrow('enough');
    expect((await store.compact()).segments).toBeGreaterThan(0);
  });
});

describe('JSON Lines', () => {
  it('go there and back, by file and by stream, into a store of another codec too', async () => {
    await using store = await filled();
    const path = join(scratch.directory(), 'out.jsonl');
    const written = await exportJsonl(store, path);
    expect(written).toEqual({ records: store.size, bytes: readFileSync(path).length });
    const parts: Buffer[] = [];
    const stream = new Writable({ write(chunk: Buffer, _, done) { parts.push(chunk); done(); } });
    await exportJsonl(store, stream);
    expect(Buffer.concat(parts).equals(readFileSync(path))).toBe(true);
    await using again = await open();
    expect(await importJsonl(again, path)).toEqual(written);
    expect(contents(again)).toEqual(contents(store));
    await using json = await KeyValueStore.open<string, unknown>(scratch.path(), { values: 'json' });
    await importJsonl(json, Readable.from([Buffer.from('{"key_b64":"YQ==","value_b64":"WzFd"}\n')]));
    expect(json.get('a')).toEqual([1]);
  });

  it('of a reader beside a writer are whole, and of a failed export nothing is left', async () => {
    await using store = await filled();
    await using reader = await KeyValueStore.open<Buffer>(store.directory, { keys: 'binary', readOnly: true });
    const directory = scratch.directory({ 'old.jsonl': 'old' });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(exportJsonl(reader, join(directory, 'old.jsonl'), { signal })).rejects.toThrow('enough');
    expect(readFileSync(join(directory, 'old.jsonl'), 'utf8')).toBe('old');
    expect(readdirSync(directory)).toEqual(['old.jsonl']);
    expect(await exportJsonl(reader, join(directory, 'old.jsonl'))).toMatchObject({ records: store.size });
    await expect(exportJsonl(reader, 5 as never)).rejects.toMatchObject({ code: 'ERR_VARVE_INVALID_ARGUMENT' });
    await expect(importJsonl(store, 5 as never)).rejects.toMatchObject({ code: 'ERR_VARVE_INVALID_ARGUMENT' });
    await expect(importJsonl(reader, join(directory, 'old.jsonl'))).rejects.toMatchObject({
      code: 'ERR_VARVE_READ_ONLY',
    });
  });

  it('with a wrong line end there; the batches before stay', async () => {
    await using store = await open();
    const lines = Array.from({ length: 3000 }, (_, at) => (
      `{"key_b64":"${Buffer.from(`key ${at}`).toString('base64')}","value_b64":"YQ=="}`));
    lines[2500] = '{"key_b64":"YQ=="}';
    const path = join(scratch.directory(), 'in.jsonl');
    writeFileSync(path, lines.join('\n'));
    await expect(importJsonl(store, path)).rejects.toMatchObject({
      code: 'ERR_VARVE_FORMAT', details: { line: 2501, fault: 'missing-property' },
    });
    expect(store.size).toBe(2048);
  });
});

describe('DWAL directories', () => {
  it('go there and back', async () => {
    await using store = await filled();
    const directory = scratch.path();
    const written = await exportDwal(store, directory, { segmentBytes: 20_000 });
    expect(written).toMatchObject({ records: store.size, firstTxid: 1, lastTxid: store.size });
    expect(written.segments).toBeGreaterThan(1);
    const keys = [...new DwalReader(directory)].map(({ key }) => Buffer.from(key));
    expect(keys).toEqual([...keys].sort((a, b) => Buffer.compare(a, b)));
    await using again = await open();
    expect(await importDwal(again, directory)).toMatchObject({ records: store.size, torn: undefined });
    expect(contents(again)).toEqual(contents(store));
    await expect(exportDwal(store, directory)).rejects.toMatchObject({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' });
  });

  it('that datawal wrote are read with their deletes, up to a torn frame; a raw record is refused', async () => {
    const bytes = Buffer.concat([
      frame({ txid: 1, type: 1, key: 'a', payload: '1' }), frame({ txid: 2, type: 1, key: 'b', payload: '2' }),
      frame({ txid: 3, type: 2, key: 'a' }), frame({ txid: 4, type: 1, key: 'c', payload: '3' }).subarray(0, 20),
    ]);
    await using store = await open();
    store.put('b', Buffer.from('old'));
    const source = scratch.directory({ '00000001.dwal': bytes });
    expect(await importDwal(store, source)).toMatchObject({ records: 3, torn: { bytes: 20 } });
    expect([...store].map(String)).toEqual(['b,2']);
    const raw = scratch.directory({ '00000001.dwal': frame({ txid: 1, payload: 'raw' }) });
    await expect(importDwal(store, raw)).rejects.toMatchObject({ code: 'ERR_VARVE_FORMAT' });
    await expect(importDwal(store, join(raw, 'none'))).rejects.toMatchObject({ code: 'ERR_VARVE_NOT_FOUND' });
  });

  it('are made whole or not at all', async () => {
    await using store = await filled();
    const parent = scratch.directory();
    const controller = new AbortController();
    const exporting = exportDwal(store, join(parent, 'out'), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(exporting).rejects.toThrow('enough');
    expect(existsSync(join(parent, 'out'))).toBe(false);
    expect(readdirSync(parent)).toEqual([]);
  });
});
