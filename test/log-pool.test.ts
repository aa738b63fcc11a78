/**
 * Which segments stay mapped: the least recently used one goes, what must stay stays. Who keeps addresses is told in
 * time, and asked before what he reads is taken away.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { PoolListener, SegmentPool } from '../host/log/pool.ts';
import type { Segment } from '../host/log/segment.ts';
import type { LogWriter } from '../host/log/writer.ts';
import { type LogFixture, failure, giveCore, onEach, takeCore } from './support/log-fixture.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';
import { writerIn, writerOf } from './support/writer-fixture.ts';

const SEGMENT_BYTES = 65536;
let writer: LogWriter | undefined;
afterEach(() => {
  writer?.closeNow();
  writer = undefined;
});

/** A log of five sealed segments with one record each, and an active one; `open` of the sealed ones may be mapped. */
function logOf(fixture: LogFixture, open: number): { writer: LogWriter; pool: SegmentPool; sealed: Segment[] } {
  // A sealed segment of one record takes a little more than 8 KiB.
  const opened = writerIn(fixture, SEGMENT_BYTES, SEGMENT_BYTES + open * 8192 + 4096);
  writer = opened.writer;
  for (let at = 0; at < 5; at++) {
    writer.append(new Uint8Array(4000).fill(at), 0);
    writer.rotate();
  }
  writer.append(new Uint8Array(1), 0);
  writer.syncNow();
  for (const segment of writer.segments.list.slice(0, -1)) opened.pool.unmount(segment);
  return { writer, pool: opened.pool, sealed: writer.segments.list.slice(0, -1) };
}

/** Keeps account of what is mapped, and checks that it is so whenever it is told. */
class Account implements PoolListener {
  readonly bases = new Map<Segment, number>();
  readonly touched = new Set<Segment>();
  readonly told: string[] = [];

  mounted(segment: Segment): void {
    expect(this.bases.has(segment), `${segment.baseLsn} was mapped twice`).toBe(false);
    this.bases.set(segment, segment.view!.base);
    this.told.push(`+${segment.baseLsn}`);
  }

  unmounted(segment: Segment): void {
    expect(this.bases.get(segment), `where ${segment.baseLsn} was`).toBe(segment.view!.base);
    this.bases.delete(segment);
    this.told.push(`-${segment.baseLsn}`);
  }

  used(segment: Segment): boolean {
    expect(this.bases.has(segment)).toBe(true);
    return this.touched.delete(segment);
  }
}

function mappedOf(sealed: readonly Segment[]): number[] {
  return sealed.filter((segment) => segment.view !== undefined).map((segment) => segment.baseLsn);
}

onEach('the mapped segments', (make) => {
  it('are those used last, and the active one', () => {
    const { pool, sealed, writer: log } = logOf(make(), 2);
    for (const at of [0, 1, 0, 2]) pool.view(sealed[at]!);
    expect(mappedOf(sealed)).toEqual([1, 3]);
    expect(log.segments.last!.view).toBeDefined();
  });

  it('keep what is held, as often as it is, even where nothing may stay', () => {
    const { pool, sealed } = logOf(make(), 0);
    const view = pool.hold(sealed[0]!);
    expect(pool.hold(sealed[0]!)).toBe(view);
    for (const segment of sealed.slice(1)) {
      pool.view(segment);
      expect(mappedOf(sealed)).toEqual([1, segment.baseLsn]);
      expect(firstByte(pool, sealed[0]!)).toBe(0);
    }
    pool.release(sealed[0]!);
    pool.view(sealed[1]!);
    expect(mappedOf(sealed)).toEqual([1, 2]);
    pool.release(sealed[0]!);
    pool.view(sealed[2]!);
    expect(mappedOf(sealed)).toEqual([3]);
    // One too many does nothing.
    pool.release(sealed[0]!);
    pool.hold(sealed[0]!);
    pool.view(sealed[1]!);
    expect(mappedOf(sealed)).toEqual([1, 2]);
  });
});

/** The first byte of the payload of a segment's first record, where the segment is mapped. */
function firstByte(pool: SegmentPool, segment: Segment): number {
  const view = pool.view(segment);
  return view.core.memory.bytes[view.base + 4096 + 24]!;
}

