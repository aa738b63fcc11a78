/**
 * A key-value store that is open beside its model, with what is under way in it: promises that nobody waits for yet,
 * and iterations that go on while other operations run. kv-driver.ts runs those.
 */
import { VarveError } from '../../host/errors/varve-error.ts';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import type { KeyValueOptions } from '../../host/key-value/types.ts';
import { compareWhole } from './kv-judge.ts';
import { type Change, KeyValueModel } from './kv-model.ts';
import type { SlowIteration } from './kv-slow-iteration.ts';

export type Store = KeyValueStore<Buffer>;

export interface SessionOptions {
  /** What the store is opened with, but for what the driver decides. */
  readonly store: () => KeyValueOptions;
  readonly directory: string;
  /** Completes the syncs that the disk has under way, where it does not do so by itself. */
  readonly completeSyncs?: () => void;
  /** Shows every view what was stored, where the disk does not do so by itself. */
  readonly refresh?: () => void;
}

export function turns(count: number): Promise<void> {
  return new Promise((resolve) => {
    const turn = (left: number): void => { if (left === 0) resolve(); else setImmediate(turn, left - 1); };
    turn(count);
  });
}

export class KeyValueSession {
  readonly model = new KeyValueModel();
  current: Store | undefined;
  now = 1_000_000_000_000;
  /** Promises that nobody waits for yet: durable writes, syncs, compactions. None may be rejected but as expected. */
  readonly pending: Promise<void>[] = [];
  iterations: SlowIteration[] = [];
  protected stamp = 0;
  protected mappedBytesMax = 1 << 20;
  protected readonly options: SessionOptions;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  get store(): Store { return this.current!; }

  open(): void {
    const { store, directory } = this.options;
    this.current = KeyValueStore.openSync<Buffer>(directory, {
      keys: 'binary', autoCompact: false, segmentBytes: 65536, mappedBytesMax: this.mappedBytesMax, now: () => this.now,
      ...store(),
    });
  }

  /** What promises were rejected with. */
  protected readonly errors: unknown[] = [];
  /** Resolves when a store that is being closed is. */
  protected closing: Promise<unknown> = Promise.resolve();
  /** Told that what was committed up to here is durable. */
  protected durable(_lsn: number): void {}

  /** What must come of a promise. */
  protected expect<T>(promise: Promise<T>, check: (result: T) => void): void {
    const { store } = this;
    const checked = promise.then((result) => { if (store === this.current) check(result); });
    this.pending.push(checked.catch((error: unknown) => {
      // Of a store that was closed, or whose process has ended, nothing is expected any more.
      const isOver = store !== this.current || (store.closed && VarveError.is(error, 'ERR_VARVE_CLOSED'));
      if (!isOver) this.errors.push(error);
    }));
  }

  /** Runs what writes these units, and takes down what came of it. */
  protected write<T>(units: readonly (readonly Change[] | 'clear')[], run: () => T): T {
    const { model, store } = this;
    model.begin(store.lastLsn, units);
    let result: T;
    try {
      result = run();
    } catch (error) {
      this.noteFailed();
      throw error;
    }
    // What follows may throw before anybody waits for it.
    if (result instanceof Promise) result.catch(() => undefined);
    const before = model.committedLsn;
    model.settle(store.lastLsn);
    if (units.length > 0 && model.committedLsn === before) throw new Error('nothing was written');
    return result;
  }

  /** Takes down what a call that failed has written, before anything else is. */
  protected noteFailed(): void {
    this.model.settle(this.store.lastLsn);
  }

  protected value(size: number): Buffer {
    return Buffer.alloc(size, `${this.stamp++};`);
  }

  /** Compares everything. */
  compareAll(): number {
    this.options.refresh?.();
    return compareWhole(this.store, this.model.state, this.now);
  }

  protected endIteration(index: number): void {
    const [iteration] = this.iterations.splice(index, 1);
    iteration!.take(Infinity, this.now);
  }

  /** Lets everything that is under way come to its end. */
  async settle(): Promise<void> {
    while (this.iterations.length > 0) this.endIteration(0);
    for (let waiting = true; waiting;) {
      const all = this.pending.splice(0);
      waiting = all.length > 0;
      const done = Promise.all(all).then(() => true);
      while (!await Promise.race([done, turns(1).then(() => false)])) this.options.completeSyncs?.();
    }
    this.throwErrors();
  }

  protected throwErrors(): void {
    const [error] = this.errors.splice(0) as Error[];
    if (error !== undefined) throw error;
  }

  /** Closes the store: iterations end, and what is under way ends with ERR_VARVE_CLOSED at most. */
  async close(blocking: boolean): Promise<void> {
    const { store } = this;
    if (blocking) store.closeSync();
    else {
      let closed = false;
      const closing = store.close().finally(() => { closed = true; });
      this.closing = closing.catch(() => undefined);
      const isClosed = (): Promise<boolean> => turns(1).then(() => closed);
      while (!await Promise.race([closing.then(() => true), isClosed()])) this.options.completeSyncs?.();
      await closing;
    }
    this.durable(this.model.committedLsn);
    for (const iteration of this.iterations.splice(0)) iteration.requireClosed(this.now);
    await this.settle();
    this.current = undefined;
  }
}
