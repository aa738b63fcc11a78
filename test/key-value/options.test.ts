/**
 * What a KeyValueStore is told: what is taken, with which defaults, and what is refused, with which error.
 */
import { describe, expect, it } from 'vitest';
import {
  checkBatch, checkBatchOptions, checkChange, checkCompact, checkCompactTo, checkDelete, checkEntry, checkIterable,
  checkIteration, checkOpen, checkPut, checkPutMany, checkWatch,
} from '../../host/key-value/options.ts';
import type { KeyValueOperation } from '../../host/key-value/types.ts';

type Wrong = readonly [given: unknown, name: 'TypeError' | 'RangeError', argument: string];
type Check = (given: never) => unknown;

const now = () => 1_000_000;

/** Every wrong argument is a TypeError or RangeError with the code and the argument's name. */
function refuses(check: Check, wrong: readonly Wrong[]): void {
  for (const [given, name, argument] of wrong) {
    let error: unknown;
    try {
      check(given as never);
    } catch (caught) {
      error = caught;
    }
    expect({ given, error }).toMatchObject({
      given, error: { name, code: 'ERR_VARVE_INVALID_ARGUMENT', kind: 'invalid', details: { argument } },
    });
  }
}

const NO_OBJECT: readonly Wrong[] = [[null, 'TypeError', 'options'], [7, 'TypeError', 'options'], ['x', 'TypeError', 'options']];
const UNKNOWN: Wrong = [{ tll: 5 }, 'RangeError', 'options'];

describe('open', () => {
  it('has the defaults of the documents', () => {
    const checked = checkOpen('./somewhere', {});
    expect(checked).toMatchObject({
      readOnly: false, create: true, segmentBytes: 64 << 20, mappedBytesMax: 1 << 30, keys: 'utf8',
      autoCompact: { minDeadRatio: 0.5, minBytes: 64 << 20 }, now: undefined, core: undefined, storage: undefined,
    });
    expect(checked.directory).toMatch(/^\/.*\/somewhere$/);
    expect(checked.codec.encode(Buffer.from('a'))).toEqual(Buffer.from('a'));
  });

  it('takes all of its options', () => {
    expect(checkOpen<unknown>('/d', { readOnly: true, create: false, segmentBytes: 65537, mappedBytesMax: 0,
      keys: 'binary', values: 'json', autoCompact: { minDeadRatio: 1 }, now })).toMatchObject({
      directory: '/d', readOnly: true, create: false, segmentBytes: 69632, mappedBytesMax: 0, keys: 'binary',
      autoCompact: { minDeadRatio: 1, minBytes: 64 << 20 }, now,
    });
    expect(checkOpen('/d', { autoCompact: false }).autoCompact).toBeUndefined();
    expect(checkOpen('/d', { autoCompact: { minBytes: 0 } }).autoCompact).toEqual({ minDeadRatio: 0.5, minBytes: 0 });
  });

  it('refuses everything else', () => {
    refuses((options) => checkOpen('/d', options), [
      ...NO_OBJECT, UNKNOWN,
      [{ readOnly: 1 }, 'TypeError', 'options.readOnly'],
      [{ create: 'new' }, 'TypeError', 'options.create'],
      [{ segmentBytes: '64M' }, 'TypeError', 'options.segmentBytes'],
      [{ segmentBytes: 65535 }, 'RangeError', 'options.segmentBytes'],
      [{ segmentBytes: 2 ** 30 + 1 }, 'RangeError', 'options.segmentBytes'],
      [{ mappedBytesMax: -1 }, 'RangeError', 'options.mappedBytesMax'],
      [{ keys: 'hex' }, 'RangeError', 'options.keys'],
      [{ values: 'yaml' }, 'RangeError', 'options.values'],
      [{ values: {} }, 'TypeError', 'options.values.decode'],
      [{ autoCompact: null }, 'TypeError', 'options.autoCompact'],
      [{ autoCompact: 0.5 }, 'TypeError', 'options.autoCompact'],
      [{ autoCompact: { ratio: 1 } }, 'RangeError', 'options.autoCompact'],
      [{ autoCompact: { minDeadRatio: 1.1 } }, 'RangeError', 'options.autoCompact.minDeadRatio'],
      [{ autoCompact: { minDeadRatio: NaN } }, 'RangeError', 'options.autoCompact.minDeadRatio'],
      [{ autoCompact: { minDeadRatio: '1' } }, 'TypeError', 'options.autoCompact.minDeadRatio'],
      [{ autoCompact: { minBytes: -1 } }, 'RangeError', 'options.autoCompact.minBytes'],
      [{ now: 5 }, 'TypeError', 'options.now'],
    ]);
    refuses((directory) => checkOpen(directory, {}), [
      [7, 'TypeError', 'directory'], ['', 'RangeError', 'directory'], ['a\0b', 'RangeError', 'directory'],
    ]);
  });
});

