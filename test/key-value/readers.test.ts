/**
 * Readers beside the writer of a store: in the same process, in a worker thread, before the first write, after the
 * last, where little may stay mapped, and while segments are dropped below them.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { KeyValueStore } from '../../host/index.ts';
import { codeOrResult, contentsOf, storePlaces } from '../support/kv-process.ts';
import { programOf } from '../support/processes.ts';
import { Random } from '../support/random.ts';

const place = storePlaces();
type Texts = KeyValueStore<string, string>;

/** Writes at random, and keeps in a Map what must be there. */
class Scribe {
  readonly model = new Map<string, string>();
  private readonly random = new Random(7);
  private count = 0;
  readonly store: Texts;

  constructor(store: Texts) {
    this.store = store;
  }

  write(times: number, keys = 300): void {
    for (let i = 0; i < times; i++) {
      const key = `key ${this.random.integer(keys)}`;
      const value = `${key} ${this.count++}`.padEnd(this.random.integer(300), '.');
      const what = this.random.integer(100);
      if (what < 70) this.put(key, value);
      else if (what < 90) {
        this.store.delete(key);
        this.model.delete(key);
      } else if (what < 99) {
        this.store.batch([{ type: 'put', key, value }, { type: 'delete', key: 'key 0' }, { type: 'put', key: 'b', value }]);
        this.model.set(key, value).delete('key 0');
        this.model.set('b', value);
        if (key === 'key 0') this.model.delete('key 0');
      } else if (this.random.integer(40) === 0) {
        this.store.clear();
        this.model.clear();
      }
    }
  }

  private put(key: string, value: string): void {
    this.store.put(key, value);
    this.model.set(key, value);
  }

