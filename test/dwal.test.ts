/**
 * DWAL directories: what is read of intact, torn and wrong ones, what is written, and that both agree. Every case says
 * which records are expected, not only that nothing crashed.
 */
import fc from 'fast-check';
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DwalReader } from '../host/foreign/dwal-reader.ts';
import { exportDwal, importDwal } from '../host/foreign/dwal-transfer.ts';
import { DwalWriter, type ExportRecord } from '../host/foreign/dwal-writer.ts';
import { dwalFrameBytes, encodeDwal } from '../host/foreign/dwal.ts';
import { RecordLog, VarveError } from '../host/index.ts';
import { contents, FIXTURE_OFFSETS, fixtureBytes, frame, Scratch, type FrameFields } from './support/dwal.ts';

const FIRST = '00000001.dwal';
const SECOND = '00000002.dwal';
const scratch = new Scratch('dwal');
afterAll(() => { scratch.remove(); });

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

/** What reading a directory gives: payloads, and how it ended. */
function readAll(directory: string) {
  const reader = new DwalReader(directory);
  const payloads: string[] = [];
  let error: VarveError | undefined;
  try {
    for (const { payload } of reader) payloads.push(text(payload));
  } catch (thrown) {
    if (!VarveError.is(thrown)) throw thrown;
    error = thrown;
  }
  return { payloads, torn: reader.torn, error, reader };
}

function readBytes(...segments: Uint8Array[]) {
  return readAll(scratch.directory(Object.fromEntries(segments.map((bytes, at) => [`0000000${at + 1}.dwal`, bytes]))));
}

function record(lsn: number, kind: number, key: string, payload: string): ExportRecord {
  return { lsn, kind, key: Buffer.from(key), payload: Buffer.from(payload) };
}

describe('reading', () => {
  it('gives the fixture\'s three records', () => {
    const { payloads, torn, error, reader } = readBytes(fixtureBytes());
    expect(payloads).toEqual(['alpha', 'beta', 'gamma']);
    expect([torn, error]).toEqual([undefined, undefined]);
    expect(reader).toMatchObject({ segments: 1, records: 3, bytes: 98, firstTxid: 1, lastTxid: 3 });
  });

  it('gives type, txid, key and payload, and follows the segments in the order of their ids', () => {
    const directory = scratch.directory({
      '00000010.dwal': frame({ txid: 3, type: 2, key: 'k' }),
      '00000002.dwal': Buffer.concat([frame({ txid: 1, type: 1, key: 'k', payload: 'v' }), frame({ txid: 2 })]),
    });
    expect([...new DwalReader(directory)].map(({ txid, kind, key, payload }) => [txid, kind, text(key), text(payload)]))
      .toEqual([[1, 1, 'k', 'v'], [2, 0, '', ''], [3, 2, 'k', '']]);
  });

  it('ignores whatever is no segment', () => {
    const directory = scratch.directory({
      [FIRST]: fixtureBytes(), '1.dwal': 'x', '000000002.dwal': 'x', '00000002.dwal.bak': 'x', '.lock': '',
    });
    mkdirSync(join(directory, '00000009.dwal'));
    expect(readAll(directory)).toMatchObject({ payloads: ['alpha', 'beta', 'gamma'], torn: undefined });
  });

  it('takes segments without records for what they are', () => {
    expect(readBytes(Buffer.alloc(0))).toMatchObject({ payloads: [], torn: undefined, error: undefined });
    expect(readBytes(frame({ payload: 'a' }), Buffer.alloc(0))).toMatchObject({ payloads: ['a'], torn: undefined });
  });

  it('reads frames larger than its window, and small ones behind them', () => {
    const large = Buffer.alloc(3 << 20, 'x');
    const bytes = Buffer.concat([frame({ payload: large }), frame({ txid: 2, payload: 'b' })]);
    expect(readBytes(bytes).payloads).toEqual([text(large), 'b']);
  });

  it('refuses a directory without segments, and a missing one', () => {
    expect(() => new DwalReader(scratch.directory())).toThrowError(expect.objectContaining({ code: 'ERR_VARVE_NOT_FOUND' }));
    expect(() => new DwalReader(scratch.path())).toThrowError(expect.objectContaining({ code: 'ERR_VARVE_NOT_FOUND' }));
  });
});

