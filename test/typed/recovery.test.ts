/**
 * What a dead writer leaves in the file of a typed store and what opening makes of it, and what a power cut leaves: the
 * synced records, whatever became of the rest.
 */
import { describe, expect, it } from 'vitest';
import { disposeNow, failure } from '../support/log-fixture.ts';
import { forEachSeed } from '../support/random.ts';
import { SimulatedPowerCut } from '../support/simulated-disk.ts';
import {
  append, FORMATS, NAME, numbers, onEachTyped, priceAt, STRIDE, typed, upTo, type TypedFixture,
} from '../support/typed-fixture.ts';
import { leftOpen } from '../support/typed-open.ts';

const HEADER = { 'varve': 4096, 'mmfg-1': 64 } as const;
type Format = keyof typeof HEADER;

/** A file of so many records, as a writer leaves it that died while it wrote these, and behind them all. */
function abandoned(fixture: TypedFixture, format: Format, count: number, odd: readonly number[]): Buffer {
  const file = fixture.open({ format });
  append(file, count);
  const { capacity } = file;
  file.close();
  const bytes = fixture.bytes();
  for (const index of odd) bytes.writeBigUInt64LE(7n, HEADER[format] + index * STRIDE);
  // An append that was not finished, and bytes that a power cut has kept without the count.
  for (const index of [count, capacity - 1]) {
    const at = HEADER[format] + index * STRIDE;
    bytes.fill(1, at, at + STRIDE);
  }
  if (format === 'varve') leftOpen(bytes);
  fixture.log.put(NAME, bytes);
  return bytes;
}

const stampOf = (bytes: Buffer, format: Format, index: number): bigint => (
  bytes.readBigUInt64LE(HEADER[format] + index * STRIDE));

onEachTyped('recovery', (make) => {
  it.each(FORMATS)('makes odd stamps even, names their records, and clears what is behind the last: %s', (format) => {
    const fixture = make();
    const odd = [0, 7, 99];
    const before = abandoned(fixture, format, 100, odd);
    const reader = fixture.open({ format, readOnly: true, elsewhere: true });
    expect([reader.recovered, priceAt(reader, 1)]).toEqual([[], 1.5]);
    expect(priceAt(reader, 7)).toBeLessThan(0);
    expect(fixture.bytes()).toEqual(before);

    const file = fixture.open({ format });
    expect(file.recovered).toEqual(odd);
    expect(file.recovery.clearedWords).toBe(2 * STRIDE / 8);
    expect(numbers(file)).toEqual(upTo(100));
    fixture.log.refresh();
    expect(priceAt(reader, 7)).toBe(7.5);
    const bytes = fixture.bytes();
    for (const index of odd) expect(stampOf(bytes, format, index)).toBe(8n);
    expect(bytes.subarray(HEADER[format] + 100 * STRIDE).every((byte) => byte === 0)).toBe(true);
    file.close();
    expect(fixture.open({ format }).recovery).toEqual({ torn: [], damaged: [], clearedWords: 0 });
  });

  it.each(FORMATS)('goes through a file that is larger than the window: %s', (format) => {
    const fixture = make();
    const odd = [0, 1259, 1260, 2600, 4999];
    abandoned(fixture, format, 5000, odd);
    const file = fixture.open({ format, reservedBytes: 131072 });
    expect(file.recovered).toEqual(odd);
    expect(file.recovery.clearedWords).toBe(2 * STRIDE / 8);
    expect(numbers(file)).toEqual(upTo(5000));
    expect(fixture.bytes().subarray(HEADER[format] + 5000 * STRIDE).every((byte) => byte === 0)).toBe(true);
  });

  it.each(FORMATS)('takes back a growth that was not finished: %s', (format) => {
    const fixture = make();
    append(fixture.open({ format }), 5);
    fixture.close();
    const bytes = fixture.bytes();
    fixture.log.put(NAME, Buffer.concat([bytes, Buffer.alloc(1000, 1)]));
    expect(numbers(fixture.open({ format, readOnly: true }))).toEqual(upTo(5));
    const file = fixture.open({ format });
    expect(fixture.bytes().length).toBe(bytes.length);
    append(file, 70);
    expect(numbers(file)).toEqual(upTo(75));
    expect(file.recovery.clearedWords).toBe(0);
  });

  it('is nobody\'s who shares the file with a writer that lives, and the next one\'s who has it alone', () => {
    const fixture = make();
    abandoned(fixture, 'varve', 10, [3]);
    const first = fixture.open({ writers: 'many' });
    expect(first.recovered).toEqual([3]);
    // As a writer that dies in the middle of a change leaves it, while another one lives.
    first.close();
    const living = fixture.open({ writers: 'many' });
    fixture.log.core.exports.storeWord(addressOf(living, 4), 5);
    fixture.log.refresh();
    const second = fixture.open({ writers: 'many', elsewhere: true });
    expect(second.recovered).toEqual([]);
    expect(priceAt(second, 4)).toBeLessThan(0);
    failure('ERR_VARVE_LOCKED', () => fixture.open({ elsewhere: true }));
    living.close();
    second.close();
    expect(fixture.open({ writers: 'many' }).recovered).toEqual([4]);
  });
});

