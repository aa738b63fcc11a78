/**
 * What each key of a store must have after its writer was killed, from the journal that the writer kept
 * (children/kv-victim.mjs): every operation that had returned, and of the one under way all or nothing.
 */
import { expect } from 'vitest';
import type { KeyValueStore } from '../../host/index.ts';
import { valueOf } from '../process/children/kv-records.mjs';

/** By key, the number of the operation that has put it last. */
type Contents = Map<string, number>;

interface Pending { readonly what: string; readonly serial: number; readonly keys: readonly string[] }

function applied(contents: Contents, { what, serial, keys }: Pending): Contents {
  const after: Contents = new Map(contents);
  if (what === 'clear') after.clear();
  for (const key of keys) {
    const isPut = what === 'put' || (what === 'batch' && Number(key.slice(4)) % 2 === 0);
    if (isPut) after.set(key, serial);
    else after.delete(key);
  }
  return after;
}

/** Lines of what holds no key: whether it is begun or over. */
const BACKGROUND: ReadonlyMap<string, readonly [what: string, begun: boolean]> = new Map([
  ['compacting', ['compact', true]], ['compacted', ['compact', false]], ['iterating', ['iterate', true]],
  ['iterated', ['iterate', false]], ['copying', ['copy', true]], ['copied', ['copy', false]],
  ['exporting', ['export', true]], ['exported', ['export', false]],
  ['closing', ['close', true]], ['opening', ['open', true]], ['open', ['open', false]],
]);

export class StoreJournal {
  /** Number of the last operation that was begun. */
  serial = 0;
  /** Operations that have returned. */
  returned = 0;
  /** Openings that took the table from KEYDIR, and that did not. */
  readonly openings = { loaded: 0, rebuilt: 0 };
  private contents: Contents = new Map();
  private pending: Pending | undefined;
  private readonly background = new Set<string>();

  /** Takes in what the writer has noted; a line that was not finished does not count. */
  apply(journal: string): void {
    for (const line of journal.split('\n').slice(0, -1)) this.applyLine(line);
  }

  private applyLine(line: string): void {
    const [what, ...rest] = line.split(' ') as [string, ...string[]];
    const state = BACKGROUND.get(what);
    if (what === 'wrong') expect.fail(line);
    if (state !== undefined) {
      if (state[1]) this.background.add(state[0]);
      else this.background.delete(state[0]);
      if (what === 'open') this.opened(rest);
    } else if (what === 'done') {
      expect(Number(rest[0])).toBe(this.pending!.serial);
      this.contents = applied(this.contents, this.pending!);
      this.pending = undefined;
      this.returned++;
    } else {
      this.serial = Number(rest[0]);
      this.pending = { what, serial: this.serial, keys: rest.slice(1).map((number) => `key ${number}`) };
    }
  }

  private opened([keydir, damaged]: string[]): void {
    this.background.clear();
    this.openings[keydir as 'loaded' | 'rebuilt']++;
    expect(Number(damaged), 'records that the writer found damaged').toBe(0);
  }

  /** What was under way when the writer died. */
  get underWay(): string[] {
    return [...this.background, ...this.pending === undefined ? [] : [this.pending.what]];
  }

  /** Keys that must be there, whatever became of the operation under way. */
  get size(): number {
    return this.contents.size;
  }

  /** Compares every key of a store; returns how many there are. Opened for writing, it decides what is from now on. */
  compare(store: KeyValueStore<string, string>): number {
    const found = new Map(store);
    const possible = [this.contents, ...this.pending === undefined ? [] : [applied(this.contents, this.pending)]];
    const matches = possible.filter((contents) => difference(contents, found) === undefined);
    if (matches.length === 0) {
      expect.fail(`${possible.map((contents) => difference(contents, found)).join(' or ')}; under way: ${this.underWay}`);
    }
    expect(store.size).toBe(found.size);
    for (const [key, value] of found) {
      if (store.get(key) !== value) expect.fail(`get of ${key} gives another value than the iteration`);
    }
    if (!store.readOnly) {
      // A delete of what is not there, and the like, end the same either way.
      this.contents = matches.at(-1)!;
      this.pending = undefined;
      this.background.clear();
    }
    return found.size;
  }
}

/** How a store differs from what it should hold. */
function difference(contents: Contents, found: ReadonlyMap<string, string>): string | undefined {
  for (const [key, serial] of contents) {
    const value = found.get(key);
    if (value !== valueOf(serial, key)) return `${key} is '${value?.slice(0, 20)}', not of ${serial}`;
  }
  for (const [key, value] of found) if (!contents.has(key)) return `${key} is there, '${value.slice(0, 20)}'`;
  return undefined;
}
