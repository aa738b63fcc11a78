/**
 * A key-value store beside its model: runs operations on both and compares what they give. Iterations that were begun
 * go on while other operations run, and must deliver what there was when they began, less what has expired since.
 */
import { STAGE_BYTES } from '../../host/generated/abi.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import type { Key, KeyValueBatchResult as BatchResult, KeyValueOperation, PutManyOptions } from '../../host/key-value/types.ts';
import { compareKey } from './kv-judge.ts';
import { type Change, isLive } from './kv-model.ts';
import { type Condition, type Expiry, KEYS, type Operation, PREFIXES, nameOf } from './kv-operations.ts';
import { KeyValueSession, turns } from './kv-session.ts';
import { SlowIteration } from './kv-slow-iteration.ts';

type Named<N extends Operation['name']> = Extract<Operation, { readonly name: N }>;

const RUN_RECORDS = 1024;
const RUN_BYTES = 512 << 10;
const ITERATIONS_MAX = 4;

class Thrown extends Error {}

export class KeyValueDriver extends KeyValueSession {
  private expiry(expiry: Expiry): { options: object; expiresAt: number } {
    if (expiry === undefined) return { options: {}, expiresAt: 0 };
    if ('ttl' in expiry) return { options: { ttl: expiry.ttl }, expiresAt: this.now + expiry.ttl };
    const expiresAt = this.now + expiry.expiresIn;
    return { options: { expiresAt }, expiresAt };
  }

  private versionOf(key: Key): number {
    const entry = this.model.state.get(nameOf(key));
    return isLive(entry, this.now) ? entry.version : 0;
  }

  /** The option that demands something of the key, and whether it holds. */
  private condition(condition: Condition, key: Key): { options: object; holds: boolean } {
    const version = this.versionOf(key);
    if (condition === 'right') return { options: { ifVersion: version }, holds: true };
    if (condition === 'wrong') return { options: { ifVersion: version + 1 }, holds: false };
    if (condition === 'absent') return { options: { ifAbsent: true }, holds: version === 0 };
    return condition === 'zero' ? { options: { ifVersion: 0 }, holds: version === 0 } : { options: {}, holds: true };
  }

  private requireConflict(key: Key, run: () => unknown): void {
    try {
      run();
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_CONFLICT')) throw error;
      if (error.details['actual'] === this.versionOf(key)) return;
      throw new Error(`a conflict with version ${String(error.details['actual'])}`, { cause: error });
    }
    throw new Error('a condition that does not hold was passed over');
  }

  /** Does one operation. What is wrong is thrown. */
  async run(operation: Operation): Promise<void> {
    switch (operation.name) {
      case 'put': return this.put(operation);
      case 'delete': return this.delete(operation);
      case 'putMany': return this.putMany(operation);
      case 'batch': return this.batch(operation);
      case 'update': return this.update(operation);
      case 'look': return this.look(operation);
      case 'iterate': return this.iterate(operation);
      case 'consume': return this.consume(operation);
      case 'compact': return this.compact(operation);
      case 'reopen': return this.reopen(operation);
      case 'turn': return turns(operation.count);
      case 'sync': return this.sync();
      case 'clear': this.clear(); return;
      case 'syncNow': this.durable(this.store.syncNow()); return;
      case 'advance': this.now += operation.milliseconds; return;
      case 'compareAll': this.compareAll(); return;
    }
  }

  private sync(): void {
    this.expect(this.store.sync(), (lsn) => { this.durable(lsn); });
  }

  private put({ key: at, size, expiry, condition, durable }: Named<'put'>): void {
    const key = KEYS[at]!;
    const { store } = this;
    const { options, expiresAt } = this.expiry(expiry);
    const { options: demand, holds } = this.condition(condition, key);
    const all = { ...options, ...demand, ...durable ? { durable } : {} };
    const value = this.value(size);
    if (!holds) return this.requireConflict(key, () => store.put(key, value, all));
    const plain = Object.keys(all).length === 0;
    const result = this.write([[[nameOf(key), { value, expiresAt }]]],
      () => (plain ? store.put(key, value) : store.put(key, value, all)));
    const lsn = this.model.committedLsn;
    if (typeof result === 'number') this.requireSame(result, lsn, 'the version of a put');
    else {
      this.expect(result, (version) => {
        this.requireSame(version, lsn, 'the version of a durable put');
        this.durable(lsn);
      });
    }
  }

