/**
 * The heap of what expires, against a sorted array.
 */
import { describe, expect, it } from 'vitest';
import { EXPIRY_ENTRY_BYTES, ExpiryHeap, locationOf, offsetOf, segmentOf } from '../../host/key-value/expiry.ts';
import { forEachSeed } from '../support/random.ts';

type Entry = readonly [expiresAt: number, location: number];

/** Removes everything; times ascend, and of equal times the locations are sorted, as the heap knows no order there. */
function drained(heap: ExpiryHeap): Entry[] {
  const entries: Entry[] = [];
  while (heap.size > 0) {
    const { nextAt, next } = heap;
    expect(nextAt).toBeGreaterThanOrEqual(entries.at(-1)?.[0] ?? 0);
    expect(heap.pop()).toBe(next);
    entries.push([nextAt, next]);
  }
  expect(heap.nextAt).toBe(Infinity);
  return sorted(entries);
}

function sorted(entries: readonly Entry[]): Entry[] {
  return [...entries].sort(([a, x], [b, y]) => a - b || x - y);
}

function heapOf(entries: readonly Entry[]): ExpiryHeap {
  const heap = new ExpiryHeap();
  for (const [expiresAt, location] of entries) heap.push(expiresAt, location);
  return heap;
}

function bytesOf(heap: ExpiryHeap): Uint8Array {
  const bytes = new Uint8Array(heap.bytes);
  expect(heap.serialise(bytes)).toBe(bytes.length);
  return bytes;
}

describe('a location', () => {
  it('is an exact integer for every segment and offset', () => {
    for (const segment of [0, 1, 2, 65535]) {
      for (const offset of [0, 8, 4096, 2 ** 30 - 8]) {
        const location = locationOf(segment, offset);
        expect(Number.isSafeInteger(location)).toBe(true);
        expect([segmentOf(location), offsetOf(location)]).toEqual([segment, offset]);
      }
    }
  });
});

describe('the heap', () => {
  it('does what a sorted array does', async () => {
    await forEachSeed(40, (random) => {
      let heap = new ExpiryHeap();
      let model: Entry[] = [];
      // Locations differ; times meet often.
      let location = 0;
      const times = random.pick([3, 50, 1e6]);
      for (let step = 0; step < 2000; step++) {
        const chance = random.fraction();
        if (chance < 0.55) {
          const expiresAt = random.between(1, times);
          heap.push(expiresAt, ++location);
          model.push([expiresAt, location]);
        } else if (chance < 0.85) {
          const now = random.between(0, times) * random.fraction();
          const most = random.chance(0.3) ? random.integer(5) : undefined;
          const due: Entry[] = [];
          const removed = heap.popDue(now, (at, expiresAt) => { due.push([expiresAt, at]); }, most);
          const expected = sorted(model).filter(([at]) => at <= now).slice(0, most);
          expect(removed).toBe(due.length);
          expect(due.map(([at]) => at)).toEqual(expected.map(([at]) => at));
          const gone = new Set(due.map(([, at]) => at));
          expect(gone.size).toBe(due.length);
          const known = new Map(model.map(([at, one]) => [one, at]));
          for (const [at, one] of due) expect(known.get(one)).toBe(at);
          model = model.filter(([, one]) => !gone.has(one));
        } else if (chance < 0.9) {
          const divisor = random.between(1, 4);
          const looked: number[] = [];
          const isStale = (one: number): boolean => looked.push(one) > 0 && one % divisor !== 0;
          if (random.chance(0.5)) heap.sweep(isStale, random.between(0, 2 * heap.size));
          else heap.removeAll(isStale);
          const gone = new Set(looked.filter((one) => one % divisor !== 0));
          model = model.filter(([, one]) => !gone.has(one));
        } else if (chance < 0.95) {
          heap = ExpiryHeap.restore(bytesOf(heap));
        } else if (chance < 0.955) {
          heap.clear();
          model = [];
        }
        expect(heap.size).toBe(model.length);
        expect(heap.nextAt).toBe(model.reduce((least, [at]) => Math.min(least, at), Infinity));
      }
      expect(drained(heap)).toEqual(sorted(model));
    });
  }, 60_000);

  it('grows, and gives its room back when little is left', () => {
    const heap = heapOf(Array.from({ length: 100_000 }, (_, at) => [100_000 - at, at] as const));
    const room = () => (heap as unknown as { times: Float64Array }).times.length;
    expect(room()).toBeGreaterThanOrEqual(100_000);
    // Whatever takes the place of a removed entry is looked at too.
    for (let left = 100_000; left > 0; left -= 10) heap.sweep((location) => location >= 10, 10);
    expect(heap.size).toBe(10);
    expect(room()).toBeLessThan(200);
    expect(drained(heap)).toEqual(Array.from({ length: 10 }, (_, at) => [99_991 + at, 9 - at]));
  });

  it('keeps to a multiple of what is live when it is swept at each push, however it is pushed', () => {
    for (const live of [1, 100, 5000]) {
      const heap = new ExpiryHeap();
      let largest = 0;
      for (let at = 0; at < 100_000; at++) {
        heap.push(1e9 + (at * 7919) % 1000, at);
        heap.sweep((location) => location <= at - live, 2);
        largest = Math.max(largest, heap.size);
      }
      expect(largest).toBeLessThan(4 * live + 64);
    }
  });

  it('is the same after it was bytes, wherever they lie', () => {
    const entries: Entry[] = [[5, 1], [Number.MAX_SAFE_INTEGER, locationOf(65535, 2 ** 30 - 8)], [1, 0], [5, 7]];
    const around = new Uint8Array(3 + 4 * EXPIRY_ENTRY_BYTES + 5);
    expect(heapOf(entries).serialise(around, 3)).toBe(4 * EXPIRY_ENTRY_BYTES);
    expect([...around.subarray(0, 3), ...around.subarray(-5)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    const restored = ExpiryHeap.restore(around.subarray(3, 3 + 4 * EXPIRY_ENTRY_BYTES));
    restored.push(3, 9);
    expect(drained(restored)).toEqual(sorted([...entries, [3, 9]]));
    expect(ExpiryHeap.restore(new Uint8Array(0)).size).toBe(0);
  });

  it('refuses bytes that it has not written', () => {
    const refuses = (bytes: Uint8Array) => {
      expect(() => ExpiryHeap.restore(bytes)).toThrow(expect.objectContaining({ code: 'ERR_VARVE_CORRUPT' }));
    };
    refuses(new Uint8Array(EXPIRY_ENTRY_BYTES - 1));
    const wrong = [[NaN, 1], [0, 1], [-5, 1], [Infinity, 1], [1, NaN], [1, -1], [1, 1.5], [1, 2 ** 53]];
    for (const [expiresAt, location] of wrong) {
      refuses(new Uint8Array(new Float64Array([7, 7, expiresAt!, location!]).buffer));
    }
  });
});