const EXPIRY: readonly Wrong[] = [
  [{ ttl: 0 }, 'RangeError', 'options.ttl'],
  [{ ttl: -1 }, 'RangeError', 'options.ttl'],
  [{ ttl: NaN }, 'RangeError', 'options.ttl'],
  [{ ttl: Infinity }, 'RangeError', 'options.ttl'],
  [{ ttl: Number.MAX_SAFE_INTEGER }, 'RangeError', 'options.ttl'],
  [{ ttl: '5' }, 'TypeError', 'options.ttl'],
  [{ ttl: null }, 'TypeError', 'options.ttl'],
  [{ expiresAt: 0 }, 'RangeError', 'options.expiresAt'],
  [{ expiresAt: 1.5 }, 'RangeError', 'options.expiresAt'],
  [{ expiresAt: 2 ** 53 }, 'RangeError', 'options.expiresAt'],
  [{ expiresAt: new Date() }, 'TypeError', 'options.expiresAt'],
  [{ ttl: 5, expiresAt: 5 }, 'RangeError', 'options.expiresAt'],
  [{ durable: 1 }, 'TypeError', 'options.durable'],
];
const VERSION: readonly Wrong[] = [
  [{ ifVersion: -1 }, 'RangeError', 'options.ifVersion'],
  [{ ifVersion: 1.5 }, 'RangeError', 'options.ifVersion'],
  [{ ifVersion: '1' }, 'TypeError', 'options.ifVersion'],
];

describe('put', () => {
  it('takes an expiry, a version, durability', () => {
    const plain = { expiresAt: 0, ifVersion: -1, durable: false };
    expect(checkPut({}, now)).toEqual(plain);
    expect(checkPut({ ttl: 0.25 }, now)).toEqual({ ...plain, expiresAt: 1_000_001 });
    expect(checkPut({ ttl: 5000 }, now)).toEqual({ ...plain, expiresAt: 1_005_000 });
    expect(checkPut({ expiresAt: 1 }, now)).toEqual({ ...plain, expiresAt: 1 });
    expect(checkPut({ ifVersion: 0 }, now)).toEqual({ ...plain, ifVersion: 0 });
    expect(checkPut({ ifVersion: 9, durable: true }, now)).toEqual({ ...plain, ifVersion: 9, durable: true });
    expect(checkPut({ ifAbsent: true }, now)).toEqual({ ...plain, ifVersion: 0 });
    expect(checkPut({ ttl: undefined, ifVersion: undefined } as never, now)).toEqual(plain);
  });

  it('refuses everything else', () => {
    refuses((options) => checkPut(options, now), [
      ...NO_OBJECT, UNKNOWN, ...EXPIRY, ...VERSION,
      [{ ifAbsent: false }, 'TypeError', 'options.ifAbsent'],
      [{ ifAbsent: 1 }, 'TypeError', 'options.ifAbsent'],
      [{ ifAbsent: true, ifVersion: 0 }, 'RangeError', 'options.ifVersion'],
    ]);
  });

  it('reads each option once', () => {
    let reads = 0;
    const options = { get ttl() { reads++; return reads === 1 ? 5 : -5; } };
    expect(checkPut(options, now).expiresAt).toBe(1_000_005);
    expect(reads).toBe(1);
  });
});

