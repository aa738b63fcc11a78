/**
 * Codecs: what each takes and gives, what each refuses, and that nothing of a refused value stays.
 */
import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileCodec, type CompiledCodec } from '../../host/key-value/codec.ts';
import { loadMsgpackr, msgpack } from '../../host/key-value/msgpack.ts';
import type { BufferCodec, ValueCodec } from '../../host/key-value/types.ts';
import { VALUE_BYTES_MAX } from '../../host/limits.ts';

/** The bytes that the store would keep. */
function bytesOf(encoded: Uint8Array | string): Buffer {
  return Buffer.from(encoded as string);
}

/** Encodes, and decodes what was kept in both ways. */
function roundTrip<V>(codec: CompiledCodec<V>, value: V): V {
  const bytes = bytesOf(codec.encode(value));
  const decoded = codec.decode(Buffer.from(bytes));
  const around = Buffer.concat([Buffer.from('<<<'), bytes, Buffer.from('>>')]);
  expect(codec.decodeWithin(around, 3, 3 + bytes.length)).toEqual(decoded);
  return decoded;
}

/** What a call throws. */
function thrown(call: () => unknown): Error & { code?: string; details?: Record<string, unknown> } {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it threw nothing');
}

const INVALID = { code: 'ERR_VARVE_INVALID_ARGUMENT' };

describe('binary', () => {
  const codec = compileCodec('binary') as CompiledCodec<unknown>;

  it('passes bytes through, without a copy', () => {
    const bytes = new Uint8Array([1, 2, 3]);
    expect(codec.encode(bytes)).toBe(bytes);
    const buffer = Buffer.from('abc');
    expect(codec.decode(buffer)).toBe(buffer);
    expect({ copies: codec.copies, transient: codec.transient }).toEqual({ copies: false, transient: false });
  });

  it.each([['text'], [7], [undefined], [null], [[1]], [new ArrayBuffer(2)], [new Uint16Array(2)]])('refuses %s', (value) => {
    const error = thrown(() => codec.encode(value));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ ...INVALID, details: { argument: 'value', expected: 'a Uint8Array' } });
  });
});

describe('utf8', () => {
  const codec = compileCodec('utf8') as CompiledCodec<unknown>;

  it('passes text through and gives it back', () => {
    expect(codec.encode('grün')).toBe('grün');
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(roundTrip(codec, text)).toBe(text);
    }));
    expect({ copies: codec.copies, transient: codec.transient }).toEqual({ copies: true, transient: false });
  });

  it.each([[7], [undefined], [null], [new Uint8Array(1)], [Object('boxed')]])('refuses %s', (value) => {
    expect(thrown(() => codec.encode(value))).toMatchObject({ ...INVALID, name: 'TypeError' });
  });
});

describe('json', () => {
  const codec = compileCodec('json') as CompiledCodec<unknown>;

  it('gives back what JSON can hold', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      expect(JSON.stringify(roundTrip(codec, value))).toBe(JSON.stringify(value));
    }));
    expect(roundTrip(codec, '\ud800')).toBe('\ud800');
    expect(codec.copies).toBe(true);
  });

  it.each([[undefined], [() => 1], [Symbol('s')], [{ toJSON: () => undefined }]])('refuses what has no JSON', (value) => {
    const error = thrown(() => codec.encode(value));
    expect(error).toMatchObject({ ...INVALID, name: 'TypeError', details: { argument: 'value' } });
  });

  it('refuses a bigint and a circle with the error of JSON.stringify as the cause', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (const value of [1n, { deep: [1n] }, circle]) {
      const error = thrown(() => codec.encode(value));
      expect(error).toMatchObject({ ...INVALID, name: 'TypeError' });
      expect(error.cause).toBeInstanceOf(TypeError);
    }
  });

  it('lets the error of a toJSON through', () => {
    const own = new RangeError('mine');
    expect(thrown(() => codec.encode({ toJSON() { throw own; } }))).toBe(own);
  });

  it('says which codec bytes do not belong to', () => {
    for (const text of ['', '{', 'nothing']) {
      expect(thrown(() => codec.decode(Buffer.from(text))))
        .toMatchObject({ code: 'ERR_VARVE_BAD_VALUE', details: { codec: 'json' }, cause: { name: 'SyntaxError' } });
    }
  });
});

