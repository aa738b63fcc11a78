/**
 * What a key-value store must hold: a Map, and the journal of what made it what it is. The log recovers a prefix, so
 * what a store holds whose last record has LSN L is exactly what the journal says up to L: after a restart, and for a
 * reader who has seen so much. Compaction appends copies, which change nothing.
 *
 * Keys are the bytes of the key as Latin-1 text. What has expired stays in the Map; whoever compares leaves it out.
 */

export interface Entry {
  readonly value: Buffer;
  /** LSN of the put. */
  readonly version: number;
  /** Milliseconds since 1970; 0 for never. */
  readonly expiresAt: number;
}

export type State = ReadonlyMap<string, Entry>;

/** One change of a key; without an entry it is removed. */
export type Change = readonly [key: string, entry: Omit<Entry, 'version'> | undefined];

/** What becomes visible and durable at once: the records from `first` to `last`. */
interface Unit {
  readonly first: number;
  readonly last: number;
  readonly changes: readonly Change[] | 'clear';
}

export function isLive(entry: Entry | undefined, now: number): entry is Entry {
  return entry !== undefined && (entry.expiresAt === 0 || entry.expiresAt > now);
}

function applied(state: Map<string, Entry>, { first, changes }: Unit): void {
  if (changes === 'clear') {
    state.clear();
    return;
  }
  for (const [at, [key, entry]] of changes.entries()) {
    if (entry === undefined) state.delete(key);
    else state.set(key, { ...entry, version: first + at });
  }
}

/** A put, a delete or a clear, as a watcher is told of it. */
export interface SingleChange {
  readonly lsn: number;
  readonly type: 'put' | 'delete' | 'clear';
  readonly key: string | undefined;
  readonly value: Buffer | undefined;
}

export class KeyValueModel {
  private base = new Map<string, Entry>();
  private units: Unit[] = [];
  private current = new Map<string, Entry>();
  /** Everything that was ever written and is there. */
  private past: Unit[] = [];
  /** Units of a call that is under way, or was cut short. */
  private pending: Unit[] = [];
  /** The last LSN that a call has returned for. */
  committedLsn = 0;

  /** What the store holds now. */
  get state(): State { return this.current; }

  /** Takes down what a call is about to write behind `lastLsn`. */
  begin(lastLsn: number, units: readonly Unit['changes'][]): void {
    let first = lastLsn + 1;
    this.pending = units.map((changes) => {
      const last = first + (changes === 'clear' ? 1 : changes.length) - 1;
      const unit = { first, last, changes };
      first = last + 1;
      return unit;
    });
  }

  /** The call is over, and the last record of the store is this: what it has written is written. */
  settle(lastLsn: number): void {
    for (const unit of this.pending) {
      if (unit.first > lastLsn) break;
      if (unit.last > lastLsn) throw new Error(`the store ends at ${lastLsn}, inside ${unit.first} to ${unit.last}`);
      applied(this.current, unit);
      this.units.push(unit);
      this.past.push(unit);
    }
    this.pending = [];
    this.committedLsn = lastLsn;
  }

  /** Each single change from one LSN to another, in order. */
  changesBetween(first: number, last: number): SingleChange[] {
    const found: SingleChange[] = [];
    for (const unit of this.past) {
      if (unit.last < first || unit.first > last) continue;
      if (unit.changes === 'clear') found.push({ lsn: unit.first, type: 'clear', key: undefined, value: undefined });
      else {
        for (const [at, [key, entry]] of unit.changes.entries()) {
          found.push({ lsn: unit.first + at, type: entry === undefined ? 'delete' : 'put', key, value: entry?.value });
        }
      }
    }
    return found.filter(({ lsn }) => lsn >= first && lsn <= last);
  }

  /** What a store holds that ends at `lsn`. */
  at(lsn: number): State {
    if (this.pending.length === 0 && lsn >= this.committedLsn) return this.current;
    const state = new Map(this.base);
    for (const unit of [...this.units, ...this.pending]) {
      if (unit.first > lsn) break;
      if (unit.last > lsn) throw new Error(`the store ends at ${lsn}, inside ${unit.first} to ${unit.last}`);
      applied(state, unit);
    }
    return state;
  }

  /** A restart has left what ends at `lsn`, of which a power cut may yet take what lies behind `durable`. */
  restart(lsn: number, durable = lsn): void {
    const state = this.at(lsn);
    const units = [...this.units, ...this.pending].filter(({ last }) => last <= lsn);
    const kept = units.filter(({ last }) => last <= durable);
    this.past = [...this.past, ...this.pending].filter(({ last }) => last <= lsn);
    for (const unit of kept) applied(this.base, unit);
    this.units = units.slice(kept.length);
    this.current = new Map(state);
    this.pending = [];
    this.committedLsn = lsn;
  }
}
