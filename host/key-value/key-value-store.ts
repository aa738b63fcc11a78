/**
 * KeyValueStore: keys and values over the log, as its users see them. This is opening, compaction and closing; reading
 * is readable-store.ts, the whole store moving-store.ts, writing writing-store.ts, arguments options.ts; the work is
 * the log's and the table's.
 */
import { VarveError } from '../errors/varve-error.ts';
import type { CompactionReport } from './compaction.ts';
import { checkCompact, checkOpen, type CheckedKeyValueOptions } from './options.ts';
import { contextOf } from './readable-store.ts';
import { repairStore, type KeyValueRepairReport } from './repair.ts';
import type { CompactOptions, Key, KeyValueOptions } from './types.ts';
import { WritingStore } from './writing-store.ts';

/**
 * A store of keys and values in a directory. One writer, in one process, has it open; any number of readers, in any
 * process, beside it.
 *
 * A write is *committed* when the call returns: every reader sees it, and it survives the death of the process. It is
 * *durable*, and survives the death of the machine, when a `sync` that was called afterwards has resolved, or the
 * promise that the call gives with `durable: true`.
 *
 * @typeParam K what iterators give keys as: `string`, or `Buffer` with `keys: 'binary'`
 * @typeParam V values, as the codec takes and gives them
 * @example
 * const store = await KeyValueStore.open('./users', { values: 'json' });
 * store.put('ada', { born: 1815 });
 * console.log(store.get('ada')); // { born: 1815 }
 * await store.close();
 */
export class KeyValueStore<K extends Key = string, V = Buffer> extends WritingStore<K, V> {
  /** The last LSN when the store was opened. */
  private readonly openedAt: number;

  private constructor(options: CheckedKeyValueOptions<V>) {
    super(options);
    this.openedAt = this.source.lastLsn;
  }

  /**
   * Opens the store in `directory`; makes it where there is none, and recovers it where its writer died. What was found
   * stands in `recovery`.
   *
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_LOCKED, ERR_VARVE_CORRUPT, ERR_VARVE_NOT_FOUND,
   *   ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL,
   *   ERR_VARVE_UNSUPPORTED, ERR_VARVE_IO
   */
  static async open<K extends Key = string, V = Buffer>(
    directory: string, options: KeyValueOptions<V> = {},
  ): Promise<KeyValueStore<K, V>> {
    return new KeyValueStore<K, V>(checkOpen(directory, options));
  }

  /** The same as `open`, without a promise. */
  static openSync<K extends Key = string, V = Buffer>(
    directory: string, options: KeyValueOptions<V> = {},
  ): KeyValueStore<K, V> {
    return new KeyValueStore<K, V>(checkOpen(directory, options));
  }

  /**
   * Repairs the store in `directory`, which must not be open for writing, as far as it can be: the only call that gives
   * up records that had been durable. Damaged records are replaced by placeholders; what is overwritten is saved in
   * `.cut` files first. Keys whose newest record was lost are not there afterwards: where an older value is still in
   * the log, or a delete was lost, they are deleted anew, so that nothing old comes back. That takes the key directory,
   * or hints, from before the damage: records that nothing else tells of are counted in `unknown`. Blocks.
   *
   * @param options.dryRun says what it would do and changes nothing; default false
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_NOT_FOUND, ERR_VARVE_LOCKED, ERR_VARVE_CORRUPT (the
   *   damage cannot be bridged), ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_DISK_FULL,
   *   ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
   */
  static async repair<K extends Key = string>(
    directory: string, { dryRun = false, ...options }: KeyValueOptions<never> & { readonly dryRun?: boolean } = {},
  ): Promise<KeyValueRepairReport<K>> {
    const checked = checkOpen(directory, options);
    const context = contextOf({ ...checked, readOnly: dryRun });
    const now = (checked.now ?? (() => context.storage.now()))();
    return repairStore<K>(context, { ...checked, readOnly: false }, now, (bytes) => (
      checked.keys === 'utf8' ? bytes.toString() : bytes) as K);
  }

  /**
   * Resolves with the durable LSN once every write that is committed now is on disk. Concurrent callers share one sync
   * of the disk, which runs off the event loop.
   *
   * @throws (rejects with) ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_IO (the store is
   *   poisoned)
   */
  async sync(): Promise<number> {
    return this.writable.sync();
  }

  /** The same as `sync`, but blocks the thread until it is done. */
  syncNow(): number {
    return this.writable.syncNow();
  }

  /**
   * Gives the space of dead records back, while the store is used: the live records of the oldest segments are copied
   * to the end of the log, and when the copies are durable, these segments are dropped. Versions and expiries stay. One
   * compaction runs at a time; a second call waits for the first.
   *
   * @param options.minDeadRatio compacts as many of the oldest segments as are dead by this share; default 0: all up to
   *   the last with a dead record
   * @param options.budgetMs milliseconds that it works before the event loop has its turn; default 2
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CORRUPT (a live record is damaged: what was not copied
   *   stays where it is), ERR_VARVE_CLOSED, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_DISK_FULL (nothing is
   *   lost; it can be tried again), ERR_VARVE_IO, the signal's reason
   */
  async compact(options: CompactOptions = {}): Promise<CompactionReport> {
    const checked = checkCompact(options);
    return this.compactor.run(this.writable, checked);
  }

  /**
   * Ends a compaction that is under way, syncs, keeps the key directory for the next opening, and gives everything
   * back. Idempotent. Values and views that were read stay valid.
   *
   * @throws (rejects with) ERR_VARVE_IO, ERR_VARVE_DISK_FULL, ERR_VARVE_POISONED (a sync that the store began by itself
   *   had failed); the store is closed and the lock free all the same
   */
  async close(): Promise<void> {
    if (!this.endReading()) return;
    await this.compactor.idle();
    this.hints.close();
    try {
      try {
        this.keepTable();
      } finally {
        await this.source.close();
      }
    } finally {
      this.table.release();
    }
  }

  /** The same as `close`, blocking. */
  closeSync(): void {
    if (!this.endReading()) return;
    this.hints.close();
    try {
      try {
        this.keepTable();
      } finally {
        this.source.closeNow();
      }
    } finally {
      this.table.release();
    }
  }

  /** Keeps the table for the next opening, where it has changed; without it, that takes longer and no more. */
  private keepTable(): void {
    const { source: { writer }, table, recovery } = this;
    if (writer === undefined || writer.poisoned) return;
    // A table with damaged records, whose keys are guesses, is made anew each time, so that each opening tells of them.
    if (recovery.damaged.length > 0) return;
    const state = this.source.state();
    if (recovery.keydir === 'loaded' && state.lastLsn === this.openedAt && state.firstLsn === recovery.log.firstLsn) return;
    writer.syncNow();
    try {
      if (this.missingFrom !== 0) this.takeMissing();
      table.save(state);
    } catch (error) {
      if (!VarveError.is(error)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.closeSync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
