/**
 * The payload of a commit: what goes in comes out, what cannot is refused by name, and no bytes whatever make the
 * decoder throw or read beyond them.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commitBytes, decodeCommit, encodeCommit, type CommitOffsets } from '../../host/wal/commit.ts';

const U64_MAX = 2n ** 64n - 1n;
const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

/** A number where it is exact, else the bigint: what is given back. */
function canonical(value: number | bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number + 0 : value;
}

function encoded(offsets: CommitOffsets, watermark?: number | bigint, time = 0n): Uint8Array {
  const bytes = new Uint8Array(commitBytes(offsets, watermark));
  const low = Number(time & 0xffffffffn);
  expect(encodeCommit(bytes, 0, low, Number(time >> 32n), offsets, watermark)).toBe(bytes.length);
  return bytes;
}

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
const offset = fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 0n, max: U64_MAX }));
const watermark = fc.option(
  fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: I64_MIN, max: I64_MAX })), { nil: undefined });
const time = fc.bigInt({ min: 0n, max: U64_MAX });
const pairs = fc.uniqueArray(fc.tuple(name, offset), { maxLength: 12, selector: ([one]) => one });

describe('what goes in comes out', () => {
  it('of any offsets, watermark and time, by a Map or by an object, at any place', () => {
    fc.assert(fc.property(pairs, watermark, time, fc.nat(9), (list, mark, when, at) => {
      const map = new Map(list);
      const target = new Uint8Array(at + commitBytes(map, mark) + 5).fill(0xee);
      const bytes = encodeCommit(target, at, Number(when & 0xffffffffn), Number(when >> 32n), map, mark);
      expect(bytes).toBe(commitBytes(map, mark));
      expect([...target.subarray(0, at), ...target.subarray(at + bytes)].every((byte) => byte === 0xee)).toBe(true);
      const found = decodeCommit(target.subarray(at, at + bytes));
      expect(found).toEqual({
        time: when,
        offsets: new Map(list.map(([one, value]) => [one, canonical(value)])),
        watermark: mark === undefined ? undefined : canonical(mark),
      });
      expect([...found!.offsets.keys()]).toEqual([...map.keys()]);
      const record = Object.assign(Object.create(null) as object, Object.fromEntries(list));
      expect(decodeCommit(encoded(record as Record<string, number>, mark, when))!.offsets).toEqual(found!.offsets);
    }), { numRuns: 500 });
  });

  it.each([
    0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, U64_MAX, 7n,
  ])('with an offset of %s', (value) => {
    expect(decodeCommit(encoded({ a: value }))!.offsets.get('a')).toBe(canonical(value));
  });

  it.each([
    0, -1, -(2 ** 32), -(2 ** 32) - 1, -(2 ** 53 - 1), 2 ** 53 - 1, -(2n ** 53n), 2n ** 53n, I64_MIN, I64_MAX, -7n,
  ])('with a watermark of %s', (value) => {
    expect(decodeCommit(encoded({}, value))!.watermark).toBe(canonical(value));
  });

  it('with names that a careless codec changes', () => {
    const names = ['__proto__', 'constructor', '\uFEFFmark', '\0', 'a/../b', '𝔘', 'é'.repeat(512), '7', ' '];
    const offsets = new Map(names.map((one, i) => [one, i]));
    expect(decodeCommit(encoded(offsets))!.offsets).toEqual(offsets);
    const record = JSON.parse('{"__proto__": 5, "7": 1}') as Record<string, number>;
    expect(decodeCommit(encoded(record))!.offsets).toEqual(new Map([['7', 1], ['__proto__', 5]]));
  });

  it('in a target that begins somewhere in its buffer, as in the memory of a core', () => {
    for (const name of ['ü', `${'x'.repeat(60)}`, 'événements/1']) {
      const memory = new Uint8Array(4096);
      const target = memory.subarray(1024, 3072);
      const bytes = encodeCommit(target, 8, 0, 0, { [name]: 7 }, undefined);
      expect(decodeCommit(target.subarray(8, 8 + bytes))!.offsets).toEqual(new Map([[name, 7]]));
      expect(memory.findIndex((byte) => byte !== 0)).toBeGreaterThanOrEqual(1032);
    }
  });

  it('as the layout says, byte by byte', () => {
    expect(Buffer.from(encoded({ ab: 0x0102 }, -2, 0x1122334455667788n)).toString('hex')).toBe(
      '8877665544332211' + 'feffffffffffffff' + '01000000' + '01000000' + '0201000000000000' + '0200' + '6162');
    expect(Buffer.from(encoded({})).toString('hex')).toBe('00'.repeat(24));
  });
});

