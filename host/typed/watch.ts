/**
 * The change feed of a typed store: which records have changed, found by comparing their stamps with a copy that the
 * watcher holds in the core's memory. The writers know of no watcher and keep nothing for him, so that any number of
 * them may watch, in any process, each at his own pace.
 *
 * Invariant: what was written after `watch` was called is reported at least once, by a look that began after the write
 * was done. The copy is brought up to date before a range is given, and what changes from then on is found by the next
 * look; so a range says that there is something new, not what, and changes that come fast are reported together.
 *
 * A *look* goes through all watched records, a part at a time and only when the consumer asks for more. In between the
 * watcher sleeps on the file's bell, and looks unasked from time to time: a wake may be lost, and files of format
 * mmfg-1 have no bell. Looking takes a bounded share of a processor, however many records there are.
 */
import { STAMPS_MAX } from '../core/typed-view.ts';
import type { CoreMemory } from '../core/memory.ts';
import { VarveError } from '../errors/varve-error.ts';
import { VALUES_OFFSET } from '../generated/abi.ts';
import { LiveIteration } from '../log/live-iteration.ts';
import type { TypedFile } from './typed-file.ts';
import type { WatchWaker } from './watch-wake.ts';

/** Records that have changed: `from` to `to`, both included. */
export interface Change {
  readonly from: number;
  readonly to: number;
  /** Whether they were there before, or are new. */
  readonly kind: 'changed' | 'appended';
}

/** What a watcher is told. */
export interface WatchBounds {
  readonly from: number;
  readonly to: number;
  readonly signal: AbortSignal | undefined;
  /** Told when it has ended, however. */
  readonly ended: (watcher: Watcher) => void;
}

const STAMP_COPY_BYTES = 4;
const PART_BYTES = STAMPS_MAX * STAMP_COPY_BYTES;
/** Longest sleep on a bell: it bounds what a lost wake costs. */
const SLEEP_MS_MAX = 1000;
/** First and longest sleep where there is no bell; each without a change is twice as long as the one before. */
const POLL_MS_MIN = 1;
const POLL_MS_MAX = 100;
/** A look that takes less is followed by the next one at once, where there is something new. */
const REST_MS_MIN = 1;
/** A sleep that nobody ends lasts as long as so many looks: unasked ones take 2 % of a processor. */
const SLEEP_LOOKS = 50;

/** An endless iteration over what changes in a store; made by `store.watch()`. */
export class Watcher extends LiveIteration<Change> {
  private readonly file: TypedFile;
  private readonly waker: WatchWaker | undefined;
  private readonly from: number;
  private readonly to: number;
  private readonly memory: CoreMemory;
  /** Addresses of the copy, a part of `STAMPS_MAX` records each. */
  private readonly parts: number[] = [];
  /** The copy holds [from, known). */
  private known: number;
  /** The bell before the look that is under way, or was the last. */
  private heard: number;
  private isLooking = false;
  /** The next record to be looked at, and the end of those that were known when the look began. */
  private next_ = 0;
  private end = 0;
  /** Records that were there when the look began, as far as they are watched. */
  private count = 0;
  private found: Change[] = [];
  private given = 0;
  private hasFound = false;
  /** Whether the next look is to begin although nobody has rung. */
  private isDue: boolean;
  /** Milliseconds that the last look took, without what its consumer did meanwhile, and when it ended. */
  private lookMs = 0;
  private lookedAt = 0;
  private pollMs = POLL_MS_MIN;

  /** Takes the copy; what is written from now on is found. `waker` is that of a store that writes. */
  constructor(file: TypedFile, waker: WatchWaker | undefined, bounds: WatchBounds) {
    super({ signal: bounds.signal, ended: () => { bounds.ended(this); } });
    this.file = file;
    this.waker = waker;
    this.from = bounds.from;
    this.to = bounds.to;
    this.memory = file.view.core.memory;
    this.known = this.from;
    this.isDue = file.bell === undefined;
    this.heard = file.bell?.word ?? 0;
    try {
      this.note(this.watchedCount());
    } catch (error) {
      this.release();
      throw error;
    }
    this.begin();
  }

  /** Index behind the last watched record that is there; the file is mapped as far. */
  private watchedCount(): number {
    // In this order: the count never passes the capacity.
    const { count } = this.file;
    this.file.refresh();
    return Math.min(count, this.to + 1);
  }

  protected look(): IteratorResult<Change, undefined> | undefined {
    for (;;) {
      // The last range may go on in the next part.
      const goesOn = this.next_ < this.end && this.found.at(-1)?.to === this.next_ - 1;
      if (this.given < this.found.length - (goesOn ? 1 : 0)) return { done: false, value: this.found[this.given++]! };
      if (!this.isLooking && !this.beginLook()) return undefined;
      const begunAt = performance.now();
      if (this.next_ < this.end) this.compare();
      else if (this.known < this.count) this.takeAppended();
      else this.endLook();
      this.lookedAt = performance.now();
      this.lookMs += this.lookedAt - begunAt;
    }
  }

