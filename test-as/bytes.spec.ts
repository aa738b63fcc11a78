/**
 * Searching memory: the end of what is not zero.
 */
import { endOfBytes } from '../assembly/mem/bytes';
import { SPARE } from './support/segment';

const BYTES: u32 = 512;

function clear(): void {
  memory.fill(SPARE - 64, 0, BYTES + 128);
}

describe('endOfBytes', () => {
  it('returns the beginning where all is zero or nothing is there', () => {
    clear();
    let wrong = 0;
    for (let bytes: u32 = 0; bytes <= BYTES; bytes += 8) if (endOfBytes(SPARE, SPARE + bytes) != SPARE) wrong++;
    expect(wrong).toBe(0);
  });

  it('finds a single byte at every place, whatever the length', () => {
    let wrong = 0;
    for (let bytes: u32 = 8; bytes <= BYTES; bytes += 24) {
      for (let at: u32 = 0; at < bytes; at++) {
        clear();
        store<u8>(SPARE + at, (<u8>1) << <u8>(at & 7));
        if (endOfBytes(SPARE, SPARE + bytes) != SPARE + (at & ~7) + 8) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('finds the last of many', () => {
    clear();
    memory.fill(SPARE, 0xff, 200);
    expect(endOfBytes(SPARE, SPARE + BYTES)).toBe(SPARE + 200);
    store<u8>(SPARE + BYTES - 1, 1);
    expect(endOfBytes(SPARE, SPARE + BYTES)).toBe(SPARE + BYTES);
  });

  it('looks at nothing outside of the range', () => {
    memory.fill(SPARE - 64, 0xff, BYTES + 128);
    memory.fill(SPARE, 0, BYTES);
    let wrong = 0;
    for (let from: u32 = 0; from <= BYTES; from += 8) {
      for (let to = from; to <= BYTES; to += 40) if (endOfBytes(SPARE + from, SPARE + to) != SPARE + from) wrong++;
    }
    expect(wrong).toBe(0);
  });
});
