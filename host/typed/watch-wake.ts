/**
 * Waking those who watch a typed store: one wake after the turn of the event loop in which there was a write, and one
 * after so many writes within a long loop (host/log/waker.ts).
 *
 * A write pays for no more than a decrement in the core. The first one of a turn finds the count at its end and is
 * answered `Wake` before it is made: the host arms the wake and repeats the call. A wake that is lost, because its
 * process died before it was given, costs those who watch a second: they look by themselves.
 */
import type { TypedView } from '../core/typed-view.ts';
import type { Bell } from '../log/bell.ts';
import { Waker } from '../log/waker.ts';

/** Writes within one turn of the event loop, after which those who watch are woken: some hundreds of microseconds. */
const WRITES_MAX = 65536;

export class WatchWaker {
  private readonly view: TypedView;
  private readonly waker: Waker;

  /** Without a bell, where the format has none, those in this thread alone are woken. */
  constructor(view: TypedView, bell: Bell | undefined) {
    this.view = view;
    this.waker = new Waker({
      ring: () => {
        view.wakeIn = 1;
        bell?.ring();
      },
    });
    view.wakeIn = 1;
  }

  /** To be called when a write was answered `Wake`, before it is repeated. */
  due(): void {
    if (this.waker.pending) this.waker.now();
    else this.waker.later();
    this.view.wakeIn = WRITES_MAX;
  }

  /** Resolves at the next wake, at the latest after so many milliseconds. */
  sleep(milliseconds: number): Promise<void> {
    return this.waker.sleep(milliseconds);
  }

  /** Wakes where a wake is due, and for the last time. The view must still be there. */
  close(): void {
    if (this.waker.due) this.waker.now();
    this.waker.close();
    this.view.wakeIn = 0;
  }
}
