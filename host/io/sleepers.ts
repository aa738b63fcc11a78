/**
 * Those in this thread who wait for one and the same thing, each for a time of his own at most. Being woken needs
 * nothing but a call, so nobody depends on what the pool or the system is busy with.
 */
export class Sleepers {
  private readonly wakes = new Set<() => void>();

  /** How many wait. */
  get count(): number { return this.wakes.size; }

  /** Resolves when all are woken, at the latest after so many milliseconds. Keeps the process alive, or does not. */
  sleep(milliseconds: number, alive = true): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.wakes.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      if (!alive) timer.unref();
      this.wakes.add(wake);
    });
  }

  /** Wakes all who wait now. */
  wakeAll(): void {
    for (const wake of this.wakes) wake();
  }
}
