/**
 * What the tests of `KEYDIR` and of hint files share: a log of puts and deletes, and a key directory of it that is
 * built from the frames alone. A segment's number is its place in the log.
 */
import { afterEach } from 'vitest';
import type { Core } from '../../host/core/core.ts';
import type { LogState } from '../../host/core/keydir-file.ts';
import { Keydir, type Place } from '../../host/core/keydir.ts';
import {
  FRAMES_OFFSET, FRAME_HEADER_BYTES, KEYDIR_HINT_BYTES, KEYDIR_SEGMENT_BYTES, KEY_OFFSET, Kind, STORE_KIND_KEY_VALUE,
  Status,
} from '../../host/generated/abi.ts';
import { realStorage } from '../../host/io/real-storage.ts';
import type { HintContext, Hints, HintSource } from '../../host/key-value/hint-file.ts';
import { openWriter } from '../../host/log/open.ts';
import type { SegmentPool } from '../../host/log/pool.ts';
import type { LogContext, Segment } from '../../host/log/segment.ts';
import type { LogWriter } from '../../host/log/writer.ts';
// Its hooks come first, so that they run last.
import './log-fixture.ts';
import type { LogFixture } from './log-fixture.ts';

/** Bytes of the range that each table has. */
export const TABLE_BYTES = 2 << 20;
const SEGMENTS_MAX = 4096;

/** A key directory with ranges of its own. */
export class Table {
  readonly core: Core;
  readonly keydir: Keydir;
  readonly address: number;
  private readonly list: number;

