/**
 * More than 4 GiB in one log: positions beyond 32 bits, more segments than the mapped window holds, and no memory that
 * grows with the log.
 */
import { statfsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cannot, start, temporary } from '../support/processes.ts';

const GIB = 2 ** 30;
const TOTAL = Math.ceil(4.2 * GIB);
const RECORD_BYTES = 65536;

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

it('holds more than 4 GiB with the mapped window and the memory bounded', { timeout: 120_000 }, async (context) => {
  const { bavail, bsize } = statfsSync(place.path);
  const free = bavail * bsize;
  if (free < 8 * GIB) {
    return cannot(context, `8 GiB must be free in ${place.path}, and there are ${(free / GIB).toFixed(1)}`);
  }
  const writer = start('big-writer', [place.file('log'), TOTAL, RECORD_BYTES], { execArgv: ['--expose-gc'] });
  const told = await writer.told() as Record<string, number> & { wrong: string[] };
  expect(await writer.ended).toEqual([0, null]);
  expect(told.wrong).toEqual([]);
  expect(told['position']).toBeGreaterThan(4 * GIB);
  expect(told['segments']).toBeGreaterThanOrEqual(TOTAL / (64 << 20));
  // The window of sealed segments, and the active one on top.
  expect(told['mappedMax']).toBeLessThanOrEqual((128 << 20) + (64 << 20));
  expect(told['grown']).toBeLessThanOrEqual(200);
  expect(told['scanned']).toBe(0);
});
