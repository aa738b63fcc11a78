/**
 * Sorting the locations of records by their keys, bytewise, without gathering the keys: 16 bytes of memory for each
 * record, and each key is read once for every six bytes that it shares with others.
 *
 * Each location has a number beside it: the six bytes of its key from some depth on, and how many of them there are.
 * These are exact integers below 2^51, and their order is that of the keys as far as they go. The locations are sorted
 * by them; where several are equal and their keys go on, the same is done six bytes deeper.
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

/** Sorts locations in place by the keys that `source` finds for them; locations of equal keys come in any order. */
export function sortByKey(locations: Float64Array, source: KeySource): void {
  new Sort(locations, source).run();
}

class Sort {
  private readonly locations: Float64Array;
  private readonly numbers: Float64Array;
  private readonly source: KeySource;
  /** Ranges that are still to be sorted, each with its depth: from, to, depth. */
  private readonly open: number[] = [];
  private state = 1;

  constructor(locations: Float64Array, source: KeySource) {
    this.locations = locations;
    this.numbers = new Float64Array(locations.length);
    this.source = source;
  }

  run(): void {
    const { open } = this;
    if (this.locations.length > 1) open.push(0, this.locations.length, 0);
    while (open.length > 0) {
      const depth = open.pop()!;
      const to = open.pop()!;
      const from = open.pop()!;
      this.fill(from, to, depth);
      this.order(from, to);
      this.openEqual(from, to, depth + STEP);
    }
  }

  /** Reads the numbers of [from, to) at a depth. */
  private fill(from: number, to: number, depth: number): void {
    const { locations, numbers, source } = this;
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
  }

  /** Opens the ranges of equal numbers in the sorted range whose keys go on. */
  private openEqual(from: number, to: number, depth: number): void {
    const { numbers } = this;
    for (let i = from; i < to;) {
      const number = numbers[i]!;
      let end = i + 1;
      while (end < to && numbers[end] === number) end++;
      if (end - i > 1 && number % LENGTHS === GOES_ON) this.open.push(i, end, depth);
      i = end;
    }
  }

  /** Sorts [from, to) by the numbers: quicksort in three parts, the smaller ones first, so that the stack stays low. */
  private order(first: number, last: number): void {
    const { numbers } = this;
    let from = first;
    let to = last;
    while (to - from > SMALL) {
      const pivot = this.pivot(from, to);
      let less = from;
      let more = to;
      // Below `less` are smaller ones, from `more` on greater ones, between `less` and i those like the pivot.
      for (let i = from; i < more;) {
        const number = numbers[i]!;
        if (number < pivot) this.swap(i++, less++);
        else if (number > pivot) this.swap(i, --more);
        else i++;
      }
      if (less - from < to - more) {
        this.order(from, less);
        from = more;
      } else {
        this.order(more, to);
        to = less;
      }
    }
    this.insert(from, to);
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
  private pivot(from: number, to: number): number {
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