  constructor(store: KeydirStore) {
    this.core = store.context.core;
    const { memory } = this.core;
    this.address = memory.reserve(TABLE_BYTES);
    this.list = memory.reserve(SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
    const { idLow, idHigh } = store.writer.identity;
    this.keydir = new Keydir(this.core, this.list, idLow, idHigh);
    this.keydir.place(this.address, TABLE_BYTES);
    this.clear();
    this.keydir.reset();
    for (let number = 0; number < SEGMENTS_MAX; number++) this.keydir.openSegment(number);
  }

  /** Makes its range zeros. */
  clear(): void {
    this.core.memory.bytes.fill(0, this.address, this.address + TABLE_BYTES);
  }

  /** Where the record of a key is. */
  placeOf(key: string): Place | undefined {
    const bytes = Buffer.from(key);
    this.core.memory.bytes.set(bytes, KEY_OFFSET);
    const status = this.keydir.find(bytes.length, true);
    if (status === Status.Absent) return undefined;
    if (status !== Status.Ok) throw new Error(`looking for ${key} gave ${status}`);
    return { segment: this.keydir.segment, offset: this.keydir.offset };
  }

  dispose(): void {
    this.clear();
    this.keydir.release();
    this.core.memory.release(this.address, TABLE_BYTES);
    this.core.memory.release(this.list, SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
  }
}

export class KeydirStore {
  readonly fixture: LogFixture;
  readonly context: LogContext & HintContext;
  readonly writer: LogWriter;
  readonly pool: SegmentPool;
  /** The keys that were put and not removed. */
  readonly keys = new Set<string>();
  readonly tables: Table[] = [];

  constructor(fixture: LogFixture, segmentBytes = 65536, mappedBytesMax = 64 << 20) {
    this.fixture = fixture;
    const { core, directory } = fixture;
    const context = { core, storage: fixture.storage ?? realStorage(), directory, readOnly: false };
    const { writer, pool } = openWriter(context,
      { storeKind: STORE_KIND_KEY_VALUE, segmentBytes, mappedBytesMax, create: true });
    this.writer = writer;
    this.pool = pool;
    this.context = { ...context, identity: writer.identity };
    const tell = (segment: Segment, view: number): void => {
      const number = this.numberOf(segment);
      // A new segment is mapped before it stands in the list.
      if (number >= 0) for (const { keydir } of this.tables) keydir.setView(number, view);
    };
    pool.listen({
      mounted: (segment) => { tell(segment, segment.view!.at); },
      unmounted: (segment) => { tell(segment, 0); },
      used: () => false,
    });
    stores.push(this);
  }

  get segments(): readonly Segment[] { return this.writer.segments.list; }
  /** Those that have a footer. */
  get sealed(): Segment[] { return this.segments.filter((segment) => segment.sealed); }

  numberOf(segment: Segment): number {
    return this.segments.indexOf(segment);
  }

  put(key: string, value: string): void {
    this.writer.appendRecord({ kind: Kind.Put, key, payload: value });
    this.keys.add(key);
  }

  remove(key: string): void {
    this.writer.appendRecord({ kind: Kind.Delete, key, payload: '' });
    this.keys.delete(key);
  }

  /** `count` keys with short values, of which some are put again and some removed; begins with the key `from`. */
  fill(count: number, from = 0): void {
    for (let at = from; at < from + count; at++) {
      this.put(`key ${at}`, `value ${at}`);
      if (at % 5 === 0) this.put(`key ${at >> 1}`, 'another value');
      if (at % 7 === 0) this.remove(`key ${at}`);
    }
  }

  /** An empty table. */
  newTable(): Table {
    const table = new Table(this);
    this.tables.push(table);
    for (const segment of this.segments) table.keydir.setView(this.numberOf(segment), this.pool.view(segment).at);
    return table;
  }

  /** A table of all frames. */
  builtTable(): Table {
    const table = this.newTable();
    for (const segment of this.segments) this.takeFrames(table, segment);
    return table;
  }

  /** Takes the frames of a segment from an offset on into a table; returns where they end. */
  takeFrames(table: Table, segment: Segment, offset: number = FRAMES_OFFSET): number {
    const { keydir } = table;
    const view = this.pool.view(segment);
    // It may have been mapped before it had a number.
    keydir.setView(this.numberOf(segment), view.at);
    while (offset < view.dataEnd) {
      const status = keydir.apply(this.numberOf(segment), offset, view.dataEnd, 0, false);
      ({ offset } = keydir);
      if (status === Status.Clear) offset = this.clearTable(table, offset);
      else if (status !== Status.Ok) throw new Error(`frames gave ${status} at ${offset}`);
    }
    return offset;
  }

  /** Takes the entries of a hint into a table, as many at a time. */
  takeHints(table: Table, segment: Segment, { address, count }: Hints, most: number): void {
    const { keydir } = table;
    this.pool.view(segment);
    let taken = 0;
    while (taken < count) {
      const status = keydir.applyHints(
        this.numberOf(segment), address + taken * KEYDIR_HINT_BYTES, Math.min(most, count - taken));
      taken += keydir.records;
      if (status === Status.Clear) {
        this.clearTable(table, 0);
        taken++;
      } else if (status !== Status.Ok) throw new Error(`hints gave ${status} at ${taken}`);
    }
  }

  /** Empties a table because of the clear at an offset; returns where the next frame is. */
  private clearTable(table: Table, offset: number): number {
    table.clear();
    table.keydir.reset();
    return offset + FRAME_HEADER_BYTES;
  }

  /** What `KEYDIR` says of this log. */
  get log(): LogState {
    const { writer } = this;
    return {
      identity: writer.identity, firstLsn: writer.firstLsn, lastLsn: writer.lastLsn, position: writer.page.position,
      generation: writer.page.generation, epoch: writer.epoch,
    };
  }

  /** Base LSNs by number. */
  get baseLsns(): number[] { return this.segments.map((segment) => segment.baseLsn); }

  /** The places of all keys that a table finds, and how many were not found. */
  placesIn(table: Table): { places: Map<string, Place>; missing: number } {
    const places = new Map<string, Place>();
    let missing = 0;
    for (const segment of this.segments) this.pool.view(segment);
    for (const key of this.keys) {
      const place = table.placeOf(key);
      if (place === undefined) missing++;
      else places.set(key, place);
    }
    return { places, missing };
  }

  sourceOf(segment: Segment): HintSource {
    const { baseLsn, header: { salt }, records, dataEnd } = segment;
    return {
      baseLsn, salt, records, dataEnd, sealedAt: segment.footer!.sealedAt, number: this.numberOf(segment),
      mount: () => { this.pool.view(segment); },
    };
  }

  dispose(): void {
    for (const table of this.tables.splice(0)) table.dispose();
    try {
      this.writer.closeNow();
    } catch (error) {
      if (this.fixture.disk === undefined) throw error;
    }
  }
}

const stores: KeydirStore[] = [];

afterEach(() => {
  for (const store of stores.splice(0)) store.dispose();
});
