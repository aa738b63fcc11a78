/**
 * Key-value stores as DWAL directories and as JSON Lines, with a Map in the place of the store.
 */
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { exportDwalPairs, importDwalPairs } from '../../host/foreign/dwal-pairs.ts';
import { DwalReader } from '../../host/foreign/dwal-reader.ts';
import { JsonlReader } from '../../host/foreign/jsonl-reader.ts';
import { writeJsonlFile } from '../../host/foreign/jsonl-writer.ts';
import { importJsonl, type Operation, type OperationTarget } from '../../host/foreign/operations.ts';
import type { Pair } from '../../host/foreign/pairs.ts';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import { contents, fixtureBytes, frame, Scratch, type FrameFields } from '../support/dwal.ts';

const scratch = new Scratch('dwal-pairs');
afterAll(() => { scratch.remove(); });

const FIRST = '00000001.dwal';
const [PUT, DELETE] = [1, 2];

/** What a store holds, by the text of its keys, and the batches that it got. */
class Target implements OperationTarget {
  readonly pairs = new Map<string, string>();
  readonly batches: number[] = [];

  batch(operations: readonly Operation[]): void {
    this.batches.push(operations.length);
    for (const operation of operations) {
      const key = Buffer.from(operation.key).toString('latin1');
      if (operation.type === 'put') this.pairs.set(key, Buffer.from(operation.value).toString('latin1'));
      else this.pairs.delete(key);
    }
  }
}

/** A directory of one segment with frames of txids 1, 2, 3 … */
function dwal(...frames: readonly FrameFields[]): string {
  return scratch.directory({ [FIRST]: Buffer.concat(frames.map((fields, at) => frame({ txid: at + 1, ...fields }))) });
}

async function imported(directory: string) {
  const target = new Target();
  const source = await importDwalPairs(new DwalReader(directory), target);
  return { source, pairs: Object.fromEntries(target.pairs), batches: target.batches };
}

function pairs(record: Readonly<Record<string, string>>): Pair[] {
  return Object.keys(record).sort().map((key) => [Buffer.from(key), Buffer.from(record[key]!)]);
}

describe('import of a DWAL store', () => {
  it('does the puts and the deletes in their order', async () => {
    const { source, pairs: found } = await imported(dwal(
      { type: PUT, key: 'a', payload: '1' }, { type: PUT, key: 'b', payload: '2' }, { type: PUT, key: 'a', payload: '3' },
      { type: DELETE, key: 'b' }, { type: PUT, key: 'c', payload: '' }, { type: DELETE, key: 'never' },
    ));
    expect(found).toEqual({ a: '3', c: '' });
    expect(source).toMatchObject({ records: 6, firstTxid: 1, lastTxid: 6, torn: undefined });
  });

  it('does batches of at most 1 MiB', async () => {
    const payload = Buffer.alloc(300_000, 'x');
    const frames = ['a', 'b', 'c', 'd', 'e'].map((key) => ({ type: PUT, key, payload }));
    const large = { type: PUT, key: 'f', payload: Buffer.alloc(2 << 20, 'y') };
    expect((await imported(dwal(...frames, large, { type: DELETE, key: 'a' }))).batches).toEqual([3, 2, 1, 1]);
    expect((await imported(scratch.directory({ [FIRST]: '' }))).batches).toEqual([]);
  });

  it('reports a torn tail, and does what is before it', async () => {
    const whole = frame({ type: PUT, key: 'a', payload: '1' });
    const { source, pairs: found } = await imported(
      scratch.directory({ [FIRST]: Buffer.concat([whole, frame({ txid: 2, type: DELETE, key: 'a' }).subarray(0, 20)]) }));
    expect(found).toEqual({ a: '1' });
    expect(source.torn).toMatchObject({ offset: whole.length, bytes: 20, fault: 'truncated' });
  });

  it.each<[string, FrameFields]>([
    ['record 2 is raw', { payload: 'x' }],
    ['record 2 has no key', { type: PUT, payload: 'x' }],
    ['record 2 has no key', { type: DELETE }],
    ['record 2 has a value of 67108849 bytes', { type: PUT, key: 'k', payload: Buffer.alloc(67108864 - 15) }],
  ])('refuses what no store holds: %s', async (message, fields) => {
    const directory = dwal({ type: PUT, key: 'a', payload: '1' }, fields);
    await expect(imported(directory)).rejects.toMatchObject({
      code: 'ERR_VARVE_FORMAT', details: { path: directory, txid: 2 },
      message: expect.stringContaining(`${directory}: ${message}`) as string,
    });
  });

  it('refuses the log of the fixture, which is no store', async () => {
    const directory = scratch.directory({ [FIRST]: fixtureBytes() });
    await expect(imported(directory)).rejects.toMatchObject({ details: { txid: 1 } });
  });

  it('tells of its progress and ends with the reason of its signal, between two batches', async () => {
    const payload = Buffer.alloc(900_000, 'x');
    const directory = dwal(...['a', 'b', 'c', 'd'].map((key) => ({ type: PUT, key, payload })));
    const controller = new AbortController();
    const target = new Target();
    const told: number[] = [];
    const onProgress = (bytes: number) => {
      told.push(bytes);
      if (told.length === 2) controller.abort(new Error('enough'));
    };
    await expect(importDwalPairs(new DwalReader(directory), target, { signal: controller.signal, onProgress }))
      .rejects.toThrow('enough');
    expect([...target.pairs.keys()]).toEqual(['a', 'b']);
    expect(told).toEqual([2, 3].map((count) => count * (24 + 1 + 900_000 + 4)));
  });
});

