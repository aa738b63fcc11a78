/**
 * Guarded records by hand: what one would write instead of a typed store, a seqlock by `Atomics` over a
 * `SharedArrayBuffer`. Eight words of 8 bytes a record: a stamp, then seven float64 fields. It keeps nothing on a disk,
 * and reads fields that are never torn.
 */
const WORDS = 8;

export class HandRecords {
  constructor(records) {
    const buffer = new SharedArrayBuffer(records * WORDS * 8);
    this.stamps = new Int32Array(buffer);
    this.values = new Float64Array(buffer);
  }

  get(index, field) {
    const at = index * WORDS;
    for (;;) {
      const stamp = Atomics.load(this.stamps, at * 2);
      const value = this.values[at + 1 + field];
      if ((stamp & 1) === 0 && Atomics.load(this.stamps, at * 2) === stamp) return value;
    }
  }

  /** Without a guard: what the memory alone takes. */
  peek(index, field) {
    return this.values[index * WORDS + 1 + field];
  }

  set(index, field, value) {
    const at = index * WORDS;
    Atomics.add(this.stamps, at * 2, 1);
    this.values[at + 1 + field] = value;
    Atomics.add(this.stamps, at * 2, 1);
  }

  getAll(index, into) {
    const { values } = this;
    const at = index * WORDS;
    for (;;) {
      const stamp = Atomics.load(this.stamps, at * 2);
      into.a = values[at + 1];
      into.b = values[at + 2];
      into.c = values[at + 3];
      into.d = values[at + 4];
      into.e = values[at + 5];
      into.f = values[at + 6];
      into.g = values[at + 7];
      if ((stamp & 1) === 0 && Atomics.load(this.stamps, at * 2) === stamp) return into;
    }
  }

  setAll(index, record) {
    const { values } = this;
    const at = index * WORDS;
    Atomics.add(this.stamps, at * 2, 1);
    values[at + 1] = record.a;
    values[at + 2] = record.b;
    values[at + 3] = record.c;
    values[at + 4] = record.d;
    values[at + 5] = record.e;
    values[at + 6] = record.f;
    values[at + 7] = record.g;
    Atomics.add(this.stamps, at * 2, 1);
  }
}