  get contents(): [string, string][] {
    return [...this.model].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

describe('a reader', () => {
  it('that was there before the first write sees it, and every one after', () => {
    const writer = place().openText();
    const reader = place().openReader();
    expect([reader.size, reader.get('a'), [...reader], reader.lastLsn]).toEqual([0, undefined, [], 0]);
    writer.put('a', '1');
    expect([reader.get('a'), reader.size, reader.versionOf('a')]).toEqual(['1', 1, 1]);
    writer.delete('a');
    expect([reader.has('a'), reader.size]).toEqual([false, 0]);
    writer.put('b', '1', { expiresAt: 1 });
    expect([reader.has('b'), reader.size]).toEqual([false, 0]);
    writer.clear();
    writer.put('c', '1');
    expect(contentsOf(reader)).toEqual([['c', '1']]);
    writer.closeSync();
    expect(contentsOf(reader)).toEqual([['c', '1']]);
  });

  it.each([0, 1 << 30])('follows whatever is written, compacted and reopened, with %i bytes mapped', async (mappedBytesMax) => {
    let scribe = new Scribe(place().openText({ mappedBytesMax }));
    const { model } = scribe;
    const early = place().openReader({ mappedBytesMax });
    // Looks seldom: whole generations of segments go unseen.
    const lazy = place().openReader({ mappedBytesMax });
    for (let round = 0; round < 60; round++) {
      scribe.write(150);
      if (round % 5 === 4) await scribe.store.compact();
      if (round % 20 === 19) {
        scribe.store.closeSync();
        scribe = Object.assign(new Scribe(place().openText({ mappedBytesMax })), { model });
        expect(contentsOf(scribe.store)).toEqual(scribe.contents);
      }
      expect(early.size, `size in round ${round}`).toBe(model.size);
      for (const [key, value] of model) expect(early.get(key)).toBe(value);
      expect(early.has('never')).toBe(false);
      if (round % 3 === 0) expect(contentsOf(early)).toEqual(scribe.contents);
      if (round % 29 === 28) expect(contentsOf(lazy)).toEqual(scribe.contents);
      if (round % 10 === 7) {
        const late = place().openReader({ mappedBytesMax });
        expect(contentsOf(late)).toEqual(scribe.contents);
        expect(late.size).toBe(model.size);
        late.closeSync();
      }
    }
    expect(lazy.size).toBe(model.size);
    expect(early.stats()).toMatchObject({ keys: model.size });
    expect(early.stats().liveBytes).toBe(scribe.store.stats().liveBytes);
  });

  it('whose iteration is overtaken by a compaction says so, or goes on as it was, and can begin again', async () => {
    const writer = place().openText();
    for (let i = 0; i < 6000; i++) writer.put(`k${i % 3000}`, `v${i}`.padEnd(80));
    const reader = place().openReader();
    const before = contentsOf(reader);
    const entries = reader.entries();
    const seen: [string, string][] = [];
    for (let i = 0; i < 10; i++) seen.push(entries.next().value!);
    writer.put('k0', 'new');
    await writer.compact();
    expect(reader.get('k0')).toBe('new');
    const outcome = codeOrResult(() => { seen.push(...entries); return 'whole'; });
    if (outcome === 'whole') expect(seen.sort()).toEqual(before.sort());
    else expect(outcome).toBe('ERR_VARVE_TRUNCATED');
    expect(contentsOf(reader)).toEqual(contentsOf(writer));
  });

  it('keeps its views after the segment was dropped, the writer closed, and it was closed itself', async () => {
    const writer = place().openText();
    writer.put('a', 'as it was');
    writer.put('dead', '');
    writer.put('dead', '');
    const reader = place().openReader({ mappedBytesMax: 0 });
    const view = reader.getView('a')!;
    await writer.compact();
    expect(reader.getView('a')!.toString()).toBe('as it was');
    writer.put('a', 'new');
    for (let i = 0; i < 2000; i++) writer.put('fill', 'x'.repeat(200));
    await writer.compact();
    await writer.close();
    expect([view.toString(), reader.get('a')]).toEqual(['as it was', 'new']);
    await reader.close();
    expect(view.toString()).toBe('as it was');
  });

  it('shares the core of its writer, and nothing else', async () => {
    const scribe = new Scribe(place().openText());
    const reader = place().openReader({ core: place().core });
    for (let round = 0; round < 10; round++) {
      scribe.write(200);
      expect(contentsOf(reader)).toEqual(scribe.contents);
      await scribe.store.compact();
      expect(contentsOf(reader)).toEqual(scribe.contents);
    }
    scribe.store.closeSync();
    expect(contentsOf(reader)).toEqual(scribe.contents);
  });

  it('expires by its own clock what the writer has put', () => {
    let time = 1000;
    const now = (): number => time;
    const writer = place().openText({ now: () => 0 });
    const reader = place().openReader({ now });
    writer.put('a', '1', { expiresAt: 1500 });
    expect([reader.get('a'), reader.size]).toEqual(['1', 1]);
    time = 1500;
    expect([reader.get('a'), reader.size, [...reader]]).toEqual([undefined, 0, []]);
    expect([writer.get('a'), writer.size]).toEqual(['1', 1]);
  });
});

describe('a worker thread that writes', () => {
  it('is followed by the main thread, through compactions, and keeps it out', { timeout: 60_000 }, async () => {
    const { directory } = place();
    const worker = new Worker(programOf('kv-worker'), { workerData: { directory } });
    const ask = async (message: object): Promise<Record<string, unknown>> => {
      worker.postMessage(message);
      return (await once(worker, 'message'))[0] as Record<string, unknown>;
    };
    try {
      await ask({ put: 0 });
      const reader = place().openReader();
      expect(codeOrResult(() => place().openText())).toBe('ERR_VARVE_LOCKED');
      let total = 0;
      for (const count of [1, 50, 3000, 7, 5000]) {
        total += count;
        expect(await ask({ put: count })).toEqual({ count: total });
        expect(reader.size).toBe(Math.min(total, 1000));
        expect(reader.get(`k${(total - 1) % 1000}`)).toBe(`v${total - 1}`);
        const { segments } = await ask({ compact: true });
        if (total > 3000) expect(segments).toBeGreaterThan(0);
        expect(reader.size).toBe(Math.min(total, 1000));
        for (const [key, value] of reader) expect(Number(value.slice(1)) % 1000).toBe(Number(key.slice(1)));
      }
      await worker.terminate();
      const writer = place().openText();
      expect(contentsOf(writer)).toEqual(contentsOf(reader));
      writer.put('mine', '1');
      expect(reader.get('mine')).toBe('1');
    } finally {
      await worker.terminate();
    }
  });
});
