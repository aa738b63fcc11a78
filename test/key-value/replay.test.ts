/**
 * The table that is made anew after a crash, from frames and from hints, with keys that are put again, removed, expire
 * and are cleared within one segment and across many: whatever order the records are taken in, it is what they say.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import { closeWhateverFails } from '../support/kv-onlooker.ts';
import { giveCore, takeCore, wipeCore } from '../support/log-fixture.ts';
import { forEachSeed, type Random } from '../support/random.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { newTally } from '../support/tally.ts';

const core = takeCore('simd', 256 << 20);
const tally = newTally('replays');
afterAll(() => {
  giveCore(core);
  tally.report();
});

const NOW = 1_000_000;

/** What the store must hold. */
type Model = Map<string, { readonly value: string; readonly expires: boolean }>;

function change(store: KeyValueStore, model: Model, random: Random, keys: number): void {
  const key = `key ${random.integer(keys)}`;
  const roll = random.integer(1000);
  if (roll < 150) {
    store.delete(key);
    model.delete(key);
  } else if (roll < 151 && random.chance(0.05)) {
    store.clear();
    model.clear();
  } else {
    const value = `${random.next()} `.repeat(random.between(1, 3));
    const expires = roll < 200;
    store.put(key, Buffer.from(value), expires ? { expiresAt: NOW + 1000 } : {});
    model.set(key, { value, expires });
  }
}

function expectHolds(store: KeyValueStore, model: Model): void {
  expect(store.size).toBe(model.size);
  let count = 0;
  for (const [key, value] of store.entries()) {
    if (model.get(key)?.value !== String(value)) throw new Error(`an iteration gives ${key} another value`);
    count++;
  }
  expect(count).toBe(model.size);
  for (const [key, { value }] of model) if (String(store.get(key)) !== value) throw new Error(`${key} has another value`);
}

describe('a table that is made anew', () => {
  it('is what the records say, from frames and from hints', { timeout: 120_000 }, async () => {
    await forEachSeed(12, async (random) => {
      const disk = new SimulatedDisk();
      let now = NOW;
      const open = (): KeyValueStore => {
        const storage = disk.storage();
        storage.wake = () => undefined;
        return KeyValueStore.openSync('/store', {
          core, storage, segmentBytes: 1 << 18, autoCompact: false, now: () => now,
        });
      };
      const model: Model = new Map();
      const keys = random.pick([5, 3000, 1_000_000]);
      for (let life = 0; life < 3; life++) {
        const store = open();
        expectHolds(store, model);
        tally.add('hints used', store.recovery.hints);
        for (let left = random.between(5000, 15_000); left > 0; left--) change(store, model, random, keys);
        // Hints are written in the background.
        for (let i = 0; i < random.pick([0, 300]); i++) await turn();
        disk.processCrash();
        // What the dead process was about to do must not be done to the memory of the next one.
        closeWhateverFails(store);
        wipeCore(core);
      }
      const store = open();
      expect(store.recovery.keydir).toBe('rebuilt');
      expectHolds(store, model);
      tally.add('keys', model.size);
      now = NOW + 1000;
      const kept = new Map([...model].filter(([, { expires }]) => !expires));
      tally.add('keys that expired', model.size - kept.size);
      expectHolds(store, kept);
      store.closeSync();
      wipeCore(core);
    });
  });
});
