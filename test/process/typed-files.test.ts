/**
 * The file of a typed store between real processes: growth that a reader follows live, the lock in both modes, many
 * writers at once, and what a writer that was killed leaves.
 */
import { readFileSync, statSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';
import { typedKit, type TypedKit } from '../support/typed-processes.ts';

let kitPlace: ReturnType<typeof temporary>;
let kit: TypedKit;
let place: ReturnType<typeof temporary>;
let path: string;
const children: Child[] = [];

beforeAll(async () => {
  kitPlace = temporary();
  kit = await typedKit(kitPlace.path);
});
afterAll(() => { kitPlace.remove(); });
beforeEach(() => {
  place = temporary();
  path = place.file('ticks');
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.process.kill('SIGKILL');
    await child.ended;
  }
  place.remove();
});

function start(code: string, before?: string): Child {
  const child = kit.start(code, path, before);
  children.push(child);
  return child;
}

async function end(child: Child): Promise<void> {
  child.process.send('end');
  expect(await child.ended).toEqual([0, null]);
}

/** Opens for writing, tells the outcome, and stays until it is told to end. */
const OWNER = (options: string, then = '') => `
  let file;
  const code = codeOf(() => { file = open(${options}); });
  ${then}
  tell(code);
  await told();
  file?.close();
  process.disconnect();
`;

describe('a reader in another process', () => {
  it.each(['varve', 'mmfg-1'])('follows a writer that grows the file under it, record by record: %s', async (format) => {
    const COUNT = 60_000;
    const writer = start(`
      const file = open({ format: '${format}' });
      tell('open');
      await told();
      for (let number = 0; number < ${COUNT}; number++) appendOne(file, number);
      tell(file.capacity);
      await told();
      file.close();
      process.disconnect();
    `);
    expect(await writer.told()).toBe('open');
    const reader = start(`
      const file = open({ format: '${format}', readOnly: true });
      tell(file.capacity);
      const wrong = [];
      let seen = 0, capacities = new Set();
      while (seen < ${COUNT}) {
        file.refresh();
        capacities.add(file.capacity);
        for (const count = Math.min(file.count, file.capacity); seen < count; seen++) {
          if (numberAt(file, seen) !== seen) wrong.push([seen, numberAt(file, seen)]);
        }
      }
      tell({ wrong: wrong.slice(0, 5), steps: capacities.size, capacity: file.capacity });
      file.close();
      process.disconnect();
    `);
    expect(await reader.told()).toBe(64);
    writer.process.send('go');
    expect(await writer.told()).toBe(65536);
    expect(await reader.told()).toMatchObject({ wrong: [], capacity: 65536 });
    await end(writer);
  });
});

describe('the lock', () => {
  it('of one writer keeps out another one, many of them, and mmapforge, until it is closed or killed', async () => {
    const first = start(OWNER('{}'));
    expect(await first.told()).toBe('none');
    expect(Number(readFileSync(`${path}.lock`, 'latin1'))).toBe(first.process.pid);
    for (const writers of ['one', 'many']) {
      const second = start(OWNER(`{ writers: '${writers}' }`));
      expect(await second.told()).toBe('ERR_VARVE_LOCKED');
      await end(second);
    }
    first.process.kill('SIGKILL');
    await first.ended;
    const third = start(OWNER('{ writers: \'many\' }'));
    expect(await third.told()).toBe('none');
    await end(third);
    const fourth = start(OWNER('{}'));
    expect(await fourth.told()).toBe('none');
    await end(fourth);
  });

  it('of many writers lets in many, and nobody who wants it for himself before the last is gone', async () => {
    const MANY = OWNER('{ writers: \'many\' }');
    const many = Array.from({ length: 4 }, () => start(MANY));
    for (const child of many) expect(await child.told()).toBe('none');
    for (const child of many) {
      const one = start(OWNER('{}'));
      expect(await one.told()).toBe('ERR_VARVE_LOCKED');
      await end(one);
      await end(child);
    }
    const one = start(OWNER('{}'));
    expect(await one.told()).toBe('none');
    await end(one);
  });

  it('of many writers is waited for by those who come while the first recovers, and never refused to them', async () => {
    const children = Array.from({ length: 3 }, () => start(`
      const codes = new Set();
      for (let round = 0; round < 150; round++) codes.add(codeOf(() => { open({ writers: 'many', capacity: 4096 }).close(); }));
      tell([...codes]);
      process.disconnect();
    `));
    for (const child of children) expect(await child.told()).toEqual(['none']);
  });
});

