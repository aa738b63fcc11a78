/**
 * Records with keys as the faces upon the log append them: byte for byte what was given, whichever way they take into
 * the segment, with their place told; and batches that stand on the stage already.
 */
import { afterEach, describe, expect, it } from 'vitest';
import {
  FRAME_HEADER_BYTES, Frame, INFO_KIND_SHIFT, KEY_BYTES_MAX, Kind, PAYLOAD_BYTES_MAX, PUT_META_BYTES, STAGE_BYTES,
  STAGE_OFFSET,
} from '../host/generated/abi.ts';
import type { BatchRecord } from '../host/log/batches.ts';
import type { LogWriter } from '../host/log/writer.ts';
import { type LogFixture, failure, logFixture, onEach } from './support/log-fixture.ts';
import { Random, forEachSeed } from './support/random.ts';
import { bury, writerIn } from './support/writer-fixture.ts';

let writer: LogWriter | undefined;
afterEach(() => {
  writer?.closeNow();
  writer = undefined;
});

function open(fixture: LogFixture, segmentBytes?: number): LogWriter {
  writer = writerIn(fixture, segmentBytes).writer;
  return writer;
}

interface Given { readonly kind: number; readonly key: Buffer; readonly payload: Buffer }

function bytesOf(data: Uint8Array | string): Buffer {
  return Buffer.from(data as string);
}

function metaOf(version: number, expiresAt: number): Buffer {
  const bytes = Buffer.alloc(PUT_META_BYTES);
  bytes.writeBigUInt64LE(BigInt(version), 0);
  bytes.writeBigUInt64LE(BigInt(expiresAt), 8);
  return bytes;
}

function expectRecords(log: LogWriter, given: readonly Given[], firstLsn = 1): void {
  expect(log.lastLsn).toBe(firstLsn + given.length - 1);
  for (const [at, { kind, key, payload }] of given.entries()) {
    const record = log.segments.read(firstLsn + at, false);
    expect(record.kind, `kind of ${firstLsn + at}`).toBe(kind);
    expect(key.equals(record.key), `key of ${firstLsn + at}`).toBe(true);
    expect(payload.equals(record.payload), `payload of ${firstLsn + at}`).toBe(true);
  }
}

const TEXTS = ['', 'a', 'key:000000000001', 'é', '日本語', '🦄 and more', '\ud800', 'x'.repeat(47), 'x'.repeat(48),
  'x'.repeat(49), 'ü'.repeat(300), 'y'.repeat(5000)];
const INTEGERS = [0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1_763_000_000_000, Number.MAX_SAFE_INTEGER];

/** Bytes or text of any sort, short as a rule. */
function draw(random: Random, long: number): Uint8Array | string {
  if (random.chance(0.5)) return random.pick(TEXTS);
  return random.bytes(random.chance(0.02) ? random.integer(long) : random.integer(70));
}