/** Where a record lies in the core's memory. */
function addressOf(file: ReturnType<TypedFixture['open']>, index: number): number {
  const { window } = file as unknown as { window: { base: number; first: number } };
  return window.base + (index - window.first) * STRIDE;
}

describe('a power cut', () => {
  it.each(FORMATS)('leaves every record that was synced, and a file that opens: %s', async (format) => {
    const seen = { cuts: 0, shorter: 0, longer: 0, holes: 0, cleared: 0, grown: 0 };
    await forEachSeed(150, (random) => {
      const fixture = typed('simulated', 'simd');
      const disk = fixture.log.disk!;
      let synced = 0;
      // Records that were not synced and came back as zeros, among others that were kept.
      const holes = new Set<number>();
      for (let life = 0; life < 4; life++) {
        const file = fixture.open({ format });
        const { count } = file;
        expect(count).toBeGreaterThanOrEqual(synced);
        expect(count).toBeLessThanOrEqual(file.capacity);
        for (const index of holes) if (index >= count) holes.delete(index);
        for (let index = 0; index < count; index++) {
          if (priceAt(file, index) === index + 0.5 || holes.has(index)) continue;
          expect(index, 'a record that was synced').toBeGreaterThanOrEqual(synced);
          holes.add(index);
        }
        seen.holes += holes.size;
        seen.longer += count > synced ? 1 : 0;
        seen.cleared += file.recovery.clearedWords;
        for (let step = 0; step < 1 + random.integer(6); step++) {
          seen.grown += append(file, random.integer(80));
          if (random.chance(0.5)) disk.writeBack(random);
          if (!random.chance(0.3)) continue;
          file.syncNow();
          synced = file.count;
        }
        seen.shorter += file.count > synced ? 1 : 0;
        disk.powerCut(random);
        seen.cuts++;
        fixture.startAgain();
      }
      disposeNow(fixture.log);
    });
    expect(seen.cuts).toBe(600);
    expect(Math.min(seen.shorter, seen.longer, seen.holes, seen.cleared, seen.grown)).toBeGreaterThan(10);
  });

  it.each(FORMATS)('while the file is made leaves a whole one or none: %s', (format) => {
    const outcomes = new Set<string>();
    let cut = true;
    for (let nth = 1; cut; nth++) {
      for (const names of ['kept', 'lost'] as const) {
        const fixture = typed('simulated', 'simd');
        const { disk } = fixture.log;
        disk!.failAt({ nth, error: 'power-cut' });
        try {
          fixture.open({ format }).close();
          cut = false;
        } catch (error) {
          expect(error).toBeInstanceOf(SimulatedPowerCut);
        }
        disk!.powerCut(undefined, { names, pages: 'lost', sizes: 'old' });
        fixture.startAgain();
        outcomes.add(fixture.log.names().includes(NAME) ? 'whole' : 'none');
        const file = fixture.open({ format });
        append(file, 1);
        expect(file.count).toBe(1);
      }
    }
    expect([...outcomes].sort()).toEqual(['none', 'whole']);
  });
});
