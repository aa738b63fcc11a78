/**
 * The key directory of both release builds against a `Map`, through the handle that the host uses: puts and deletes of
 * thousands of keys in two segments that are mapped and unmapped, in runs of any length, through growths into ranges
 * that are enlarged where the core asks for it. Some keys have one hash: they were found among 200,000 by their hints.
 *
 * Both builds must end with the same table, byte by byte.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Core, type CoreVariant } from '../../host/core/core.ts';
import { Keydir } from '../../host/core/keydir.ts';
import { SegmentView } from '../../host/core/segment-view.ts';
import {
  FRAMES_OFFSET, FRAME_HEADER_BYTES, HintEntry, INFO_KIND_SHIFT, KEYDIR_ENTRY_BYTES, KEYDIR_SEGMENTS_MAX,
  KEYDIR_HINT_BYTES, KEYDIR_SEGMENT_BYTES, KEYDIR_SPARE, KEY_OFFSET, Kind, Status, VALUES_BYTES, VALUES_OFFSET,
} from '../../host/generated/abi.ts';
import { type Random, forEachSeed, seedFromEnvironment } from '../support/random.ts';
import { newTally } from '../support/tally.ts';

const MIB = 1 << 20;
const VARIANTS: readonly CoreVariant[] = ['baseline', 'simd'];
const LEAST_SLOTS = 4096;
/** A list of hints. */
const LIST_BYTES = VALUES_BYTES;
const tally = newTally('key directories against a map');
afterAll(() => tally.report());

interface Written { readonly segment: number; readonly offset: number; readonly stride: number; readonly value: number }

/** A core with a key directory and two segments, none of which is a file. */
class Bench {
  readonly dir: Keydir;
  readonly views: readonly SegmentView[];
  private readonly core: Core;
  private readonly list: number;
  private readonly lists: number;
  private range = { address: 0, bytes: 0 };
  enlarged = 0;
  asked = 0;

