/** The real storage in the core's memory: private mappings of files, and ranges without files. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CoreMemory, RANGE_ALIGNMENT } from '../host/core/memory.ts';
import { realStorage } from '../host/io/real-storage.ts';
import { LINUX, failure, kernel, scratch } from './support/real-storage.ts';

const MIB = 1 << 20;
const storage = realStorage();
const memory = new CoreMemory();
let place: ReturnType<typeof scratch>;

beforeEach(() => { place = scratch(); });
afterEach(() => place.remove());

/** Of the mapping that an address lies in, one line of what the kernel says. */
function kernelSays(address: number, name: string): string | undefined {
  let within = false;
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range !== null) within = address >= parseInt(range[1]!, 16) && address < parseInt(range[2]!, 16);
    else if (within && line.startsWith(`${name}:`)) return line.slice(name.length + 1).trim();
  }
  return undefined;
}

describe('a private mapping', () => {
  it('shows the file, takes stores, and gives none of them to the file or to other mappings', () => {
    const content = Buffer.alloc(3 * RANGE_ALIGNMENT, 'varve');
    writeFileSync(place.file('a'), content);
    // Stores go into pages of the process's own, so a file opened for reading will do.
    const file = storage.open(place.file('a'), 'read');
    const own = memory.reserve(content.length);
    const shared = memory.reserve(content.length);
    const mapping = file.map(memory, own, content.length, 'private');
    const other = file.map(memory, shared, content.length, 'read');
    mapping.populate(0, content.length);
    expect(content.compare(memory.bytes, own, own + content.length)).toBe(0);
    memory.bytes.fill(0xee, own + 10, own + RANGE_ALIGNMENT + 10);
    file.close();
    expect(memory.bytes[own + RANGE_ALIGNMENT + 9]).toBe(0xee);
    expect(memory.bytes[own + RANGE_ALIGNMENT + 10]).toBe(content[RANGE_ALIGNMENT + 10]);
    expect(content.compare(memory.bytes, shared, shared + content.length)).toBe(0);
    expect(readFileSync(place.file('a')).equals(content)).toBe(true);
    mapping.unmap();
    other.unmap();
    expect(memory.bytes.subarray(own, own + content.length).every((byte) => byte === 0)).toBe(true);
    memory.release(own, content.length);
    memory.release(shared, content.length);
  });

  it('shows the part of the file from the offset on, up to a name that is gone', () => {
    const content = Buffer.alloc(2 * RANGE_ALIGNMENT + 100, 1);
    content.fill(2, RANGE_ALIGNMENT);
    writeFileSync(place.file('a'), content);
    const file = storage.open(place.file('a'), 'read');
    const address = memory.reserve(content.length);
    const mapping = file.map(memory, address, RANGE_ALIGNMENT + 100, 'private', RANGE_ALIGNMENT);
    file.close();
    storage.remove(place.file('a'));
    memory.bytes[address + 5] = 7;
    expect([...memory.bytes.subarray(address + 4, address + 7)]).toEqual([2, 7, 2]);
    expect(memory.bytes[address + RANGE_ALIGNMENT + 99]).toBe(2);
    mapping.unmap();
    memory.release(address, content.length);
  });
});

describe('a range without a file', () => {
  it('reads as zeros after it was given back, and takes no memory', () => {
    const address = memory.reserve(4 * MIB);
    const { residentPages, address: addressOf } = kernel();
    const base = addressOf(memory.bytes);
    memory.bytes.fill(0xee, address, address + 4 * MIB);
    storage.discard(memory, address + MIB, 2 * MIB);
    expect(residentPages(base + address + MIB, 2 * MIB)).toBe(0);
    expect(memory.bytes.subarray(address + MIB, address + 3 * MIB).every((byte) => byte === 0)).toBe(true);
    expect([memory.bytes[address + MIB - 1], memory.bytes[address + 3 * MIB]]).toEqual([0xee, 0xee]);
    memory.bytes[address + 2 * MIB] = 1;
    storage.discard(memory, address, 4 * MIB);
    expect(memory.bytes.subarray(address, address + 4 * MIB).every((byte) => byte === 0)).toBe(true);
    memory.release(address, 4 * MIB);
  });

  it.runIf(LINUX)('is advised to be of large pages, until it is given back', () => {
    const address = memory.reserve(4 * MIB);
    const at = kernel().address(memory.bytes) + address + MIB;
    storage.adviseHuge(memory, address, 4 * MIB);
    memory.bytes[address + MIB] = 1;
    // A kernel without large pages has no such flag to show.
    if (kernelSays(at, 'VmFlags') !== undefined && kernelSays(at, 'THPeligible') !== undefined) {
      expect(kernelSays(at, 'VmFlags')!.split(' ')).toContain('hg');
    }
    storage.discard(memory, address, 4 * MIB);
    expect(kernelSays(at, 'VmFlags')?.split(' ') ?? []).not.toContain('hg');
    memory.release(address, 4 * MIB);
  });

  it('is refused where a file is mapped, and outside of what can be reserved', () => {
    writeFileSync(place.file('a'), Buffer.alloc(70_000));
    const file = storage.open(place.file('a'), 'read');
    const address = memory.reserve(MIB);
    const mapping = file.map(memory, address + RANGE_ALIGNMENT, 70_000, 'read');
    for (const call of [storage.discard, storage.adviseHuge].map((method) => method.bind(storage))) {
      failure('ERR_VARVE_INTERNAL', () => call(memory, address, MIB));
      failure('ERR_VARVE_INTERNAL', () => call(memory, address + 2 * RANGE_ALIGNMENT, RANGE_ALIGNMENT));
      failure('ERR_VARVE_INTERNAL', () => call(memory, address + 4096, RANGE_ALIGNMENT));
      failure('ERR_VARVE_INTERNAL', () => call(memory, address, 4096));
      failure('ERR_VARVE_INTERNAL', () => call(memory, 0, RANGE_ALIGNMENT));
      failure('ERR_VARVE_INTERNAL', () => call(memory, memory.bytes.length, RANGE_ALIGNMENT));
      call(memory, address, RANGE_ALIGNMENT);
      call(memory, address + 3 * RANGE_ALIGNMENT, MIB - 3 * RANGE_ALIGNMENT);
    }
    file.close();
    mapping.unmap();
    storage.discard(memory, address, MIB);
    memory.release(address, MIB);
  });
});
