/**
 * Repairing a key-value store: the log's repair, and then what a log cannot know. A record that is given up may have
 * been the newest of its key, or have deleted it, and an older value would come back. `KEYDIR` and hints, which were
 * made when the records were intact, tell which records count: whatever counts without the damaged ones only is deleted
 * anew. Of records that nothing but their own damaged bytes tell of, that cannot be said: they are counted.
 *
 * A crash in between leaves `KEYDIR` and hints, so that another repair finds the same.
 */
import { join } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import {
  FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, KEY_OFFSET, Kind, STORE_KIND_KEY_VALUE, Status,
} from '../generated/abi.ts';
import { isDerivedName } from '../log/names.ts';
import { repairLog } from '../log/open.ts';
import type { RepairReport } from '../log/repair.ts';
import type { LogContext, Segment } from '../log/segment.ts';
import { lsnAt } from '../log/segments.ts';
import { placesOf } from './check.ts';
import { offsetOf, segmentOf } from './expiry.ts';
import { TableLoader } from './load.ts';
import { LogSource, type SourceOptions } from './source.ts';
import type { KeyTable } from './table.ts';

/** What `KeyValueStore.repair` did, or would do. */
export interface KeyValueRepairReport<K> extends RepairReport {
  /** Keys whose value was in a record that was given up: they are not there any more. */
  readonly lostKeys: readonly K[];
  /** Further such keys, whose names were damaged too. */
  readonly lostUnnamed: number;
  /** Keys of which an older value, or one that had been deleted, would have come back: they were deleted anew. */
  readonly removedKeys: readonly K[];
  /**
   * Records that were given up of which nobody can say whose they were. Each may have been the newest of a key, which
   * has an older value now or none, or have deleted one, which is back.
   */
  readonly unknown: number;
  /** LSN of the last of them, 0 where there is none: what has a version above it is the newest of its key. */
  readonly unknownLsn: number;
}

/** A record that counts only where the damaged ones are left out. */
interface Stale {
  readonly key: Buffer;
  readonly lsn: number;
}

/** What can be told before anything is changed. */
interface Evidence {
  readonly lostKeys: Buffer[];
  lostUnnamed: number;
  /** LSN of the last record that counts and is lost; 0 where there is none. */
  lastLost: number;
  readonly stale: Stale[];
  /** Whether it is told what the loss of a record means. */
  readonly isKnown: (lsn: number) => boolean;
}

/** Deletes of one batch. */
const DELETES_MAX = 1000;

/**
 * Repairs the store of a context, which is read-only for a dry run.
 *
 * Errors: as `RecordLog.repair`, and ERR_VARVE_MEMORY_FULL
 */
export function repairStore<K>(
  context: LogContext, options: SourceOptions, now: number, keyOf: (bytes: Buffer) => K,
): KeyValueRepairReport<K> {
  const evidence = gather(context, options, now);
  const report = repairLog(context, { ...options, storeKind: STORE_KIND_KEY_VALUE });
  const lastLost = report.lost.reduce((last, { lastLsn }) => Math.max(last, lastLsn), evidence.lastLost);
  const stale = evidence.stale.filter(({ lsn }) => lsn < lastLost);
  if (!context.readOnly && (report.changed || lastLost > 0)) {
    if (stale.length > 0) removeStale(context, options, stale);
    removeDerived(context);
  }
  let unknown = 0;
  let unknownLsn = 0;
  for (const { firstLsn, lastLsn } of report.lost) {
    for (let lsn = firstLsn; lsn <= lastLsn; lsn++) {
      if (evidence.isKnown(lsn)) continue;
      unknown++;
      unknownLsn = lsn;
    }
  }
  return {
    ...report, changed: report.changed || stale.length > 0, lostKeys: evidence.lostKeys.map(keyOf),
    lostUnnamed: evidence.lostUnnamed, removedKeys: stale.map(({ key }) => keyOf(key)), unknown, unknownLsn,
  };
}

/** What the store as it is tells of its damage; nothing, where it is too damaged to be read. */
function gather(context: LogContext, options: SourceOptions, now: number): Evidence {
  let source: LogSource;
  try {
    source = new LogSource({ ...context, readOnly: true }, { ...options, readOnly: true });
  } catch (error) {
    if (!VarveError.is(error, 'ERR_VARVE_CORRUPT')) throw error;
    return { lostKeys: [], lostUnnamed: 0, lastLost: 0, stale: [], isKnown: () => false };
  }
  const tables: KeyTable[] = [];
  try {
    for (let count = 0; count < 2; count++) {
      const table = source.makeTable();
      // The bytes of a damaged record may name another key than its own: they are no evidence.
      table.passesOver = true;
      tables.push(table);
    }
    return compare(source, tables[0]!, tables[1]!, now);
  } finally {
    for (const table of tables) table.release();
    source.closeNow();
  }
}

