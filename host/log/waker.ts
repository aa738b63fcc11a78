/**
 * Telling those who wait that something was committed: followers in this thread by a callback, all others by the
 * wake word of CONTROL.
 *
 * An append pays for no system call: there is one wake per turn of the event loop, however many records there were, and
 * within a long loop one whenever the writer stops for pages.
 */
import { Sleepers } from '../io/sleepers.ts';
import type { ControlFile } from './control.ts';

export class Waker {
  /** Whether a wake is due at the end of this turn of the event loop. */
  pending = false;
  private readonly control: ControlFile;
  private readonly sleepers = new Sleepers();
  private closed = false;

  constructor(control: ControlFile) {
    this.control = control;
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
    this.control.wake();
    this.sleepers.wakeAll();
  }

  /** Resolves at the next wake, at the latest after so many milliseconds. */
  sleep(milliseconds: number): Promise<void> {
    return this.sleepers.sleep(milliseconds);
  }

  /** Ends all waking; CONTROL may go. */
  close(): void {
    this.closed = true;
    this.sleepers.wakeAll();
  }
}
