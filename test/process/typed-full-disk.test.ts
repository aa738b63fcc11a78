/**
 * Typed stores on a disk that is full and under a file-size limit: a growth that is refused is a typed error and no
 * signal, the file is as it was before, everything is read and changed as before, and appending goes on once there is
 * room again.
 */
import { readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { Mounts } from '../support/mounts.ts';
import { cannot, start, startBehind, temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';
import { Sample, SAMPLE_STRIDE, wrongIn } from './children/typed-samples.mjs';

interface Answer {
  result: string | { code: string; kind: string; message: string }; names: string[]; size?: number; count: number;
  capacity: number;
}

const FULL = { code: 'ERR_VARVE_DISK_FULL', kind: 'capacity' };
const HEADER = { 'varve': 4096, 'mmfg-1': 64 } as const;
const WAYS = [
  { format: 'varve', writers: 'one' }, { format: 'varve', writers: 'many' }, { format: 'mmfg-1', writers: 'one' },
] as const;
type Way = (typeof WAYS)[number];

let place: ReturnType<typeof temporary>;
let child: Child;
const mounts = new Mounts();
beforeEach(() => { place = temporary(); });
afterEach(() => {
  child.process.kill('SIGKILL');
  mounts.remove();
  place.remove();
});

async function begin(path: string, { format, writers }: Way, before?: string): Promise<void> {
  const args = [path, format, writers];
  child = before === undefined ? start('typed-filler', args) : startBehind(before, 'typed-filler', args);
  expect(await child.told()).toBe('ready');
}

/** Does steps that must give these results, and leave no file lying around and no bytes that nobody knows of. */
async function steps(way: Way, expected: readonly (readonly [name: string, result: unknown])[]): Promise<Answer> {
  let answer: Answer | undefined;
  for (const [name, result] of expected) {
    child.process.send(name);
    answer = await child.told() as Answer;
    if (typeof result === 'object') expect(answer.result, name).toMatchObject(result as object);
    else expect([name, answer.result]).toEqual([name, result]);
    expect(answer.names.filter((each) => !/^(samples|samples\.lock|ballast)$/.test(each)), `files after ${name}`).toEqual([]);
    if (answer.capacity > 0) {
      expect(answer.size, `bytes after ${name}`).toBe(HEADER[way.format] + answer.capacity * SAMPLE_STRIDE);
    }
  }
  return answer!;
}

async function end(): Promise<void> {
  child.process.send('end');
  expect(await child.ended).toEqual([0, null]);
}

describe('a full disk', () => {
  it.for(WAYS)('refuses growth and nothing else, until there is room: $format, $writers', async (way, context) => {
    const reason = mounts.disk(place.file('disk'), 2 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const ballast = place.file('disk', 'ballast');
    writeFileSync(ballast, new Uint8Array(1 << 20));
    const path = place.file('disk', 'samples');
    await begin(path, way);
    await steps(way, [['open', 'open'], ['append', 'appended'], ['fill', FULL]]);
    const reader = TypedStore.openSync(path, Sample, { format: way.format, readOnly: true });
    const full = await steps(way, [
      ['verify', 'right'], ['append', FULL], ['many', FULL], ['change', 'changed'], ['sync', 'synced'], ['verify', 'right'],
      ['append', FULL],
    ]);
    // 8,192 records take 704 KiB; twice as many would not fit.
    expect([full.count, full.capacity]).toEqual([8192, 8192]);
    for (const [index, record] of [...reader].entries()) expect(wrongIn(index, record)).toBeUndefined();

    rmSync(ballast);
    const more = await steps(way, [['append', 'appended'], ['verify', 'right'], ['fill', FULL], ['verify', 'right']]);
    expect([more.count, more.capacity]).toEqual([16384, 16384]);
    expect(reader.get(16383)['seq']).toBe(16384);
    reader.closeSync();

    // The process dies on the full disk, and the next one opens, recovers and reads on it.
    child.process.kill('SIGKILL');
    await child.ended;
    await begin(path, way);
    await steps(way, [
      ['open', 'open'], ['verify', 'right'], ['append', FULL], ['change', 'changed'], ['close', 'closed'],
      ['reader', 'open'], ['verify', 'right'], ['close', 'closed'],
    ]);
    await end();
  });

  it.for(WAYS)('of no bytes at all lets no store be made, and leaves none half-made: $format, $writers', async (way, context) => {
    const reason = mounts.disk(place.file('disk'), 1 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const ballast = place.file('disk', 'ballast');
    const { bavail, bsize } = statfsSync(place.file('disk'));
    writeFileSync(ballast, new Uint8Array(bavail * bsize));
    await begin(place.file('disk', 'samples'), way);
    const { names } = await steps(way, [['open', FULL], ['open', FULL]]);
    expect(names).not.toContain('samples');
    rmSync(ballast);
    await steps(way, [['open', 'open'], ['append', 'appended'], ['verify', 'right'], ['close', 'closed']]);
    await end();
  });
});

describe('a file-size limit', () => {
  /** The unit of the shell's `ulimit -f`. */
  const BLOCK = 512;

  it.each(WAYS)('refuses what is larger with a code instead of a signal: $format, $writers', async (way) => {
    const path = place.file('samples');
    await begin(path, way, `ulimit -f ${(100 << 10) / BLOCK}`);
    const { count, capacity } = await steps(way, [
      ['open', 'open'], ['append', 'appended'], ['many', FULL], ['append', 'appended'], ['fill', FULL], ['verify', 'right'],
      ['change', 'changed'], ['append', FULL], ['sync', 'synced'], ['verify', 'right'],
    ]);
    expect([count, capacity]).toEqual([1024, 1024]);
    await steps(way, [
      ['close', 'closed'], ['open', 'open'], ['append', FULL], ['verify', 'right'], ['close', 'closed'],
    ]);
    await end();
    // Without the limit the same store grows.
    await begin(path, way);
    const free = await steps(way, [['open', 'open'], ['append', 'appended'], ['verify', 'right'], ['close', 'closed']]);
    expect(free.size).toBe(HEADER[way.format] + 2048 * SAMPLE_STRIDE);
    await end();
  });

  it('below the smallest store refuses to make one, and leaves nothing', async () => {
    const way = { format: 'varve', writers: 'one' } as const;
    await begin(place.file('samples'), way, `ulimit -f ${4096 / BLOCK}`);
    const { names } = await steps(way, [['open', FULL]]);
    expect(names).toEqual(['samples.lock']);
    expect(readFileSync(place.file('samples.lock')).length).toBeLessThan(16);
    await end();
  });
});
