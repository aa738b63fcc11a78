/**
 * What changes in a store, as it happens: the log followed, without what compaction only moves.
 */
import { Kind, PUT_META_BYTES } from '../generated/abi.ts';
import type { Follower } from '../log/follower.ts';
import type { LogRecord } from '../log/record.ts';
import { keyBytes } from './keys.ts';
import type { Key, KeyValueChange } from './types.ts';

/** What a watcher makes changes with. */
export interface WatchParts<K, V> {
  readonly follower: Follower;
  readonly prefix: Key;
  readonly key: (bytes: Buffer) => K;
  readonly value: (bytes: Buffer) => V;
}

/**
 * An endless iteration over the changes of a store; made by `store.watch()`.
 *
 * It ends by `return()` (leaving a `for await` loop calls it), by its signal, with an error, or when the store is
 * closed.
 */
export class KeyValueWatcher<K, V> implements AsyncIterableIterator<KeyValueChange<K, V>, undefined> {
  private readonly parts: WatchParts<K, V>;
  private readonly prefix: Uint8Array;

  constructor(parts: WatchParts<K, V>) {
    this.parts = parts;
    this.prefix = keyBytes(parts.prefix);
  }

  /** LSN up to which the changes were delivered or passed over. */
  get lsn(): number { return this.parts.follower.lsn; }
  /** Records of the log that were not looked at yet. */
  get lag(): number { return this.parts.follower.lag; }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Resolves with the next change, as soon as there is one. Rejects with what has ended it; afterwards it is done. */
  async next(): Promise<IteratorResult<KeyValueChange<K, V>, undefined>> {
    for (;;) {
      const step = await this.parts.follower.next();
      if (step.done === true) return step;
      const change = this.changeOf(step.value);
      if (change !== undefined) return { done: false, value: change };
    }
  }

  /** Ends the iteration. */
  return(): Promise<IteratorReturnResult<undefined>> {
    return this.parts.follower.return();
  }

  /** The change that a record is; `undefined` where it is none, or not of a key that is watched. */
  private changeOf({ lsn, kind, key, payload }: LogRecord): KeyValueChange<K, V> | undefined {
    if (kind === Kind.Clear) return { type: 'clear', lsn };
    const isMeta = kind === Kind.PutMeta;
    if (!isMeta && kind !== Kind.Put && kind !== Kind.Delete) return undefined;
    if (!this.prefix.every((byte, at) => byte === key[at])) return undefined;
    // A version that is not the record's own says that compaction has moved it.
    if (isMeta && bufferOf(payload).readBigUInt64LE(0) !== 0n) return undefined;
    const made = this.parts.key(bufferOf(key));
    if (kind === Kind.Delete) return { type: 'delete', key: made, lsn };
    const value = bufferOf(isMeta ? payload.subarray(PUT_META_BYTES) : payload);
    return { type: 'put', key: made, value: this.parts.value(value), lsn };
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
