/**
 * The time that entries are marked with, as the two halves of a u64: nanoseconds since 1970. For people, never for
 * order, so that it need not be asked for each entry, which would cost a third of an append.
 */
const TWO_TO_32 = 2 ** 32;
const NS_PER_MS = 1e6;

export class EntryClock {
  low = 0;
  high = 0;
  /** Milliseconds since 1970. */
  readonly now: () => number;

  constructor(now: (() => number) | undefined) {
    this.now = now ?? (() => performance.timeOrigin + performance.now());
  }

  read(): void {
    const time = Math.max(0, this.now() * NS_PER_MS);
    this.high = time / TWO_TO_32;
    this.low = time % TWO_TO_32;
  }
}