/** Everything that the header can have wrong, in the order of the checks. */
const FAULTS: readonly (readonly [string, FrameFields])[] = [
  ['magic', { magic: 'DWAX' }],
  ['version', { version: 2 }],
  ['type', { type: 3 }],
  ['flags', { flags: 1 }],
  ['key-length', { keyBytes: 65537 }],
  ['payload-length', { payloadBytes: 67108865 }],
];

describe('checks', () => {
  it.each(FAULTS.map(([fault], at) => [fault, at] as const))('come in order: %s is found before what follows', (fault, at) => {
    const wrong = frame({ txid: 9, ...Object.assign({}, ...FAULTS.slice(at).map(([, fields]) => fields)) as FrameFields,
      crcOff: 1 });
    const bytes = Buffer.concat([frame({ payload: 'a' }), wrong]);
    for (const segments of [[bytes], [bytes, Buffer.alloc(0)]]) {
      const { payloads, error, torn } = readBytes(...segments);
      expect({ payloads, torn, code: error?.code, details: error?.details }).toMatchObject({
        payloads: ['a'], torn: undefined, code: 'ERR_VARVE_FORMAT', details: { offset: 29, fault },
      });
      expect(error?.details['path']).toMatch(/00000001\.dwal$/);
      expect(error?.message).toMatch(/00000001\.dwal at offset 29: /);
    }
  });

  it.each([
    ['truncated', 'before the checksum', frame({ txid: 9, payload: 'abc', payloadBytes: 500, crcOff: 1 })],
    ['crc', 'before the txid', frame({ txid: 9, crcOff: 1 })],
    ['truncated', 'before the magic where there is no whole header', Buffer.from('nothing of a frame')],
  ])('come in order: %s is found %s', (fault, _, wrong) => {
    const bytes = Buffer.concat([frame({ payload: 'a' }), wrong]);
    expect(readBytes(bytes)).toMatchObject({
      payloads: ['a'], error: undefined, torn: { offset: 29, bytes: wrong.length, fault, intactAt: undefined },
    });
    expect(readBytes(bytes, frame({ txid: 2 }))).toMatchObject({
      payloads: ['a'], torn: undefined, error: { code: 'ERR_VARVE_FORMAT', details: { offset: 29, fault } },
    });
  });

  it('find a gap in the txids, also between segments, and a txid of 0', () => {
    expect(readBytes(frame({ txid: 1, payload: 'a' }), frame({ txid: 3 }))).toMatchObject({
      payloads: ['a'], error: { code: 'ERR_VARVE_FORMAT', details: { offset: 0, fault: 'txid' } },
    });
    expect(readBytes(Buffer.concat([frame({ txid: 4, payload: 'a' }), frame({ txid: 4 })])).error?.details['fault']).toBe('txid');
    expect(readBytes(frame({ txid: 0 }))).toMatchObject({ payloads: [], error: { details: { fault: 'txid' } } });
    expect(readBytes(frame({ txid: 2n ** 64n - 1n }))).toMatchObject({ payloads: [], error: { details: { fault: 'txid' } } });
  });

  it('let the first txid be above 1, where the oldest segments are gone', () => {
    const { payloads, reader } = readBytes(Buffer.concat([frame({ txid: 7, payload: 'a' }), frame({ txid: 8, payload: 'b' })]));
    expect({ payloads, first: reader.firstTxid, last: reader.lastTxid }).toEqual({ payloads: ['a', 'b'], first: 7, last: 8 });
  });

  it('accept keys and payloads at their limits', () => {
    const bytes = frame({ key: Buffer.alloc(65536, 'k'), payload: Buffer.alloc(100, 'p') });
    expect(readBytes(bytes).payloads).toEqual(['p'.repeat(100)]);
    // The largest payload, with a hole in its place: read, and found to have another checksum.
    const directory = scratch.directory({ [FIRST]: frame({ payloadBytes: 67108864 }) });
    truncateSync(join(directory, FIRST), 24 + 67108864 + 4);
    expect(readAll(directory)).toMatchObject({ payloads: [], torn: { fault: 'crc', offset: 0 } });
  });
});

