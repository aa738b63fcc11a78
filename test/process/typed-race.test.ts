/**
 * Torn reads: writers at full speed and readers beside them, each a process of its own, on records of 80 bytes whose
 * fields are all functions of one number. No reader ever sees a mix of two states, in whichever way it reads, and no
 * writer's change takes another's away. Two bugs on purpose are found: a reader that does not look at the stamp again,
 * and a writer that takes what another one has.
 *
 * On x86 the processor keeps the order of stores, so what is tried here is the order in which they are made, and not
 * what a weaker memory would do to it: that they are atomic where they must be shows in test/memory-order.test.ts.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROW_OFFSET } from '../../host/generated/abi.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { canaryWasm, type CoreCanary } from '../support/canary-core.ts';
import { LAB, pause, start, temporary } from '../support/processes.ts';
import { seedFromEnvironment } from '../support/random.ts';
import type { Child } from '../support/real-storage.ts';
import { newTally, scaled } from '../support/tally.ts';
import { bornOf, groupOf, HOT, Sample, wrongIn, type SampleRecord } from './children/typed-samples.mjs';

interface Seen {
  rows: number; records: number; fields: number; columns: number; changed: number; contended: number; slowest: number;
  length: number; wrong: { what: string }[];
}
interface Done {
  writes: number; rows: number; lost: number; contended: number; wrong: string[];
  counters: { name: 'a' | 'b'; counts: number[] }[];
}
/** What a race is made of: the counters of each writer, and the cores that have a bug. */
interface Race {
  readonly writers: readonly ('a' | 'b' | 'ab')[];
  readonly readers: number;
  readonly milliseconds: number;
  readonly canary?: { readonly of: 'writers' | 'readers'; readonly name: CoreCanary };
}

const SEED = seedFromEnvironment() ?? 20240611;
const RACE_MS = scaled(2500);
/** How long a race with a bug lasts, and how many there may be: more than one where the machine has much else to do. */
const CANARY_MS = 1000;
const CANARY_ROUNDS = 20;
const RECORDS = 256;
/** Longer than any read may take, also on a machine that has much else to do. */
const READ_MS_MAX = 5000;

const tally = newTally('typed race');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
let children: Child[];
beforeEach(() => {
  place = temporary();
  children = [];
});
afterEach(() => {
  for (const child of children) child.process.kill('SIGKILL');
  place.remove();
});

async function begin(name: string, args: readonly (string | number)[]): Promise<Child> {
  const child = start(name, args);
  children.push(child);
  expect(await child.told()).toBe('open');
  return child;
}

async function stop<T>(child: Child): Promise<T> {
  child.process.send('stop');
  const told = await child.told() as T;
  expect(await child.ended).toEqual([0, null]);
  return told;
}

/** Lets writers and readers race; what all of them saw, and the store as they left it. */
async function race({ writers, readers, milliseconds, canary }: Race, round = 0) {
  const path = place.file(`samples-${round}.varve`);
  const mode = writers.length === 1 ? 'one' : 'many';
  const store = TypedStore.openSync(path, Sample, { writers: mode });
  store.appendMany(Array.from({ length: RECORDS }, (_, index) => bornOf(index)));
  store.closeSync();
  const core = place.file('core.wasm');
  if (canary !== undefined) writeFileSync(core, await canaryWasm(canary.name));
  const coreOf = (who: 'writers' | 'readers') => (canary?.of === who ? core : '');
  const racers = await Promise.all(writers.map((own, at) => (
    begin('typed-racer', [path, mode, own, 1e6 + at * 1e9, ROW_OFFSET, coreOf('writers')]))));
  const onlookers = await Promise.all(Array.from({ length: readers }, (_, at) => (
    begin('typed-onlooker', [path, SEED + at, 0, mode, ROW_OFFSET, coreOf('readers')]))));
  await pause(milliseconds);
  const seen = await Promise.all(onlookers.map((child) => stop<Seen>(child)));
  const done = await Promise.all(racers.map((child) => stop<Done>(child)));
  return { seen, done, path };
}

