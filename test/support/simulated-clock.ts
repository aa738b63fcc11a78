/**
 * Time and waiting on the simulated disk. The clock stands still until a test moves it; whoever waits on a word is
 * woken by `wake` on the same word of the same file (through whatever mapping), by the clock reaching the deadline, by
 * the unmapping of the word, or by the end of its process. A word that changes without a wake wakes nobody, so that a
 * forgotten wake shows.
 */
import type { CoreMemory } from '../../host/core/memory.ts';

/** A clock that tests move. */
export class SimulatedClock {
  private milliseconds: number;
  private monotonic = 0;
  private readonly listeners = new Set<() => void>();

  /** Starts at the given time since 1970: 1,000,000,000,000 ms where not given. */
  constructor(start = 1_000_000_000_000) {
    this.milliseconds = start;
  }

  /** The time of the wall clock. */
  now(): number {
    return this.milliseconds;
  }

  /** Milliseconds since the start; never goes back. */
  elapsed(): number {
    return this.monotonic;
  }

  /** Moves the clock and ends the waits whose time has come. Negative: the wall clock is set back, no time passes. */
  advance(milliseconds: number): void {
    this.milliseconds += milliseconds;
    this.monotonic += Math.max(0, milliseconds);
    for (const listener of [...this.listeners]) listener();
  }

  /** Calls `listener` after each move. */
  onAdvance(listener: () => void): void {
    this.listeners.add(listener);
  }
}

/** A word: in a file, or in a memory where no file is mapped. */
export interface Word {
  readonly home: object;
  readonly offset: number;
  /** Where the one who asks sees it. */
  readonly memory: CoreMemory;
  readonly address: number;
}

interface Waiter {
  readonly word: Word;
  readonly owner: object;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Those who wait on one disk. */
export class Waiters {
  private waiting: Waiter[] = [];

  /** How many wait. */
  get count(): number {
    return this.waiting.length;
  }

  add(word: Word, owner: object, deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ word, owner, deadline, resolve, reject });
    });
  }

  /** Wakes all who wait on a word. */
  wake(word: Word): void {
    for (const waiter of this.take((each) => each.word.home === word.home && each.word.offset === word.offset)) {
      waiter.resolve();
    }
  }

  /** Wakes all whose time has come. */
  expire(elapsed: number): void {
    for (const waiter of this.take((each) => each.deadline <= elapsed)) waiter.resolve();
  }

  /** Ends the waits on [from, to) of a memory: the file there is being taken out. */
  leave(memory: CoreMemory, from: number, to: number): void {
    const gone = this.take(({ word }) => word.memory === memory && word.address >= from && word.address < to);
    for (const waiter of gone) waiter.resolve();
  }

  /** Ends the waits of a process. */
  end(owner: object, error: Error): void {
    for (const waiter of this.take((each) => each.owner === owner)) waiter.reject(error);
  }

  private take(which: (waiter: Waiter) => boolean): Waiter[] {
    const taken = this.waiting.filter(which);
    this.waiting = this.waiting.filter((waiter) => !which(waiter));
    return taken;
  }
}

/** The signed 32-bit value at an address. */
export function wordAt(memory: CoreMemory, address: number): number {
  return memory.words[address >> 2] as number;
}
