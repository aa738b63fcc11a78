/**
 * What the store that was a model for this one gets wrong (found by running it), named, one by one: none of it may
 * happen here. And what one damaged record must not do to others.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FRAMES_OFFSET, KEYDIR_ENTRY_BYTES, KeydirEntry } from '../../host/generated/abi.ts';
import type { KeyValueStore } from '../../host/index.ts';
import type { KeyTable } from '../../host/key-value/table.ts';
import type { LogWriter } from '../../host/log/writer.ts';
import { contentsOf, SEGMENT_BYTES, storePlaces } from '../support/kv-process.ts';
import { failure } from '../support/log-fixture.ts';
import { listing } from '../support/processes.ts';

const place = storePlaces();
type Texts = KeyValueStore<string, string>;

/** The files of a store as they are now, elsewhere: what the death of its process leaves. */
function crashed(name: string, without: RegExp = /^(KEYDIR|LOCK)$/): string {
  const { directory, root } = place();
  const copy = join(root, name);
  cpSync(directory, copy, { recursive: true, filter: (path) => !without.test(path.slice(directory.length + 1)) });
  return copy;
}

function change(path: string, run: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  run(bytes);
  writeFileSync(path, bytes);
}

const writerOf = (store: unknown): LogWriter => (store as { source: { writer: LogWriter } }).source.writer;

describe('A1: writing after a torn tail', () => {
  it('of every length loses nothing that was there, and what is written opens again', () => {
    const store = place().openText();
    store.put('a', '1');
    store.put('b', '2');
    store.syncNow();
    const { offset, segment } = store.refOf('b')!;
    const whole = writerOf(store).activeSegment!.view!.dataEnd;
    store.put('torn', 'a value of some length');
    const { size } = store.refOf('torn')!;
    expect([segment, whole > offset]).toEqual([1, true]);
    for (let length = 0; length <= size; length++) {
      const directory = crashed(`torn-${length}`);
      const path = join(directory, place().segments()[0]!);
      change(path, (bytes) => { bytes.fill(0, whole + length); });
      let again = place().openText({}, directory);
      expect(again.has('torn'), `${length} bytes`).toBe(length === size);
      expect(again.recovery.log.outcome, `${length} bytes`).toBe(length === size || length === 0 ? 'whole' : 'cut');
      expect([again.get('a'), again.get('b')]).toEqual(['1', '2']);
      again.put('after', 'x');
      if (length % 2 === 0) again.syncNow();
      if (length % 3 === 0) writerOf(again).rotate();
      again.put('last', 'y');
      again.closeSync();
      again = place().openText({}, directory);
      expect(contentsOf(again).filter(([key]) => key !== 'torn'))
        .toEqual([['a', '1'], ['after', 'x'], ['b', '2'], ['last', 'y']]);
      again.closeSync();
      rmSync(directory, { recursive: true });
    }
  });
});

describe('A2: zeros behind the last record', () => {
  it('are nothing unusual, be they few or as many as a segment', () => {
    const store = place().openText();
    store.put('a', '1');
    for (const bytes of [1, 7, 8, 4096, SEGMENT_BYTES]) {
      const directory = crashed(`zeros-${bytes}`);
      const path = join(directory, place().segments()[0]!);
      writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(bytes)]));
      const again = place().openText({}, directory);
      expect([again.recovery.log.outcome, again.get('a')]).toEqual(['whole', '1']);
      again.put('b', '2');
      again.closeSync();
      expect(contentsOf(place().openText({}, directory))).toEqual([['a', '1'], ['b', '2']]);
    }
  });
});

describe('A3: damage in the middle', () => {
  it('of the last segment is refused, or hidden from nobody, and nothing behind it is dropped', () => {
    const store = place().openText();
    for (let i = 0; i < 50; i++) store.put(`k${i}`, `v${i}`);
    store.syncNow();
    const ref = store.refOf('k20')!;
    const directory = crashed('crash');
    const path = join(directory, place().segments()[0]!);
    change(path, (bytes) => { bytes[ref.offset + ref.size - 1]! ^= 1; });
    const error = failure('ERR_VARVE_CORRUPT', () => place().openText({}, directory));
    expect(error.details).toMatchObject({ segment: 1, offset: ref.offset });
    // The same of a store that was closed: one key is damaged, all others are there.
    store.closeSync();
    change(join(place().directory, place().segments()[0]!), (bytes) => { bytes[ref.offset + ref.size - 1]! ^= 1; });
    const again = place().openText();
    expect(failure('ERR_VARVE_CORRUPT', () => again.get('k20')).details)
      .toMatchObject({ segment: 1, offset: ref.offset, lsn: 21 });
    for (let i = 0; i < 50; i++) if (i !== 20) expect(again.get(`k${i}`)).toBe(`v${i}`);
    expect([again.size, again.has('k20')]).toEqual([50, true]);
    again.put('k20', 'anew');
    expect(again.get('k20')).toBe('anew');
  });

  it('of a record that said to forget everything brings nothing back', () => {
    const store = place().openText();
    for (let i = 0; i < 50; i++) store.put(`k${i}`, `v${i}`);
    const lsn = store.clear();
    store.put('after', '1');
    writerOf(store).rotate();
    store.put('last', '1');
    store.syncNow();
    for (const at of [0, 8, 12]) {
      const directory = crashed(`clear-${at}`, /^(KEYDIR|LOCK|.*\.hint)$/);
      const path = join(directory, `${String(lsn).padStart(20, '0')}.seg`);
      change(path, (bytes) => { bytes[FRAMES_OFFSET + at]! ^= 4; });
      const again = place().openText({}, directory);
      expect(again.recovery.damaged).toMatchObject([{ lsn, offset: FRAMES_OFFSET }]);
      expect(contentsOf(again)).toEqual([['after', '1'], ['last', '1']]);
    }
  });
});