/** What is wrong with the records when all writers are gone, and with the counters that they say they have written. */
function leftWrong(path: string, done: readonly Done[]): string[] {
  const store = TypedStore.openSync(path, Sample, { readOnly: true });
  const wrong: string[] = [];
  for (let index = 0; index < store.length; index++) {
    try {
      const record = store.get(index) as SampleRecord;
      const what = wrongIn(index, record);
      if (what !== undefined) wrong.push(what);
      if (groupOf(index) !== 'counters' || index >= HOT) continue;
      for (const { name, counts } of done.flatMap(({ counters }) => counters)) {
        if (record[name] !== counts[index]) wrong.push(`record ${index}: ${name} is ${record[name]}, not ${counts[index]}`);
      }
    } catch (error) {
      wrong.push((error as Error).message);
    }
  }
  store.closeSync();
  return wrong;
}

describe('records of 80 bytes, written at full speed,', { timeout: 120_000 * LAB }, () => {
  it.each([
    { name: 'one writer and three readers', writers: ['ab'], readers: 3 },
    { name: 'two writers and two readers', writers: ['a', 'b'], readers: 2 },
  ] as const)('are whole for everybody, and nothing is lost: $name', async ({ writers, readers }) => {
    const { seen, done, path } = await race({ writers, readers, milliseconds: RACE_MS });
    for (const each of seen) {
      expect(each.wrong, `VARVE_SEED=${SEED}`).toEqual([]);
      expect(each.slowest).toBeLessThan(READ_MS_MAX);
      // Had the readers stood still, or seen nothing change, there would have been no race.
      expect(Math.min(each.records, each.fields, each.columns)).toBeGreaterThan(200);
      expect(each.rows).toBeGreaterThan(100_000);
      expect(each.changed).toBeGreaterThan(200);
      for (const name of ['rows', 'records', 'fields', 'columns', 'changed', 'contended'] as const) tally.add(name, each[name]);
    }
    for (const { writes, rows, lost, wrong, counters } of done) {
      expect({ lost, wrong }).toEqual({ lost: 0, wrong: [] });
      expect(writes).toBeGreaterThan(200);
      expect(rows).toBeGreaterThan(100_000);
      tally.add('writes', writes + rows);
      for (const { counts } of counters) expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThan(20);
    }
    // Each counter is what its writer has made it, whatever the others did to the same records.
    expect(leftWrong(path, done)).toEqual([]);
    expect(Math.min(...seen.map(({ length }) => length))).toBeGreaterThan(RECORDS);
  });

  it('are found torn by a reader that does not look at the stamp again', async () => {
    let found: string[] = [];
    for (let round = 0; round < CANARY_ROUNDS && found.length === 0; round++) {
      const canary = { of: 'readers', name: 'CANARY_STABLE' } as const;
      const { seen } = await race({ writers: ['ab'], readers: 2, milliseconds: CANARY_MS, canary }, round);
      found = seen.flatMap(({ wrong }) => wrong.map(({ what }) => what));
    }
    console.info(`canary (a stamp that is not looked at again): ${found.length} torn, such as ${found[0]}`);
    expect(found.filter((what) => what.startsWith('record'))).not.toEqual([]);
  });

  it('are found torn or lost where a writer takes what another one has', async () => {
    let found: string[] = [];
    for (let round = 0; round < CANARY_ROUNDS && found.length === 0; round++) {
      const canary = { of: 'writers', name: 'CANARY_TAKE' } as const;
      const { seen, done, path } = await race({ writers: ['a', 'b'], readers: 1, milliseconds: CANARY_MS, canary }, round);
      found = [...seen.flatMap(({ wrong }) => wrong.map(({ what }) => what)), ...leftWrong(path, done),
        ...done.filter(({ lost }) => lost > 0).map(({ lost }) => `${lost} changes were lost`)];
    }
    console.info(`canary (a record that is taken twice): ${found.length} found, such as ${found[0]}`);
    expect(found).not.toEqual([]);
  });
});
