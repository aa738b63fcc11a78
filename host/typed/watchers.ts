/**
 * All who watch one open typed store, and the waking that its own writes do: made with the store, closed with it.
 */
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import type { TypedFile } from './typed-file.ts';
import { WatchWaker } from './watch-wake.ts';
import { Watcher } from './watch.ts';

/** Which records are watched, and for how long. */
export interface WatchOptions {
  /** First index. Default 0. */
  readonly from?: number;
  /** Last index; may be one that is not there yet. Default: all that come. */
  readonly to?: number;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal;
}

export class Watchers {
  /** Wakes all who watch the file; absent where the store does not write. */
  readonly waker: WatchWaker | undefined;
  private readonly file: TypedFile;
  private readonly all = new Set<Watcher>();

  constructor(file: TypedFile) {
    this.file = file;
    this.waker = file.readOnly ? undefined : new WatchWaker(file.view, file.bell);
    // The stamps that opening has made even have changed for those who watch.
    if (file.recovery.torn.length > 0) this.waker?.due();
  }

  /** Errors: ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL */
  watch(options: WatchOptions): Watcher {
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
    const { from = 0, to = Infinity, signal } = options;
    index('options.from', from, 0);
    if (to !== Infinity) index('options.to', to, from - 1);
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrongType('options.signal', 'an AbortSignal', signal);
    if (this.file.closed) throw this.closed();
    const watcher = new Watcher(this.file, this.waker, {
      from, to, signal, ended: (it) => { this.all.delete(it); },
    });
    this.all.add(watcher);
    return watcher;
  }

  /** Ends all of them with ERR_VARVE_CLOSED, and wakes whoever watches elsewhere for the last time. Idempotent. */
  close(): void {
    if (this.file.closed) return;
    for (const watcher of [...this.all]) watcher.stop(this.closed());
    this.waker?.close();
  }

  private closed(): VarveError {
    const { path } = this.file;
    return new VarveError('ERR_VARVE_CLOSED', `the typed store in ${path} is closed; open it again`, { path });
  }
}

function index(name: string, value: unknown, least: number): void {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  if (!Number.isSafeInteger(value) || value < least) throw outOfRange(name, `an integer from ${least} on`, value);
}
