/**
 * Rings when something goes wrong: writers that died, disks that fail, power cuts, headers that are damaged.
 */
import { copyFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VarveError } from '../../host/errors/varve-error.ts';
import { Status, TYPED_CAPACITY_OFFSET, TYPED_COUNT_OFFSET } from '../../host/generated/abi.ts';
import { disposeNow, failure } from '../support/log-fixture.ts';
import { forEachSeed } from '../support/random.ts';
import { append, priceAt, typed } from '../support/typed-fixture.ts';
import { Places } from '../support/typed-places.ts';
import { Sample, sample, ZERO, type Samples } from '../support/typed-rings.ts';
import { TypedStores } from '../support/typed-stores.ts';

let stores: TypedStores;
let opened = 0;
beforeEach(() => { stores = new TypedStores(); });
afterEach(() => { stores.remove(); });

function make(capacity: number, options: Parameters<TypedStores['open']>[1] = {}, name = `ring-${opened++}`): Samples {
  return stores.open(Sample, { ring: true, capacity, ...options }, name);
}

describe('what a dead writer leaves in a ring', () => {
  const dead = (store: Samples): Samples => {
    const name = `dead-${opened++}`;
    copyFileSync(store.path, stores.file(name));
    return stores.open(Sample, {}, name);
  };

  it.each([false, true])('names records by their sequence numbers, checksums %s', (checksums) => {
    const store = make(10, { checksums });
    for (let index = 0; index < 25; index++) store.append(sample(index));
    const places = new Places(store);
    // The slots of records 16, 24 and 15: the last is the one that the next append takes.
    for (const slot of [6, 4, 5]) places.hold(slot);
    places.flip(places.record(5) + places.field('value'));
    const after = dead(store);
    expect(after.recovery).toEqual({ torn: [15, 16, 24], damaged: checksums ? [15] : [], clearedWords: 0 });
    expect([after.first, after.length]).toEqual([15, 25]);
    if (checksums) failure('ERR_VARVE_CORRUPT', () => after.get(15));
    for (let index = 16; index < 25; index++) expect(after.get(index)).toEqual(sample(index));
    expect(after.append(sample(25))).toBe(25);
    expect(Array.from(after, ({ number }) => number)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
    expect(after.check()).toEqual({ records: 10, torn: [], damaged: [] });
  });

  it('clears what it had begun in a slot that was never counted', () => {
    const store = make(10);
    for (let index = 0; index < 4; index++) store.append(sample(index));
    const places = new Places(store);
    places.write(places.record(4), Buffer.alloc(40, 1));
    const after = dead(store);
    expect(after.recovery).toEqual({ torn: [], damaged: [], clearedWords: 5 });
    expect(Array.from(after, ({ number }) => number)).toEqual([0, 1, 2, 3]);
    expect(after.append()).toBe(4);
    expect(after.get(4)).toEqual(ZERO);
  });

  it('is ERR_VARVE_CONTENTION for the others of many until somebody recovers it', () => {
    const store = make(4, { writers: 'many' }, 'many');
    for (let index = 0; index < 6; index++) store.append(sample(index));
    const reader = stores.open(Sample, { readOnly: true }, 'many');
    new Places(store).hold(2);
    for (const call of [() => reader.get(2), () => reader.fields.value.get(2), () => reader.column('value').sum()]) {
      expect(failure('ERR_VARVE_CONTENTION', call).details).toMatchObject({ index: 2 });
    }
    expect(failure('ERR_VARVE_CONTENTION', () => store.append(ZERO)).details).toMatchObject({ index: 6 });
    expect(reader.check()).toEqual({ records: 4, torn: [2], damaged: [] });
    expect(reader.get(3)).toEqual(sample(3));
    store.closeSync();
    const again = stores.open(Sample, { writers: 'many' }, 'many');
    expect(again.recovery.torn).toEqual([2]);
    expect(again.append(sample(6))).toBe(6);
    expect(Array.from(reader, ({ number }) => number)).toEqual([3, 4, 5, 6]);
  }, 30_000);
});

describe('a ring on a disk that fails', () => {
  const RING = { ring: true, capacity: 50 } as const;

  it('is poisoned by a failed sync: it is read, and not written', () => {
    const fixture = typed('simulated', 'simd');
    const file = fixture.open(RING);
    append(file, 60);
    fixture.log.disk!.failAt({ operation: 'sync', error: 'EIO' });
    failure('ERR_VARVE_IO', () => { file.syncNow(); });
    for (const status of [file.view.appendRow(false), file.view.writeRow(59), file.view.patchRow(59)]) {
      expect(status).toBe(Status.ReadOnly);
    }
    failure('ERR_VARVE_POISONED', () => { file.makeRoom(); });
    expect([file.count, priceAt(file, 59), priceAt(file, 10)]).toEqual([60, 59.5, 10.5]);
  });

  it('has what was synced after a power cut, and beyond it records of other laps at most', async () => {
    const seen = { same: 0, other: 0, damaged: 0, longer: 0, idle: 0 };
    await forEachSeed(150, (random) => {
      const fixture = typed('simulated', 'simd');
      const disk = fixture.log.disk!;
      const file = fixture.open({ ...RING, checksums: true });
      append(file, random.integer(120));
      file.syncNow();
      const synced = file.count;
      append(file, random.chance(0.3) ? 0 : random.integer(100));
      const written = file.count;
      if (random.chance(0.5)) disk.writeBack(random);
      disk.powerCut(random);
      fixture.startAgain();
      const again = fixture.open();
      const { count, first } = again;
      expect(count === synced || count === written).toBe(true);
      for (let index = first; index < count; index++) {
        const price = priceAt(again, index);
        const isDamaged = again.recovery.damaged.includes(index);
        if (isDamaged) expect(price, 'a status').toBeLessThan(0);
        else expect((price - 0.5) % 50, 'what its slot held once').toBe(index % 50);
        const isSame = price === index + 0.5;
        if (written === synced) expect(isSame).toBe(true);
        seen.same += isSame ? 1 : 0;
        seen.damaged += isDamaged ? 1 : 0;
        seen.other += isSame || isDamaged ? 0 : 1;
      }
      seen.longer += count > synced ? 1 : 0;
      seen.idle += written === synced ? 1 : 0;
      append(again, 50);
      for (let index = count; index < count + 50; index++) expect(priceAt(again, index)).toBe(index + 0.5);
      again.close();
      disposeNow(fixture.log);
    });
    expect(Math.min(seen.same, seen.other, seen.damaged, seen.longer, seen.idle)).toBeGreaterThan(10);
  });
});

describe('the header of a ring', () => {
  it('counts up to 2^53 - 1, and has the room that it says', () => {
    const store = make(100, {}, 'header');
    const places = new Places(store);
    store.closeSync();
    places.count(2 ** 53 - 1);
    expect(stores.open(Sample, { readOnly: true }, 'header').length).toBe(2 ** 53 - 1);
    for (const count of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      places.count(count);
      const { details } = failure('ERR_VARVE_CORRUPT', () => stores.open(Sample, {}, 'header'));
      expect(details).toMatchObject({ field: 'count' });
    }
    places.count(0);
    for (const capacity of [0n, 101n, 2n ** 31n]) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(capacity);
      places.write(TYPED_CAPACITY_OFFSET, bytes);
      const { details } = failure('ERR_VARVE_CORRUPT', () => stores.open(Sample, {}, 'header'));
      expect(details).toMatchObject({ field: 'capacity' });
    }
  });

  it('with any bit of its live words flipped is refused, or leaves sane numbers', () => {
    const store = make(100, {}, 'flipped');
    for (let index = 0; index < 130; index++) store.append(sample(index));
    const places = new Places(store);
    store.closeSync();
    const found = { refused: 0, opened: 0 };
    for (const word of [TYPED_COUNT_OFFSET, TYPED_CAPACITY_OFFSET]) {
      for (let bit = 0; bit < 64; bit++) {
        places.flip(word + (bit >> 3), bit & 7);
        try {
          const reader = stores.open(Sample, { readOnly: true }, 'flipped');
          expect(reader.capacity).toBeLessThanOrEqual(100);
          expect(reader.length - reader.first).toBe(Math.min(reader.length, reader.capacity));
          expect([...reader]).toHaveLength(reader.length - reader.first);
          expect(reader.column('value').toFloat64Array()).toHaveLength(reader.length - reader.first);
          reader.closeSync();
          found.opened++;
        } catch (error) {
          expect(VarveError.is(error, 'ERR_VARVE_CORRUPT'), String(error)).toBe(true);
          found.refused++;
        }
        places.flip(word + (bit >> 3), bit & 7);
      }
    }
    // Counts from 2^53 on; capacities of none or beyond the file: 100 = 64 + 32 + 4.
    expect(found).toEqual({ refused: 11 + 61, opened: 53 + 3 });
    expect(Array.from(stores.open(Sample, {}, 'flipped'), ({ number }) => number)[0]).toBe(30);
  });
});
