/**
 * JSON Lines of keys and values: what is written is what is read, all or nothing; what is wrong is named by its line.
 */
import fc from 'fast-check';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { JsonlReader } from '../../host/foreign/jsonl-reader.ts';
import { writeJsonlFile, writeJsonlStream } from '../../host/foreign/jsonl-writer.ts';
import { parseJsonlLine } from '../../host/foreign/jsonl.ts';
import type { Pair } from '../../host/foreign/pairs.ts';
import { Scratch } from '../support/dwal.ts';
import { Mounts } from '../support/mounts.ts';
import { cannot } from '../support/processes.ts';

const scratch = new Scratch('jsonl');
const mounts = new Mounts();
afterAll(() => {
  mounts.remove();
  scratch.remove();
});

interface Failure extends Error { code?: string; details?: Record<string, unknown> }

const b64 = (text: string) => Buffer.from(text).toString('base64');
const line = (key: string, value: string) => `{"key_b64":"${b64(key)}","value_b64":"${b64(value)}"}`;

function pairs(...texts: readonly (readonly [string, string])[]): Pair[] {
  return texts.map(([key, value]) => [Buffer.from(key), Buffer.from(value)]);
}

/** What a reader gives, as text, and the error that ends it. */
async function readAll(source: string | AsyncIterable<Uint8Array>) {
  const reader = new JsonlReader(source);
  const found: string[][] = [];
  let error: Failure | undefined;
  try {
    for await (const [key, value] of reader) found.push([String(key), String(value)]);
  } catch (caught) {
    error = caught as Failure;
  }
  return { found, error, records: reader.records, bytes: reader.bytes };
}

/** The same of text, in pieces of so many bytes. */
function readText(text: string | Buffer, pieceBytes = 7) {
  const bytes = Buffer.from(text);
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) },
    (_, at) => bytes.subarray(at * pieceBytes, (at + 1) * pieceBytes));
  return readAll(Readable.from(pieces));
}

/** A stream that takes its time, and keeps what it got. */
function sink(fail?: Error): { stream: Writable; text: () => string } {
  const parts: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _, done) {
      parts.push(Buffer.from(chunk));
      setImmediate(() => { done(fail); });
    },
  });
  return { stream, text: () => Buffer.concat(parts).toString() };
}

describe('writing to a file', () => {
  it('gives a line for each pair, in their order', async () => {
    const path = join(scratch.directory(), 'out.jsonl');
    const result = await writeJsonlFile(pairs(['a', '1'], ['ä', '']), path);
    const text = readFileSync(path, 'utf8');
    expect(text).toBe('{"key_b64":"YQ==","value_b64":"MQ=="}\n{"key_b64":"w6Q=","value_b64":""}\n');
    expect(result).toEqual({ records: 2, bytes: text.length });
  });

  it('gives an empty file where there are no pairs', async () => {
    const path = join(scratch.directory(), 'out.jsonl');
    expect(await writeJsonlFile([], path)).toEqual({ records: 0, bytes: 0 });
    expect(readFileSync(path, 'utf8')).toBe('');
    expect(await readAll(path)).toMatchObject({ found: [], error: undefined });
  });

  it('replaces a file that is there, and leaves nothing else', async () => {
    const directory = scratch.directory({ 'out.jsonl': 'old' });
    await writeJsonlFile(pairs(['a', '1']), join(directory, 'out.jsonl'));
    expect(readdirSync(directory)).toEqual(['out.jsonl']);
    expect(readFileSync(join(directory, 'out.jsonl'), 'utf8')).toBe(`${line('a', '1')}\n`);
  });

  it('encodes a pair before it asks for the next, whose bytes may lie in the same place', async () => {
    const place = Buffer.alloc(1);
    function* reused(): Generator<Pair> {
      for (const one of ['a', 'b', 'c']) {
        place.write(one);
        yield [place, place];
      }
    }
    const { stream, text } = sink();
    await writeJsonlStream(reused(), stream);
    expect(text()).toBe(['a', 'b', 'c'].map((one) => `${line(one, one)}\n`).join(''));
  });

  it.each(['sync', 'async'])('leaves the old file where the %s iteration fails', async (kind) => {
    const own = new Error('mine');
    const directory = scratch.directory({ 'out.jsonl': 'old' });
    function* failing(): Generator<Pair> {
      // More than a run, so that something is on the disk.
      for (let at = 0; at < 40; at++) yield [Buffer.from(`k${at}`), Buffer.alloc(65536)];
      throw own;
    }
    async function* failingLater(): AsyncGenerator<Pair> { yield* failing(); }
    const given = kind === 'sync' ? failing() : failingLater();
    await expect(writeJsonlFile(given, join(directory, 'out.jsonl'))).rejects.toBe(own);
    expect(readdirSync(directory)).toEqual(['out.jsonl']);
    expect(readFileSync(join(directory, 'out.jsonl'), 'utf8')).toBe('old');
  });

  it('ends with the reason of its signal, in the midst or before it begins, and leaves nothing behind', async () => {
    const directory = scratch.directory();
    const path = join(directory, 'out.jsonl');
    const controller = new AbortController();
    let ended = false;
    function* endless(): Generator<Pair> {
      try {
        for (;;) yield [Buffer.from('k'), Buffer.alloc(65536)];
      } finally {
        ended = true;
      }
    }
    const told: number[] = [];
    const onProgress = (bytes: number) => {
      told.push(bytes);
      if (told.length === 3) controller.abort(new Error('enough'));
    };
    await expect(writeJsonlFile(endless(), path, { signal: controller.signal, onProgress })).rejects.toThrow('enough');
    expect({ ended, files: readdirSync(directory) }).toEqual({ ended: true, files: [] });
    expect(told.length).toBe(3);
    expect(told.every((bytes, at) => bytes > (told[at - 1] ?? 2 ** 20 - 1))).toBe(true);
    await expect(writeJsonlFile([], path, { signal: controller.signal })).rejects.toThrow('enough');
    expect(readdirSync(directory)).toEqual([]);
  });

  it('says what the system refuses, and leaves nothing behind', async () => {
    await expect(writeJsonlFile([], join(scratch.path(), 'out.jsonl')))
      .rejects.toMatchObject({ code: 'ERR_VARVE_NOT_FOUND' });
    const directory = scratch.directory();
    mkdirSync(join(directory, 'taken'));
    await expect(writeJsonlFile(pairs(['a', 'b']), join(directory, 'taken'))).rejects.toMatchObject({ code: 'ERR_VARVE_IO' });
    expect(readdirSync(directory)).toEqual(['taken']);
  });

  it('says that the disk is full, and leaves nothing behind', async (context) => {
    const disk = scratch.path();
    const reason = mounts.disk(disk, 1 << 20);
    if (reason !== undefined) return cannot(context, reason);
    writeFileSync(join(disk, 'out.jsonl'), 'old');
    const many = Array.from({ length: 40 }, (_, at): Pair => [Buffer.from(`key ${at}`), Buffer.alloc(65536)]);
    await expect(writeJsonlFile(many, join(disk, 'out.jsonl'))).rejects.toMatchObject({ code: 'ERR_VARVE_DISK_FULL' });
    expect(readdirSync(disk)).toEqual(['out.jsonl']);
    expect(readFileSync(join(disk, 'out.jsonl'), 'utf8')).toBe('old');
  });
});

