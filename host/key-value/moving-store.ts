/**
 * What a KeyValueStore can do as a whole, for its writer and for a reader alike: give its pairs sorted by key, copy
 * itself, and be checked.
 */
import { checkStore, type KeyValueCheck } from './check.ts';
import { compactTo, type CompactToReport } from './compact-to.ts';
import { checkCheck, checkCompactTo, checkSortedPairs, type CheckedKeyValueOptions } from './options.ts';
import { ReadableStore } from './readable-store.ts';
import { SortedRecords, type SortedParts } from './sorted-records.ts';
import { Turns } from './turns.ts';
import type { CompactToOptions, Key, KeyValueCheckOptions, SortedPairsOptions } from './types.ts';

/** Pairs between two looks at the clock. */
const RUN_RECORDS = 64;

export abstract class MovingStore<K extends Key, V> extends ReadableStore<K, V> {
  private readonly segmentBytes: number;

  protected constructor(options: CheckedKeyValueOptions<V>) {
    super(options);
    this.segmentBytes = options.segmentBytes;
  }

  /**
   * When a key expires, in milliseconds since 1970; `undefined` where it never does or is not there. Errors: as `get`
   */
  expiresAtOf(key: K | Key): number | undefined {
    return this.find(key, true) ? this.table.dir.expiresAt || undefined : undefined;
  }

  /**
   * Gives keys and values as bytes, whatever the codec, in the bytewise order of the keys, as they are at the time of
   * the first `next`; the bytes are the caller's. Before the first pair the log is read once, to find the places of the
   * records, which take 16 bytes of memory each while it lasts. It works in slices of 4 ms. Compaction waits for it.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT; while iterating, ERR_VARVE_CORRUPT at a damaged record, ERR_VARVE_CLOSED, the
   *   signal's reason, and for a reader ERR_VARVE_TRUNCATED where the writer has compacted the store meanwhile: begin
   *   again
   */
  sortedPairs(options: SortedPairsOptions = {}): AsyncIterableIterator<[Buffer, Buffer]> {
    const { prefix = '', signal } = checkSortedPairs(options);
    return this.pairs(prefix, signal);
  }

  private async* pairs(prefix: Key, signal: AbortSignal | undefined): AsyncGenerator<[Buffer, Buffer], void> {
    signal?.throwIfAborted();
    const { bytes } = this.source.context.core.memory;
    const parts = this.parts(prefix);
    const turns = new Turns(() => {
      signal?.throwIfAborted();
      parts.requireOpen();
    });
    const sorted = await SortedRecords.of(parts, turns, () => undefined);
    try {
      for (let index = 0; index < sorted.count; index++) {
        if (index % RUN_RECORDS === 0 && turns.due) await turns.take();
        parts.requireOpen();
        const { keyAt, keyEnd, valueAt, end, expiresAt } = sorted.at(index);
        if (expiresAt !== 0 && expiresAt <= this.now()) continue;
        const copy = Buffer.allocUnsafe(end - keyAt);
        copy.set(bytes.subarray(keyAt, end));
        yield [copy.subarray(0, keyEnd - keyAt), copy.subarray(valueAt - keyAt)];
      }
    } finally {
      sorted.release();
    }
  }

  private parts(prefix: Key): SortedParts {
    this.ready();
    return {
      source: this.source, table: this.table, prefix, requireOpen: () => { if (this.closed) throw this.closedError(); },
    };
  }

  /**
   * Copies the live records to a new store, sorted by key; this one stays as it is and can be used meanwhile. The copy
   * holds what is live now, with its versions and expiries; its next write gets an LSN above all of them. It appears at
   * once when it is on disk. Works in slices of 4 ms, and on a read-only store too.
   *
   * @param directory must not exist, or be empty; missing parents are made
   * @param options.signal ends it with its reason
   * @param options.onProgress is told after every slice: the log is looked through once, then the live records are
   *   copied
   * @throws (rejects with) ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_FOREIGN_DIRECTORY (it is not empty),
   *   ERR_VARVE_CORRUPT,   ERR_VARVE_TRUNCATED (a reader's, where the writer has compacted meanwhile: begin again),
   *   ERR_VARVE_CLOSED,   ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO, the signal's reason; nothing is
   *   left behind then
   */
  async compactTo(directory: string, options: CompactToOptions = {}): Promise<CompactToReport> {
    const target = checkCompactTo(directory, options);
    return compactTo({ ...this.parts(''), segmentBytes: this.segmentBytes, now: this.now }, target);
  }

  /**
   * Checks the store, changing nothing: every frame of the log, and that the key directory leads to the newest record
   * of each key, and to nothing else. It reads everything and blocks until it is done.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO; damage is reported, not
   *   thrown
   */
  check(options: KeyValueCheckOptions = {}): KeyValueCheck<K> {
    const checked = checkCheck(options);
    this.ready();
    return checkStore<K>({
      source: this.source, table: this.table, now: this.now(), keyOf: (bytes) => this.keyOf(bytes),
    }, checked);
  }
}
