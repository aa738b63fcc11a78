/**
 * Checkpoints that are written come back as they were: what they say and their state, in whatever form it was given and
 * is asked for. What cannot be written is refused, and nothing is left of it.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../host/core/crc32c.ts';
import { checkState } from '../../host/wal/checkpoint-state.ts';
import { commitBytes } from '../../host/wal/commit.ts';
import { Checkpoint, isUnusable } from '../../host/wal/checkpoint-file.ts';
import type { CheckpointContents } from '../../host/wal/checkpoints.ts';
import { checkpointsIn, contentsOf, GROUP, nameOf, stateOf, streamed } from '../support/checkpoint-fixture.ts';
import { failure, logFixture, onEach, rejection } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';

const MEBIBYTE = 1 << 20;

/** The n-th piece of a large state. */
function pieceOf(n: number, target = Buffer.alloc(65536)): Buffer {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length / 4);
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(n * words.length + at, 0x9e3779b1);
  return target;
}

onEach('a checkpoint', (make, kind) => {
  it('gives back what was written, to the one who wrote it and to others', async () => {
    const fixture = make();
    const written = await checkpointsIn(fixture).write(contentsOf(1));
    const [listed, ...others] = checkpointsIn(fixture).list();
    expect(others).toEqual([]);
    for (const found of [written, listed as Checkpoint, checkpointsIn(fixture).load(1)!]) {
      expect(found).toBeInstanceOf(Checkpoint);
      expect(isUnusable(found)).toBe(false);
      expect(found).toMatchObject({
        id: 1, epoch: 11, path: join(fixture.directory, nameOf(1)), stateBytes: stateOf(1).length, watermark: -1,
        bytes: fixture.bytes(nameOf(1)).length, createdAt: written.createdAt,
        cores: [
          { core: 0, sequence: 100, position: 4096 }, { core: 1, sequence: 101, position: 0 },
          { core: 2, sequence: 102, position: 4160 },
        ],
      });
      expect(found.offsets).toEqual(new Map<string, number | bigint>([['orders', 1], ['événements', 2n ** 63n + 1n]]));
      expect(found.readState().equals(stateOf(1))).toBe(true);
      expect((await streamed(found)).equals(stateOf(1))).toBe(true);
      await found.verify();
      found.verifyNow();
    }
    expect(fixture.names().filter((name) => name.includes('new'))).toEqual([]);
  });

  it('may have no state, no offsets, no watermark', async () => {
    const fixture = make();
    for (const state of ['', new Uint8Array(0), [], [new Uint8Array(0)]]) {
      await checkpointsIn(fixture).write({ ...contentsOf(1, state), offsets: {}, watermark: undefined });
    }
    const list = checkpointsIn(fixture).list() as Checkpoint[];
    expect(list.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    for (const one of list) {
      expect([one.stateBytes, one.offsets.size, one.watermark]).toEqual([0, 0, undefined]);
      expect(one.bytes).toBe(80 + 48 + 24 + 40);
      expect([one.readState().length, (await streamed(one)).length]).toEqual([0, 0]);
      await one.verify();
    }
    expect((await checkpointsIn(fixture).newest()).checkpoint?.id).toBe(4);
  });

  it('takes a state in every form, and of every length around that of a slice', async () => {
    const fixture = make();
    const checkpoints = checkpointsIn(fixture);
    const random = new Random(5);
    for (const length of [1, 262_143, 262_144, 262_145, 524_288, 1_300_000]) {
      const bytes = random.bytes(length);
      const pieces = (size: number) => Array.from({ length: Math.ceil(length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size));
      const later = async function* (): AsyncGenerator<Uint8Array> {
        for (const piece of pieces(70_001)) {
          await Promise.resolve();
          yield piece;
        }
      };
      for (const state of [bytes, pieces(4099), new Set(pieces(300_000)), later()]) {
        const made = await checkpoints.write(contentsOf(1, state));
        expect(made.stateBytes).toBe(length);
        expect(made.readState().equals(bytes)).toBe(true);
        expect((await streamed(made)).equals(bytes)).toBe(true);
      }
    }
  });

  it('takes text as UTF-8, whatever the pieces part', async () => {
    const checkpoints = checkpointsIn(make());
    for (const text of ['a', 'é'.repeat(300_000), `x${'𝔘'.repeat(200_000)}`, `xyz${'€𝔘é!'.repeat(100_000)}`]) {
      const made = await checkpoints.write(contentsOf(1, text));
      expect(made.readState().equals(Buffer.from(text))).toBe(true);
    }
  });

  it('takes pieces whose memory is used again for the next one', async () => {
    const checkpoints = checkpointsIn(make());
    const reused = Buffer.alloc(65536);
    const state = function* (): Generator<Uint8Array> {
      for (let n = 0; n < 20; n++) yield pieceOf(n, reused);
    };
    const made = await checkpoints.write(contentsOf(1, state()));
    expect(made.readState().equals(Buffer.concat(Array.from({ length: 20 }, (_, n) => pieceOf(n))))).toBe(true);
  });

  it('refuses what cannot be written, and leaves nothing of it', async () => {
    const fixture = make();
    const checkpoints = checkpointsIn(fixture);
    await checkpoints.write(contentsOf(1));
    const before = fixture.names();
    const wrong: readonly Partial<Record<keyof CheckpointContents, unknown>>[] = [
      { state: 5 }, { state: null }, { state: undefined }, { state: {} }, { state: 'a\uD800' },
      { state: new Uint16Array(4) },
      { state: new DataView(new ArrayBuffer(4)) }, { state: ['text'] }, { state: [new Uint8Array(4), 7] },
      { state: [new Uint16Array(4)] }, { offsets: { orders: -1 } }, { offsets: { '': 1 } }, { watermark: 0.5 },
      { cores: [] }, { cores: contentsOf(1).cores.slice(1) },
    ];
    for (const one of wrong) {
      const contents = { ...contentsOf(2), ...one } as CheckpointContents;
      await rejection('ERR_VARVE_INVALID_ARGUMENT', checkpoints.write(contents));
      expect(fixture.names()).toEqual(before);
    }
    expect((await checkpoints.write(contentsOf(2))).id).toBe(2);
  });

  it('is not there where its state fails half-way, and the iterator is closed where the disk fails', async () => {
    const fixture = make();
    const checkpoints = checkpointsIn(fixture);
    await checkpoints.write(contentsOf(1));
    const before = fixture.names();
    const broken = new Error('the state is not to be had');
    const failing = function* (pieces: number): Generator<Uint8Array> {
      for (let n = 0; n < pieces; n++) yield pieceOf(n);
      throw broken;
    };
    const later = async function* (pieces: number): AsyncGenerator<Uint8Array> {
      await Promise.resolve();
      yield* failing(pieces);
    };
    for (const pieces of [0, 1, 40]) {
      for (const state of [failing(pieces), later(pieces)]) {
        await expect(checkpoints.write(contentsOf(2, state))).rejects.toBe(broken);
        expect(fixture.names()).toEqual(before);
      }
    }
    if (fixture.disk === undefined) return;
    let closed = false;
    const watched = function* (): Generator<Uint8Array> {
      try {
        for (let n = 0; n < 40; n++) yield pieceOf(n);
      } finally {
        closed = true;
      }
    };
    fixture.disk.failAt({ operation: 'write', path: /checkpoint/, nth: 3, error: 'ENOSPC' });
    await rejection('ERR_VARVE_DISK_FULL', checkpoints.write(contentsOf(2, watched())));
    expect([closed, fixture.names()]).toEqual([true, before]);
  });

  it('is written one after the other where several are asked for at once', async () => {
    const fixture = make();
    const checkpoints = checkpointsIn(fixture);
    const broken = contentsOf(9, { [Symbol.iterator]: () => { throw new Error('none'); } });
    const all = [1, 2, 3].map((n) => checkpoints.write(contentsOf(n)));
    const failed = checkpoints.write(broken).catch((error: Error) => error.message);
    const last = checkpoints.write(contentsOf(4));
    expect([...await Promise.all([...all, last])].map(({ id, epoch }) => [id, epoch]))
      .toEqual([[1, 11], [2, 12], [3, 13], [4, 14]]);
    expect(await failed).toBe('none');
  });

  it('of any offsets, watermark and places', async () => {
    const fixture = make();
    const checkpoints = checkpointsIn(fixture);
    const contents = fc.record({
      epoch: fc.nat(2 ** 31),
      cores: fc.array(fc.record({ sequence: fc.maxSafeNat(), position: fc.maxSafeNat() }),
        { minLength: 3, maxLength: 3 }),
      offsets: fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), fc.maxSafeNat()),
      watermark: fc.option(fc.maxSafeInteger(), { nil: undefined }),
      state: fc.uint8Array({ maxLength: 3000 }),
    });
    await fc.assert(fc.asyncProperty(contents, async (one) => {
      await checkpoints.write(one);
      const { checkpoint } = await checkpointsIn(fixture).newest();
      expect(checkpoint!.epoch).toBe(one.epoch);
      expect(checkpoint!.cores.map(({ sequence, position }) => ({ sequence, position }))).toEqual(one.cores);
      expect(checkpoint!.offsets).toEqual(new Map(Object.entries(one.offsets)));
      expect(checkpoint!.watermark).toBe(one.watermark === undefined ? undefined : one.watermark + 0);
      expect(checkpoint!.readState().equals(one.state)).toBe(true);
      expect(checkpoint!.bytes).toBe(80 + 48 + commitBytes(one.offsets, one.watermark) + one.state.length + 40);
      await checkpoints.keepNewest(1);
    }), { numRuns: kind === 'real' ? 10 : 40 });
  });
});

