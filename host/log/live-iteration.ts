/**
 * An endless asynchronous iteration over what happens to a store, asleep while nothing does. What it gives, and what it
 * sleeps on, is the subclass's; how it is called, woken and ended is here.
 *
 * It looks when it is asked, so that whoever consumes slowly is never given more than was asked for. Calls that come
 * while one waits stand in a queue behind it. It ends by `return()` - leaving a `for await` loop calls it -, by its
 * signal, with an error, or when the store is closed.
 */

/** What an iteration is told. */
export interface LiveBounds {
  readonly signal: AbortSignal | undefined;
  /** Told when it has ended, however. */
  readonly ended: () => void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export abstract class LiveIteration<T> implements AsyncIterableIterator<T, undefined> {
  private readonly live: LiveBounds;
  private isEnded = false;
  /** What the next call throws. */
  private failure: { readonly error: unknown } | undefined;
  /** The last call that has to wait; calls that come meanwhile wait behind it. */
  private waiting: Promise<unknown> | undefined;
  private wake: () => void = () => undefined;
  private readonly looking = (): IteratorResult<T, undefined> | undefined => this.look();
  private readonly abort = (): void => { this.stop(this.live.signal!.reason); };

  constructor(live: LiveBounds) {
    this.live = live;
  }

  /** Listens to the signal; to be called when all is set up. */
  protected begin(): void {
    const { signal } = this.live;
    signal?.addEventListener('abort', this.abort, { once: true });
    if (signal?.aborted === true) this.abort();
  }

  /**
   * Looks for the next value; `undefined` where there is nothing yet, which must be cheap to find once more. What it
   * throws ends the iteration.
   */
  protected abstract look(): IteratorResult<T, undefined> | undefined;

  /** Resolves when another look is worth while; nothing was done since the one that has found nothing. */
  protected abstract somethingNew(): Promise<void>;

  /** Whether an error says no more than that another look is worth while. */
  protected isMomentary(_error: unknown): boolean { return false; }

  /** Gives back what the iteration holds; called once. */
  protected abstract release(): void;

  /** Whether it has ended, or is about to with an error. */
  protected get isOver(): boolean { return this.isEnded || this.failure !== undefined; }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Resolves with the next value, as soon as there is one. Rejects with what has ended it; afterwards it is done. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (this.waiting === undefined) {
      try {
        const step = this.step();
        if (step !== undefined) return Promise.resolve(step);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.later(() => this.step());
  }

  /** Ends the iteration; a call that waits is done. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.finish();
    return DONE;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.finish();
  }

  /** Ends the iteration with an error, which the next call throws, or the one that waits. */
  stop(error: unknown): void {
    if (this.isOver) return;
    this.failure = { error };
    this.letGo();
  }

  protected finish(): void {
    const wasOver = this.isOver;
    this.isEnded = true;
    if (!wasOver) this.letGo();
  }

  private letGo(): void {
    this.live.signal?.removeEventListener('abort', this.abort);
    this.release();
    this.live.ended();
    this.wake();
  }

  /** Runs `take` until it gives something, asleep in between, and behind all calls that wait already. */
  protected later<R>(take: () => R | undefined): Promise<R> {
    const run = async (): Promise<R> => {
      for (;;) {
        const taken = take();
        if (taken !== undefined) return taken;
        await this.sleep();
      }
    };
    const turn = this.waiting === undefined ? run() : this.waiting.then(run, run);
    this.waiting = turn;
    const done = () => { if (this.waiting === turn) this.waiting = undefined; };
    turn.then(done, done);
    return turn;
  }

  /** Nothing may be done between the look that found nothing and this call, or a wake-up is lost. */
  private sleep(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.wake = resolve;
      this.somethingNew().then(resolve, reject);
    });
  }

  /** The next value, or the end; `undefined` where there is nothing yet. */
  private step(): IteratorResult<T, undefined> | undefined {
    return this.take<IteratorResult<T, undefined>>(this.looking, DONE);
  }

  /** What `look` finds; `end` where the iteration has ended, `undefined` where there is nothing yet. */
  protected take<R>(look: () => R | undefined, end: R): R | undefined {
    if (this.isEnded) return end;
    try {
      if (this.failure !== undefined) throw this.failure.error;
      return look();
    } catch (error) {
      if (this.failure === undefined && this.isMomentary(error)) return undefined;
      this.finish();
      throw error;
    }
  }
}
