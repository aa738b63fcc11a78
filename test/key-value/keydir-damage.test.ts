/**
 * The key directory on damaged frames and hints, in both release builds. The segment ends where the core's memory ends,
 * so that a read behind it traps; the segment's bytes and what lies around the table are compared, for nothing of this
 * may write there. What an unchecked run makes of damage is anybody's guess, but it ends, and accounts and table agree.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Core, type CoreVariant } from '../../host/core/core.ts';
import { Keydir } from '../../host/core/keydir.ts';
import { SegmentView } from '../../host/core/segment-view.ts';
import {
  FRAMES_OFFSET, FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, INFO_KIND_SHIFT, KEYDIR_ENTRY_BYTES, KEYDIR_HINT_BYTES,
  KEYDIR_SPARE, KEY_OFFSET, Kind, PUT_META_BYTES, STAGE_BYTES, STATIC_END, Status, VALUES_OFFSET,
} from '../../host/generated/abi.ts';
import { type Random, forEachSeed } from '../support/random.ts';
import { newTally } from '../support/tally.ts';

const PAGE = 65536;
const GUARD = 4096;
const ROOM = 4096 + KEYDIR_SPARE;
/** The list of segments, of which one is used, hints, the index, and the table between guards; then the segment. */
const LIST = STATIC_END;
const HINTS = LIST + PAGE;
const INDEX = HINTS + 2 * PAGE;
const TABLE = INDEX + PAGE + GUARD;
const MEMORY_BYTES = TABLE + ROOM * KEYDIR_ENTRY_BYTES + PAGE - GUARD + PAGE;
const KINDS = [Kind.Put, Kind.Put, Kind.Delete, Kind.PutMeta, Kind.PutMeta, Kind.Raw] as const;
const UNTOUCHED = Buffer.alloc(GUARD, 0xa5);
const tally = newTally('damaged records of key directories');
afterAll(() => tally.report());

class Bench {
  readonly core: Core;
  readonly dir: Keydir;
  /** The frames, of which the last one ends with the memory. */
  private base = 0;
  private view: SegmentView | undefined;
  offsets: number[] = [];

  constructor(variant: CoreVariant) {
    this.core = new Core({ variant, memoryBytes: MEMORY_BYTES });
    this.dir = new Keydir(this.core, LIST, 0x9f3a1c5577d01e2bn, 0x5851f42d4c957f2dn);
    this.dir.place(TABLE, ROOM * KEYDIR_ENTRY_BYTES);
  }

  get end(): number { return MEMORY_BYTES - this.base; }

  /** Writes some frames, valid ones, at the end of the memory. */
  write(random: Random): void {
    const { memory } = this.core;
    memory.bytes.fill(0, STATIC_END);
    memory.bytes.fill(0xa5, TABLE - GUARD, TABLE);
    memory.bytes.fill(0xa5, TABLE + ROOM * KEYDIR_ENTRY_BYTES, TABLE + ROOM * KEYDIR_ENTRY_BYTES + GUARD);
    const records = Array.from({ length: random.between(1, 30) }, () => {
      const kind = random.pick(KINDS);
      const valueBytes = kind === Kind.Delete ? 0 : random.integer(40);
      return { kind, key: random.integer(8), payload: valueBytes + (kind === Kind.PutMeta ? PUT_META_BYTES : 0) };
    });
    const keyBytes = random.pick([4, 8, 13]);
    const bytes = records.reduce((sum, { payload }) => sum + ((FRAME_HEADER_BYTES + keyBytes + payload + 7) & ~7), 0);
    this.base = MEMORY_BYTES - bytes - FRAMES_OFFSET;
    this.view?.setEnd(0, 0, 0);
    const view = new SegmentView(this.core, {
      base: this.base, mapped: bytes + FRAMES_OFFSET, baseLsn: 0xffffffff, basePosition: 0, salt: 5, index: INDEX,
      epoch: 1,
    });
    if (this.view !== undefined) this.core.releaseSlot(this.view.at);
    this.view = view;
    view.setEnd(0, FRAMES_OFFSET, 1);
    view.setWriter(HINTS, 1);
    this.offsets = records.map(({ kind, key, payload }) => {
      const offset = view.dataEnd;
      const at = this.base + offset + FRAME_HEADER_BYTES;
      memory.bytes.fill(key + 1, at, at + keyBytes);
      if (kind === Kind.PutMeta) memory.bytes[at + keyBytes + random.pick([0, 8])] = 9;
      view.append(((kind << INFO_KIND_SHIFT) | keyBytes) >>> 0, payload);
      return offset;
    });
    this.empty();
  }

  empty(): void {
    this.core.memory.bytes.fill(0, TABLE, TABLE + ROOM * KEYDIR_ENTRY_BYTES);
    this.dir.reset();
    this.dir.openSegment(0);
    this.dir.setView(0, this.view!.at);
  }

  /** Damages one field of one frame: its size, its info, or any bit. */
  damage(random: Random): void {
    const fields = new DataView(this.core.memory.buffer);
    const at = this.base + random.pick(this.offsets);
    const value = random.pick([0, 1, 7, 23, 24, 25, 31, 40, 63, PAGE, 0x1ffff, 0x7fffffff, 0x80000000, 0xfffffff0,
      0xffffffff, random.next(), random.integer(200)]);
    const info = fields.getUint32(at + Frame.info, true);
    switch (random.integer(4)) {
      case 0: fields.setUint32(at + Frame.size, value, true); break;
      case 1: fields.setUint32(at + Frame.info, ((info & ~INFO_KEY_MASK) | (value & INFO_KEY_MASK)) >>> 0, true); break;
      case 2: fields.setUint32(at + Frame.info, value, true); break;
      default: fields.setUint8(at + random.integer(MEMORY_BYTES - at), value & 0xff);
    }
  }