onEach('a listener of the mapped segments', (make) => {
  it('is told of those that are mapped, of each that comes, and of each before it goes', () => {
    const { pool, sealed, writer: log } = logOf(make(), 2);
    const account = new Account();
    pool.view(sealed[0]!);
    pool.listen(account);
    expect(account.told.sort()).toEqual(['+1', '+6']);
    account.told.length = 0;
    pool.view(sealed[1]!);
    pool.view(sealed[1]!);
    pool.view(sealed[2]!);
    expect(account.told).toEqual(['+2', '+3', '-1']);
    account.told.length = 0;
    pool.unmount(sealed[2]!);
    pool.unmount(sealed[2]!);
    expect(account.told).toEqual(['-3']);
    log.closeNow();
    expect(account.bases.size).toBe(0);
  });

  it('knows after any change of the log where each segment is', () => {
    const fixture = make();
    const { pool, sealed, writer: log } = logOf(fixture, 5);
    const account = new Account();
    pool.listen(account);
    const agree = (): void => {
      const mapped = log.segments.list.filter((segment) => segment.view !== undefined);
      expect([...account.bases].sort(([a], [b]) => a.baseLsn - b.baseLsn))
        .toEqual(mapped.map((segment) => [segment, segment.view!.base]));
    };
    for (const segment of sealed) pool.view(segment);
    agree();
    // Its own segment is sealed, and one of its own follows, for a record that fits into no other.
    log.append(new Uint8Array(3 * SEGMENT_BYTES), 0);
    agree();
    log.truncateBefore(3);
    agree();
    expect([...account.bases.keys()].map(({ baseLsn }) => baseLsn)).not.toContain(1);
    log.truncateAfter(4);
    agree();
    // The last segment is made appendable again, and mapped anew for it.
    log.append(new Uint8Array(1), 0);
    agree();
    log.reset();
    agree();
    log.append(new Uint8Array(1), 0);
    agree();
    expect(account.told.filter((told) => told.startsWith('-')).length).toBeGreaterThan(4);
  });

  it('keeps what it uses, past the pool, from being taken for the least recently used', () => {
    const { pool, sealed } = logOf(make(), 2);
    const account = new Account();
    pool.listen(account);
    pool.view(sealed[0]!);
    pool.view(sealed[1]!);
    for (const segment of sealed.slice(2)) {
      account.touched.add(sealed[0]!);
      pool.view(segment);
    }
    expect(mappedOf(sealed)).toEqual([1, 5]);
    // Used no more, it goes when its turn comes.
    pool.view(sealed[1]!);
    expect(mappedOf(sealed)).toEqual([1, 2]);
    pool.view(sealed[2]!);
    expect(mappedOf(sealed)).toEqual([2, 3]);
  });

  it('cannot keep everything: where all were used, the one that was used first goes', () => {
    const { pool, sealed } = logOf(make(), 2);
    const account = new Account();
    pool.listen(account);
    const insatiable = { ...account, mounted: () => undefined, unmounted: () => undefined, used: () => true };
    pool.view(sealed[0]!);
    pool.view(sealed[1]!);
    account.touched.add(sealed[0]!).add(sealed[1]!);
    pool.view(sealed[2]!);
    expect(mappedOf(sealed)).toEqual([2, 3]);
    expect(account.touched.size).toBe(0);
    pool.listen(insatiable);
    for (const segment of sealed) pool.view(segment);
    expect(mappedOf(sealed)).toHaveLength(2);
  });
});

describe('a core without room', () => {
  it('gives up what is not held for what is wanted, and says so when everything is held', () => {
    const core = takeCore('simd', 16 << 20);
    const opened = writerOf(core, new SimulatedDisk().storage(), '/store');
    writer = opened.writer;
    for (let at = 0; at < 5; at++) {
      writer.append(new Uint8Array(3 << 20), 0);
      writer.rotate();
    }
    const { pool } = opened;
    const sealed = writer.segments.list.slice(0, 5);
    writer.syncNow();
    for (const segment of sealed) pool.unmount(segment);
    for (const segment of sealed.slice(0, 4)) pool.hold(segment);
    failure('ERR_VARVE_MEMORY_FULL', () => pool.view(sealed[4]!));
    expect(mappedOf(sealed)).toEqual([1, 2, 3, 4]);
    pool.release(sealed[2]!);
    pool.view(sealed[4]!);
    expect(mappedOf(sealed)).toEqual([1, 2, 4, 5]);
    writer.closeNow();
    giveCore(core);
  });
});