  private requireSame(actual: number | boolean, expected: number | boolean, what: string): void {
    if (actual !== expected) throw new Error(`${what} is ${actual}, not ${expected}`);
  }

  /** What a durable call gives at last. */
  private expectSame<T extends number | boolean>(result: T | Promise<T>, expected: T, what: string): void {
    if (!(result instanceof Promise)) return this.requireSame(result, expected, what);
    const lsn = this.model.committedLsn;
    this.expect(result, (actual) => {
      this.requireSame(actual, expected, what);
      this.durable(lsn);
    });
  }

  private delete({ key: at, condition, durable }: Named<'delete'>): void {
    const key = KEYS[at]!;
    const { store } = this;
    const { options, holds } = this.condition(condition === 'absent' ? 'zero' : condition, key);
    const all = { ...options, ...durable ? { durable } : {} };
    if (!holds) return this.requireConflict(key, () => store.delete(key, all));
    const isThere = this.versionOf(key) !== 0;
    const result = this.write(isThere ? [[[nameOf(key), undefined]]] : [], () => store.delete(key, all));
    this.expectSame(result, isThere, 'whether a deleted key was there');
  }

  private putMany({ items, expiry, durable }: Named<'putMany'>): void {
    const { options, expiresAt } = this.expiry(expiry);
    const entries = items.map(([key, size]) => [KEYS[key]!, this.value(size)] as const);
    const units: Change[][] = [];
    let bytes = RUN_BYTES;
    // Runs that the stage has no room for are shorter, because of long keys.
    const isWide = entries.reduce((sum, [key, value]) => sum + 48 + nameOf(key).length + value.length, 0) > STAGE_BYTES;
    for (const [key, value] of entries) {
      if (isWide || bytes >= RUN_BYTES || units.at(-1)!.length === RUN_RECORDS) {
        units.push([]);
        bytes = 0;
      }
      units.at(-1)!.push([nameOf(key), { value, expiresAt }]);
      bytes += value.length;
    }
    const all = { ...options, durable } as PutManyOptions & { readonly durable: true };
    const result: number | Promise<number> = this.write(units, () => this.store.putMany(entries, all));
    this.expectSame(result, entries.length, 'the count of putMany');
  }

  private batch({ items, durable }: Named<'batch'>): void {
    const changes: Change[] = [];
    const operations = items.map((item): KeyValueOperation => {
      const key = KEYS[item.key]!;
      if (item.type === 'delete') {
        changes.push([nameOf(key), undefined]);
        return { type: 'delete', key };
      }
      const { options, expiresAt } = this.expiry(item.expiry);
      const value = this.value(item.size);
      changes.push([nameOf(key), { value, expiresAt }]);
      return { type: 'put', key, value, ...options };
    });
    const options = { durable } as { readonly durable: true };
    const result: BatchResult | Promise<BatchResult> = this.write([changes],
      () => this.store.batch(operations, options));
    const lsn = this.model.committedLsn;
    const check = ({ firstLsn, lastLsn }: BatchResult): void => {
      this.requireSame(firstLsn, lsn - items.length + 1, 'the first LSN of a batch');
      this.requireSame(lastLsn, lsn, 'the last LSN of a batch');
    };
    if (!(result instanceof Promise)) return check(result);
    this.expect(result, (lsns) => { check(lsns); this.durable(lsn); });
  }