describe('putMany, delete and update', () => {
  it('take what they have', () => {
    expect(checkPutMany({ ttl: 5, durable: true }, now))
      .toEqual({ expiresAt: 1_000_005, ifVersion: -1, durable: true });
    expect(checkDelete({})).toEqual({ expiresAt: 0, ifVersion: -1, durable: false });
    expect(checkDelete({ ifVersion: 3, durable: true })).toEqual({ expiresAt: 0, ifVersion: 3, durable: true });
    const change = (value: unknown) => value;
    expect(checkChange(change)).toBe(change);
    const entries = new Map([['a', 1]]);
    expect(checkIterable('entries', entries)).toBe(entries);
    expect(checkEntry(0, ['a', 1])).toEqual(['a', 1]);
  });

  it('refuse everything else', () => {
    refuses((options) => checkPutMany(options, now), [
      ...NO_OBJECT, UNKNOWN, ...EXPIRY, [{ ifVersion: 1 }, 'RangeError', 'options'],
    ]);
    refuses(checkDelete, [...NO_OBJECT, ...VERSION, [{ ttl: 1 }, 'RangeError', 'options'],
      [{ durable: 'yes' }, 'TypeError', 'options.durable']]);
    refuses(checkChange, [[undefined, 'TypeError', 'fn'], [7, 'TypeError', 'fn']]);
    refuses((values) => checkIterable('keys', values), [
      ['abc', 'TypeError', 'keys'], [undefined, 'TypeError', 'keys'], [{ a: 1 }, 'TypeError', 'keys'],
    ]);
    refuses((entry) => checkEntry(3, entry), [
      ['ab', 'TypeError', 'entries[3]'], [['a'], 'TypeError', 'entries[3]'], [['a', 1, 2], 'TypeError', 'entries[3]'],
      [undefined, 'TypeError', 'entries[3]'], [{ key: 'a', value: 1 }, 'TypeError', 'entries[3]'],
    ]);
  });
});

describe('batch', () => {
  const check = (operations: unknown) => checkBatch(operations as KeyValueOperation<unknown>[], now);

  it('takes puts and deletes', () => {
    expect(check([
      { type: 'put', key: 'a', value: 1 },
      { type: 'put', key: Buffer.from('b'), value: 2, ttl: 10 },
      { type: 'put', key: 'c', value: 3, expiresAt: 7 },
      { type: 'delete', key: 'd' },
      { type: 'put', key: 'e', value: undefined },
    ])).toEqual([
      { isPut: true, key: 'a', value: 1, expiresAt: 0 },
      { isPut: true, key: Buffer.from('b'), value: 2, expiresAt: 1_000_010 },
      { isPut: true, key: 'c', value: 3, expiresAt: 7 },
      { isPut: false, key: 'd', value: undefined, expiresAt: 0 },
      { isPut: true, key: 'e', value: undefined, expiresAt: 0 },
    ]);
    expect([checkBatchOptions({}), checkBatchOptions({ durable: true })]).toEqual([false, true]);
  });

  it('reads each property of an operation once, those of a class too', () => {
    const reads: string[] = [];
    class Computed {
      get type() { reads.push('type'); return 'put'; }
      get key() { reads.push('key'); return 'k'.repeat(reads.length); }
      get value() { reads.push('value'); return reads.length; }
      get ttl() { reads.push('ttl'); return 5; }
    }
    expect(check([new Computed()])).toEqual([{ isPut: true, key: 'kk', value: 3, expiresAt: 1_000_005 }]);
    expect(reads).toEqual(['type', 'key', 'value', 'ttl']);
  });

  it('refuses everything else, and names the operation', () => {
    refuses(check, [
      [undefined, 'TypeError', 'operations'], [{}, 'TypeError', 'operations'], [[], 'TypeError', 'operations'],
      [new Set(), 'TypeError', 'operations'], ['ab', 'TypeError', 'operations'],
    ]);
    const good = { type: 'put', key: 'a', value: 1 };
    refuses((second) => check([good, second]), [
      [undefined, 'TypeError', 'operations[1]'], [null, 'TypeError', 'operations[1]'],
      ['put', 'TypeError', 'operations[1]'],
      [{ ...good, type: 'Put' }, 'RangeError', 'operations[1].type'],
      [{ key: 'a', value: 1 }, 'RangeError', 'operations[1].type'],
      [{ type: 'put', key: 'a' }, 'TypeError', 'operations[1].value'],
      [{ type: 'put', value: 1 }, 'TypeError', 'operations[1].key'],
      [{ ...good, key: '' }, 'RangeError', 'operations[1].key'],
      [{ ...good, key: 'x\udc00' }, 'RangeError', 'operations[1].key'],
      [{ ...good, key: 7 }, 'TypeError', 'operations[1].key'],
      [{ ...good, ttl: 0 }, 'RangeError', 'operations[1].ttl'],
      [{ ...good, expiresAt: -1 }, 'RangeError', 'operations[1].expiresAt'],
      [{ ...good, ifVersion: 4 }, 'RangeError', 'operations[1]'],
      [{ type: 'delete', key: 'a', value: 1 }, 'RangeError', 'operations[1]'],
      [{ type: 'delete', key: 'a', ttl: 1 }, 'RangeError', 'operations[1]'],
      [{ type: 'delete' }, 'TypeError', 'operations[1].key'],
    ]);
    const withHole = [good, good];
    delete withHole[0];
    refuses(() => check(withHole), [[undefined, 'TypeError', 'operations[0]']]);
    refuses(checkBatchOptions, [...NO_OBJECT, [{ ttl: 1 }, 'RangeError', 'options'], [{ durable: 0 }, 'TypeError', 'options.durable']]);
  });
});

