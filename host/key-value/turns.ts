/**
 * Long work in slices: between two of them the event loop has its turn, and it is asked whether the work may go on.
 */
import { setImmediate } from 'node:timers/promises';

/** Milliseconds of a slice. */
const SLICE_MS = 4;

export class Turns {
  private readonly proceed: () => void;
  /** When the slice at hand ends, by the clock of `performance.now()`. */
  until: number;

  /** `proceed` throws where the work must not go on; it is asked after each turn. */
  constructor(proceed: () => void) {
    this.proceed = proceed;
    this.until = performance.now() + SLICE_MS;
  }

  /** Whether the slice is used up. */
  get due(): boolean {
    return performance.now() >= this.until;
  }

  /** Gives the event loop its turn. Errors: what `proceed` throws */
  async take(): Promise<void> {
    await setImmediate();
    this.proceed();
    this.until = performance.now() + SLICE_MS;
  }
}