describe('a codec of the user', () => {
  it('is called as methods of itself, with functions that were read once', () => {
    class Shift {
      private readonly by = 3;
      encode(value: number): string { return String(value + this.by); }
      decode(bytes: Buffer): number { return Number(bytes.toString()) - this.by; }
    }
    const shift = new Shift();
    const codec = compileCodec<number>(shift);
    shift.encode = () => 'another';
    expect(codec.encode(4)).toBe('7');
    expect(roundTrip(codec, 4)).toBe(4);
    expect({ copies: codec.copies, transient: codec.transient }).toEqual({ copies: false, transient: false });
  });

  it('lets its errors through', () => {
    const own = new Error('mine');
    const codec = compileCodec<number>({ encode() { throw own; }, decode() { throw own; } });
    expect(thrown(() => codec.encode(1))).toBe(own);
    expect(thrown(() => codec.decode(Buffer.alloc(1)))).toBe(own);
  });

  it.each([[undefined], [null], [7], [[1]], [new ArrayBuffer(1)]])('may not encode to %s', (result) => {
    const codec = compileCodec({ encode: () => result as unknown as string, decode: () => 0 });
    expect(thrown(() => codec.encode(0))).toMatchObject({ ...INVALID, name: 'TypeError' });
  });

  it.each<[string, unknown, string]>([
    ['a name that there is not', 'yaml', 'RangeError'],
    ['nothing', null, 'TypeError'],
    ['a function', () => 0, 'TypeError'],
    ['no decode', { encode: () => '' }, 'TypeError'],
    ['no encode', { decode: () => 0 }, 'TypeError'],
    ['an encode that is no function', { encode: 1, decode: () => 0 }, 'TypeError'],
    ['an encodeInto that is no function', { encodeInto: 1, decode: () => 0 }, 'TypeError'],
    ['both', { encode: () => '', encodeInto: () => 0, decode: () => 0 }, 'TypeError'],
  ])('is refused with %s', (_, codec, name) => {
    expect(thrown(() => compileCodec(codec as ValueCodec<unknown>))).toMatchObject({ ...INVALID, name });
  });
});

/** Writes text as latin1, in one of the ways in which there can be too little room. */
function writer(tooSmall: 'minus one' | 'RangeError'): BufferCodec<string> & { rooms: number[] } {
  return {
    rooms: [],
    encodeInto(value, target) {
      this.rooms.push(target.length);
      if (value.length > target.length && tooSmall === 'minus one') return -1;
      if (value.length > 0) target.writeUInt8(value.charCodeAt(value.length - 1), value.length - 1);
      return target.write(value, 0, 'latin1');
    },
    decode: (view) => view.toString('latin1'),
  };
}

describe('a codec that encodes into a buffer', () => {
  it.each(['minus one', 'RangeError'] as const)('gets twice the room until the value fits: %s', (way) => {
    const user = writer(way);
    const codec = compileCodec(user);
    expect(roundTrip(codec, 'ab')).toBe('ab');
    expect(roundTrip(codec, '')).toBe('');
    const long = 'x'.repeat(100_000);
    expect(roundTrip(codec, long)).toBe(long);
    expect(user.rooms).toEqual([16384, 16384, 16384, 32768, 65536, 131072]);
    // The buffer that it grew to stays.
    expect(roundTrip(codec, long)).toBe(long);
    expect(user.rooms.slice(6)).toEqual([131072]);
    expect({ copies: codec.copies, transient: codec.transient }).toEqual({ copies: true, transient: true });
  });

  it('takes values up to the limit and refuses larger ones, and keeps no room for them', () => {
    const user: BufferCodec<number> & { rooms: number[] } = {
      rooms: [],
      encodeInto(value, target) {
        this.rooms.push(target.length);
        return value > target.length ? -1 : value;
      },
      decode: (view) => view.length,
    };
    const codec = compileCodec(user);
    expect(thrown(() => codec.encode(VALUE_BYTES_MAX + 1)))
      .toMatchObject({ code: 'ERR_VARVE_RECORD_TOO_LARGE', details: { what: 'value', limit: VALUE_BYTES_MAX } });
    expect(user.rooms.at(-1)).toBe(VALUE_BYTES_MAX);
    user.rooms.length = 0;
    expect(codec.encode(1)).toHaveLength(1);
    expect(user.rooms).toEqual([16384]);
    expect(codec.encode(VALUE_BYTES_MAX)).toHaveLength(VALUE_BYTES_MAX);
  });

  it('lets its errors through: at once, or a RangeError when more room does not help', () => {
    const own = new Error('mine');
    const range = new RangeError('of something else');
    const rooms: number[] = [];
    const codec = compileCodec<Error>({
      encodeInto(value, target) { rooms.push(target.length); throw value; }, decode: () => own,
    });
    expect(thrown(() => codec.encode(own))).toBe(own);
    expect(rooms).toEqual([16384]);
    expect(thrown(() => codec.encode(range))).toBe(range);
    expect(rooms.at(-1)).toBe(VALUE_BYTES_MAX);
    expect(thrown(() => codec.encode(own))).toBe(own);
    expect(rooms.at(-1)).toBe(16384);
  });

  it.each<[unknown, string]>([
    [-2, 'RangeError'], [1.5, 'RangeError'], [NaN, 'RangeError'], [16385, 'RangeError'], ['3', 'TypeError'],
    [undefined, 'TypeError'],
  ])('may not return %s', (written, name) => {
    const codec = compileCodec({ encodeInto: () => written as number, decode: () => 0 });
    expect(thrown(() => codec.encode(0))).toMatchObject({ ...INVALID, name });
  });

  it('may encode another value meanwhile', () => {
    const codec: CompiledCodec<string> = compileCodec<string>({
      encodeInto(value, target) {
        target.write(value, 0, 'latin1');
        if (value === 'outer') expect(bytesOf(codec.encode('inner')).toString()).toBe('inner');
        return value.length;
      },
      decode: (view) => view.toString(),
    });
    expect(bytesOf(codec.encode('outer')).toString()).toBe('outer');
  });
});