describe('A4: opening', () => {
  it('reads no record of a store that was closed, and only unsealed segments after a crash', async () => {
    const store = place().openText();
    for (let i = 0; i < 5000; i++) store.put(`k${i}`, 'x'.repeat(100));
    const sealed = place().segments().length - 1;
    expect(sealed).toBeGreaterThan(5);
    const hints = (): number => readdirSync(place().directory).filter((name) => name.endsWith('.hint')).length;
    store.syncNow();
    while (hints() < sealed) await new Promise((resolve) => setTimeout(resolve, 5));
    const directory = crashed('crash');
    store.closeSync();
    let again = place().openText();
    expect(again.recovery).toMatchObject({ keydir: 'loaded', damaged: [], ignored: [] });
    expect(again.recovery.log.scannedRecords).toBe(0);
    expect([again.size, again.get('k4999')]).toEqual([5000, 'x'.repeat(100)]);
    again = place().openText({}, directory);
    expect(again.recovery).toMatchObject({ keydir: 'rebuilt', hints: sealed, damaged: [], ignored: [] });
    expect(again.recovery.log.scannedRecords).toBeLessThan(1000);
    expect([again.size, again.get('k0')]).toEqual([5000, 'x'.repeat(100)]);
  });
});

/** Two keys of the same 32-bit hash in this store; it holds nothing afterwards. */
function twins(store: Texts): [string, string] {
  const { table } = store as unknown as { table: KeyTable };
  const { memory } = place().core;
  for (let from = 0; ; from += 100_000) {
    store.putMany(Array.from({ length: 100_000 }, (_, i): [string, string] => [`key ${from + i}`, '']));
    const words = new Uint32Array(memory.buffer, table.dir.table, table.dir.room * KEYDIR_ENTRY_BYTES / 4);
    const stride = KEYDIR_ENTRY_BYTES / 4;
    const hashAt = (at: number): number => words[at + KeydirEntry.hash / 4]!;
    for (let at = stride; at < words.length; at += stride) {
      const there = [at - stride, at].every((each) => words[each + KeydirEntry.place / 4] !== 0);
      if (!there || hashAt(at) !== hashAt(at - stride)) continue;
      const places = [at - stride, at].map((each) => ({
        number: words[each + KeydirEntry.segment / 4]! & 0xffff, offset: words[each + KeydirEntry.place / 4]! * 8,
      }));
      const keys = places.map(({ number, offset }) => {
        const path = table.segmentOf(number)!.path;
        const keyAt = offset + 24;
        const bytes = readFileSync(path).subarray(keyAt, keyAt + 12).toString('latin1');
        return /^key \d+/.exec(bytes)![0];
      });
      store.clear();
      return keys as [string, string];
    }
  }
}

describe('A5: two keys of one hash', () => {
  it('are two keys, for every call, after every kind of opening, and with nothing mapped', { timeout: 60_000 }, async () => {
    const store = place().openText({ mappedBytesMax: 0, segmentBytes: 1 << 20 });
    const [one, other] = twins(store);
    expect(one).not.toBe(other);
    const version = store.put(one, 'of one');
    expect([store.get(other), store.has(other), store.versionOf(other), store.getView(other), store.delete(other)])
      .toEqual([undefined, false, undefined, undefined, false]);
    expect(store.put(other, 'of the other', { ifAbsent: true })).toBe(version + 1);
    const both = [[one, 'of one'], [other, 'of the other']].sort();
    expect(contentsOf(store)).toEqual(both);
    expect([store.get(one), store.get(other), store.size]).toEqual(['of one', 'of the other', 2]);
    store.delete(one);
    expect([store.has(one), store.get(other)]).toEqual([false, 'of the other']);
    // Now each in a segment of its own, of which only one is mapped at a time.
    writerOf(store).rotate();
    store.put(one, 'of one');
    writerOf(store).rotate();
    for (let i = 0; i < 3; i++) expect([store.get(one), store.get(other)]).toEqual(['of one', 'of the other']);
    const reader = place().openReader({ mappedBytesMax: 0 });
    expect([reader.get(one), reader.get(other)]).toEqual(['of one', 'of the other']);
    store.put(other, 'of the other');
    await store.compact();
    expect(contentsOf(store)).toEqual(both);
    expect([reader.get(one), reader.get(other), reader.size]).toEqual(['of one', 'of the other', 2]);
    expect(contentsOf(place().openText({}, crashed('crash', /^(KEYDIR|LOCK|.*\.hint)$/)))).toEqual(both);
    expect(contentsOf(place().openText({}, crashed('hinted')))).toEqual(both);
    store.closeSync();
    const closed = place().openText();
    expect(closed.recovery.keydir).toBe('loaded');
    expect(contentsOf(closed)).toEqual(both);
    closed.put(one, '2');
    closed.delete(other);
    expect(contentsOf(closed)).toEqual([[one, '2']]);
  });
});

