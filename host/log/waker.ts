/**
 * Telling those who wait that something was written: those in this thread by a callback, all others by the bell of the
 * file.
 *
 * A write pays for no system call: there is one wake per turn of the event loop, however many writes there were. Within
 * a long loop there is one now and then: where a log has come to the end of its pages for the eighth time, or a typed
 * store to its count. A wake costs 12 to 38 µs, the more, the more processes listen (docs/decisions/0005), so that a
 * turn which is over soon is not worth a second one.
 */
import { Sleepers } from '../io/sleepers.ts';

/** What all others are told by. */
export interface Ringing {
  ring(): void;
}

/** Pauses within one turn of the event loop, of 64 to 256 KiB each, before those who wait are woken. */
const PAUSES = 8;

export class Waker {
  /** Whether a wake is due at the end of this turn of the event loop. */
  pending = false;
  private readonly bell: Ringing;
  private readonly sleepers = new Sleepers();
  private closed = false;
  /** Pauses since the last wake. */
  private pauses = 0;

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

  /** Told of a pause within a long loop: wakes where a wake is due and there were many pauses since the last. */
  pause(): void {
    if (this.pending && ++this.pauses >= PAUSES) this.now();
  }

  /** Wakes at once. */
  now(): void {
    this.pauses = 0;
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