  private update({ key: at, to }: Named<'update'>): void {
    const { store } = this;
    const key = KEYS[at]!;
    const entry = this.model.state.get(nameOf(key));
    const before = isLive(entry, this.now) ? entry : undefined;
    const seen = (value: Buffer | undefined): void => {
      if (value === undefined ? before !== undefined : before?.value.equals(value) !== true) {
        throw new Error('update was given another value');
      }
    };
    if (to === 'throws') {
      try {
        this.write([], () => store.update(key, (value) => { seen(value); throw new Thrown(); }));
      } catch (error) {
        if (!(error instanceof Thrown)) throw error;
      }
      return;
    }
    if (to === 'writes') {
      this.requireConflictOf(() => store.update(key, (value) => {
        seen(value);
        const other = this.value(10);
        this.write([[[nameOf(key), { value: other, expiresAt: 0 }]]], () => store.put(key, other));
        return other;
      }));
      return;
    }
    const after = to === 'nothing' ? undefined : this.value(to);
    const change: Change = [nameOf(key), after && { value: after, expiresAt: before?.expiresAt ?? 0 }];
    const result = this.write(after === undefined && before === undefined ? [] : [[change]],
      () => store.update(key, (value) => { seen(value); return after; }));
    if (result !== after) throw new Error('update gives something else than what was put');
  }

  private requireConflictOf(run: () => unknown): void {
    try {
      run();
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_CONFLICT')) return;
      throw error;
    }
    throw new Error('an update of a key that was written meanwhile is no conflict');
  }

  private clear(): void {
    const lsn = this.write(['clear'], () => this.store.clear());
    this.requireSame(lsn, this.model.committedLsn, 'the LSN of a clear');
  }

  private look({ keys }: Named<'look'>): void {
    this.options.refresh?.();
    for (const at of keys) compareKey(this.store, KEYS[at]!, this.model.state, this.now);
    const values = this.store.getMany(keys.map((at) => KEYS[at]!));
    for (const [index, at] of keys.entries()) {
      const entry = this.model.state.get(nameOf(KEYS[at]!));
      const right = isLive(entry, this.now) ? values[index]?.equals(entry.value) : values[index] === undefined;
      if (right !== true) throw new Error(`getMany gives something else for key ${at}`);
    }
  }

  private iterate({ over, prefix: at }: Named<'iterate'>): void {
    if (this.iterations.length >= ITERATIONS_MAX) this.endIteration(0);
    this.iterations.push(new SlowIteration(this.store, over, PREFIXES[at]!, this.model.state, this.now));
  }

  private consume({ which, count, leave }: Named<'consume'>): void {
    const iteration = this.iterations[which % ITERATIONS_MAX];
    if (iteration === undefined) return;
    if (leave) iteration.leave();
    else iteration.take(count, this.now);
    if (iteration.done) this.iterations.splice(this.iterations.indexOf(iteration), 1);
  }

  private compact({ minDeadRatio, budgetMs, abortAfter }: Named<'compact'>): void {
    const controller = new AbortController();
    let slices = 0;
    const onProgress = (): void => {
      if (slices++ === abortAfter) controller.abort(new Thrown('enough'));
    };
    const running = this.store.compact({ minDeadRatio, budgetMs, onProgress, signal: controller.signal });
    const done = running.catch((error: unknown) => {
      if (!(error instanceof Thrown)) throw error;
    });
    this.expect(done, () => undefined);
  }

  private async reopen({ mappedBytesMax, blocking }: Named<'reopen'>): Promise<void> {
    this.mappedBytesMax = mappedBytesMax;
    await this.close(blocking);
    this.open();
    this.compareAll();
  }

  /** Lets everything end, compacts what is dead, looks at what is left, and closes. */
  async finish(): Promise<void> {
    await this.settle();
    this.compareAll();
    await this.run({ name: 'compact', minDeadRatio: 0, budgetMs: 1000, abortAfter: -1 });
    await this.settle();
    this.compareAll();
    const { bytes, liveBytes } = this.store.stats();
    if (bytes !== liveBytes) throw new Error(`${bytes - liveBytes} bytes of ${bytes} are dead after a compaction`);
    await this.close(true);
    this.open();
    this.compareAll();
    await this.close(false);
  }
}