describe('iteration, compaction and watching', () => {
  it('take what they have', () => {
    const { signal } = new AbortController();
    const onProgress = () => undefined;
    expect(checkIteration({})).toBeUndefined();
    expect(checkIteration({ prefix: 'user:' })).toBe('user:');
    expect(checkIteration({ prefix: '' })).toBe('');
    expect(checkIteration({ prefix: new Uint8Array(0) })).toEqual(new Uint8Array(0));
    expect(checkCompact({})).toEqual({ minDeadRatio: 0, budgetMs: 2, signal: undefined, onProgress: undefined });
    expect(checkCompact({ minDeadRatio: 0.25, budgetMs: 0.5, signal, onProgress }))
      .toEqual({ minDeadRatio: 0.25, budgetMs: 0.5, signal, onProgress });
    expect(checkCompactTo('/d/../e', { signal })).toMatchObject({ directory: '/e', signal });
    expect(checkWatch({})).toEqual({ prefix: undefined, from: undefined, signal: undefined });
    expect(checkWatch({ prefix: 'a', from: 1, signal })).toEqual({ prefix: 'a', from: 1, signal });
  });

  it('refuse everything else', () => {
    const prefixes: readonly Wrong[] = [
      [{ prefix: 7 }, 'TypeError', 'options.prefix'], [{ prefix: null }, 'TypeError', 'options.prefix'],
      [{ prefix: '\ud800' }, 'RangeError', 'options.prefix'],
    ];
    refuses(checkIteration, [...NO_OBJECT, ...prefixes, [{ from: 1 }, 'RangeError', 'options']]);
    refuses(checkWatch, [
      ...NO_OBJECT, ...prefixes, [{ from: 0 }, 'RangeError', 'options.from'], [{ from: '1' }, 'TypeError', 'options.from'],
      [{ signal: {} }, 'TypeError', 'options.signal'], [{ to: 1 }, 'RangeError', 'options'],
    ]);
    refuses(checkCompact, [
      ...NO_OBJECT, UNKNOWN, [{ minDeadRatio: -0.1 }, 'RangeError', 'options.minDeadRatio'],
      [{ budgetMs: 0 }, 'RangeError', 'options.budgetMs'], [{ budgetMs: 1001 }, 'RangeError', 'options.budgetMs'],
      [{ budgetMs: '4' }, 'TypeError', 'options.budgetMs'], [{ signal: 1 }, 'TypeError', 'options.signal'],
      [{ onProgress: 1 }, 'TypeError', 'options.onProgress'],
    ]);
    refuses((options) => checkCompactTo('/d', options), [[{ minDeadRatio: 0 }, 'RangeError', 'options']]);
    refuses((directory) => checkCompactTo(directory, {}), [['', 'RangeError', 'directory']]);
  });
});
