/**
 * The decoder on arbitrary bytes and on mutated frames, through both release builds. The segment ends where the core's
 * memory ends, so that a read behind it traps; the index stands between guards, which are compared, and so are the
 * segment's own bytes, for nothing here may write. What `recover` finds is compared with the plain rules
 * (test/support/frame-oracle.ts), and the builds with each other.
 *
 * That nothing hangs shows in what the calls report: no run is longer than the bytes allow.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { SegmentView } from '../../host/core/segment-view.ts';
import {
  CONTROL_BYTES, FRAMES_OFFSET, FRAME_HEADER_BYTES, STATIC_END, Status, SegmentFooter, SegmentHeader,
} from '../../host/generated/abi.ts';
import { type Ground, frameAt, longestPrefix } from '../support/frame-oracle.ts';
import { MUTATIONS, type Material, drawMutation } from '../support/mutations.ts';
import { type Random, forEachSeed, seedFromEnvironment } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';

const PAGE = 65536;
/** The static area, one page for the index, one for the segment: the memory ends with the segment. */
const MEMORY_BYTES = STATIC_END + 2 * PAGE;
const GUARD = 64;
const INDEX = STATIC_END + GUARD;
const CASES = 1000;
const tally = newTally('fuzzing the core');
afterAll(() => tally.report());

/** A core whose memory ends with the segment. */
class Bench {
  readonly core: Core;

  constructor(variant: 'baseline' | 'simd') {
    this.core = new Core({ variant, memoryBytes: MEMORY_BYTES });
  }

  /** Puts frames at the very end of the memory; the header's page before them is never looked at. */
  view({ bytes, salt, baseLsn }: Ground): SegmentView {
    const { memory } = this.core;
    // Frames begin at multiples of 8, so up to 7 bytes stay behind an odd end.
    const slack = (8 - (bytes.length & 7)) & 7;
    const base = MEMORY_BYTES - slack - bytes.length - FRAMES_OFFSET;
    memory.bytes.fill(0xa5, STATIC_END, base);
    memory.bytes.set(bytes, base + FRAMES_OFFSET);
    return new SegmentView(this.core, {
      base, mapped: FRAMES_OFFSET + bytes.length, baseLsn, basePosition: 0, salt, index: INDEX, epoch: 0,
    });
  }

  /** Throws where anything but the index was written to. */
  checkGuards(bytes: Uint8Array): void {
    const { memory } = this.core;
    const from = MEMORY_BYTES - ((8 - (bytes.length & 7)) & 7) - bytes.length;
    const entries = Math.ceil(bytes.length / FRAME_HEADER_BYTES) + 1;
    const after = memory.bytes.subarray(INDEX + entries * 4, from);
    if (Buffer.compare(memory.bytes.subarray(from, from + bytes.length), bytes) !== 0) throw new Error('a frame was written');
    if (memory.bytes.subarray(STATIC_END, INDEX).some((byte) => byte !== 0xa5)) throw new Error('a store before the index');
    if (after.subarray(0, GUARD).some((byte) => byte !== 0xa5)) throw new Error('a store behind the index');
  }
}

const benches = [new Bench('baseline'), new Bench('simd')] as const;

/** Valid frames, as the core itself writes them: single records and batches, of rising epochs. */
function validFrames(random: Random): Material {
  const { core } = benches[0];
  const [salt, baseLsn] = [random.next(), 1];
  const base = STATIC_END + PAGE;
  core.memory.bytes.fill(0, base, base + PAGE);
  const view = new SegmentView(core, { base, mapped: PAGE, baseLsn, basePosition: 0, salt, index: INDEX, epoch: 0 });
  // Nobody looks at a watermark here: its words go where the frames' page is still empty.
  view.setEnd(0, FRAMES_OFFSET, 0);
  const frames: number[] = [];
  let epoch = 1;
  for (let left = random.between(1, 12); left > 0; left--) {
    epoch += random.integer(2);
    view.setWriter(base + PAGE - CONTROL_BYTES, epoch);
    view.durable = random.chance(0.3) ? view.dataEnd : 0;
    const count = random.chance(0.3) ? random.between(2, 4) : 1;
    let at = base + view.dataEnd;
    for (let each = 0; each < count; each++) {
      frames.push(at - base - FRAMES_OFFSET);
      const [key, body] = [random.pick([0, 0, 3]), random.integer(80)];
      core.memory.unsigned[at / 4 + 1] = FRAME_HEADER_BYTES + key + body;
      core.memory.unsigned[at / 4 + 5] = (random.integer(3) << 24) | key;
      random.fill(core.memory.bytes.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + key + body));
      at += (FRAME_HEADER_BYTES + key + body + 7) & ~7;
    }
    view.appendBatch(count);
  }
  const end = base + view.dataEnd + random.pick([0, 8, 40, 500]);
  const bytes = core.memory.bytes.slice(base + FRAMES_OFFSET, end);
  view.release();
  return { bytes, frames, salt, foreign: new Uint8Array(0) };
}