describe('a torn tail', () => {
  it('of any length keeps the intact records and is reported', () => {
    const whole = fixtureBytes();
    const path = scratch.directory({ [FIRST]: whole });
    for (let length = whole.length; length >= 0; length--) {
      writeFileSync(join(path, FIRST), whole.subarray(0, length));
      const intact = FIXTURE_OFFSETS.filter((end) => end > 0 && end <= length).length;
      const offset = FIXTURE_OFFSETS[intact]!;
      const { payloads, torn, error } = readAll(path);
      expect({ length, payloads, error }).toEqual({ length, payloads: ['alpha', 'beta', 'gamma'].slice(0, intact), error: undefined });
      if (offset === length) expect(torn).toBeUndefined();
      else expect(torn).toMatchObject({ offset, bytes: length - offset, fault: 'truncated', intactAt: undefined });
    }
  });

  it('that hides intact records says where they begin', () => {
    const bytes = fixtureBytes();
    bytes[58] = bytes[58]! ^ 1;
    expect(readBytes(bytes)).toMatchObject({ payloads: ['alpha'], torn: { fault: 'crc', offset: 33, bytes: 65, intactAt: 65 } });
    const longer = fixtureBytes();
    longer.writeUInt32LE(5000, 33 + 20);
    expect(readBytes(longer)).toMatchObject({ payloads: ['alpha'], torn: { fault: 'truncated', offset: 33, intactAt: 65 } });
  });

  it('in any but the last segment is an error', () => {
    const { payloads, error } = readBytes(fixtureBytes().subarray(0, 80), frame({ txid: 3 }));
    expect({ payloads, details: error?.details }).toMatchObject({
      payloads: ['alpha', 'beta'], details: { offset: 65, fault: 'truncated' },
    });
    expect(error?.message).toMatch(/only the last segment may end in a torn frame/);
  });
});

describe('a flipped bit', () => {
  it('anywhere gives an error or a report, and never a wrong record', () => {
    const whole = fixtureBytes();
    const directory = scratch.directory({ [FIRST]: whole });
    for (let at = 0; at < whole.length * 8; at++) {
      const bytes = Buffer.from(whole);
      bytes[at >> 3] = bytes[at >> 3]! ^ (1 << (at & 7));
      writeFileSync(join(directory, FIRST), bytes);
      const { payloads, torn, error } = readAll(directory);
      const intact = FIXTURE_OFFSETS.filter((end) => end > 0 && end <= at >> 3).length;
      expect({ at, payloads }).toEqual({ at, payloads: ['alpha', 'beta', 'gamma'].slice(0, intact) });
      expect({ at, told: torn !== undefined || error !== undefined }).toEqual({ at, told: true });
    }
  });
});