describe('msgpack', () => {
  it('gives back what MessagePack can hold', () => {
    const codec = compileCodec(msgpack());
    fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      // Like JSON it knows no minus zero of integers.
      expect(JSON.stringify(roundTrip(codec, value))).toBe(JSON.stringify(value));
    }));
    for (const value of [new Date(5), 2n ** 60n, [1.5, null, true], { a: { b: 'ü' } }]) {
      expect(roundTrip(codec, value)).toEqual(value);
    }
    expect({ copies: codec.copies, transient: codec.transient }).toEqual({ copies: true, transient: true });
  });

  it('writes plain MessagePack', () => {
    expect(msgpack().encode({ a: 1 }).toString('hex')).toMatch(/^(81|de0001)a16101$/);
  });

  it('shares no memory with what it read', () => {
    const codec = compileCodec<{ bytes: Uint8Array; text: string }>(msgpack());
    const kept = bytesOf(codec.encode({ bytes: Buffer.from('abc'), text: 'x'.repeat(100) }));
    const value = codec.decode(kept);
    kept.fill(0);
    expect(Buffer.from(value.bytes).toString()).toBe('abc');
    expect(value.text).toBe('x'.repeat(100));
  });

  it('encodes in place, and for others by itself', () => {
    const codec = msgpack<string>();
    const [first, second] = [codec.encodeShared('a'), codec.encodeShared('b')];
    expect(second.buffer).toBe(first.buffer);
    expect(second.byteOffset).toBe(first.byteOffset);
    const [own, other] = [codec.encode('a'), codec.encode('b')];
    expect([codec.decode(own), codec.decode(other)]).toEqual(['a', 'b']);
  });

  it('holds values larger than its buffer, and small ones after them', () => {
    const codec = compileCodec<string>(msgpack());
    for (const length of [10, 100_000, 3, 5_000_000, 0]) expect(roundTrip(codec, 'y'.repeat(length))).toHaveLength(length);
  });

  it('refuses undefined and functions, and lets the errors of msgpackr through', () => {
    const codec = compileCodec(msgpack());
    for (const value of [undefined, () => 1]) {
      expect(thrown(() => codec.encode(value))).toMatchObject({ ...INVALID, name: 'TypeError' });
    }
    expect(thrown(() => codec.encode(10n ** 30n)).message).toMatch(/too large to fit in MessagePack/);
    expect(roundTrip(codec, 'as before')).toBe('as before');
  });

  it('says which codec bytes do not belong to', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from([1, 2, 3]), Buffer.from([0x93, 1])]) {
      expect(thrown(() => compileCodec(msgpack()).decode(bytes)))
        .toMatchObject({ code: 'ERR_VARVE_BAD_VALUE', details: { codec: 'msgpack' } });
    }
  });

  it('says what to install where msgpackr is missing', () => {
    const directory = mkdtempSync(join(tmpdir(), 'varve-no-msgpackr-'));
    try {
      expect(thrown(() => loadMsgpackr([join(directory, 'a.mjs'), join(directory, 'b.mjs')]))).toMatchObject({
        code: 'ERR_VARVE_UNSUPPORTED', details: { package: 'msgpackr' }, cause: { code: 'MODULE_NOT_FOUND' },
        message: expect.stringContaining('npm i msgpackr') as string,
      });
      expect(typeof loadMsgpackr([join(directory, 'a.mjs'), import.meta.url]).Packr).toBe('function');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
