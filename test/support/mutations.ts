/**
 * What may happen to the bytes of a file: flipped bits, runs of bytes, other lengths, blocks that change places, frames
 * that appear twice or come from another store, and absurd numbers under a right checksum.
 */
import { plainCrc } from './frame-oracle.ts';
import type { Random } from './random.ts';

/** A file, where its frames begin, and what a mutation may take from elsewhere. */
export interface Material {
  readonly bytes: Uint8Array;
  /** Offsets of the frames; none in a file without frames. */
  readonly frames: readonly number[];
  readonly salt: number;
  /** Bytes of a file of another store. */
  readonly foreign: Uint8Array;
}

type Mutation = (random: Random, material: Material) => Uint8Array;

const ABSURD = [0, 1, 7, 23, 24, 25, 0x7f, 0xffff, 0x10000, 0x10001, 0x1ffff, 0x7fffffff, 0x80000000, 0xfffffff8,
  0xffffffff, 67_174_424, 67_174_425] as const;

function changed(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy);
  return copy;
}

function setWord(bytes: Uint8Array, at: number, value: number): void {
  if (at + 4 <= bytes.length) new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, value, true);
}

/** Writes the checksum that the frame at `at` should have for the size that it names now. */
function sealAgain(bytes: Uint8Array, at: number, salt: number): void {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 4, true);
  setWord(bytes, at, plainCrc(bytes.subarray(at + 4, Math.min(bytes.length, at + size)), salt));
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'nothing': (_, { bytes }) => bytes.slice(),
  'noise': (random, { bytes }) => random.bytes(bytes.length),
  'flipped bits': (random, { bytes }) => changed(bytes, (copy) => {
    for (let count = random.between(1, 4); count > 0; count--) {
      copy[random.integer(copy.length)]! ^= 1 << random.integer(8);
    }
  }),
  'runs of bytes': (random, { bytes }) => changed(bytes, (copy) => {
    const at = random.integer(copy.length);
    const run = copy.subarray(at, at + random.between(1, 100));
    if (random.chance(0.5)) random.fill(run);
    else run.fill(random.pick([0, 255, 0xa5]));
  }),
  'truncation': (random, { bytes }) => bytes.slice(0, random.integer(bytes.length)),
  'extension': (random, { bytes }) => {
    const more = random.between(1, 300);
    const longer = new Uint8Array(bytes.length + more);
    longer.set(bytes);
    if (random.chance(0.5)) random.fill(longer.subarray(bytes.length));
    return longer;
  },
  'swapped blocks': (random, { bytes }) => changed(bytes, (copy) => {
    const block = random.pick([8, 64, 512]);
    const [a, b] = [random.integer(copy.length / block) * block, random.integer(copy.length / block) * block];
    const [first, second] = [copy.slice(a, a + block), copy.slice(b, b + block)];
    if (first.length !== second.length) return;
    copy.set(second, a);
    copy.set(first, b);
  }),
  'duplicated frames': (random, { bytes, frames }) => changed(bytes, (copy) => {
    if (frames.length < 2) return;
    const [from, to] = [random.pick(frames), random.pick(frames)];
    copy.set(bytes.subarray(from, Math.min(bytes.length - to + from, from + random.between(24, 400))), to);
  }),
  'frames of another store': (random, { bytes, frames, foreign }) => changed(bytes, (copy) => {
    const to = frames.length === 0 ? 0 : random.pick(frames);
    copy.set(foreign.subarray(to, Math.min(copy.length, to + random.between(24, 600), foreign.length)), to);
  }),
  'absurd numbers': (random, { bytes, frames }) => changed(bytes, (copy) => {
    const at = frames.length === 0 ? random.integer(copy.length / 4) * 4 : random.pick(frames) + random.integer(6) * 4;
    setWord(copy, at, random.pick(ABSURD));
  }),
  'absurd numbers, sealed': (random, { bytes, frames, salt }) => changed(bytes, (copy) => {
    if (frames.length === 0) return;
    const at = random.pick(frames);
    if (at + 24 > copy.length) return;
    for (let count = random.between(1, 2); count > 0; count--) {
      const number = random.chance(0.6) ? random.pick(ABSURD) : random.integer(600);
      setWord(copy, at + random.pick([4, 8, 12, 16, 20]), number);
    }
    sealAgain(copy, at, salt);
  }),
};

/** One of the mutations, by name. */
export function drawMutation(random: Random): string {
  return random.pick(Object.keys(MUTATIONS));
}