describe('writing', () => {
  it('gives the bytes of the fixture for its records', async () => {
    const target = scratch.path();
    const result = await exportDwal(['alpha', 'beta', 'gamma'].map((payload, at) => record(at + 1, 0, '', payload)), target);
    expect(contents(target)).toEqual({ [FIRST]: fixtureBytes().toString('hex') });
    expect(result).toMatchObject({ segments: 1, records: 3, bytes: 98, firstTxid: 1, lastTxid: 3 });
  });

  it('encodes every field where it belongs', () => {
    const dwal = { txid: 2 ** 40, kind: 2, key: Buffer.from('key'), payload: Buffer.from('payload') };
    const bytes = new Uint8Array(dwalFrameBytes(dwal));
    expect(encodeDwal(dwal, bytes)).toBe(bytes.length);
    expect(Buffer.from(bytes)).toEqual(frame({ txid: 2 ** 40, type: 2, key: 'key', payload: 'payload' }));
  });

  it('begins a new segment where the next record would make it too large, and gives a large record its own', async () => {
    const target = scratch.path();
    const payloads = ['a', 'b', 'c'.repeat(200), 'd', 'e'];
    await exportDwal(payloads.map((payload, at) => record(at + 1, 0, '', payload)), target, { segmentBytes: 60 });
    expect(readdirSync(target)).toEqual([FIRST, SECOND, '00000003.dwal']);
    expect(readAll(target)).toMatchObject({ payloads, torn: undefined, error: undefined });
    expect(readFileSync(join(target, SECOND)).length).toBe(228);
  });

  it('gives one empty segment where there is no record', async () => {
    const target = scratch.path();
    await exportDwal([], target);
    expect(contents(target)).toEqual({ [FIRST]: '' });
  });

  it.each([
    ['another kind', [record(1, 0, '', 'a'), record(2, 7, '', 'b')], /record 2 is of kind 7/],
    ['a gap', [record(5, 0, '', 'a'), record(7, 0, '', 'b')], /record 7 follows on 5/],
  ])('refuses %s, names the record and leaves nothing behind', async (_, records, message) => {
    const parent = scratch.directory();
    await expect(exportDwal(records, join(parent, 'out'))).rejects.toMatchObject({
      code: 'ERR_VARVE_FORMAT', message: expect.stringMatching(message) as string,
    });
    expect(readdirSync(parent)).toEqual([]);
  });

  it('refuses a directory that is not empty, takes an empty one', async () => {
    const full = scratch.directory({ mine: 'x' });
    expect(() => new DwalWriter(full)).toThrowError(expect.objectContaining({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' }));
    expect(readdirSync(full)).toEqual(['mine']);
    const empty = scratch.directory();
    await exportDwal([record(1, 0, '', 'alpha')], empty);
    expect(readAll(empty).payloads).toEqual(['alpha']);
  });

  it('ends with the reason of its signal and leaves nothing behind', async () => {
    const parent = scratch.directory();
    const many = Array.from({ length: 40 }, (_, at) => record(at + 1, 0, '', 'x'.repeat(100_000)));
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(exportDwal(many, join(parent, 'out'), { signal })).rejects.toThrow('enough');
    expect(readdirSync(parent)).toEqual([]);
  });
});

describe('round trips', () => {
  it('through a RecordLog give back the same bytes', async () => {
    const source = scratch.directory({ [FIRST]: fixtureBytes() });
    await using log = await RecordLog.open(scratch.path());
    expect(await importDwal(new DwalReader(source), log)).toMatchObject({ records: 3, torn: undefined });
    expect([...log.scan()].map(({ lsn, kind, payload }) => [lsn, kind, text(payload)]))
      .toEqual([[1, 0, 'alpha'], [2, 0, 'beta'], [3, 0, 'gamma']]);
    const target = scratch.path();
    await exportDwal(log.scan(), target);
    expect(contents(target)).toEqual(contents(source));
  });

  it('import runs of records as batches of at most 1 MiB', async () => {
    const batches: number[] = [];
    const bytes = Buffer.concat(Array.from({ length: 30 }, (_, at) => frame({ txid: at + 1, payload: 'x'.repeat(100_000) })));
    const source = scratch.directory({ [FIRST]: bytes, [SECOND]: frame({ txid: 31, payload: Buffer.alloc(2 << 20) }) });
    await importDwal(new DwalReader(source), { appendBatch: (records) => { batches.push(records.length); } });
    expect(batches).toEqual([10, 10, 10, 1]);
  });

  it('hold for any records, cut into any segments', async () => {
    const one = fc.record({
      kind: fc.constantFrom(0, 1, 2), key: fc.uint8Array({ maxLength: 40 }), payload: fc.uint8Array({ maxLength: 300 }),
    });
    await fc.assert(fc.asyncProperty(
      fc.array(one, { maxLength: 40 }), fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 2 ** 52 }),
      async (records, segmentBytes, firstLsn) => {
        const given = records.map((each, at) => ({ ...each, lsn: firstLsn + at }));
        const target = scratch.path();
        await exportDwal(given, target, { segmentBytes });
        const read = [...new DwalReader(target)];
        expect(read.map(({ txid, ...rest }) => ({ ...rest, lsn: txid }))).toEqual(given);
        const again = scratch.path();
        await exportDwal(read.map(({ txid, ...rest }) => ({ ...rest, lsn: txid })), again, { segmentBytes });
        expect(contents(again)).toEqual(contents(target));
      }), { numRuns: 60 });
  });
});