describe('A6: looking into a store', () => {
  it('needs no lock, beside a writer and without one, and makes and changes nothing', () => {
    const { directory, root } = place();
    failure('ERR_VARVE_NOT_FOUND', () => place().openReader({}, join(root, 'none', 'below')));
    expect(existsSync(join(root, 'none'))).toBe(false);
    mkdirSync(join(root, 'empty'));
    failure('ERR_VARVE_NOT_FOUND', () => place().openReader({}, join(root, 'empty')));
    expect(readdirSync(join(root, 'empty'))).toEqual([]);
    const writer = place().openText();
    for (let i = 0; i < 2000; i++) writer.put(`k${i % 100}`, 'x'.repeat(100));
    writer.closeSync();
    const before = listing(directory);
    const reader = place().openReader();
    expect(contentsOf(reader)).toHaveLength(100);
    expect(reader.recovery.keydir).toBe('loaded');
    reader.closeSync();
    expect(listing(directory)).toEqual(before);
    const left = crashed('left');
    const found = listing(left);
    const late = place().openReader({}, left);
    expect(contentsOf(late)).toHaveLength(100);
    late.closeSync();
    expect(listing(left)).toEqual(found);
  });
});

describe('A7: what its users asked for', () => {
  it('is here: batches, typed errors, hints, rotation and compaction in place, a reader that follows', async () => {
    const store = place().openText();
    const reader = place().openReader();
    for (let i = 0; i < 50; i++) {
      store.batch(Array.from({ length: 100 }, (_, at) => ({ type: 'put', key: `k${at}`, value: `${i}`.padEnd(50) })));
    }
    expect(place().segments().length).toBeGreaterThan(2);
    expect(reader.get('k7')!.trim()).toBe('49');
    const { bytes } = store.stats();
    const { freedBytes } = await store.compact();
    expect(freedBytes).toBeGreaterThan(bytes / 2);
    expect(place().segments().length).toBeLessThanOrEqual(2);
    expect(reader.get('k7')!.trim()).toBe('49');
  });
});

describe('A8: a check of what survives a power loss', () => {
  it('fails where synced keys are missing: a store without its last segment is not whole', () => {
    const store = place().openText();
    for (let i = 0; i < 2000; i++) store.put(`k${i}`, 'x'.repeat(100));
    store.syncNow();
    const names = place().segments();
    for (const [index, name] of names.entries()) {
      const directory = crashed(`without-${index}`);
      rmSync(join(directory, name));
      let outcome: unknown;
      try {
        outcome = place().openText({}, directory).recovery.log.outcome;
      } catch (error) {
        outcome = (error as { code: string }).code;
      }
      expect(outcome, `without segment ${index} of ${names.length}`).toMatch(/ERR_VARVE_CORRUPT|corrupt/);
    }
  });
});

describe('a damaged key', () => {
  it('behind a hint does not give way to an older value, nor does a damaged tombstone', async () => {
    const store = place().openText();
    store.put('twice', 'old');
    store.put('gone', 'old');
    writerOf(store).rotate();
    store.put('twice', 'new');
    const { offset, segment } = store.refOf('twice')!;
    const name = `${String(segment).padStart(20, '0')}`;
    store.delete('gone');
    const tombstone = writerOf(store).lastOffset;
    writerOf(store).rotate();
    store.put('last', '1');
    store.syncNow();
    while (!existsSync(join(place().directory, `${name}.hint`))) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const at of [offset, tombstone]) {
      const directory = crashed(`damaged-${at}`);
      change(join(directory, `${name}.seg`), (bytes) => { bytes[at + 24]! ^= 1; });
      const again = place().openText({}, directory);
      expect(again.recovery).toMatchObject({ keydir: 'rebuilt', hints: 2 });
      if (at === offset) failure('ERR_VARVE_CORRUPT', () => again.get('twice'));
      else expect([again.get('twice'), again.get('gone')]).toEqual(['new', undefined]);
      expect(again.get('last')).toBe('1');
    }
  });
});