describe('export to a DWAL store', () => {
  it('gives puts with the txids 1, 2, 3 …', async () => {
    const target = scratch.path();
    const result = await exportDwalPairs(pairs({ b: '2', a: '1' }), target);
    expect(contents(target)).toEqual({
      [FIRST]: Buffer.concat([frame({ txid: 1, type: PUT, key: 'a', payload: '1' }),
        frame({ txid: 2, type: PUT, key: 'b', payload: '2' })]).toString('hex'),
    });
    expect(result).toMatchObject({ records: 2, firstTxid: 1, lastTxid: 2, segments: 1 });
  });

  it('gives a store that datawal can open where there is no pair', async () => {
    const target = scratch.path();
    await exportDwalPairs([], target);
    expect(contents(target)).toEqual({ [FIRST]: '' });
  });

  it('leaves nothing behind where the iteration fails or is ended', async () => {
    const parent = scratch.directory();
    const own = new Error('mine');
    async function* failing(): AsyncGenerator<Pair> {
      yield [Buffer.from('a'), Buffer.alloc(2 << 20)];
      throw own;
    }
    await expect(exportDwalPairs(failing(), join(parent, 'out'))).rejects.toBe(own);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(exportDwalPairs([], join(parent, 'out'), { signal })).rejects.toThrow('enough');
    expect(readdirSync(parent)).toEqual([]);
    const full = scratch.directory({ mine: 'x' });
    await expect(exportDwalPairs([], full)).rejects.toMatchObject({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' });
  });

  it('and back gives the same pairs, by DWAL and by JSON Lines', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\xff'), minLength: 1, maxLength: 12 });
    await fc.assert(fc.asyncProperty(
      fc.dictionary(text, fc.string({ unit: 'binary-ascii', maxLength: 200 }), { noNullPrototype: true }),
      fc.integer({ min: 1, max: 500 }),
      async (record, segmentBytes) => {
        const given = Object.entries(record)
          .map(([key, value]): Pair => [Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1')])
          .sort(([a], [b]) => Buffer.compare(a, b));
        const target = scratch.path();
        await exportDwalPairs(given, target, { segmentBytes });
        expect((await imported(target)).pairs).toEqual(record);
        const file = `${target}.jsonl`;
        await writeJsonlFile(given, file);
        const store = new Target();
        expect(await importJsonl(new JsonlReader(file), store))
          .toMatchObject({ records: given.length, bytes: readFileSync(file).length });
        expect(Object.fromEntries(store.pairs)).toEqual(record);
      }), { numRuns: 60 });
  });
});

describe('a KeyValueStore', () => {
  it('takes what is imported and gives it back, by DWAL and by JSON Lines', async () => {
    const source = dwal(
      { type: PUT, key: 'b', payload: '1' }, { type: PUT, key: 'a', payload: '2' }, { type: PUT, key: 'b', payload: '3' },
      { type: PUT, key: 'c', payload: '4' }, { type: DELETE, key: 'c' },
    );
    await using store = await KeyValueStore.open<Buffer>(scratch.path(), { keys: 'binary' });
    await importDwalPairs(new DwalReader(source), store as OperationTarget);
    const [directory, file] = [scratch.path(), `${scratch.path()}.jsonl`];
    const sorted = () => [...store].sort(([a], [b]) => Buffer.compare(a, b));
    await exportDwalPairs(sorted(), directory);
    await writeJsonlFile(sorted(), file);
    expect((await imported(directory)).pairs).toEqual({ a: '2', b: '3' });
    await using again = await KeyValueStore.open<Buffer>(scratch.path(), { keys: 'binary' });
    await importJsonl(new JsonlReader(file), again as OperationTarget);
    expect([...again].map(String)).toEqual(['a,2', 'b,3']);
  });
});

describe('import of JSON Lines', () => {
  it('does batches of at most 1 MiB, tells of its progress, and ends with the reason of its signal', async () => {
    const file = join(scratch.directory(), 'in.jsonl');
    await writeJsonlFile(['a', 'b', 'c', 'd'].map((key): Pair => [Buffer.from(key), Buffer.alloc(400_000, key)]), file);
    const target = new Target();
    const told: number[] = [];
    await importJsonl(new JsonlReader(file), target, { onProgress: (bytes) => { told.push(bytes); } });
    expect(target.batches).toEqual([2, 2]);
    expect(told).toEqual([readFileSync(file).length * 3 / 4]);
    const stopped = new Target();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(importJsonl(new JsonlReader(file), stopped, { signal })).rejects.toThrow('enough');
    expect(stopped.batches).toEqual([2]);
  });

  it('names the line that is wrong', async () => {
    const file = join(scratch.directory({ 'in.jsonl': '{"key_b64":"YQ==","value_b64":""}\n{}\n' }), 'in.jsonl');
    await expect(importJsonl(new JsonlReader(file), new Target()))
      .rejects.toMatchObject({ code: 'ERR_VARVE_FORMAT', details: { path: file, line: 2, fault: 'missing-property' } });
  });
});
