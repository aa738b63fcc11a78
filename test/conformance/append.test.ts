/**
 * Appending and reading back, on every disk with every core: what a record may be, how LSNs are given, what a batch is,
 * and how copies and views of what was read behave.
 */
import { expect, it } from 'vitest';
import { KEY_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../host/generated/abi.ts';
import { Random } from '../support/random.ts';
import { appendAll, failure, onEach, textOf, texts, textsOf } from '../support/log-fixture.ts';

onEach('appending', (make, kind) => {
  it('gives dense LSNs from 1', async () => {
    const log = await make().open();
    expect([log.firstLsn, log.lastLsn, log.length, log.position]).toEqual([1, 0, 0, 0]);
    expect([1, 2, 3].map((n) => log.append(`r${n}`))).toEqual([1, 2, 3]);
    expect(log.appendBatch(['a', 'b', 'c'])).toEqual({ firstLsn: 4, lastLsn: 6 });
    expect(log.append('last')).toBe(7);
    expect([log.firstLsn, log.lastLsn, log.length]).toEqual([1, 7, 7]);
    expect(textsOf(log)).toEqual(['r1', 'r2', 'r3', 'a', 'b', 'c', 'last']);
  });

  it('takes bytes of every length around the alignment, and none', async () => {
    const log = await make().open();
    const random = new Random(1);
    const written = Array.from({ length: 70 }, (_, length) => random.bytes(length));
    for (const bytes of written) log.append(bytes);
    written.forEach((bytes, at) => expect(log.read(at + 1).payload).toEqual(bytes));
    expect([...log].map(({ payload }) => payload)).toEqual(written);
  });

  it('takes a Buffer, and a part of a larger array without its surroundings', async () => {
    const log = await make().open();
    const large = new Uint8Array(100).map((_, at) => at);
    log.append(Buffer.from('a buffer'));
    log.append(large.subarray(40, 45));
    log.appendBatch([Buffer.from('in a batch'), large.subarray(7, 9)]);
    expect(textOf(log.read(1))).toBe('a buffer');
    expect([...log.read(2).payload]).toEqual([40, 41, 42, 43, 44]);
    expect(textOf(log.read(3))).toBe('in a batch');
    expect([...log.read(4).payload]).toEqual([7, 8]);
  });

  it('copies what it is given', async () => {
    const log = await make().open();
    const bytes = Uint8Array.of(1, 2, 3);
    log.append(bytes);
    bytes.fill(9);
    expect([...log.read(1).payload]).toEqual([1, 2, 3]);
  });

  it('stores text as UTF-8, with lone surrogates as U+FFFD, short and long, through every way in', async () => {
    const log = await make().open();
    const list = ['', 'ascii', 'naïve', '日本語', '🙂🙂', '\ud800', 'x\udc00y', '\u0000\u007f\u0080', 'é'.repeat(1000),
      `${'a'.repeat(47)}é`, 'a'.repeat(48), 'a'.repeat(49), '\ud83d'.repeat(60)];
    const expected = list.map((text) => [...new TextEncoder().encode(text)]);
    for (const text of list) log.append(text);
    for (const text of list) log.append(text, { kind: 3 });
    for (const text of list) log.append(text, { key: text });
    log.appendBatch(list);
    const found = [...log.scan()];
    expect(found.map(({ payload }) => [...payload])).toEqual([...expected, ...expected, ...expected, ...expected]);
    const keyed = found.slice(2 * list.length, 3 * list.length);
    expect(keyed.map(({ key }) => [...key])).toEqual(expected);
  });

  it('keeps kind, key and epoch', async () => {
    const log = await make().open();
    log.append('plain');
    log.append('kind', { kind: 127 });
    log.append('put', { kind: 1, key: 'k' });
    log.append(new Uint8Array(0), { kind: 2, key: Uint8Array.of(0, 255) });
    log.appendBatch([{ payload: 'p', kind: 5, key: 'batch' }, { payload: Uint8Array.of(1) }, { payload: '', key: '' }]);
    const found = [...log.scan()].map(({ lsn, kind, key, payload, epoch }) => (
      { lsn, kind, key: [...key], payload: [...payload], epoch }));
    const ascii = (text: string) => [...Buffer.from(text)];
    expect(found).toEqual([
      { lsn: 1, kind: 0, key: [], payload: ascii('plain'), epoch: 1 },
      { lsn: 2, kind: 127, key: [], payload: ascii('kind'), epoch: 1 },
      { lsn: 3, kind: 1, key: ascii('k'), payload: ascii('put'), epoch: 1 },
      { lsn: 4, kind: 2, key: [0, 255], payload: [], epoch: 1 },
      { lsn: 5, kind: 5, key: ascii('batch'), payload: ascii('p'), epoch: 1 },
      { lsn: 6, kind: 0, key: [], payload: [1], epoch: 1 },
      { lsn: 7, kind: 0, key: [], payload: [], epoch: 1 },
    ]);
    expect([...log.scan()].map(({ lsn }) => log.read(lsn).kind)).toEqual([0, 127, 1, 2, 5, 0, 0]);
  });

  it('counts positions in bytes of frames, padding included', async () => {
    const log = await make().open();
    log.append('');
    expect(log.position).toBe(24);
    log.append('1');
    expect(log.position).toBe(24 + 32);
    log.append('12345678', { key: 'k' });
    expect(log.position).toBe(24 + 32 + 40);
    log.rotate();
    expect(log.position).toBe(96);
    log.append('');
    expect(log.position).toBe(120);
  });

  it('takes a record and a key of the largest size, and refuses one byte more', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    log.append('before');
    const key = new Uint8Array(KEY_BYTES_MAX).fill(7);
    expect(log.append('x', { key })).toBe(2);
    expect(log.read(2).key).toEqual(key);
    const tooLong = new Uint8Array(KEY_BYTES_MAX + 1);
    expect(failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.append('x', { key: tooLong })).details)
      .toMatchObject({ what: 'key', bytes: KEY_BYTES_MAX + 1, limit: KEY_BYTES_MAX });
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.appendBatch(['a', { payload: 'x', key: tooLong }]));
    const tooLarge = new Uint8Array(PAYLOAD_BYTES_MAX + 1);
    expect(failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.append(tooLarge)).details)
      .toMatchObject({ what: 'payload', limit: PAYLOAD_BYTES_MAX });
    failure('ERR_VARVE_RECORD_TOO_LARGE', () => log.append('é'.repeat(PAYLOAD_BYTES_MAX / 2 + 1)));
    if (kind === 'real') {
      expect(log.append(tooLarge.subarray(1))).toBe(3);
      expect(log.read(3).payload.length).toBe(PAYLOAD_BYTES_MAX);
    } else {
      // The simulated disk's core is smaller than that: the record is refused, and the log goes on.
      failure('ERR_VARVE_MEMORY_FULL', () => log.append(tooLarge.subarray(1)));
      expect(log.append('small')).toBe(3);
    }
    expect(log.lastLsn).toBe(3);
  });

  it('appends text into the very last range of the core\'s memory', async () => {
    const fixture = make();
    const { memory } = fixture.core;
    const log = await fixture.open({ segmentBytes: 65536 });
    log.append('x');
    const low = memory.reserve(262144);
    const taken = memory.largestFree() - (1 << 20);
    const middle = memory.reserve(taken);
    memory.release(low, 262144);
    const text = 'é'.repeat(500_000);
    expect(log.append(text)).toBe(2);
    expect(textOf(log.read(2))).toBe(text);
    log.closeSync();
    memory.release(middle, taken);
  });

  it('shows a batch whole, over a segment\'s end too, and larger than a segment', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    const small = texts(10, 4000);
    log.appendBatch(small);
    log.appendBatch(small);
    expect(log.stats.segments).toBe(2);
    const large = texts(100, 4000);
    log.appendBatch(large);
    expect(log.stats.segments).toBe(3);
    expect(textsOf(log)).toEqual([...small, ...small, ...large]);
  });

  it('takes batches of every way of putting them together, one behind the other and behind single records', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 8 << 20 });
    const random = new Random(11);
    const written: Uint8Array[] = [];
    // Frames of 1,024 bytes: below, at and above where the stage is used, and above its size.
    for (const count of [63, 64, 65, 1023, 1024, 1025]) {
      for (const named of [false, true]) {
        const list = Array.from({ length: count }, () => random.bytes(1000));
        log.appendBatch(named ? list.map((payload) => ({ payload })) : list);
        const single = random.bytes(random.integer(100));
        log.append(single);
        written.push(...list, single);
      }
    }
    expect(log.stats.segments).toBe(1);
    expect(log.check()).toMatchObject({ outcome: 'ok', records: written.length });
    expect([...log].every(({ payload }, at) => Buffer.compare(payload, written[at]!) === 0)).toBe(true);
    const crashed = await fixture.afterCrash().open({ segmentBytes: 8 << 20 });
    expect(crashed.recovery).toMatchObject({ outcome: 'whole', lastLsn: written.length });
    crashed.closeSync();
  });

  it('refuses a batch of nothing and a batch with one bad record, and appends nothing of it', async () => {
    const log = await make().open();
    log.append('one');
    for (const bad of [[], 'text', undefined, {}, ['a', 5], ['a', undefined], ['a', null], ['a', {}],
      ['a', { payload: 3 }], ['a', { payload: 'x', kind: 128 }], ['a', { payload: 'x', kind: -1 }],
      ['a', { payload: 'x', kind: 1.5 }], ['a', { payload: 'x', key: 7 }]]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.appendBatch(bad as string[]));
    }
    expect(log.append('two')).toBe(2);
    expect(textsOf(log)).toEqual(['one', 'two']);
  });

  it('refuses data, kinds and keys of wrong types and values', async () => {
    const log = await make().open();
    for (const bad of [undefined, null, 5, {}, [1], new ArrayBuffer(3), new Uint16Array(2)]) {
      expect(failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append(bad as string))).toBeInstanceOf(TypeError);
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append(bad as string, {}));
    }
    for (const kind of [-1, 128, 255, 1.5, NaN, Infinity]) {
      expect(failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append('x', { kind }))).toBeInstanceOf(RangeError);
    }
    for (const kind of ['1', null, {}]) {
      expect(failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append('x', { kind: kind as never })))
        .toBeInstanceOf(TypeError);
    }
    for (const key of [1, null, {}, []]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append('x', { key: key as never }));
    }
    failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append('x', 5 as never));
    failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append('x', null as never));
    expect(log.lastLsn).toBe(0);
  });

  it('appends thousands of records of random sizes over many segments and reads each', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    const random = new Random(7);
    const written: Uint8Array[] = [];
    while (written.length < 3000) {
      const count = random.chance(0.1) ? random.between(1, 20) : 1;
      const list = Array.from({ length: count }, () => random.bytes(random.chance(0.02) ? random.integer(9000)
        : random.integer(300)));
      if (count === 1) log.append(list[0]!);
      else log.appendBatch(list);
      written.push(...list);
    }
    expect(log.stats.segments).toBeGreaterThan(8);
    let wrong = 0;
    written.forEach((bytes, at) => {
      if (Buffer.compare(log.read(at + 1).payload, bytes) !== 0) wrong++;
    });
    for (const { lsn, payload } of log.scan()) if (Buffer.compare(payload, written[lsn - 1]!) !== 0) wrong++;
    expect(wrong).toBe(0);
  });
});

