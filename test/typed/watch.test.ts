/**
 * The change feed in one process: what is reported, how it is merged, and how a watch ends; on both builds of the core.
 * Two stores of one file stand for two processes; real ones are in test/process/typed-watch.test.ts.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { bool, bytes, defineSchema, f64, u32 } from '../../host/typed/schema.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';
import type { Change, Watcher } from '../../host/typed/watch.ts';
import { rejection } from '../support/log-fixture.ts';
import { Everything, EXTREMES, TypedStores, type EverythingRecord } from '../support/typed-stores.ts';

const Point = defineSchema('Point', { fields: { x: f64, y: u32 } });
type PointStore = TypedStore<typeof Point.fields>;

let stores: TypedStores;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

function changed(from: number, to = from): Change {
  return { from, to, kind: 'changed' };
}

function appended(from: number, to = from): Change {
  return { from, to, kind: 'appended' };
}

/** The next range. */
async function next(watcher: Watcher): Promise<Change> {
  const { value, done } = await watcher.next();
  if (done === true) throw new Error('the watch has ended');
  return value;
}

function points(store: PointStore, count: number): void {
  store.appendMany(Array.from({ length: count }, (_, x) => ({ x, y: 0 })));
}

describe.each(['baseline', 'simd'] as const)('a watch (%s core)', (variant) => {
  const core = new Core({ variant, memoryBytes: 1 << 30 });
  const open = (options: object = {}, name?: string): PointStore => stores.open(Point, { core, ...options }, name);

  describe.each(['varve', 'mmfg-1'] as const)('of format %s', (format) => {
    it('by the writer itself and by a reader gives what has changed and what was appended', async () => {
      const writer = open({ format });
      points(writer, 5);
      const reader = open({ format, readOnly: true });
      const watchers = [writer.watch(), reader.watch()];
      writer.fields.x.set(3, 1);
      for (const watcher of watchers) expect(await next(watcher)).toEqual(changed(3));
      writer.append({ x: 5, y: 0 });
      for (const watcher of watchers) expect(await next(watcher)).toEqual(appended(5));
      writer.update(5, { y: 1 });
      writer.set(0, { x: 1, y: 1 });
      for (const watcher of watchers) {
        expect(await next(watcher)).toEqual(changed(0));
        expect(await next(watcher)).toEqual(changed(5));
      }
    });

    it('merges what happened since it was asked last, and neighbours', async () => {
      const store = open({ format });
      points(store, 10);
      const watcher = store.watch();
      for (let i = 0; i < 1000; i++) store.fields.x.set(i % 3, i);
      store.fields.x.set(7, 1);
      points(store, 3);
      store.fields.y.set(11, 1);
      expect(await next(watcher)).toEqual(changed(0, 2));
      // What is asked for later includes what came later.
      store.fields.x.set(8, 1);
      expect(await next(watcher)).toEqual(changed(7));
      expect(await next(watcher)).toEqual(appended(10, 12));
      expect(await next(watcher)).toEqual(changed(8));
    });

    it('follows a file that grows, by the writer and by a reader', async () => {
      const writer = open({ format });
      const reader = open({ format, readOnly: true });
      const watcher = reader.watch();
      const seen: Change[] = [];
      for (let round = 0; round < 9; round++) {
        points(writer, 1 << round);
        seen.push(await next(watcher));
      }
      expect(seen).toEqual(Array.from({ length: 9 }, (_, round) => appended((1 << round) - 1, (2 << round) - 2)));
    });
  });

  it('finds a write through every accessor, each the first of its turn', async () => {
    const store = stores.open(Everything, { core });
    store.append();
    const watcher = store.watch();
    for (const name of Object.keys(EXTREMES) as (keyof EverythingRecord)[]) {
      const accessor = store.fields[name] as { get(index: number): unknown; set(index: number, value: unknown): void };
      const value = EXTREMES[name].at(-1);
      accessor.set(0, value);
      expect(accessor.get(0)).toEqual(value);
      expect(await next(watcher)).toEqual(changed(0));
    }
  });

  it('of a range gives that range alone, also where it is not there yet', async () => {
    const store = open();
    points(store, 10);
    const inside = store.watch({ from: 3, to: 5 });
    const beyond = store.watch({ from: 12, to: 14 });
    const behind = store.watch({ from: 9 });
    for (let i = 0; i < 10; i++) store.fields.x.set(i, 1);
    points(store, 3);
    expect(await next(inside)).toEqual(changed(3, 5));
    expect(await next(beyond)).toEqual(appended(12));
    expect(await next(behind)).toEqual(changed(9));
    expect(await next(behind)).toEqual(appended(10, 12));
    points(store, 10);
    store.fields.x.set(12, 1);
    store.fields.x.set(15, 1);
    expect(await next(beyond)).toEqual(changed(12));
    expect(await next(beyond)).toEqual(appended(13, 14));
  });

  it('joins ranges over the parts of its copy', async () => {
    const Flag = defineSchema('Flag', { fields: { on: bool } });
    const PART = 32768;
    const store = stores.open(Flag, { core, capacity: 3 * PART });
    store.appendMany(Array.from({ length: 3 * PART - 5 }, () => ({ on: false })));
    const watcher = store.watch({ from: 7 });
    for (const index of [6, 7, PART + 5, PART + 6, PART + 7, PART + 8, 2 * PART + 7, 3 * PART - 6]) {
      store.fields.on.set(index, true);
    }
    expect(await next(watcher)).toEqual(changed(7));
    expect(await next(watcher)).toEqual(changed(PART + 5, PART + 8));
    expect(await next(watcher)).toEqual(changed(2 * PART + 7));
    expect(await next(watcher)).toEqual(changed(3 * PART - 6));
    for (let index = 0; index < store.length; index++) store.fields.on.set(index, false);
    expect(await next(watcher)).toEqual(changed(7, 3 * PART - 6));
    for (let index = 0; index < store.length; index += 2) store.fields.on.set(index, true);
    for (let index = 8; index < store.length; index += 2) expect(await next(watcher)).toEqual(changed(index));
  });

  it('of a file that is larger than what is mapped of it', async () => {
    const Large = defineSchema('Large', { fields: { number: u32, rest: bytes(60_000) } });
    const small = new Core({ variant, memoryBytes: 24 << 20 });
    const writer = stores.open(Large, { core: small, capacity: 512 });
    for (let number = 0; number < 500; number++) writer.append();
    const watcher = writer.watch();
    for (const index of [0, 1, 250, 499]) writer.fields.number.set(index, 1);
    expect(writer.fields.number.get(0)).toBe(1);
    for (const range of [changed(0, 1), changed(250), changed(499)]) expect(await next(watcher)).toEqual(range);
    writer.fields.number.set(0, 2);
    writer.append();
    expect(await next(watcher)).toEqual(changed(0));
    expect(await next(watcher)).toEqual(appended(500));
  });

  it('of a ring gives what is still there, by the numbers of the records', async () => {
    const writer = open({ ring: true, capacity: 10 });
    points(writer, 4);
    const reader = open({ readOnly: true });
    const watcher = reader.watch();
    writer.fields.x.set(1, 1);
    points(writer, 2);
    expect(await next(watcher)).toEqual(changed(1));
    expect(await next(watcher)).toEqual(appended(4, 5));
    // Around the end of the file, and over what has changed before.
    for (const index of [0, 1, 2, 3]) writer.fields.x.set(index, 2);
    points(writer, 7);
    expect(await next(watcher)).toEqual(changed(3));
    expect(await next(watcher)).toEqual(appended(6, 12));
    writer.fields.x.set(12, 1);
    writer.fields.x.set(3, 1);
    writer.fields.x.set(9, 1);
    writer.fields.x.set(10, 1);
    expect(await next(watcher)).toEqual(changed(3));
    expect(await next(watcher)).toEqual(changed(9, 10));
    expect(await next(watcher)).toEqual(changed(12));
    points(writer, 1000);
    expect(await next(watcher)).toEqual(appended(1003, 1012));
    writer.fields.x.set(1005, 1);
    expect(await next(watcher)).toEqual(changed(1005));
  });

  it('of a part of a ring gives that part alone, and of a large one all of it', async () => {
    const PART = 32768;
    const writer = open({ ring: true, capacity: 2 * PART + 100 });
    points(writer, PART + 50);
    const some = writer.watch({ from: PART + 40, to: PART + 59 });
    const all = writer.watch();
    points(writer, 20);
    expect(await next(some)).toEqual(appended(PART + 50, PART + 59));
    expect(await next(all)).toEqual(appended(PART + 50, PART + 69));
    for (const index of [3, PART + 39, PART + 40, PART + 59, PART + 60]) writer.fields.x.set(index, 5);
    expect(await next(some)).toEqual(changed(PART + 40));
    expect(await next(some)).toEqual(changed(PART + 59));
    expect(await next(all)).toEqual(changed(3));
    expect(await next(all)).toEqual(changed(PART + 39, PART + 40));
    points(writer, 2 * PART);
    writer.fields.x.set(PART + 45, 6);
    expect(await next(all)).toEqual(changed(PART + 59, PART + 60));
    expect(await next(all)).toEqual(changed(PART + 45));
    expect(await next(all)).toEqual(appended(PART + 70, 3 * PART + 69));
    expect(await next(some)).toEqual(changed(PART + 45));
  });

  it('begins with the call: what was written before it is not reported, what comes before `next` is', async () => {
    const store = open();
    points(store, 3);
    store.fields.x.set(0, 5);
    const watcher = store.watch();
    store.fields.x.set(1, 5);
    expect(await next(watcher)).toEqual(changed(1));
  });

  it('is endless for many calls at a time, each of which gets a range of its own', async () => {
    const store = open();
    points(store, 10);
    const watcher = store.watch();
    const three = [next(watcher), next(watcher), next(watcher)];
    for (const index of [2, 4, 6]) store.fields.x.set(index, 1);
    expect(await Promise.all(three)).toEqual([changed(2), changed(4), changed(6)]);
  });

  it('gives the core\'s memory back however it ends, and a store may be watched by many', async () => {
    const store = open();
    points(store, 10);
    const before = core.memory.largestFree();
    const controller = new AbortController();
    const watchers = [store.watch(), store.watch(), store.watch({ signal: controller.signal })];
    expect(core.memory.largestFree()).toBeLessThan(before);
    store.fields.x.set(4, 1);
    const seen: Change[] = [];
    for await (const range of watchers[0]!) {
      seen.push(range);
      if (seen.length === 1) store.fields.x.set(6, 1);
      else break;
    }
    expect(seen).toEqual([changed(4), changed(6)]);
    await watchers[1]![Symbol.asyncDispose]();
    expect(await watchers[1]!.next()).toEqual({ done: true, value: undefined });
    const reason = new Error('enough');
    controller.abort(reason);
    expect(core.memory.largestFree()).toBe(before);
    await expect(watchers[2]!.next()).rejects.toBe(reason);
    expect(await watchers[2]!.next()).toEqual({ done: true, value: undefined });
  });

  it('ends a call that waits: by return, by the signal, by closing', async () => {
    const store = open();
    const returned = store.watch();
    const waiting = returned.next();
    await returned.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const controller = new AbortController();
    const aborted = store.watch({ signal: controller.signal }).next();
    controller.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    const asleep = store.watch();
    const closed = asleep.next();
    const untouched = store.watch();
    const memory = core.memory.largestFree();
    await store.close();
    await rejection('ERR_VARVE_CLOSED', closed);
    expect(await asleep.next()).toEqual({ done: true, value: undefined });
    await rejection('ERR_VARVE_CLOSED', untouched.next());
    expect(core.memory.largestFree()).toBeGreaterThan(memory);
    expect(() => store.watch()).toThrow(expect.objectContaining({ code: 'ERR_VARVE_CLOSED' }));
    await expect(open({}, 'other').watch({ signal: AbortSignal.abort(new Error('before')) }).next()).rejects.toThrow('before');
  });

  it('is told what was written in the turn in which the store is closed', async () => {
    const writer = open();
    points(writer, 3);
    const reader = open({ readOnly: true });
    const waiting = next(reader.watch());
    writer.fields.x.set(2, 7);
    await writer.close();
    expect(await waiting).toEqual(changed(2));
    expect(reader.get(2)).toEqual({ x: 7, y: 0 });
  });

  it.each([
    ['was removed', (path: string) => { rmSync(path); }],
    ['was replaced', (path: string) => {
      writeFileSync(`${path}.other`, '');
      renameSync(`${path}.other`, path);
    }],
  ])('ends where the file %s, after what had changed before', async (_what, change) => {
    const writer = open();
    points(writer, 3);
    const reader = open({ readOnly: true });
    const watcher = reader.watch();
    writer.fields.x.set(1, 1);
    change(writer.path);
    expect(await next(watcher)).toEqual(changed(1));
    await rejection('ERR_VARVE_REPLACED', watcher.next());
    expect(reader.get(1)).toEqual({ x: 1, y: 0 });
  });

  it('by many writers, which find each other\'s changes', async () => {
    const [one, other] = [open({ writers: 'many' }), open({ writers: 'many' })];
    points(one, 4);
    const watchers = [one.watch(), other.watch()];
    one.fields.x.set(0, 1);
    other.fields.x.set(3, 1);
    for (const watcher of watchers) {
      expect(await next(watcher)).toEqual(changed(0));
      expect(await next(watcher)).toEqual(changed(3));
    }
  });
});

describe('what is no watch', () => {
  it.each([
    ['a number', 5], ['null', null], ['a negative index', { from: -1 }], ['no integer', { from: 0.5 }],
    ['text', { from: '1' }], ['an end before the beginning', { from: 5, to: 3 }], ['NaN', { to: NaN }],
    ['no signal', { signal: {} }],
  ])('is refused: %s', (_what, options) => {
    const store = stores.open(Point);
    expect(() => store.watch(options as object)).toThrow(expect.objectContaining({ code: 'ERR_VARVE_INVALID_ARGUMENT' }));
  });
});
