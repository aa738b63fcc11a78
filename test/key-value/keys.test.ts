/**
 * Keys: their bytes, and what is no key. Two different keys never have the same bytes.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkKey, checkPrefix, keyBytes, keyRoom, writeKey } from '../../host/key-value/keys.ts';
import type { Key } from '../../host/key-value/types.ts';

/** The bytes that writeKey writes, in the midst of others. */
function written(key: Key): Buffer {
  const target = Buffer.alloc(keyRoom(key) + 6, 0xee);
  const length = writeKey(target, 3, key);
  const around = Buffer.alloc(3, 0xee);
  expect([target.subarray(0, 3), target.subarray(3 + keyRoom(key))]).toEqual([around, around]);
  return target.subarray(3, 3 + length);
}

/** What writing and what checking throws: the same. */
function refusal(key: unknown): unknown {
  const errors = [() => written(key as Key), () => checkKey(key)].map((call) => {
    try {
      call();
    } catch (error) {
      const { name, code, details, message } = error as Error & { code: string; details: unknown };
      return { name, code, details, message };
    }
    return undefined;
  });
  expect(errors[0]).toEqual(errors[1]);
  return errors[0];
}

describe('a key', () => {
  it('of text is its UTF-8, one of bytes is itself', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }), (text) => {
      expect(written(text)).toEqual(Buffer.from(text));
      expect(keyBytes(checkKey(text))).toEqual(Buffer.from(text));
    }), { numRuns: 500 });
    fc.assert(fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      expect(written(bytes)).toEqual(Buffer.from(bytes));
      expect(keyBytes(checkKey(bytes))).toBe(bytes);
    }));
    for (const length of [1, 47, 48, 49, 1000]) {
      for (const text of ['k'.repeat(length), 'é'.repeat(length), `${'k'.repeat(length - 1)}€`]) {
        expect(written(text)).toEqual(Buffer.from(text));
      }
    }
  });

  it('has at least a byte, and the refusal says how many there are', () => {
    for (const key of ['', new Uint8Array(0), Buffer.alloc(0)]) {
      expect(refusal(key)).toMatchObject({
        name: 'RangeError', message: 'key must be 1 to 65536 bytes long, not 0', code: 'ERR_VARVE_INVALID_ARGUMENT',
      });
    }
  });

  it('has at most 64 KiB', () => {
    const most: Key[] = ['k'.repeat(65536), 'é'.repeat(32768), '𝄞'.repeat(16384), new Uint8Array(65536)];
    for (const key of most) {
      expect(checkKey(key)).toBe(key);
      expect(written(key)).toHaveLength(65536);
    }
    const tooLong: [Key, number][] = [
      ['k'.repeat(65537), 65537], [`${'é'.repeat(32768)}k`, 65537], ['€'.repeat(65536), 196608],
      [new Uint8Array(65537), 65537], ['€'.repeat(1 << 20), 3 << 20],
    ];
    for (const [key, bytes] of tooLong) {
      expect(refusal(key)).toMatchObject({
        name: 'VarveError', code: 'ERR_VARVE_RECORD_TOO_LARGE', details: { what: 'key', bytes, limit: 65536 },
      });
    }
  });

  it('is not empty', () => {
    for (const key of ['', new Uint8Array(0)]) {
      expect(refusal(key)).toMatchObject({ name: 'RangeError', code: 'ERR_VARVE_INVALID_ARGUMENT', details: { argument: 'key' } });
    }
  });

  it('has no lone surrogate, which would become the same bytes as another key', () => {
    for (const key of ['\ud800', 'a\udfff', `${'k'.repeat(47)}\ud800`, `${'k'.repeat(60)}\udc00${'k'.repeat(60)}`, '\ude00\ud83d']) {
      expect(refusal(key)).toMatchObject({ name: 'RangeError', code: 'ERR_VARVE_INVALID_ARGUMENT', details: { argument: 'key' } });
    }
    expect(written('😀')).toEqual(Buffer.from('😀'));
    expect(written('\ufffd')).toEqual(Buffer.from('\ufffd'));
  });

  it.each([[7], [undefined], [null], [{}], [['a']], [new ArrayBuffer(4)], [Symbol('k')], [1n]])('is not %s', (key) => {
    expect(refusal(key)).toMatchObject({ name: 'TypeError', code: 'ERR_VARVE_INVALID_ARGUMENT', details: { argument: 'key' } });
  });
});

describe('a prefix', () => {
  it('may be empty, and is else like a key', () => {
    expect([checkPrefix(''), checkPrefix('a')]).toEqual(['', 'a']);
    expect(() => checkPrefix('\ud800')).toThrow(expect.objectContaining({ details: expect.objectContaining({ argument: 'options.prefix' }) }));
    expect(() => checkPrefix('k'.repeat(65537))).toThrow(expect.objectContaining({ code: 'ERR_VARVE_RECORD_TOO_LARGE' }));
  });
});