onEach('reading', (make) => {
  it('gives copies that the caller may change', async () => {
    const log = await make().open();
    log.append('payload', { key: 'key' });
    const record = log.read(1);
    record.payload.fill(0);
    record.key.fill(0);
    for (const each of log.scan()) each.payload.fill(0);
    expect(textOf(log.read(1))).toBe('payload');
  });

  it('gives views that show the same bytes and may be written to without changing the log', async () => {
    const log = await make().open();
    appendAll(log, texts(20));
    const seen = log.read(7, { view: true });
    expect(textOf(seen)).toBe(texts(20)[6]);
    seen.payload.fill(0);
    const [fromScan] = log.scan({ from: 8, to: 8, view: true });
    fromScan!.payload.fill(0);
    const byRef = log.readRef(log.refOf(9), { view: true });
    byRef.payload.fill(0);
    expect(textsOf(log)).toEqual(texts(20));
    expect([...seen.payload]).toEqual(new Array(20).fill(0));
  });

  it('keeps views valid after eviction, dropping and closing', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536, mappedBytesMax: 0 });
    const list = texts(60, 5000);
    appendAll(log, list);
    const views = list.map((_, at) => log.read(at + 1, { view: true }));
    expect(log.stats.evictions).toBeGreaterThan(2);
    log.truncateBefore(40);
    await log.close();
    fixture.refresh();
    expect(views.map(textOf)).toEqual(list);
  });

  it('leads from a record to its reference and back', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    const list = texts(50, 3000);
    appendAll(log, list);
    const refs = list.map((_, at) => log.refOf(at + 1));
    expect(refs[0]).toEqual({ lsn: 1, segment: 1, offset: 4096, size: 3024 });
    expect(new Set(refs.map(({ segment }) => segment)).size).toBe(log.stats.segments);
    const parsed = JSON.parse(JSON.stringify(refs)) as typeof refs;
    expect(parsed.map((ref) => textOf(log.readRef(ref)))).toEqual(list);
  });

  it('refuses references that lead nowhere', async () => {
    const log = await make().open();
    appendAll(log, texts(10));
    const ref = log.refOf(5);
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, lsn: 11 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, segment: 2 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, lsn: 6 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, offset: ref.offset + 8 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, offset: ref.offset + 1 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, offset: 0 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, offset: 1 << 19 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef({ ...ref, size: ref.size + 1 }));
    for (const bad of [undefined, null, 5, {}, { ...ref, lsn: 0 }, { ...ref, segment: 6 }, { ...ref, offset: -1 },
      { ...ref, size: 'x' }]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.readRef(bad as never));
    }
  });

  it('refuses LSNs outside of the log and those that are none', async () => {
    const log = await make().open();
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.read(1));
    appendAll(log, texts(3));
    expect(failure('ERR_VARVE_OUT_OF_RANGE', () => log.read(4)).details)
      .toMatchObject({ lsn: 4, firstLsn: 1, lastLsn: 3 });
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.read(0));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.refOf(Number.MAX_SAFE_INTEGER));
    for (const bad of [-1, 1.5, NaN, '1', undefined, null, 2 ** 53]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.read(bad as number));
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.refOf(bad as number));
    }
  });
});
