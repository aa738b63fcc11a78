/**
 * The change feed between real processes: what another process writes arrives, all of it, whatever it writes and
 * however it ends; and nothing is paid where nothing happens. Worker threads too.
 */
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import type { TypedStoreOptions } from '../../host/typed/options.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { defineSchema, f64 } from '../../host/typed/schema.ts';
import { forEachSeed, type Random } from '../support/random.ts';
import { LAB, programOf, start, temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';
import { newTally } from '../support/tally.ts';

const Twin = defineSchema('Twin', { fields: { one: f64, two: f64 } });
type Store = TypedStore<typeof Twin.fields>;
type Format = 'varve' | 'mmfg-1';

const tally = newTally('changes seen by another process');
let place: ReturnType<typeof temporary>;
let path: string;
const children: Child[] = [];
const opened: Store[] = [];

beforeEach(() => {
  place = temporary();
  path = place.file('twins');
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.process.kill('SIGKILL');
    await child.ended;
  }
  for (const store of opened.splice(0)) store.closeSync();
  place.remove();
});
afterAll(() => { tally.report(); });

function run(name: string, ...args: (string | number)[]): Child {
  const child = start(name, args);
  children.push(child);
  return child;
}

/** Makes a store of some records. */
function make(format: Format, records: number, options: TypedStoreOptions = {}): void {
  const store = TypedStore.openSync(path, Twin, { format, ...options });
  for (let i = 0; i < records; i++) store.append({ one: 0, two: 0 });
  store.closeSync();
}

function read(format: Format): Store {
  const store = TypedStore.openSync(path, Twin, { format, readOnly: true });
  opened.push(store);
  return store;
}

/** What a watcher knows of a store by nothing but what it was told. */
class Mirror {
  readonly numbers: number[];
  ranges = 0;
  private readonly store: Store;

  constructor(store: Store) {
    this.store = store;
    this.numbers = [];
    for (let index = store.first; index < store.length; index++) this.numbers[index] = store.get(index).one;
  }

  /** Follows for ever; throws what is wrong. */
  async follow(signal: AbortSignal): Promise<void> {
    const watcher = this.store.watch({ signal });
    try {
      for await (const { from, to, kind } of watcher) {
        this.ranges++;
        const known = this.numbers.length;
        // In a ring that was overtaken, some were never seen.
        const isNext = from === known || (from > known && from <= this.store.first);
        if (kind === 'appended' ? !isNext : to >= known) {
          throw new Error(`${kind} ${from} to ${to} where ${known} records were known`);
        }
        for (let index = from; index <= to; index++) this.read(index);
      }
    } catch (error) {
      if (error !== signal.reason) throw error;
    }
  }

  private read(index: number): void {
    try {
      const { one, two } = this.store.get(index);
      if (one !== two) throw new Error(`record ${index} is torn: ${one}, ${two}`);
      this.numbers[index] = one;
    } catch (error) {
      // What was overwritten since is no more there to be read.
      if (!VarveError.is(error, 'ERR_VARVE_OUT_OF_RANGE') || index >= this.store.first) throw error;
    }
  }

  /** Whether it knows all that the store holds. */
  isComplete(): boolean {
    const { first, length } = this.store;
    if (length !== this.numbers.length) return false;
    for (let index = first; index < length; index++) {
      if (this.store.fields.one.get(index) !== this.numbers[index]) return false;
    }
    return true;
  }
}