describe('a state of 100 MB', () => {
  it('streams in and out without being in memory', async () => {
    const fixture = logFixture('real', 'simd');
    const checkpoints = checkpointsIn(fixture);
    const count = (100 * MEBIBYTE) / 65536;
    const reused = Buffer.alloc(65536);
    let most = 0;
    const collect = (globalThis as { gc?: () => void }).gc;
    const before = process.memoryUsage().arrayBuffers;
    const measure = () => {
      collect?.();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    };
    let crc = 0;
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < count; n++) {
        if (n % 64 === 0) measure();
        const piece = pieceOf(n, reused);
        crc = crc32c(piece, crc);
        yield piece;
        await Promise.resolve();
      }
    };
    const made = await checkpoints.write(contentsOf(1, pieces()));
    expect(made.stateBytes).toBe(100 * MEBIBYTE);
    const written = most;
    let again = 0;
    let length = 0;
    for await (const piece of made.state()) {
      again = crc32c(piece, again);
      length += piece.length;
      if (length % (4 * MEBIBYTE) === 0) measure();
    }
    expect([length, again]).toEqual([100 * MEBIBYTE, crc]);
    await made.verify();
    measure();
    console.info('state of 100 MB, most bytes in buffers:', { written, read: most, collected: collect !== undefined });
    expect(written).toBeLessThan(2 * MEBIBYTE);
    // Pieces that were read and let go wait for the collector.
    expect(most).toBeLessThan(50 * MEBIBYTE);
  }, 60_000);
});

