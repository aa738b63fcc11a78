/**
 * Telling those who wait that something was written: those in this thread by a callback, all others by the bell of the
 * file.
 *
 * A write pays for no system call: there is one wake per turn of the event loop, however many writes there were, and
 * within a long loop one whenever the writer has a pause: a log at the end of its pages, a typed store at its count.
 */
import { Sleepers } from '../io/sleepers.ts';

/** What all others are told by. */
export interface Ringing {
  ring(): void;
}

export class Waker {
  /** Whether a wake is due at the end of this turn of the event loop. */
  pending = false;
  private readonly bell: Ringing;
  private readonly sleepers = new Sleepers();
  private closed = false;

  constructor(bell: Ringing) {
    this.bell = bell;
  }

  /** Wakes at the end of this turn of the event loop. */
  later(): void {
    if (this.pending) return;
    this.pending = true;
    setImmediate(() => {
      this.pending = false;
      if (!this.closed) this.now();
    });
  }

  /** Wakes at once where a wake is due. */
  due(): void {
    if (this.pending) this.now();
  }

  now(): void {
    this.bell.ring();
    this.sleepers.wakeAll();
  }

  /** Resolves at the next wake, at the latest after so many milliseconds. */
  sleep(milliseconds: number): Promise<void> {
    return this.sleepers.sleep(milliseconds);
  }

  /** Ends all waking; the file may go. */
  close(): void {
    this.closed = true;
    this.sleepers.wakeAll();
  }
}
