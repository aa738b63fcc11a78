/**
 * The change feed of a typed store: which records have changed, found by comparing their stamps with a copy that the
 * watcher holds in the core's memory. The writers know of no watcher and keep nothing for him, so that any number of
 * them may watch, in any process, each at his own pace.
 *
 * Invariant: what was written after `watch` was called is reported at least once, by a look that began after the write
 * was done. The copy is brought up to date before a range is given, and what changes from then on is found by the next
 * look; so a range says that there is something new, not what, and changes that come fast are reported together.
 *
 * Stamps stand by places: in a ring a place has one record after the other, and what was overwritten is reported no
 * more.
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
  /** Addresses of the copy, a part of `STAMPS_MAX` places each; where no record is watched, there is none. */
  private readonly parts: (number | undefined)[] = [];
  /** The place of the first stamp of the copy. */
  private readonly origin: number;
  /** The copy holds the records [from, known), as far as they are there. */
  private known: number;
  /** The bell before the look that is under way, or was the last. */
  private heard: number;
  private isLooking = false;
  /** The next record to be looked at, and the end of those that were known when the look began. */
  private next_ = 0;
  private end = 0;
  /** When the look began: index behind the last watched record, and of the first that was there. */
  private count = 0;
  private oldest = 0;
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
    this.origin = file.isRing ? 0 : this.from;
    this.known = this.from;
    this.isDue = file.bell === undefined;
    this.heard = file.bell?.word ?? 0;
    try {
      this.takeCount();
      this.note();
    } catch (error) {
      this.release();
      throw error;
    }
    this.begin();
  }

  /** Takes notice of which records are there; the file is mapped as far. */
  private takeCount(): void {
    // In this order: the count never passes the capacity.
    const { count } = this.file;
    this.file.refresh();
    this.count = Math.min(count, this.to + 1);
    this.oldest = this.file.isRing ? Math.max(this.from, count - this.file.capacity) : this.from;
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
    this.takeCount();
    this.next_ = this.oldest;
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
    const { file } = this;
    const { place, count, address } = this.nextPart(this.end);
    const shift = this.next_ - place;
    const ranges = file.view.findChanges(place, count, address);
    this.advance(place);
    if (this.given === this.found.length) {
      this.found = [];
      this.given = 0;
    }
    // What an append to a ring has overwritten meanwhile is found as what it has appended.
    const { first } = file;
    const { unsigned } = this.memory;
    const end = VALUES_OFFSET / 4 + 2 * ranges;
    for (let at = VALUES_OFFSET / 4; at < end; at += 2) {
      const from = Math.max(unsigned[at]! + shift, first);
      const to = unsigned[at + 1]! + shift;
      if (from <= to) this.add(from, to);
    }
  }

  private add(from: number, to: number): void {
    const last = this.found.at(-1);
    this.hasFound = true;
    // Where it goes on, the last one has not been given yet.
    if (last !== undefined && last.to === from - 1) this.found[this.found.length - 1] = { ...last, to };
    else this.found.push({ from, to, kind: 'changed' });
  }

  private takeAppended(): void {
    const from = Math.max(this.known, this.oldest);
    this.note();
    this.hasFound = true;
    this.found.push({ from, to: this.count - 1, kind: 'appended' });
  }

  /** Copies the stamps of all records up to `count` that it does not know. */
  private note(): void {
    this.next_ = Math.max(this.known, this.oldest);
    while (this.next_ < this.count) {
      const { place, count, address } = this.nextPart(this.count);
      this.file.view.noteStamps(place, count, address);
      this.advance(place);
    }
    this.known = Math.max(this.known, this.count);
  }

  /** Shows the next record. Returns its place, where its stamp is copied to, and how many follow there in both. */
  private nextPart(end: number): { readonly place: number; readonly count: number; readonly address: number } {
    const { file } = this;
    file.moveTo(this.next_);
    const place = file.placeOf(this.next_);
    const part = Math.floor((place - this.origin) / STAMPS_MAX);
    const within = (place - this.origin) % STAMPS_MAX;
    const address = this.parts[part] ??= this.memory.reserve(PART_BYTES);
    const lap = file.isRing ? file.capacity - place : Infinity;
    return {
      place, address: address + within * STAMP_COPY_BYTES, count: Math.min(end - this.next_, STAMPS_MAX - within, lap),
    };
  }

  /** Goes on behind what the core has looked at from `place` on. */
  private advance(place: number): void {
    const { path, view } = this.file;
    const done = view.next - place;
    if (done <= 0) {
      throw new VarveError('ERR_VARVE_INTERNAL',
        `record ${this.next_} of ${path} could not be watched; this is a bug, please report it`,
        { path, index: this.next_ });
    }
    this.next_ += done;
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
      if (address === undefined) continue;
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
