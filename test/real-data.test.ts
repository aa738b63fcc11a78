/**
 * Where the data of a real file ends: what was never written is left out, and nothing that was.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CoreMemory } from '../host/core/memory.ts';
import { realStorage } from '../host/io/real-storage.ts';
import { scratch } from './support/real-storage.ts';

const MIB = 1 << 20;
const storage = realStorage();
const memory = new CoreMemory();

let place: ReturnType<typeof scratch>;
beforeEach(() => { place = scratch(); });
afterEach(() => { place.remove(); });

describe('the end of data', () => {
  it('leaves what was never written out of the data, and nothing that was, stores through mappings included', () => {
    const file = storage.create(place.file('a'));
    expect(file.endOfData()).toBe(0);
    file.allocate(8 * MIB);
    const address = memory.reserve(8 * MIB);
    const mapping = file.map(memory, address, 8 * MIB, 'write');
    for (const offset of [100, 65536, MIB - 1, 3 * MIB + 5, 3 * MIB + 4096, 8 * MIB - 1]) {
      const before = file.endOfData();
      // What the file system knows nothing of counts as data.
      if (before !== 8 * MIB) expect(before).toBeLessThanOrEqual(offset + 65536);
      memory.bytes[address + offset] = 1;
      expect(file.endOfData()).toBeGreaterThan(offset);
      if (offset === MIB - 1) file.syncNow();
    }
    mapping.unmap();
    memory.release(address, 8 * MIB);
    file.close();
  });
});
