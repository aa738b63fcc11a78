/**
 * Telling those who wait that something was written: those in this thread by a callback, all others by the bell of the
 * file.
 *
 * A write pays for no system call, and a wake costs 12 to 38 µs, the more, the more processes listen
 * (docs/decisions/0005). So a write after a pause wakes at the end of its turn of the event loop, however many writes
 * there are in it. Of turns that follow each other with writes in all of them, and within a long loop (where a log has
 * come to the end of its pages, or a typed store to its count), a wake follows the last by INTERVAL_MS; the first turn
 * without writes wakes at once. Who waits in this thread is woken at the end of every turn with writes.
 */
import { Sleepers } from '../io/sleepers.ts';

/** What all others are told by. */
export interface Ringing {
  ring(): void;
}

/** Between the wakes of a writer that does not pause. */
const INTERVAL_MS = 4;

export class Waker {
  /** Whether there were writes in this turn of the event loop. */
  pending = false;
  private readonly bell: Ringing;
  private readonly sleepers = new Sleepers();
  private closed = false;
  /** Whether the ends of turns are looked at: from a write until a turn without one. */
  private busy = false;
  /** Whether there were writes since the last wake, in the turns before this one. */
  private owed = false;
  private lastAt = 0;

  constructor(bell: Ringing) {
    this.bell = bell;
  }

  /** Whether there were writes since the last wake. */
  get due(): boolean { return this.pending || this.owed; }

  /** Told of a write; wakes soon. */
  later(): void {
    this.pending = true;
    if (this.busy) return;
    this.busy = true;
    this.lastAt = 0;
    setImmediate(this.turn);
  }

  /** The end of a turn of the event loop. */
  private readonly turn = (): void => {
    if (this.closed) return;
    this.busy = this.pending;
    this.owed ||= this.pending;
    this.pending = false;
    if (this.busy) {
      setImmediate(this.turn);
      this.sleepers.wakeAll();
    }
    if (this.owed && (!this.busy || this.isTime())) this.now();
  };

  /** Told of a pause within a long loop: wakes where a wake is due. */
  pause(): void {
    if (this.pending && this.isTime()) this.now();
  }

  private isTime(): boolean {
    return performance.now() - this.lastAt >= INTERVAL_MS;
  }

  /** Wakes at once. */
  now(): void {
    this.owed = false;
    this.lastAt = performance.now();
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