  /** A run to its end, or to what it cannot take. */
  apply(check: boolean): void {
    let offset = FRAMES_OFFSET;
    let ordinal = 0;
    for (let rounds = 0; offset < this.end; rounds++) {
      if (rounds > 100) throw new Error('a run does not end');
      const status = this.dir.apply(0, offset, this.end, ordinal, check);
      if (this.dir.offset < offset || this.dir.offset > this.end) throw new Error(`a run ends at ${this.dir.offset}`);
      offset = this.dir.offset + (status === Status.Clear ? FRAME_HEADER_BYTES : 0);
      ordinal += this.dir.records;
      if (status !== Status.Ok && status !== Status.Expires && status !== Status.Clear) return;
    }
  }

  /** Some frames as damaged ones, whose stride nobody knows for certain. */
  applyDamaged(random: Random): void {
    for (const offset of [...this.offsets, this.end - 8, this.end, this.end + 8]) {
      this.dir.applyDamaged(0, offset, random.pick([0, 8, 24, 40, 64, this.end - offset, MEMORY_BYTES]) >>> 0);
    }
  }

  /** Hints of all frames, some of them damaged, taken in. */
  hints(random: Random): void {
    const { memory } = this.core;
    const count = this.dir.hints(0, FRAMES_OFFSET, this.end);
    memory.bytes.copyWithin(HINTS, VALUES_OFFSET, VALUES_OFFSET + count * KEYDIR_HINT_BYTES);
    if (count > 0 && random.chance(0.7)) {
      const word = HINTS / 4 + random.integer(count) * KEYDIR_HINT_BYTES / 4 + random.integer(4);
      memory.unsigned[word] = random.chance(0.5) ? random.next() : memory.unsigned[word]! ^ (1 << random.integer(32));
    }
    for (let at = 0; at < count;) {
      const status = this.dir.applyHints(0, HINTS + at * KEYDIR_HINT_BYTES, count - at);
      at += this.dir.records + (status === Status.Clear ? 1 : 0);
      if (status !== Status.Ok && status !== Status.Expires && status !== Status.Clear) return;
    }
  }

  /** Everything that reads frames, of which nothing may write. */
  read(random: Random): void {
    const { dir, core: { memory } } = this;
    for (let key = 0; key < 8; key++) {
      for (const bytes of [4, 8, 13]) {
        memory.bytes.fill(key + 1, KEY_OFFSET, KEY_OFFSET + bytes);
        for (const check of [true, false]) {
          if (dir.find(bytes, check) !== Status.Ok) continue;
          const inside = dir.valueAt >= this.base + FRAMES_OFFSET && dir.valueAt + dir.valueBytes <= MEMORY_BYTES;
          if (!inside) throw new Error(`a value of ${dir.valueBytes} bytes`);
          tally.count(check ? 'values checked' : 'values not checked');
        }
      }
    }
    dir.walk(0, FRAMES_OFFSET, this.end, 0, random.integer(2000), 0);
    dir.copy(0, FRAMES_OFFSET, this.end, 0, STAGE_BYTES, 0x7fffffff);
    for (const offset of [...this.offsets, this.end - 8, this.end, this.end + 8]) {
      dir.expire({ segment: 0, offset }, random.pick([0, 9]));
    }
  }

  /** Throws where accounts, table and guards do not agree. */
  compare(frames: Buffer): void {
    const { bytes } = this.core.memory;
    const entries = [...this.dir.entries()];
    expect(entries.length).toBe(this.dir.count);
    expect(this.dir.liveRecords(0)).toBe(entries.length);
    expect(this.dir.liveBytes(0)).toBe(entries.reduce((sum, { stride }) => sum + stride, 0));
    expect(entries.every(({ offset, stride }) => offset >= FRAMES_OFFSET && offset + stride <= this.end)).toBe(true);
    expect(this.frames().equals(frames)).toBe(true);
    for (const at of [TABLE - GUARD, TABLE + ROOM * KEYDIR_ENTRY_BYTES]) {
      expect(UNTOUCHED.equals(bytes.subarray(at, at + GUARD))).toBe(true);
    }
  }

  frames(): Buffer {
    return Buffer.from(this.core.memory.bytes.subarray(this.base + FRAMES_OFFSET));
  }
}

describe('damaged frames', () => {
  for (const variant of ['baseline', 'simd'] as const) {
    it(`lead no function of the directory out of the segment, ${variant}`, async () => {
      const bench = new Bench(variant);
      await forEachSeed(400, (random) => {
        bench.write(random);
        // Half of the time the damage comes when the table is there.
        const late = random.chance(0.5);
        if (late) bench.apply(false);
        for (let left = random.between(1, 3); left > 0; left--) bench.damage(random);
        const frames = bench.frames();
        const ways = [
          () => bench.apply(true), () => bench.apply(false), () => bench.hints(random),
          () => bench.applyDamaged(random),
        ];
        for (const take of ways) {
          if (!late) {
            bench.empty();
            take();
          }
          bench.compare(frames);
          bench.read(random);
          bench.compare(frames);
        }
        tally.count('cases');
      });
    });
  }
});
