/**
 * Group commit: many callers of `sync` share one sync of the disk. At most one is under way, and one more waits to take
 * in everything that was appended meanwhile.
 *
 * The durable mark moves to what was committed when the sync was *submitted*, never to what came while it ran. A sync
 * that fails fails for all who waited for it, and the owner poisons the log: what is on disk is unknown then, and
 * trying again would report success for pages that the kernel has already dropped.
 */
import type { Segment } from './segment.ts';

/** Who owns the files. */
export interface SyncOwner {
  /** Whether there is anything that is not durable yet. */
  isDurable(): boolean;
  /** LSN of the last durable record. */
  durableLsn(): number;
  /** Syncs all that is committed now; the promise resolves when it is on disk and the marks have moved. */
  syncFiles(): Promise<void>;
  /** Told when a sync failed, before anyone else. */
  failed(error: unknown): void;
}

/** What a sync of the disk covers. */
export interface SyncTarget {
  readonly lsn: number;
  readonly position: number;
  /** How many truncations there had been. */
  readonly cuts: number;
  readonly sealed: readonly Segment[];
  readonly active: Segment | undefined;
  /** Where the active segment's frames ended. */
  readonly end: number;
  /** Names in the directory that it covers; 0 where all were covered before. */
  readonly names: number;
}

export class Syncer {
  private readonly owner: SyncOwner;
  private running: Promise<void> | undefined;
  private waiting: Promise<void> | undefined;
  /** Syncs of the disk since the log was opened. */
  count = 0;

  constructor(owner: SyncOwner) {
    this.owner = owner;
  }

  /** Resolves with the durable LSN once all that is committed now is durable. */
  async sync(): Promise<number> {
    if (this.last === undefined) {
      if (!this.owner.isDurable()) await this.start();
    } else {
      // What runs may have been submitted before the caller's last append: the next one covers it.
      this.waiting ??= this.startAfter(this.running!);
      await this.waiting;
    }
    return this.owner.durableLsn();
  }

  /**
   * Starts the next sync when the one under way has succeeded. Where it fails, nobody tries again: the next sync would
   * succeed without the pages that this one has lost. For the same reason nobody else may start one in between.
   */
  private startAfter(running: Promise<void>): Promise<void> {
    return running.then(
      () => {
        this.waiting = undefined;
        return this.owner.isDurable() ? undefined : this.start();
      },
      (error: unknown) => {
        this.waiting = undefined;
        throw error;
      });
  }

  private get last(): Promise<void> | undefined { return this.waiting ?? this.running; }

  /** Waits until no sync is under way. */
  async idle(): Promise<void> {
    for (let last = this.last; last !== undefined; last = this.last) await last.catch(() => undefined);
  }

  private start(): Promise<void> {
    this.count++;
    const run = this.owner.syncFiles().then(
      () => { this.running = undefined; },
      (error: unknown) => {
        this.running = undefined;
        this.owner.failed(error);
        throw error;
      });
    this.running = run;
    return run;
  }
}