describe('many writers', () => {
  it('append and grow at the same time, and every record is there once', async () => {
    const EACH = 4000;
    const writers = [0, 1, 2].map((who) => start(`
      const file = open({ writers: 'many' });
      tell('open');
      await told();
      for (let i = 0; i < ${EACH}; i++) appendOne(file, ${who} * ${EACH} + i);
      tell(file.count >= ${EACH});
      await told();
      file.close();
      process.disconnect();
    `));
    for (const writer of writers) expect(await writer.told()).toBe('open');
    for (const writer of writers) writer.process.send('go');
    for (const writer of writers) expect(await writer.told()).toBe(true);
    for (const writer of writers) await end(writer);
    const reader = start(`
      const file = open({ readOnly: true });
      const numbers = Array.from({ length: file.count }, (_, index) => numberAt(file, index)).sort((a, b) => a - b);
      tell({ count: file.count, right: numbers.every((number, at) => number === at), capacity: file.capacity });
      process.disconnect();
    `);
    expect(await reader.told()).toEqual({ count: 3 * EACH, right: true, capacity: 16384 });
  });
});

describe('a file-size limit', () => {
  it.each(['one', 'many'])('refuses growth with a code instead of a signal, and all goes on: %s', async (writers) => {
    // 256 records of 104 bytes and the header fit, 512 do not.
    const child = start(`
      const file = open({ writers: '${writers}' });
      const code = codeOf(() => { for (let number = 0; number < 1000; number++) appendOne(file, number); });
      const again = codeOf(() => { file.grow(257); });
      const right = Array.from({ length: file.count }, (_, index) => numberAt(file, index)).every((n, at) => n === at);
      file.syncNow();
      tell({ code, again, count: file.count, capacity: file.capacity, right });
      await told();
      file.close();
      process.disconnect();
    `, 'ulimit -f 64');
    expect(await child.told()).toEqual({
      code: 'ERR_VARVE_DISK_FULL', again: 'ERR_VARVE_DISK_FULL', count: 256, capacity: 256, right: true,
    });
    expect(statSync(path).size).toBe(4096 + 256 * 104);
    await end(child);
  });
});

describe('a writer that was killed', () => {
  it('leaves every record whole or named by recovery, time after time', async () => {
    let count = 0;
    for (let round = 0; round < 12; round++) {
      const writer = start(`
        const file = open();
        const torn = new Set(file.recovered);
        let wrong = 0;
        for (let index = 0; index < file.count; index++) {
          // A record that is not torn says its own number or that of a later change.
          if (!torn.has(index) && (numberAt(file, index) - index) % 100000 !== 0) wrong++;
          if (numberAt(file, index) < -1) wrong++;
        }
        tell({ count: file.count, torn: torn.size, wrong, spoilt: file.recovery.clearedWords });
        for (let step = 0; ; step++) {
          for (let i = 0; i < 200; i++) appendOne(file, file.count);
          for (let i = 0; i < 20000; i++) {
            const index = (step * 7919 + i) % file.count;
            fill(index + 100000 * (i % 50));
            file.view.writeRow(index);
          }
          if (step === 0) tell('busy');
        }
      `);
      const state = await writer.told() as { count: number; torn: number; wrong: number };
      expect(state.wrong).toBe(0);
      expect(state.torn).toBeLessThanOrEqual(1);
      expect(state.count).toBeGreaterThanOrEqual(count);
      count = state.count;
      expect(await writer.told()).toBe('busy');
      writer.process.kill('SIGKILL');
      await writer.ended;
    }
    expect(count).toBeGreaterThan(1000);
  });
});
