/**
 * An iteration over a key-value store that takes its time: it must deliver what there was when it began, each once;
 * what has expired since may be left out.
 */
import { VarveError } from '../../host/errors/varve-error.ts';
import type { ReadableStore } from '../../host/key-value/readable-store.ts';
import type { Key } from '../../host/key-value/types.ts';
import { shown } from './kv-judge.ts';
import { type Entry, type State, isLive } from './kv-model.ts';
import { nameOf } from './kv-operations.ts';

export class SlowIteration {
  done = false;
  private readonly iterator: IterableIterator<unknown, undefined>;
  private readonly over: 'keys' | 'values' | 'entries';
  /** What it has to deliver still. */
  private readonly left: Map<string, Entry>;

  constructor(store: ReadableStore<Buffer, Buffer>, over: 'keys' | 'values' | 'entries', prefix: Key, state: State,
    now: number) {
    const start = nameOf(prefix);
    this.over = over;
    this.left = new Map([...state].filter(([name, entry]) => isLive(entry, now) && name.startsWith(start)));
    this.iterator = store[over](start === '' ? {} : { prefix });
  }

  /** Takes at most `count`. */
  take(count: number, now: number): void {
    for (let taken = 0; taken < count && !this.done; taken++) {
      const next = this.iterator.next();
      if (next.done === true) this.end(now);
      else this.judge(next.value);
    }
  }

  private judge(item: unknown): void {
    const [name, value] = this.over === 'keys' ? [nameOf(item as Buffer), undefined]
      : this.over === 'entries' ? [nameOf((item as Buffer[])[0]!), (item as Buffer[])[1]!]
        : [this.keyOf(item as Buffer), item as Buffer];
    const entry = this.left.get(name);
    if (entry === undefined) throw new Error(`an iteration delivers ${shown(name)}, which was not there, or twice`);
    if (value !== undefined && !entry.value.equals(value)) {
      throw new Error(`an iteration delivers ${shown(name)} with another value than it had`);
    }
    this.left.delete(name);
  }

  /** The key of a value that is still to come; where several have it, of the one that stays longest. */
  private keyOf(value: Buffer): string {
    const lasting = ({ expiresAt }: Entry): number => (expiresAt === 0 ? Infinity : expiresAt);
    const same = [...this.left].filter(([, entry]) => entry.value.equals(value));
    if (same.length > 0) return same.reduce((a, b) => (lasting(a[1]) >= lasting(b[1]) ? a : b))[0];
    throw new Error(`an iteration over values delivers ${shown(value.toString('latin1'))}, which was not there`);
  }

  private end(now: number): void {
    this.done = true;
    for (const [name, entry] of this.left) {
      if (isLive(entry, now)) throw new Error(`an iteration has left out ${shown(name)}, version ${entry.version}`);
    }
  }

  leave(): void {
    this.iterator.return!();
    this.done = true;
  }

  /** The store was closed: what was read already may come, then an error, or the end. */
  requireClosed(now: number): void {
    try {
      this.take(Infinity, now);
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_CLOSED')) throw error;
    }
  }
}