/** Resolves when a condition holds; fails after half a minute, or with what `beside` ends with. */
async function eventually(condition: () => boolean, beside: Promise<void>): Promise<void> {
  let failed: { error: unknown } | undefined;
  beside.catch((error: unknown) => { failed = { error }; });
  for (const end = performance.now() + 30_000; !condition();) {
    if (failed !== undefined) throw failed.error;
    if (performance.now() > end) throw new Error('what has changed was not reported');
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

describe('what another process writes', () => {
  it.each(['varve', 'mmfg-1'] as const)('is reported at least once, all of it: %s', async (format) => {
    await forEachSeed(3, async (random) => {
      path = place.file(`twins-${random.seed}`);
      await mirrored(format, 'one', random, 1);
    });
  }, 60_000 * LAB);

  it('is reported at least once, all of it, in a ring', async () => {
    await forEachSeed(3, async (random) => {
      path = place.file(`twins-${random.seed}`);
      await mirrored('varve', 'one', random, 1, { ring: true, capacity: 1 + random.integer(400) });
    });
  }, 60_000 * LAB);

  it('is reported at least once, all of it, by three writers', async () => {
    await forEachSeed(2, async (random) => {
      path = place.file(`twins-${random.seed}`);
      await mirrored('varve', 'many', random, 3);
    });
  }, 60_000 * LAB);

  async function mirrored(
    format: Format, writers: 'one' | 'many', random: Random, count: number, options: TypedStoreOptions = {},
  ): Promise<void> {
    make(format, random.integer(3000), options);
    const changers = Array.from({ length: count }, (_, at) => (
      run('typed-changer', path, format, writers, random.seed * 10 + at, 400)));
    for (const changer of changers) expect(await changer.told()).toBe('open');
    const store = read(format);
    const mirror = new Mirror(store);
    const controller = new AbortController();
    const following = mirror.follow(controller.signal);
    for (const changer of changers) changer.process.send('go');
    for (const changer of changers) expect(await changer.told()).toBeGreaterThan(0);
    await eventually(() => mirror.isComplete(), following);
    for (const changer of changers) {
      changer.process.send('end');
      expect(await changer.ended).toEqual([0, null]);
    }
    controller.abort();
    await following;
    tally.add('ranges', mirror.ranges);
    tally.add('records', store.length);
  }

  it('is reported up to where it was killed, and goes on with the next writer', async () => {
    make('varve', 1000);
    const store = read('varve');
    const mirror = new Mirror(store);
    const controller = new AbortController();
    const following = mirror.follow(controller.signal);
    const before = new Set<number>();
    for (let round = 1; round <= 8 * LAB; round++) {
      const changer = run('typed-changer', path, 'varve', 'one', round, 0);
      expect(await changer.told()).toBe('open');
      changer.process.send('go');
      const { ranges } = mirror;
      await eventually(() => mirror.ranges > ranges + 20, following);
      changer.process.kill('SIGKILL');
      await changer.ended;
      // The next writer makes stamps even that the dead one has left odd.
      const next = TypedStore.openSync(path, Twin);
      for (const index of next.recovery.torn) next.set(index, { one: -round, two: -round });
      await eventually(() => mirror.isComplete(), following);
      next.closeSync();
      before.add(mirror.ranges);
    }
    controller.abort();
    await following;
    expect(before.size).toBe(8 * LAB);
    tally.add('kills', before.size);
  }, 60_000 * LAB);

  it.each(['varve', 'mmfg-1'] as const)('wakes who sleeps, write by write: %s', async (format) => {
    make(format, 100);
    const changer = run('typed-changer', path, format, 'one', 1, 200);
    expect(await changer.told()).toBe('open');
    const watcher = read(format).watch();
    const waiting = watcher.next();
    changer.process.send('go');
    expect(await waiting).toMatchObject({ done: false });
    await watcher.return();
  });

  it('is reported in a worker thread', async () => {
    make('varve', 100);
    const library = programOf('typed-changer').replace(/test\/process.*/, 'dist/esm/');
    const worker = new Worker(`
      const { parentPort } = require('node:worker_threads');
      (async () => {
        const { TypedStore } = await import('${library}index.js');
        const { defineSchema, f64 } = await import('${library}schema.js');
        const Twin = defineSchema('Twin', { fields: { one: f64, two: f64 } });
        const store = TypedStore.openSync('${path}', Twin, { readOnly: true });
        const watcher = store.watch();
        parentPort.postMessage('open');
        for await (const { from, to, kind } of watcher) {
          parentPort.postMessage({ from, to, kind, one: store.get(to).one });
          if (kind === 'appended') break;
        }
        store.closeSync();
      })();
    `, { eval: true });
    const messages: unknown[] = [];
    let wake = (): void => undefined;
    worker.on('message', (message) => {
      messages.push(message);
      wake();
    });
    const told = async (): Promise<unknown> => {
      while (messages.length === 0) await new Promise<void>((resolve) => { wake = resolve; });
      return messages.shift();
    };
    expect(await told()).toBe('open');
    const writer = TypedStore.openSync(path, Twin);
    opened.push(writer);
    writer.set(7, { one: 7, two: 7 });
    expect(await told()).toEqual({ from: 7, to: 7, kind: 'changed', one: 7 });
    writer.append({ one: 8, two: 8 });
    expect(await told()).toEqual({ from: 100, to: 100, kind: 'appended', one: 8 });
    await new Promise((resolve) => { worker.once('exit', resolve); });
  });
});

describe('a store in which nothing happens', () => {
  it.each([
    ['varve', 1000], ['varve', 1_000_000], ['mmfg-1', 1000], ['mmfg-1', 1_000_000],
  ] as const)('costs who watches it next to nothing: %s, %i records', async (format, records) => {
    make(format, records);
    const idler = run('typed-idler', path, format, 2000);
    const { share } = await idler.told() as { share: number };
    expect(share).toBeLessThan(0.05);
    const writer = TypedStore.openSync(path, Twin, { format });
    opened.push(writer);
    writer.set(records - 1, { one: 1, two: 1 });
    expect(await idler.told()).toEqual({ from: records - 1, to: records - 1, kind: 'changed' });
    expect(await idler.ended).toEqual([0, null]);
    tally.add(`idle, ${format}, ${records} records, 1/1000 of a processor`, Math.round(share * 1000));
  });
});