/** Compares what counts with what counts where damaged records are left out. */
function compare(source: LogSource, counting: KeyTable, intact: KeyTable, now: number): Evidence {
  const { keydir, damaged } = new TableLoader(source, counting).load();
  const list = [...source.segments().list];
  takeFrames(source, intact);
  const evidence: Evidence = {
    lostKeys: [], lostUnnamed: 0, lastLost: 0, stale: [], isKnown: () => false,
  };
  const before = placesOf(counting, list);
  for (const location of without(before, placesOf(intact, list))) noteLost(location);
  intact.expire(now);
  for (const location of without(placesOf(intact, list), before)) {
    const { segment, offset } = placeOf(location);
    evidence.stale.push({ key: keyAt(source, segment, offset)!, lsn: lsnOf(source, segment, offset) });
  }
  const { firstLsn, lastLsn } = source;
  const unvouched = new Set(damaged.map(({ lsn }) => lsn));
  return {
    ...evidence,
    isKnown: (lsn) => keydir === 'loaded' || (lsn >= firstLsn && lsn <= lastLsn && !unvouched.has(lsn)
      && list.some((segment) => lsn >= segment.baseLsn && lsn <= segment.lastLsn)),
  };

  function placeOf(location: number): { readonly segment: Segment; readonly offset: number } {
    const segment = list[segmentOf(location)]!;
    source.pool.view(segment);
    return { segment, offset: offsetOf(location) };
  }

  function noteLost(location: number): void {
    const { segment, offset } = placeOf(location);
    evidence.lastLost = Math.max(evidence.lastLost, lsnAt(segment, offset));
    const key = keyAt(source, segment, offset);
    const isNamed = key !== undefined && isFound(source, counting, key)
      && counting.dir.offset === offset && counting.dir.segment === counting.numberOf(segment);
    if (isNamed) evidence.lostKeys.push(key);
    else evidence.lostUnnamed++;
  }
}

/** What is in the first of two sorted lists and not in the second. */
function* without(all: Float64Array, some: Float64Array): Generator<number, void> {
  let at = 0;
  for (const each of all) {
    while (at < some.length && some[at]! < each) at++;
    if (some[at] !== each) yield each;
  }
}

/** Takes in every frame of the log. */
function takeFrames(source: LogSource, table: KeyTable): void {
  table.adopt();
  for (const { segment, offset, end, ordinal } of source.runs(0, source.lastLsn)) {
    table.applyChecked(segment, offset, end, ordinal);
  }
}

/** The key that stands in a frame of a mapped segment; `undefined` where there can be none. */
function keyAt(source: LogSource, segment: Segment, offset: number): Buffer | undefined {
  const { memory } = source.context.core;
  const at = segment.view!.base + offset;
  const length = memory.unsigned[(at + Frame.info) / 4]! & INFO_KEY_MASK;
  if (length === 0 || offset + FRAME_HEADER_BYTES + length > segment.view!.dataEnd) return undefined;
  return Buffer.from(memory.bytes.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length));
}

/** Looks a key up; where its record stands is in the table's result then. */
function isFound(source: LogSource, table: KeyTable, key: Uint8Array): boolean {
  try {
    for (;;) {
      source.context.core.memory.bytes.set(key, KEY_OFFSET);
      const status = table.dir.find(key.length, false);
      if (status !== Status.Unmapped) return status === Status.Ok;
      table.map(table.dir.segment);
    }
  } finally {
    table.letGo();
  }
}

/** Deletes what must not come back, unless it was written anew since. */
function removeStale(context: LogContext, options: SourceOptions, stale: readonly Stale[]): void {
  const source = new LogSource(context, { ...options, create: false });
  let table: KeyTable | undefined;
  try {
    table = source.makeTable();
    takeFrames(source, table);
    const writer = source.writer!;
    for (let at = 0; at < stale.length; at += DELETES_MAX) {
      const records = stale.slice(at, at + DELETES_MAX)
        .filter(({ key, lsn }) => isFound(source, table!, key) && newestOf(source, table!) === lsn)
        .map(({ key }) => ({ kind: Kind.Delete, key, payload: '' }));
      if (records.length > 0) writer.appendBatch(records);
    }
    writer.syncNow();
  } finally {
    table?.release();
    source.closeNow();
  }
}

/** LSN of an intact frame. */
function lsnOf(source: LogSource, segment: Segment, offset: number): number {
  const { baseLsn } = segment;
  const word = source.context.core.memory.unsigned[(source.pool.view(segment).base + offset + Frame.lsn) / 4]!;
  return baseLsn + ((word - baseLsn) >>> 0);
}

/** LSN of the record that was found. */
function newestOf(source: LogSource, table: KeyTable): number {
  return lsnOf(source, table.segmentOf(table.dir.segment)!, table.dir.offset);
}

/** Removes what repeats the log as it was. */
function removeDerived({ storage, directory }: LogContext): void {
  for (const name of storage.list(directory) ?? []) if (isDerivedName(name)) storage.remove(join(directory, name));
  storage.syncDirectoryNow(directory);
}