  constructor(variant: CoreVariant, private readonly segmentBytes: number) {
    this.core = new Core({ variant, memoryBytes: 128 * MIB });
    const { memory } = this.core;
    this.list = memory.reserve(KEYDIR_SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
    this.dir = new Keydir(this.core, this.list, 0x9f3a1c5577d01e2bn, 0x5851f42d4c957f2dn);
    const control = memory.reserve(4096);
    this.lists = memory.reserve(2 * LIST_BYTES);
    this.views = [0, 1].map((number) => {
      const base = memory.reserve(segmentBytes);
      const view = new SegmentView(this.core, {
        base, mapped: segmentBytes, baseLsn: 0xfffffff0 + number * 1e6, basePosition: 0, salt: 77 + number,
        index: memory.reserve(segmentBytes / FRAME_HEADER_BYTES * 4), epoch: 1,
      });
      view.setWriter(control, 1);
      return view;
    });
    this.reset();
  }

  /** Begins anew, with the least range. */
  reset(): void {
    const { memory } = this.core;
    memory.bytes.fill(0, this.list, this.list + KEYDIR_SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
    if (this.range.bytes > 0) memory.release(this.range.address, this.range.bytes);
    this.range = { address: 0, bytes: 0 };
    this.place((LEAST_SLOTS + KEYDIR_SPARE) * KEYDIR_ENTRY_BYTES);
    this.dir.reset();
    for (const [number, view] of this.views.entries()) {
      memory.bytes.fill(0, view.base, view.base + this.segmentBytes);
      view.setEnd(0, FRAMES_OFFSET, 1);
      this.mount(number);
    }
  }

  /** Takes the table to a range of so many bytes. */
  private place(bytes: number): void {
    const { memory } = this.core;
    const address = memory.reserve(bytes);
    memory.bytes.fill(0, address, address + bytes);
    memory.bytes.copyWithin(address, this.range.address, this.range.address + this.range.bytes);
    if (this.range.bytes > 0) memory.release(this.range.address, this.range.bytes);
    this.range = { address, bytes };
    this.dir.place(address, bytes);
  }

  private enlarge(): void {
    this.enlarged++;
    this.place(Math.ceil(this.range.bytes * 1.5));
  }

  mount(number: number): void { this.dir.setView(number, this.views[number]!.at); }
  unmount(number: number): void { this.dir.setView(number, 0); }

  /** The table, as it is in memory. */
  table(): Buffer {
    return Buffer.from(this.core.memory.bytes.subarray(this.range.address, this.range.address + this.range.bytes));
  }

  /** Appends a record whose value is a number. */
  append(segment: number, kind: Kind, key: Uint8Array, value: number): Written {
    const { memory } = this.core;
    const view = this.views[segment]!;
    const offset = view.dataEnd;
    memory.bytes.set(key, view.base + offset + FRAME_HEADER_BYTES);
    const valueBytes = kind === Kind.Put ? 4 + value % 5 : 0;
    new DataView(memory.buffer).setUint32(view.base + offset + FRAME_HEADER_BYTES + key.length, value, true);
    view.append(((kind << INFO_KIND_SHIFT) | key.length) >>> 0, valueBytes);
    return { segment, offset, stride: view.dataEnd - offset, value };
  }

  /** Takes a run in, and does what it asks for. */
  apply(segment: number, from: number, end: number, ordinal: number, check: boolean): void {
    let offset = from;
    let taken = 0;
    for (let status: number = Status.Unmapped; offset < end;) {
      status = this.dir.apply(segment, offset, end, ordinal + taken, check);
      offset = this.dir.offset;
      offset = this.dir.offset;
      taken += this.dir.records;
      if (status === Status.Full) {
        this.enlarge();
      } else if (status === Status.Unmapped) {
        this.asked++;
        this.mount(this.dir.segment);
      } else if (status !== Status.Ok) {
        throw new Error(`status ${status} at ${offset}`);
      }
    }
  }

  /** Takes a run in as its replay does: listed, in the order of its hashes, into a table that has grown before. */
  applyInOrder(segment: number, from: number, end: number): void {
    const { dir, core: { memory: { bytes, unsigned: words } } } = this;
    const count = dir.hints(segment, from, end);
    expect(dir.offset).toBe(end);
    bytes.copyWithin(this.lists, VALUES_OFFSET, VALUES_OFFSET + count * KEYDIR_HINT_BYTES);
    const ordered = this.lists + LIST_BYTES;
    expect(dir.order(this.lists, count, ordered)).toBe(true);
    const hintsAt = (at: number) => Array.from({ length: count }, (_, index) => {
      const word = (at + index * KEYDIR_HINT_BYTES) / 4;
      return { hash: words[word + HintEntry.hash / 4]!, place: words[word + HintEntry.place / 4]! };
    });
    const order = ({ hash }: { readonly hash: number }): number => hash >>> 21;
    // Array.prototype.sort is stable, and so must this be.
    expect(hintsAt(ordered)).toEqual(hintsAt(this.lists).sort((a, b) => order(a) - order(b)));
    const keys = dir.count + dir.newHashes(ordered, count);
    while (dir.reserve(keys) === Status.Full) this.enlarge();
    expect(dir.slots * 4).toBeGreaterThanOrEqual(keys * 5);
    for (let taken = 0; taken < count;) {
      const status = dir.applyHints(segment, ordered + taken * KEYDIR_HINT_BYTES, count - taken);
      taken += dir.records;
      if (status === Status.Unmapped) this.mount(dir.segment);
      else if (status === Status.Full) this.enlarge();
      else if (status !== Status.Ok) throw new Error(`status ${status} at ${taken}`);
    }
  }

  /** The value of a key, or `undefined`. */
  get(key: Uint8Array): number | undefined {
    this.core.memory.bytes.set(key, KEY_OFFSET);
    let status = this.dir.find(key.length, true);
    for (; status === Status.Unmapped; status = this.dir.find(key.length, true)) this.mount(this.dir.segment);
    if (status === Status.Absent) return undefined;
    if (status !== Status.Ok) throw new Error(`status ${status}`);
    return new DataView(this.core.memory.buffer).getUint32(this.dir.valueAt, true);
  }

  /** Where a list of hints may stand, with one in front of it. */
  freeList(): number {
    const { bytes } = this.core.memory;
    bytes.copyWithin(this.lists, VALUES_OFFSET, VALUES_OFFSET + LIST_BYTES);
    return this.lists + LIST_BYTES;
  }

  /** The hashes of the records of a segment. */
  hashes(segment: number): number[] {
    const words = this.core.memory.unsigned;
    const { dataEnd } = this.views[segment]!;
    const hashes: number[] = [];
    for (let offset = FRAMES_OFFSET; offset < dataEnd; offset = this.dir.offset) {
      const count = this.dir.hints(segment, offset, dataEnd);
      for (let index = 0; index < count; index++) {
        hashes.push(words[VALUES_OFFSET / 4 + index * 4 + HintEntry.hash / 4]!);
      }
    }
    return hashes;
  }
}

function keyOf(number: number): Buffer {
  return Buffer.from(`key ${number}`);
}

/** Numbers of keys of which each has the hash of another one. */
function findColliding(): number[] {
  const bench = new Bench('simd', 16 * MIB);
  for (let number = 0; number < 200_000; number++) bench.append(0, Kind.Put, keyOf(number), 0);
  const known = new Map<number, number>();
  return bench.hashes(0).flatMap((hash, number) => {
    const other = known.get(hash);
    known.set(hash, number);
    return other === undefined ? [] : [other, number];
  });
}

const colliding = findColliding();
const benches = VARIANTS.map((variant) => new Bench(variant, 4 * MIB));

/** What a directory is compared with. */
class Model {
  readonly live = new Map<number, Written>();

  /** Appends a put or a tombstone of a key, and remembers it. */
  write(bench: Bench, segment: number, key: number, isPut: boolean, value: number): void {
    const written = bench.append(segment, isPut ? Kind.Put : Kind.Delete, keyOf(key), value);
    if (isPut) this.live.set(key, written);
    else this.live.delete(key);
  }

  /** Compares the whole directory: every key that was ever written, the entries, the accounts. */
  compare(bench: Bench, keys: Iterable<number>): void {
    for (const key of keys) {
      const value = bench.get(keyOf(key));
      const expected = this.live.get(key)?.value;
      if (value !== expected) throw new Error(`key ${key} has ${value}, not ${expected}`);
    }
    expect(bench.dir.count).toBe(this.live.size);
    const written = [...this.live.values()];
    const place = ({ segment, offset, stride }: Omit<Written, 'value'>): string => `${segment} ${offset} ${stride}`;
    expect([...bench.dir.entries()].map(place).sort()).toEqual(written.map(place).sort());
    for (const number of [0, 1]) {
      const here = written.filter(({ segment }) => segment === number);
      expect(bench.dir.liveRecords(number)).toBe(here.length);
      expect(bench.dir.liveBytes(number)).toBe(here.reduce((sum, { stride }) => sum + stride, 0));
    }
  }
}

/** Thousands of puts and deletes, in runs; returns the table that is left. */
function play(bench: Bench, random: Random): Buffer {
  bench.reset();
  const model = new Model();
  const keys = [...colliding, ...Array.from({ length: random.between(500, 14_000) }, (_, at) => 1_000_000 + at)];
  const steps = random.between(2000, 30_000);
  for (let step = 0; step < steps;) {
    const segment = random.integer(2);
    const { dataEnd, records } = bench.views[segment]!;
    const length = random.chance(0.5) ? 1 : random.between(2, 200);
    // Mostly more come than go.
    const puts = random.pick([0.9, 0.9, 0.7, 0.2]);
    for (let left = length; left > 0; left--, step++) {
      const key = random.chance(0.1) ? random.pick(colliding) : random.pick(keys);
      model.write(bench, segment, key, random.chance(puts), random.next());
    }
    if (random.chance(0.1)) bench.unmount(1 - segment);
    bench.mount(segment);
    const end = bench.views[segment]!.dataEnd;
    if (random.chance(0.3)) bench.applyInOrder(segment, dataEnd, end);
    else bench.apply(segment, dataEnd, end, records, random.chance(0.3));
  }
  tally.add('records', steps);
  model.compare(bench, keys);
  return bench.table();
}

describe('a key directory', () => {
  it('finds keys of equal hashes to play with', () => {
    expect(colliding.length).toBeGreaterThan(2);
    expect(colliding.length).toBeLessThan(40);
  });

  it('is a map, whatever is put and deleted, in both builds alike', async () => {
    await forEachSeed(40, (random) => {
      const [first, second] = benches.map((bench) => play(bench, random.clone()));
      expect(first!.equals(second!)).toBe(true);
    });
    for (const bench of seedFromEnvironment() === undefined ? benches : []) {
      expect(bench.enlarged).toBeGreaterThan(10);
      expect(bench.asked).toBeGreaterThan(50);
      tally.add('ranges enlarged', bench.enlarged);
    }
  });

  it('orders no hints that clear the store', () => {
    const [bench] = benches;
    bench!.reset();
    bench!.append(0, Kind.Put, keyOf(1), 1);
    bench!.append(0, Kind.Clear, Buffer.alloc(0), 0);
    const { dir, views } = bench!;
    expect(dir.hints(0, FRAMES_OFFSET, views[0]!.dataEnd)).toBe(2);
    const to = bench!.freeList();
    expect(dir.order(to - LIST_BYTES, 2, to)).toBe(false);
  });

  it('is a map for a few keys of equal hashes, shrunk to what fails', () => {
    const few = [...colliding.slice(0, 6), 1, 2];
    const operation = fc.record({
      key: fc.constantFrom(...few), isPut: fc.boolean(), segment: fc.integer({ min: 0, max: 1 }),
      unmounted: fc.boolean(),
    });
    fc.assert(fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
      for (const bench of benches) {
        bench.reset();
        const model = new Model();
        for (const [value, { key, isPut, segment, unmounted }] of operations.entries()) {
          const { dataEnd, records } = bench.views[segment]!;
          model.write(bench, segment, key, isPut, value);
          if (unmounted) bench.unmount(1 - segment);
          bench.apply(segment, dataEnd, bench.views[segment]!.dataEnd, records, true);
          bench.mount(1 - segment);
        }
        model.compare(bench, few);
      }
    }), { numRuns: 100, seed: 5 });
  });
});