describe('reading a state', () => {
  it('lets the event loop have its turn, and the file go when the reader stops', async () => {
    const fixture = logFixture('simulated', 'simd');
    const checkpoints = checkpointsIn(fixture);
    const made = await checkpoints.write(contentsOf(1, Buffer.alloc(2 * MEBIBYTE, 7)));
    let turns = 0;
    const timer = setInterval(() => { turns++; }, 0);
    const counting = setImmediate(function next() { turns++; setImmediate(next); });
    const closed = () => fixture.disk!.operations.get('close') ?? 0;
    const before = closed();
    for await (const piece of made.state()) {
      expect(piece.length).toBe(262_144);
      if (turns >= 2) break;
    }
    clearInterval(timer);
    clearImmediate(counting);
    expect(turns).toBeGreaterThanOrEqual(2);
    expect(closed()).toBe(before + 1);
  });

  it('ends with an error where the checkpoint is gone, or another one has its name', async () => {
    const fixture = logFixture('simulated', 'simd');
    const checkpoints = checkpointsIn(fixture);
    const made = await checkpoints.write(contentsOf(3));
    const other = await checkpoints.write({ ...contentsOf(4), epoch: 99 });
    fixture.put(nameOf(1), fixture.bytes(nameOf(2)));
    failure('ERR_VARVE_CORRUPT', () => made.readState());
    fixture.remove(nameOf(2));
    failure('ERR_VARVE_NOT_FOUND', () => other.readState());
    await rejection('ERR_VARVE_NOT_FOUND', streamed(other));
  });

  it('is refused where the system refuses it', async () => {
    const fixture = logFixture('simulated', 'simd');
    const made = await checkpointsIn(fixture).write(contentsOf(1));
    for (const operation of ['open', 'read', 'size'] as const) {
      fixture.disk!.failAt({ operation, path: /checkpoint$/, error: 'EIO' });
      expect([checkpointsIn(fixture).list()[0]]).toMatchObject([{ id: 1, reason: 'unreadable' }]);
      fixture.disk!.failAt({ operation, path: /checkpoint$/, error: 'EIO' });
      failure('ERR_VARVE_IO', () => checkpointsIn(fixture).load(1));
      fixture.disk!.failAt({ operation, path: /checkpoint$/, error: 'EIO' });
      failure('ERR_VARVE_IO', () => made.readState());
    }
    const real = logFixture('real', 'simd');
    mkdirSync(join(real.directory, nameOf(1)), { recursive: true });
    expect(checkpointsIn(real).list()).toMatchObject([{ id: 1, reason: 'unreadable' }]);
  });
});

describe('what a state may be', () => {
  it('is known before anything is written', () => {
    for (const state of ['', 'text', Buffer.alloc(3), [], new Map()]) expect(checkState(state)).toBe(state);
    const wrong = [undefined, null, 5, true, {}, () => [], new Uint16Array(2), new ArrayBuffer(2), 'a\uDC00'];
    for (const state of wrong) {
      expect(() => checkState(state)).toThrow(expect.objectContaining({ code: 'ERR_VARVE_INVALID_ARGUMENT' }));
    }
    expect(GROUP.cores).toBe(contentsOf(1).cores.length);
  });
});
