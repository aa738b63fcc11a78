/**
 * Sorting the locations of records by their keys, bytewise, without gathering the keys: 16 bytes of memory for each
 * record, and each key is read once for every six bytes that it shares with others.
 *
 * Each location has a number beside it: the six bytes of its key from some depth on, and how many of them there are.
 * These are exact integers below 2^51, and their order is that of the keys as far as they go. The locations are sorted
 * by them; where several are equal and their keys go on, the same is done six bytes deeper.
 *
 * It can be done in slices: what is under way stands in fields, and every loop over many looks at the clock.
 */

/** Where keys are found. */
export interface KeySource {
  /** The bytes that hold the key of the location that was sought last, at [start, end). */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Finds the key of a location. */
  seek(location: number): void;
}

const STEP = 6;
/** More bytes follow than a number holds. */
const GOES_ON = 7;
/** Distinguishes lengths 0 to 6 and `GOES_ON`. */
const LENGTHS = 8;
/** Up to here, insertion is the fastest. */
const SMALL = 16;
/** How many steps are taken between two looks at the clock. */
const STEPS = 4096;

/** Sorts locations in place by the keys that `source` finds for them; locations of equal keys come in any order. */
export function sortByKey(locations: Float64Array, source: KeySource): void {
  new KeySort(locations, source).work();
}

/** The same in slices. The source may change between two of them, as long as it finds the same keys. */
export class KeySort {
  private readonly locations: Float64Array;
  private readonly numbers: Float64Array;
  private readonly source: KeySource;
  /** Ranges whose numbers are to be read, each with its depth: from, to, depth. */
  private readonly open: number[] = [];
  /** Ranges whose numbers are to be ordered: from, to. */
  private readonly unordered: number[] = [];
  /** The range at hand, and how far its numbers have been read. */
  private from = 0;
  private to = 0;
  private depth = 0;
  private filled = 0;
  /** How far equal numbers have been looked for, and where the last of them begin. */
  private scanned = 0;
  private equalFrom = 0;
  /** How far the partition at hand is: [at, more) is not looked at yet. None where `at` is -1. */
  private at = -1;
  private less = 0;
  private more = 0;
  private pivot = 0;
  private state = 1;

  constructor(locations: Float64Array, source: KeySource) {
    this.locations = locations;
    this.numbers = new Float64Array(locations.length);
    this.source = source;
    this.to = locations.length;
  }

  /** Works until `until`, by the clock of `performance.now()`; whether the locations are sorted. */
  work(until = Infinity): boolean {
    let steps = 0;
    for (;;) {
      if (this.filled < this.to) {
        steps += this.fill(Math.min(this.to, this.filled + STEPS));
        if (this.filled === this.to) this.unordered.push(this.from, this.to);
      } else if (this.at >= 0) {
        steps += this.divide();
      } else if (this.unordered.length > 0) {
        const to = this.unordered.pop()!;
        steps += this.begin(this.unordered.pop()!, to);
      } else {
        steps += this.openEqual();
        if (this.scanned === this.to && !this.next()) return true;
      }
      if (steps < STEPS) continue;
      steps = 0;
      if (performance.now() >= until) return false;
    }
  }

  /** Reads the numbers up to an index. Returns how many. */
  private fill(to: number): number {
    const { locations, numbers, source, filled: from, depth } = this;
    for (let i = from; i < to; i++) {
      source.seek(locations[i]!);
      const { bytes, end } = source;
      const at = source.start + depth;
      const rest = end - at;
      if (rest >= STEP) {
        const high = ((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!) * 0x1000000;
        const low = (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8) | bytes[at + 5]!;
        numbers[i] = (high + low) * LENGTHS + (rest > STEP ? GOES_ON : STEP);
        continue;
      }
      let number = 0;
      for (let k = 0; k < STEP; k++) number = number * 256 + (k < rest ? bytes[at + k]! : 0);
      numbers[i] = number * LENGTHS + rest;
    }
    this.filled = to;
    return to - from;
  }

  /** Begins to order a range, or does it where it is small. Returns how many steps it took. */
  private begin(from: number, to: number): number {
    if (to - from <= SMALL) {
      this.insert(from, to);
      return to - from;
    }
    this.unordered.push(from, to);
    this.pivot = this.choose(from, to);
    this.at = this.less = from;
    this.more = to;
    return 1;
  }

  /** Goes on with quicksort's partition in three parts of the range on top. Returns how many steps it took. */
  private divide(): number {
    const { numbers, pivot } = this;
    let { at, less, more } = this;
    let steps = 0;
    // Below `less` are smaller ones, from `more` on greater ones, between `less` and `at` those like the pivot.
    for (; at < more && steps < STEPS; steps++) {
      const number = numbers[at]!;
      if (number < pivot) this.swap(at++, less++);
      else if (number > pivot) this.swap(at, --more);
      else at++;
    }
    this.at = at;
    this.less = less;
    this.more = more;
    if (at === more) this.divided();
    return steps;
  }

  /** Puts the two parts in the place of the range; the smaller one on top, so that they stay few. */
  private divided(): void {
    const { unordered, less, more } = this;
    const to = unordered.pop()!;
    const from = unordered.pop()!;
    this.at = -1;
    if (less - from < to - more) unordered.push(more, to, from, less);
    else unordered.push(from, less, more, to);
  }

  /** Opens ranges of equal numbers in the sorted range whose keys go on. Returns how many numbers it looked at. */
  private openEqual(): number {
    const { numbers, scanned: from } = this;
    const to = Math.min(this.to, from + STEPS);
    for (let i = from; i < to; i++) {
      if (numbers[i] === numbers[this.equalFrom]) continue;
      this.openRange(i);
      this.equalFrom = i;
    }
    this.scanned = to;
    if (to === this.to) this.openRange(to);
    return to - from;
  }

  /** Opens the range of equal numbers that ends here, where there is something to sort. */
  private openRange(end: number): void {
    const { equalFrom, numbers, depth } = this;
    if (end - equalFrom > 1 && numbers[equalFrom]! % LENGTHS === GOES_ON) this.open.push(equalFrom, end, depth + STEP);
  }

  /** Goes to the next open range; false where there is none. */
  private next(): boolean {
    const { open } = this;
    if (open.length === 0) return false;
    this.depth = open.pop()!;
    this.to = open.pop()!;
    this.from = this.filled = this.scanned = this.equalFrom = open.pop()!;
    return true;
  }

  private swap(a: number, b: number): void {
    const { numbers, locations } = this;
    const number = numbers[a]!;
    const location = locations[a]!;
    numbers[a] = numbers[b]!;
    locations[a] = locations[b]!;
    numbers[b] = number;
    locations[b] = location;
  }

  private insert(from: number, to: number): void {
    const { numbers, locations } = this;
    for (let i = from + 1; i < to; i++) {
      const number = numbers[i]!;
      const location = locations[i]!;
      let at = i;
      while (at > from && numbers[at - 1]! > number) {
        numbers[at] = numbers[at - 1]!;
        locations[at] = locations[at - 1]!;
        at--;
      }
      numbers[at] = number;
      locations[at] = location;
    }
  }

  /** The middle one of three at places that no order of the input makes bad. */
  private choose(from: number, to: number): number {
    const a = this.numbers[this.somewhere(from, to)]!;
    const b = this.numbers[this.somewhere(from, to)]!;
    const c = this.numbers[this.somewhere(from, to)]!;
    return a < b ? (b < c ? b : Math.max(a, c)) : (a < c ? a : Math.max(b, c));
  }

  private somewhere(from: number, to: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return from + Math.floor(this.state / 2 ** 32 * (to - from));
  }
}