onEach('a record with a key', (make) => {
  it('is what was given, where the writer says that it stands, also in another process', async () => {
    await forEachSeed(3, (random) => {
      const fixture = make();
      const log = open(fixture);
      const given: Given[] = [];
      for (let count = 0; count < 600; count++) {
        const kind = random.integer(128);
        const key = draw(random, KEY_BYTES_MAX + 1);
        const payload = draw(random, 100_000);
        const version = random.pick(INTEGERS);
        const expiresAt = random.pick(INTEGERS);
        const meta = random.chance(0.5);
        const lsn = meta ? log.appendKeyedMeta(Kind.PutMeta, key, version, expiresAt, payload)
          : log.appendKeyed(kind, key, payload);
        given.push({
          kind: meta ? Kind.PutMeta : kind, key: bytesOf(key),
          payload: meta ? Buffer.concat([metaOf(version, expiresAt), bytesOf(payload)]) : bytesOf(payload),
        });
        expect(lsn).toBe(given.length);
        const ref = log.segments.refOf(lsn);
        expect([log.activeSegment?.baseLsn, log.lastOffset]).toEqual([ref.segment, ref.offset]);
      }
      expect(log.segments.list.length).toBeGreaterThan(3);
      expectRecords(log, given);
      log.closeNow();
      expectRecords(open(fixture), given);
      log.closeNow();
      writer!.closeNow();
    });
  });

  it('is refused where key or payload is too large, and nothing is appended', () => {
    const log = open(make());
    log.appendKeyed(Kind.Put, 'a', 'b');
    const { position } = log;
    const keys = [new Uint8Array(KEY_BYTES_MAX + 1), 'x'.repeat(KEY_BYTES_MAX + 1), 'é'.repeat(KEY_BYTES_MAX / 2 + 1)];
    for (const key of keys) {
      const error = failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendKeyed(Kind.Put, key, 'x'));
      expect(error.details).toMatchObject({ what: 'key', limit: KEY_BYTES_MAX });
      failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendKeyedMeta(Kind.PutMeta, key, 0, 0, 'x'));
      failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendBatch([{ kind: Kind.Put, key, payload: '' }]));
    }
    const most = new Uint8Array(PAYLOAD_BYTES_MAX - PUT_META_BYTES + 1);
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendKeyedMeta(Kind.PutMeta, 'a', 0, 0, most));
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendBatch([{ kind: Kind.PutMeta, key: 'a', payload: most }]));
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendKeyed(Kind.Put, 'a', new Uint8Array(PAYLOAD_BYTES_MAX + 1)));
    expect([log.lastLsn, log.position]).toEqual([1, position]);
    // As long as can be, but text that might have been longer.
    log.appendKeyed(Kind.Put, 'x'.repeat(KEY_BYTES_MAX), 'y');
    expect(log.segments.read(2, false).key).toHaveLength(KEY_BYTES_MAX);
  });

  it('stands in a batch with others, with and without version and expiry', () => {
    const fixture = make();
    const log = open(fixture);
    const records: BatchRecord[] = [
      { kind: Kind.Put, key: 'a', payload: 'one' },
      { kind: Kind.PutMeta, key: Buffer.from('b'), payload: 'two', version: 2 ** 40 + 1, expiresAt: 2 ** 53 - 1 },
      { kind: Kind.Delete, key: 'c', payload: '' },
      { kind: Kind.PutMeta, key: 'dé', payload: new Uint8Array(0) },
      // Of other kinds they are not asked for.
      { kind: Kind.Put, key: 'e', payload: 'five', version: 7, expiresAt: 7 },
    ];
    const given = records.map(({ kind, key, payload, version, expiresAt }): Given => ({
      kind: kind!, key: bytesOf(key!),
      payload: kind === Kind.PutMeta
        ? Buffer.concat([metaOf(version ?? 0, expiresAt ?? 0), bytesOf(payload)]) : bytesOf(payload),
    }));
    expect(log.appendBatch(records)).toBe(5);
    expect(log.lastOffset).toBe(log.segments.refOf(1).offset);
    // So many that they take the stage.
    const many = Array.from({ length: 1000 }, () => records).flat();
    expect(log.appendBatch(many)).toBe(5005);
    expect(log.lastOffset).toBe(log.segments.refOf(6).offset);
    const all = Array.from({ length: 1001 }, () => given).flat();
    expectRecords(log, all);
    log.closeNow();
    expectRecords(open(fixture), all);
  });
});

/** Puts frames on the stage as a caller of `appendStaged` does; returns what they take. */
function stage(log: LogFixture, frames: readonly Given[]): number {
  const { bytes } = log.core.memory;
  bytes.fill(0xee, STAGE_OFFSET, STAGE_OFFSET + STAGE_BYTES);
  let at = STAGE_OFFSET;
  for (const { kind, key, payload } of frames) {
    const size = FRAME_HEADER_BYTES + key.length + payload.length;
    log.core.memory.unsigned[(at + Frame.size) / 4] = size;
    log.core.memory.unsigned[(at + Frame.info) / 4] = ((kind << INFO_KIND_SHIFT) | key.length) >>> 0;
    bytes.set(key, at + FRAME_HEADER_BYTES);
    bytes.set(payload, at + FRAME_HEADER_BYTES + key.length);
    at += (size + 7) & ~7;
  }
  return at - STAGE_OFFSET;
}