  /** Whether there is reason for another look, and rest enough since the last. */
  private beginLook(): boolean {
    const { bell } = this.file;
    const isCalled = this.isDue || (bell !== undefined && bell.word !== this.heard);
    if (!isCalled || this.restMs > 0) return false;
    // Loaded before anything is looked at: whoever waits for it to change misses nothing that comes after.
    this.heard = bell?.word ?? 0;
    this.isDue = false;
    this.isLooking = true;
    this.hasFound = false;
    this.lookMs = 0;
    this.count = this.watchedCount();
    this.next_ = this.from;
    this.end = this.known;
    return true;
  }

  /** Milliseconds until the next look: after a long one others get the processor for as long. */
  private get restMs(): number {
    return this.lookMs < REST_MS_MIN ? 0 : this.lookedAt + this.lookMs - performance.now();
  }

  private endLook(): void {
    this.isLooking = false;
    this.pollMs = this.hasFound ? POLL_MS_MIN : Math.min(this.pollMs * 2, POLL_MS_MAX);
    if (!this.hasFound && !this.file.isNamed()) throw replaced(this.file);
  }

  /** Compares the next records, as many as stand in one part of the copy and are mapped. */
  private compare(): void {
    const { view } = this.file;
    const { address, room } = this.copyOf(this.next_);
    this.file.moveTo(this.next_);
    const ranges = view.findChanges(this.next_, Math.min(this.end - this.next_, room), address);
    this.advanceTo(view.next);
    if (this.given === this.found.length) {
      this.found = [];
      this.given = 0;
    }
    const { unsigned } = this.memory;
    const end = VALUES_OFFSET / 4 + 2 * ranges;
    for (let at = VALUES_OFFSET / 4; at < end; at += 2) this.add(unsigned[at]!, unsigned[at + 1]!);
  }

  private add(from: number, to: number): void {
    const last = this.found.at(-1);
    this.hasFound = true;
    // Where it goes on, the last one has not been given yet.
    if (last !== undefined && last.to === from - 1) this.found[this.found.length - 1] = { ...last, to };
    else this.found.push({ from, to, kind: 'changed' });
  }

  private takeAppended(): void {
    const from = this.known;
    this.note(this.count);
    this.hasFound = true;
    this.found.push({ from, to: this.count - 1, kind: 'appended' });
  }

  /** Copies the stamps of all records up to `count`. */
  private note(count: number): void {
    const { view } = this.file;
    while (this.known < count) {
      const { address, room } = this.copyOf(this.known);
      this.file.moveTo(this.known);
      view.noteStamps(this.known, Math.min(count - this.known, room), address);
      this.next_ = this.known;
      this.advanceTo(view.next);
      this.known = this.next_;
    }
  }

  /** Where the copy of a record's stamp stands, and for how many records there is room from there on. */
  private copyOf(index: number): { readonly address: number; readonly room: number } {
    const part = Math.floor((index - this.from) / STAMPS_MAX);
    const within = (index - this.from) % STAMPS_MAX;
    if (part === this.parts.length) this.parts.push(this.memory.reserve(PART_BYTES));
    return { address: this.parts[part]! + within * STAMP_COPY_BYTES, room: STAMPS_MAX - within };
  }

  private advanceTo(next: number): void {
    if (next === this.next_) {
      throw new VarveError('ERR_VARVE_INTERNAL',
        `record ${next} of ${this.file.path} could not be watched; this is a bug, please report it`,
        { path: this.file.path, index: next });
    }
    this.next_ = next;
  }

  protected async somethingNew(): Promise<void> {
    const { bell } = this.file;
    const rest = this.restMs;
    if (rest > 0) await new Promise((resolve) => { setTimeout(resolve, rest); });
    const unasked = this.lookMs * SLEEP_LOOKS;
    if (bell === undefined) {
      await this.pause(Math.max(this.pollMs, unasked));
    } else {
      const until = performance.now() + Math.max(SLEEP_MS_MAX, unasked);
      // Asked again after each wait: it may end early, and does where the file loses its name.
      while (!this.isOver && bell.word === this.heard && this.file.isNamed()) {
        const left = until - performance.now();
        if (left <= 0) break;
        await bell.wait(this.heard, left);
      }
    }
    this.isDue = true;
  }

  /** Sleeps where there is no bell; a store that writes wakes its own watchers all the same. */
  private pause(milliseconds: number): Promise<void> {
    if (this.waker !== undefined) return this.waker.sleep(milliseconds);
    return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
  }

  protected release(): void {
    for (const address of this.parts.splice(0)) {
      this.memory.bytes.fill(0, address, address + PART_BYTES);
      this.memory.release(address, PART_BYTES);
    }
    this.found = [];
    this.given = 0;
  }
}

function replaced({ path }: TypedFile): VarveError {
  return new VarveError('ERR_VARVE_REPLACED',
    `${path} was removed, or another file has taken its place, as a migration does; open it again`, { path });
}
