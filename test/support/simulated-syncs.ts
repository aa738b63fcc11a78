/**
 * The syncs under way on a simulated disk, in the order in which they were submitted, which is the order in which they
 * complete unless a test picks others. A sync whose process ends never completes: its promise is rejected, and what it
 * covered stays unsynced.
 */

interface PendingSync {
  readonly owner: object;
  readonly complete: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class SyncQueue {
  /** 'immediate' completes in a microtask, 'manual' when told. May be changed at any time. */
  mode: 'immediate' | 'manual';
  private pending: PendingSync[] = [];

  constructor(mode: 'immediate' | 'manual') {
    this.mode = mode;
  }

  /** How many are under way. */
  get length(): number {
    return this.pending.length;
  }

  /** Submits a sync; `complete` makes its bytes or names durable, or throws its error. */
  submit(owner: object, complete: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const sync = { owner, complete, resolve, reject };
      this.pending.push(sync);
      if (this.mode === 'immediate') queueMicrotask(() => this.finish(sync));
    });
  }

  /** Completes the oldest `count`; returns how many there were. */
  complete(count: number): number {
    const due = this.pending.slice(0, count);
    for (const sync of due) this.finish(sync);
    return due.length;
  }

  /** Completes the one that `pick` chooses of so many, where there is any. */
  completeOne(pick: (count: number) => number): void {
    const sync = this.pending[pick(this.pending.length)];
    if (sync !== undefined) this.finish(sync);
  }

  /** Ends those of a process. */
  end(owner: object, error: Error): void {
    const ended = this.pending.filter((sync) => sync.owner === owner);
    this.pending = this.pending.filter((sync) => sync.owner !== owner);
    for (const sync of ended) sync.reject(error);
  }

  private finish(sync: PendingSync): void {
    const at = this.pending.indexOf(sync);
    if (at < 0) return;
    this.pending.splice(at, 1);
    try {
      sync.complete();
      sync.resolve();
    } catch (error) {
      sync.reject(error);
    }
  }
}