describe('what is refused', () => {
  const invalid = 'ERR_VARVE_INVALID_ARGUMENT';
  const cases: readonly [string, unknown, unknown, typeof TypeError, string][] = [
    ['a negative offset', { a: 1, orders: -1 }, undefined, RangeError, 'orders'],
    ['a broken offset', { orders: 1.5 }, undefined, RangeError, 'orders'],
    ['an inexact offset', { orders: 2 ** 53 }, undefined, RangeError, 'orders'],
    ['no number', { orders: NaN }, undefined, RangeError, 'orders'],
    ['a bigint below', { orders: -1n }, undefined, RangeError, 'orders'],
    ['a bigint above', { orders: U64_MAX + 1n }, undefined, RangeError, 'orders'],
    ['text', { orders: '7' }, undefined, TypeError, 'orders'],
    ['nothing', new Map([['orders', undefined]]), undefined, TypeError, 'orders'],
    ['a name of no bytes', { '': 1 }, undefined, RangeError, 'name of a source'],
    ['a name of 1,025 bytes', { ['x'.repeat(1025)]: 1 }, undefined, RangeError, 'xxx'],
    ['a name of 513 characters of 2 bytes', { ['é'.repeat(513)]: 1 }, undefined, RangeError, 'ééé'],
    ['a lone surrogate', { 'a\uD800': 1 }, undefined, RangeError, 'surrogate'],
    ['a name that is no text', new Map([[5, 1]]), undefined, TypeError, 'name of a source'],
    ['a list', [1], undefined, TypeError, 'offsets'],
    ['a set', new Set(['a']), undefined, TypeError, 'offsets'],
    ['a promise', Promise.resolve({ a: 1 }), undefined, TypeError, 'offsets'],
    ['no offsets', undefined, undefined, TypeError, 'offsets'],
    ['null', null, undefined, TypeError, 'offsets'],
    ['an inexact watermark', {}, -(2 ** 53), RangeError, 'watermark'],
    ['a watermark above', {}, I64_MAX + 1n, RangeError, 'watermark'],
    ['a watermark below', {}, I64_MIN - 1n, RangeError, 'watermark'],
    ['a watermark of text', {}, '7', TypeError, 'watermark'],
    ['a watermark of null', {}, null, TypeError, 'watermark'],
  ];

  it.each(cases)('%s', (_, offsets, mark, type, named) => {
    const call = () => commitBytes(offsets as CommitOffsets, mark as number);
    expect(call).toThrow(expect.objectContaining({ code: invalid, message: expect.stringContaining(named) }));
    expect(call).toThrow(type);
  });

  it('more than a record holds', () => {
    const offsets = new Map(Array.from({ length: 65600 }, (_, i) => [String(i).padStart(1024, 'x'), i]));
    expect(() => commitBytes(offsets, 1)).toThrow(expect.objectContaining({ code: 'ERR_VARVE_RECORD_TOO_LARGE' }));
  });

  it('to write beyond the end of the target', () => {
    const memory = new Uint8Array(100);
    const target = memory.subarray(0, commitBytes({ orders: 5 }, 5) - 1);
    encodeCommit(target, 0, 1, 1, { orders: 5 }, 5);
    expect(memory.subarray(target.length).every((byte) => byte === 0)).toBe(true);
  });
});

describe('bytes that are no commit', () => {
  const whole = encoded({ orders: 5, events: 2n ** 60n }, 9, 77n);
  const changed = (at: number, ...values: number[]) => {
    const bytes = whole.slice();
    bytes.set(values, at);
    return bytes;
  };

  it('of any other length', () => {
    for (let length = 0; length < whole.length; length++) {
      expect(decodeCommit(whole.subarray(0, length))).toBeUndefined();
    }
    expect(decodeCommit(Uint8Array.of(...whole, 0))).toBeUndefined();
    expect(decodeCommit(whole)).toBeDefined();
  });

  it.each([
    ['an unknown flag', changed(16, 3)], ['a watermark without its flag', changed(16, 0)],
    ['a count too high', changed(20, 3)], ['a count without end', changed(20, 255, 255, 255, 255)],
    ['a count too low', changed(20, 1)], ['a name that reaches beyond', changed(32, 255, 255)],
    ['a name of no bytes', changed(32, 0)], ['a name that is no UTF-8', changed(34, 0xff)],
  ])('%s', (_, bytes) => {
    expect(decodeCommit(bytes)).toBeUndefined();
  });

  it('a source twice, a name above the limit', () => {
    expect(decodeCommit(Uint8Array.from(encoded({ aa: 1, ab: 2 }), (byte, i) => i === 47 ? 0x61 : byte)))
      .toBeUndefined();
    const long = encoded({ ['x'.repeat(1024)]: 1 });
    const longer = Uint8Array.of(...long, 0x78);
    longer.set([1, 4], 32);
    expect(decodeCommit(longer)).toBeUndefined();
  });

  it('any bytes at all, in a buffer whose rest is not theirs: they are refused, or come out as they went in', () => {
    const piece = fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.tuple(fc.nat(whole.length - 1), fc.nat(255))
      .map(([at, value]) => changed(at, value)));
    fc.assert(fc.property(piece, (bytes) => {
      const memory = new Uint8Array(bytes.length + 64).fill(0x61);
      memory.set(bytes, 32);
      const found = decodeCommit(memory.subarray(32, 32 + bytes.length));
      if (found !== undefined) expect(encoded(found.offsets, found.watermark, found.time)).toEqual(bytes);
    }), { numRuns: 2000 });
  });
});