describe('writing to a stream', () => {
  it('waits until it has taken a piece, and does not end it', async () => {
    const { stream, text } = sink();
    const many = Array.from({ length: 100 }, (_, at): Pair => [Buffer.from(`key ${at}`), Buffer.alloc(50_000, at)]);
    const written = await writeJsonlStream(many, stream);
    expect(written).toEqual({ records: 100, bytes: text().length });
    expect(stream.writableEnded).toBe(false);
    expect(stream.writableLength).toBe(0);
    expect(stream.listenerCount('error')).toBe(0);
    const { found } = await readText(text(), 100_000);
    expect(found.map(([key]) => key)).toEqual(many.map(([key]) => String(key)));
  });

  it('fails with what the stream fails with', async () => {
    const own = new Error('mine');
    const { stream, text } = sink(own);
    await expect(writeJsonlStream(pairs(['a', 'b']), stream)).rejects.toBe(own);
    expect(text()).toBe(`${line('a', 'b')}\n`);
    await expect(writeJsonlStream(pairs(['a', 'b']), stream)).rejects.toMatchObject({ code: 'ERR_STREAM_DESTROYED' });
  });
});

describe('reading', () => {
  it('gives back what was written, in pieces of any size', async () => {
    const path = join(scratch.directory(), 'out.jsonl');
    const one = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.uint8Array({ maxLength: 300 }));
    const texts = (given: readonly Pair[], encoding: BufferEncoding) =>
      given.map((pair) => pair.map((bytes) => Buffer.from(bytes).toString(encoding)));
    const sizes = fc.integer({ min: 1, max: 500 });
    await fc.assert(fc.asyncProperty(fc.array(one, { maxLength: 30 }), sizes, async (given, size) => {
      await writeJsonlFile(given, path);
      const fromFile: Pair[] = [];
      for await (const pair of new JsonlReader(path)) fromFile.push(pair);
      expect(texts(fromFile, 'hex')).toEqual(texts(given, 'hex'));
      const bytes = readFileSync(path);
      const again = await readText(bytes, size);
      expect([again.records, again.bytes]).toEqual([given.length, bytes.length]);
      expect(again.found).toEqual(texts(given, 'utf8'));
    }), { numRuns: 60 });
  });

  it('takes the same JSON in other words', async () => {
    const text = [
      ` { "value_b64" : "MQ==",\t"key_b64": "YQ==" } `,
      `{"key_b64":"\\u0059Q==","value_b64":"\\/\\/8="}\r`,
      line('b', '2'),
    ].join('\n');
    expect(await readText(text)).toMatchObject({
      found: [['a', '1'], ['a', Buffer.from([255, 255]).toString()], ['b', '2']], error: undefined,
    });
  });

  it('takes a last line without a newline where it is whole, and says so where it is torn', async () => {
    expect(await readText(`${line('a', '1')}\n${line('b', '2')}`))
      .toMatchObject({ found: [['a', '1'], ['b', '2']], error: undefined, bytes: line('a', '1').length * 2 + 1 });
    const whole = line('b', '2');
    for (let length = 1; length < whole.length; length++) {
      const { found, error } = await readText(`${line('a', '1')}\n${whole.slice(0, length)}`);
      expect({ length, found, code: error?.code, details: error?.details }).toEqual({
        length, found: [['a', '1']], code: 'ERR_VARVE_FORMAT', details: { line: 2, offset: whole.length + 1, fault: 'json' },
      });
      expect(error?.message).toMatch(/^the stream, line 2: .*no newline, so that the end of the file may be missing$/);
    }
  });

  const key65537 = Buffer.alloc(65537).toString('base64');
  it.each<[string, string]>([
    ['json', ''], ['json', '{'], ['json', 'nothing'], ['json', `${line('a', '1')} x`], ['json', `\ufeff${line('a', '1')}`],
    ['object', '[]'], ['object', '"text"'], ['object', 'null'], ['object', '7'],
    ['unknown-property', '{"key_b64":"YQ==","value_b64":"","ttl":5}'],
    ['unknown-property', '{"key":"YQ=="}'],
    ['missing-property', '{"key_b64":"YQ=="}'], ['missing-property', '{"value_b64":"YQ=="}'], ['missing-property', '{}'],
    ['type', '{"key_b64":7,"value_b64":""}'], ['type', '{"key_b64":"YQ==","value_b64":null}'],
    ['base64', '{"key_b64":"YQ=","value_b64":""}'], ['base64', '{"key_b64":"YQ","value_b64":""}'],
    ['base64', '{"key_b64":"YR==","value_b64":""}'], ['base64', '{"key_b64":"YQ==","value_b64":"a b="}'],
    ['base64', '{"key_b64":"YQ==","value_b64":"_-8="}'], ['base64', '{"key_b64":"YQ==\\n","value_b64":""}'],
    ['empty-key', '{"key_b64":"","value_b64":"YQ=="}'],
    ['key-length', `{"key_b64":"${key65537}","value_b64":""}`],
  ])('refuses a line for its %s: %s', async (fault, wrong) => {
    const path = join(scratch.directory({ 'in.jsonl': `${line('a', '1')}\n${wrong}\n${line('b', '2')}\n` }), 'in.jsonl');
    const { found, error } = await readAll(path);
    expect(found).toEqual([['a', '1']]);
    expect(error).toMatchObject({
      code: 'ERR_VARVE_FORMAT', details: { path, line: 2, offset: line('a', '1').length + 1, fault },
    });
    expect(error?.message).toContain(`${path}, line 2: `);
  });

  it('refuses values and lines that are too long, without taking them into memory', async () => {
    // A value of one byte more than there may be, given by hand: its line is within the limit.
    const value = Buffer.alloc(67108864 - 15).toString('base64');
    expect(parseJsonlLine(Buffer.from(`{"key_b64":"YQ==","value_b64":"${value}"}`))).toMatchObject({ fault: 'value-length' });
    const piece = Buffer.alloc(1 << 20, 'x');
    let given = 0;
    async function* endless() {
      for (;;) {
        given++;
        yield piece;
      }
    }
    expect((await readAll(endless())).error).toMatchObject({ details: { line: 1, offset: 0, fault: 'line-length' } });
    expect(given).toBe(129);
  });

  it('accepts the largest key and value', async () => {
    const path = join(scratch.directory(), 'large.jsonl');
    await writeJsonlFile([[Buffer.alloc(65536, 'k'), Buffer.alloc(67108864 - 16, 'v')]], path);
    for await (const [key, value] of new JsonlReader(path)) {
      expect([key.length, value.length, value.at(-1)]).toEqual([65536, 67108864 - 16, 0x76]);
    }
  });

  it('says what the system refuses, and closes the file when it is left', async () => {
    expect((await readAll(join(scratch.path(), 'x'))).error).toMatchObject({ code: 'ERR_VARVE_NOT_FOUND' });
    expect((await readAll(scratch.directory())).error).toMatchObject({ code: 'ERR_VARVE_IO' });
    const own = new Error('mine');
    async function* failing() {
      yield Buffer.from(`${line('a', '1')}\n`);
      throw own;
    }
    expect(await readAll(failing())).toMatchObject({ found: [['a', '1']], error: own });
    const path = join(scratch.directory(), 'many.jsonl');
    writeFileSync(path, `${line('a', '1')}\n`.repeat(100_000));
    const before = readdirSync('/proc/self/fd').length;
    const iteration = new JsonlReader(path)[Symbol.asyncIterator]();
    expect((await iteration.next()).done).toBe(false);
    expect(readdirSync('/proc/self/fd').length).toBe(before + 1);
    await iteration.return();
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
  });
});