function drawFrames(random: Random, count: number, bytes: number): Given[] {
  return Array.from({ length: count }, () => ({
    kind: Kind.PutMeta, key: Buffer.from(random.bytes(random.integer(40))),
    payload: Buffer.from(random.bytes(random.integer(bytes))),
  }));
}

onEach('a batch on the stage', (make) => {
  it('is appended as it stands there, few frames or many, between other records', async () => {
    await forEachSeed(3, (random) => {
      const fixture = make();
      const log = open(fixture);
      const given: Given[] = [];
      for (let round = 0; round < 30; round++) {
        const frames = drawFrames(random, random.between(1, 40), random.pick([20, 1000]));
        const bytes = stage(fixture, frames);
        expect(log.appendStaged(bytes, frames.length)).toBe(given.length + frames.length);
        const ref = log.segments.refOf(given.length + 1);
        expect([log.activeSegment?.baseLsn, log.lastOffset]).toEqual([ref.segment, ref.offset]);
        given.push(...frames);
        if (random.chance(0.5)) continue;
        log.appendKeyed(Kind.Put, 'key', 'value');
        given.push({ kind: Kind.Put, key: bytesOf('key'), payload: bytesOf('value') });
      }
      expectRecords(log, given);
      log.syncNow();
      log.closeNow();
      expectRecords(open(fixture), given);
      writer!.closeNow();
    });
  });

  it('may fill the stage, and starts a segment that is large enough; more is refused', () => {
    const fixture = make();
    const log = open(fixture);
    const frame = { kind: Kind.Put, key: bytesOf('k'), payload: Buffer.alloc(8192 - FRAME_HEADER_BYTES - 1, 7) };
    const frames = Array.from({ length: STAGE_BYTES / 8192 }, () => frame);
    const bytes = stage(fixture, frames);
    expect(bytes).toBe(STAGE_BYTES);
    log.appendStaged(bytes, frames.length);
    expectRecords(log, frames);
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendStaged(STAGE_BYTES + 8, frames.length));
    expect(log.lastLsn).toBe(frames.length);
  });
});

describe('a batch on the stage, when the system fails it', () => {
  it('is in the log whole or not at all, wherever the power goes, and its write poisons the log', () => {
    const random = new Random(7);
    for (const written of [0, 100, 4096, 20_000]) {
      const fixture = logFixture('simulated', 'simd');
      const log = open(fixture);
      log.appendKeyed(Kind.Put, 'a', 'b');
      log.syncNow();
      const frames = drawFrames(random, 50, 1500);
      const bytes = stage(fixture, frames);
      fixture.disk!.failAt({ operation: 'write', path: /seg$/, error: 'EIO', written });
      failure('ERR_VARVE_IO', () => log.appendStaged(bytes, frames.length));
      failure('ERR_VARVE_POISONED', () => log.appendKeyed(Kind.Put, 'c', 'd'));
      expect([log.poisoned, log.lastLsn]).toEqual([true, 1]);
      log.closeNow();
      const again = open(fixture);
      expect(again.lastLsn).toBe(1);
      again.closeNow();
    }
  });

  it('may be lost by a power cut as long as it is not synced, and then wholly', () => {
    const random = new Random(8);
    const outcomes = new Set<number>();
    for (let round = 0; round < 40; round++) {
      const fixture = logFixture('simulated', 'simd');
      const log = open(fixture);
      log.appendKeyed(Kind.Put, 'a', 'b');
      log.syncNow();
      const frames = drawFrames(random, 20, 1500);
      log.appendStaged(stage(fixture, frames), frames.length);
      fixture.disk!.powerCut(random);
      bury(log);
      fixture.startAgain();
      const again = open(fixture);
      outcomes.add(again.lastLsn);
      expectRecords(again, [{ kind: Kind.Put, key: bytesOf('a'), payload: bytesOf('b') },
        ...again.lastLsn === 1 ? [] : frames]);
      again.closeNow();
    }
    expect([...outcomes].sort((a, b) => a - b)).toEqual([1, 21]);
  });
});