/** Calls everything that decodes; returns what it all answered. Throws where an answer cannot be. */
function decode(bench: Bench, ground: Ground, draws: Random): number[] {
  const view = bench.view(ground);
  const limit = FRAMES_OFFSET + ground.bytes.length;
  const most = ground.bytes.length / FRAME_HEADER_BYTES;
  const answers: number[] = [];
  const within = (value: number, least: number, upTo: number, what: string) => {
    if (!(value >= least && value <= upTo)) throw new Error(`${what} is ${value}, not from ${least} to ${upTo}`);
    answers.push(value);
  };
  within(view.recover(limit, 0xffffffff), Status.ForeignStore, 0, 'a status');
  within(view.records, 0, most, 'recovered records');
  within(view.dataEnd, FRAMES_OFFSET, limit, 'the end of the prefix');
  within(view.resultRecords, view.records, most, 'valid frames');
  const { records, dataEnd } = view;
  const found = view.findLater(dataEnd, limit - (limit % 8), records);
  within(found, 0, limit, 'a later frame');
  if (found !== 0) answers.push(view.resultRecords, view.resultDurable);
  within(view.endOfBytes(FRAMES_OFFSET, limit - (limit % 8)), FRAMES_OFFSET, limit, 'the end of the bytes');
  within(view.scan(FRAMES_OFFSET, 0, 0xffffffff, 0xffffffff), records, records, 'scanned records');
  within(view.resultOffset, dataEnd, dataEnd, 'the end of the scan');
  for (let ordinal = 0; ordinal < records; ordinal += 3) within(view.read(ordinal), FRAMES_OFFSET, dataEnd, 'a place');
  // From here on the view believes what nobody has checked, as a reader does whose watermark is wrong.
  view.setEnd(draws.integer(most + 2), Math.min(limit, FRAMES_OFFSET + draws.integer(ground.bytes.length + 9)), 0);
  within(view.readAt(FRAMES_OFFSET + draws.integer(ground.bytes.length + 64), draws.integer(most + 1)), -20, limit, 'read');
  within(view.scan(FRAMES_OFFSET + 8 * draws.integer(ground.bytes.length / 8), draws.integer(5), 100, 500), 0, most, 'scan');
  bench.core.memory.unsigned[INDEX / 4] = draws.pick([0, 4095, 4096, limit, limit - 8, 0xffffffff, draws.next()]);
  within(view.read(0), -20, limit, 'a read by a wrong index');
  view.setEnd(0, FRAMES_OFFSET, 0);
  within(view.advance(Math.floor(most)), Status.ForeignStore, 0, 'a status of an advance');
  within(view.dataEnd, FRAMES_OFFSET, limit + 7, 'the end after an advance');
  view.release();
  bench.checkGuards(ground.bytes);
  return answers;
}

describe('the decoder', { timeout: scaled(120_000) }, () => {
  it('answers arbitrary and mutated bytes with the longest valid prefix, and never leaves them', async () => {
    await forEachSeed(120, (random) => {
      tally.count('seeds');
      const others = Array.from({ length: 4 }, () => validFrames(random));
      for (let count = 0; count < CASES; count++) {
        const material = { ...random.pick(others), foreign: random.pick(others).bytes };
        let { bytes } = material;
        const names: string[] = [];
        for (let times = random.pick([1, 1, 1, 2, 3]); times > 0 && bytes.length > 0; times--) {
          const name = drawMutation(random);
          names.push(name);
          const frames = material.frames.filter((at) => at < bytes.length);
          bytes = MUTATIONS[name]!(random, { ...material, bytes, frames });
          if (name !== 'nothing') tally.count(`faults.${name}`);
        }
        const ground = { bytes, salt: material.salt, baseLsn: 1 };
        const draws = random.fork();
        try {
          const [baseline, simd] = benches.map((bench) => decode(bench, ground, draws.clone()));
          expect(simd).toEqual(baseline);
          const expected = longestPrefix(ground);
          expect([baseline![1], baseline![2]]).toEqual([expected.records, FRAMES_OFFSET + expected.end]);
          tally.add('records', expected.records);
        } catch (error) {
          (error as Error).message += ` [case ${count}: ${names.join(', ')}]`;
          throw error;
        }
        tally.add('cases', 2);
      }
    });
    if (seedFromEnvironment() === undefined) expect(tally.get('records')).toBeGreaterThan(scaled(100_000));
  });

  it('takes no arbitrary bytes for a header, a footer or a control page, and reads nothing behind them', async () => {
    await forEachSeed(20, (random) => {
      for (let count = 0; count < CASES; count++) {
        for (const { core: { exports, memory } } of benches) {
          const structures = [
            { bytes: SegmentHeader.BYTES, seal: exports.sealHeader, check: exports.checkHeader },
            { bytes: SegmentFooter.BYTES, seal: exports.sealFooter, check: exports.checkFooter },
            { bytes: CONTROL_BYTES, seal: exports.sealControl, check: exports.checkControl },
            { bytes: CONTROL_BYTES, seal: exports.sealWriter, check: exports.checkWriter },
          ];
          const { bytes, seal, check } = random.pick(structures);
          const at = MEMORY_BYTES - bytes;
          random.fill(memory.bytes.subarray(at, at + 512));
          expect(check(at)).not.toBe(Status.Ok);
          if (bytes === CONTROL_BYTES) expect(exports.newestMarks(at)).toBe(0);
          seal(at);
          // Noise under a right checksum is of a later version, or has features that nobody knows, or is right.
          expect([Status.Ok, Status.NewerVersion]).toContain(check(at));
          tally.add('cases', 2);
        }
      }
    });
  });

  it('is known to be compared with rules of its own', () => {
    const bytes = new Uint8Array(64);
    expect(frameAt({ bytes, salt: 1, baseLsn: 1 }, 0, 1)).toBeUndefined();
    expect(longestPrefix({ bytes, salt: 1, baseLsn: 1 })).toEqual({ records: 0, end: 0 });
  });
});
