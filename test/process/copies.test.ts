/**
 * Two copies of the package in one process, the ES module and the CommonJS build: they know each other's errors and
 * each other's stores.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { start, temporary } from '../support/processes.ts';

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

describe('the ES module and the CommonJS build in one process', () => {
  it('agree on what a VarveError is, and on the store', async () => {
    const child = start('copies', [place.file('log')]);
    const told = await child.told() as Record<string, unknown> & { exports: unknown[] };
    expect(await child.ended).toEqual([0, null]);
    expect(told).toMatchObject({
      distinct: true,
      instance: [true, true, true, true],
      is: [true, true, true, true],
      otherCode: [false, false, false, false],
      strangers: new Array(12).fill(false),
      subclass: [false, false, true],
      crc: [0xe3069283, 0xe3069283],
      locked: [true, true],
      read: 'from the ES module',
    });
    expect(told.exports[0]).toEqual(told.exports[1]);
  });
});
