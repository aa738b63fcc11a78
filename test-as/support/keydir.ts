/**
 * A key directory and two segments played in memory, for the specs of the core. Everything lies in one long
 * array: a table with a guard behind it, a short list of segments, and the segments, each
 * with its LSN index, a CONTROL and guards around its frames. The views are in the slots behind the directory's.
 */
import { FRAMES_OFFSET, Kind } from '../../assembly/abi/limits';
import { KEY_OFFSET, SCRATCH_OFFSET, SLOTS_OFFSET, SLOT_BYTES } from '../../assembly/abi/memory';
import { Status } from '../../assembly/abi/status';
import { keydirApply } from '../../assembly/keydir/apply';
import { keydirGet } from '../../assembly/keydir/find';
import { homeOf, keydirReset } from '../../assembly/keydir/table';
import { FRAME_HEADER_BYTES } from '../../assembly/layout/frame';
import {
  KEYDIR_ENTRY_BYTES, KEYDIR_SEGMENT_BYTES, Keydir, KeydirEntry, KeydirResult, KeydirSegment, PutMeta,
} from '../../assembly/layout/keydir';
import { SegmentView } from '../../assembly/layout/view';
import { append } from '../../assembly/record/append';
import { bodyByte } from './segment';

const PAGE: usize = 65536;
const GUARD: u8 = 0xa5;
const GUARD_BYTES: u32 = 4096;
/** Bytes of a segment that are mapped. */
export const MAPPED: u32 = 0x200000;
/** Segments of the list; the first two can be written. */
export const SEGMENTS: u32 = 8;
export const SALT: u32 = 0x5eedf00d;

/** Bytes of the keys that `put`, `remove` and `get` mean. */
export const KEY: u32 = 8;
/** The keys of a pair have one hash. */
export const PAIRS: StaticArray<u32> = [11154, 47389, 6259, 74142, 61178, 184648];

/** Room for 65536 entries, the guard, and the list. */
const TABLE_PAGES: i32 = 18;
const SEGMENT_PAGES: i32 = 68;
const area = new StaticArray<u8>((TABLE_PAGES + 2 * SEGMENT_PAGES + 1) * 65536);
export const TABLE: usize = (changetype<usize>(area) + PAGE - 1) & ~(PAGE - 1);
/** The list of segments stands at the end of the table's pages. */
const LIST: usize = TABLE + <usize>TABLE_PAGES * PAGE - SEGMENTS * KEYDIR_SEGMENT_BYTES;
const GROUND: usize = TABLE + <usize>TABLE_PAGES * PAGE;

export const dir = changetype<Keydir>(<usize>SLOTS_OFFSET + SLOT_BYTES);
export const found = changetype<KeydirResult>(<usize>SCRATCH_OFFSET);

/** The view of a segment, mapped or not. */
export function viewOf(number: u32): SegmentView {
  return changetype<SegmentView>(<usize>SLOTS_OFFSET + (<usize>number + 2) * SLOT_BYTES);
}

/** What the directory knows of a segment. */
export function segmentOf(number: u32): KeydirSegment {
  return changetype<KeydirSegment>(LIST + <usize>number * KEYDIR_SEGMENT_BYTES);
}

/** Address of the first byte of a segment. */
export function baseOf(number: u32): usize {
  return GROUND + <usize>number * <usize>SEGMENT_PAGES * PAGE + PAGE;
}

/** Makes the directory empty, with room for so many entries. */
export function freshTable(room: u32): void {
  memory.fill(TABLE, 0, <usize>room * KEYDIR_ENTRY_BYTES);
  memory.fill(TABLE + <usize>room * KEYDIR_ENTRY_BYTES, GUARD, GUARD_BYTES);
  memory.fill(LIST, 0, SEGMENTS * KEYDIR_SEGMENT_BYTES);
  memory.fill(changetype<usize>(dir), 0, offsetof<Keydir>());
  dir.table = <u32>TABLE;
  dir.room = room;
  dir.segments = <u32>LIST;
  dir.seedLow = 0x0123456789abcdef;
  dir.seedHigh = 0xfedcba9876543210;
  keydirReset(dir);
}

/** Gives a table whose range was too small more room. */
export function enlarge(room: u32): void {
  memory.fill(TABLE + <usize>dir.room * KEYDIR_ENTRY_BYTES, 0, <usize>(room - dir.room) * KEYDIR_ENTRY_BYTES);
  memory.fill(TABLE + <usize>room * KEYDIR_ENTRY_BYTES, GUARD, GUARD_BYTES);
  dir.room = room;
}

/** Empties a segment and maps it. */
export function freshSegment(number: u32): void {
  const base = baseOf(number);
  memory.fill(base - GUARD_BYTES, GUARD, GUARD_BYTES);
  memory.fill(base, 0, MAPPED);
  memory.fill(base + MAPPED, GUARD, GUARD_BYTES);
  const view = viewOf(number);
  memory.fill(changetype<usize>(view), 0, offsetof<SegmentView>());
  view.base = <u32>base;
  view.dataEnd = FRAMES_OFFSET;
  // The low halves of the LSNs of the first segment overflow within its first records.
  view.baseLsn = 0x4fffffffe + <u64>number * 0x10000;
  view.salt = SALT + number;
  view.index = <u32>(base + MAPPED + PAGE);
  view.mapped = MAPPED;
  view.epoch = 7;
  view.writerEpoch = 7;
  view.control = <u32>(base - PAGE + 4096);
  mount(number);
}

export function mount(number: u32): void {
  segmentOf(number).view = <u32>changetype<usize>(viewOf(number));
}

export function unmount(number: u32): void {
  segmentOf(number).view = 0;
}

/** An empty directory of the usual size, and two empty segments. */
export function fresh(): void {
  freshTable(32768);
  freshSegment(0);
  freshSegment(1);
}

/** Writes the bytes of the key of a number: the number, and what fills it up. */
export function writeKey(at: usize, key: u32, keyBytes: u32): void {
  for (let i: u32 = 0; i < keyBytes; i++) store<u8>(at + i, i < 4 ? <u8>(key >> (i << 3)) : <u8>(key * 31 + i * 7));
}

/** Puts a key where keys are looked for. */
export function ask(key: u32, keyBytes: u32): u32 {
  writeKey(KEY_OFFSET, key, keyBytes);
  return keyBytes;
}

/** Appends a record with a key; returns its offset. */
export function add(number: u32, kind: u32, key: u32, keyBytes: u32, payloadBytes: u32): u32 {
  const view = viewOf(number);
  const offset = view.dataEnd;
  const at = <usize>view.base + offset + FRAME_HEADER_BYTES;
  writeKey(at, key, keyBytes);
  const lsn = view.baseLsn + view.records;
  for (let i: u32 = 0; i < payloadBytes; i++) store<u8>(at + keyBytes + i, bodyByte(lsn, i));
  append(view, kind << 24 | keyBytes, payloadBytes);
  return offset;
}

/** Appends a `PutMeta`; returns its offset. */
export function addMeta(number: u32, key: u32, keyBytes: u32, bytes: u32, version: u64, expiresAt: u64): u32 {
  const view = viewOf(number);
  const offset = view.dataEnd;
  const at = <usize>view.base + offset + FRAME_HEADER_BYTES;
  writeKey(at, key, keyBytes);
  const meta = changetype<PutMeta>(at + keyBytes);
  meta.version = version;
  meta.expiresAt = expiresAt;
  for (let i: u32 = 0; i < bytes; i++) store<u8>(at + keyBytes + 16 + i, bodyByte(view.baseLsn + view.records, i));
  append(view, 128 << 24 | keyBytes, 16 + bytes);
  return offset;
}

export function slot(index: u32): KeydirEntry {
  return changetype<KeydirEntry>(TABLE + <usize>index * KEYDIR_ENTRY_BYTES);
}

/** How much is wrong with the table: gaps, order, homes, count, and the guard behind it. */
export function wrongInTable(): i32 {
  let wrong = 0;
  let count: u32 = 0;
  let hash: u32 = 0;
  // The first slot of the run that is looked at.
  let run: u32 = 0;
  for (let index: u32 = 0; index < dir.room; index++) {
    const entry = slot(index);
    if (entry.place == 0) {
      run = index + 1;
      if (load<u64>(changetype<usize>(entry)) != 0 || load<u64>(changetype<usize>(entry), 8) != 0) wrong++;
      continue;
    }
    count++;
    const home = homeOf(dir, entry.hash);
    if (entry.hash < hash || home < run || home > index) wrong++;
    hash = entry.hash;
  }
  if (count != dir.count) wrong++;
  const end = TABLE + <usize>dir.room * KEYDIR_ENTRY_BYTES;
  for (let i: u32 = 0; i < GUARD_BYTES; i++) if (load<u8>(end + i) != GUARD) wrong++;
  return wrong;
}

/** How much is wrong with the segments' accounts. */
export function wrongInAccounts(): i32 {
  let wrong = 0;
  for (let number: u32 = 0; number < SEGMENTS; number++) {
    let bytes: u32 = 0;
    let records: u32 = 0;
    for (let index: u32 = 0; index < dir.room; index++) {
      const entry = slot(index);
      if (entry.place == 0 || entry.segment != number) continue;
      bytes += (entry.size & 0xffffff) << 3;
      records++;
    }
    if (segmentOf(number).liveBytes != bytes || segmentOf(number).liveRecords != records) wrong++;
  }
  return wrong;
}

/** Whether nothing around the frames of a segment was written to. */
export function guardsIntact(number: u32): bool {
  const base = baseOf(number);
  for (let i: u32 = 0; i < GUARD_BYTES; i++) {
    if (load<u8>(base - GUARD_BYTES + i) != GUARD || load<u8>(base + MAPPED + i) != GUARD) return false;
  }
  return true;
}

/** The next number of a sequence. */
export function next(state: u32): u32 {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^ (state << 5);
}

/** Takes the frames of [offset, end of the segment) in. */
export function take(number: u32, offset: u32, check: bool = false, ordinal: u32 = 0): Status {
  return keydirApply(dir, number, offset, viewOf(number).dataEnd, ordinal, check);
}

/** Appends a put and takes it in; returns its offset. */
export function put(number: u32, key: u32, bytes: u32 = 20): u32 {
  const offset = add(number, Kind.Put, key, KEY, bytes);
  take(number, offset);
  return offset;
}

export function remove(number: u32, key: u32): u32 {
  const offset = add(number, Kind.Delete, key, KEY, 0);
  take(number, offset);
  return offset;
}

export function get(key: u32): Status {
  return keydirGet(dir, ask(key, KEY), true);
}

/** Whether the key is found at this record. */
export function isAt(key: u32, number: u32, offset: u32): bool {
  return get(key) == Status.Ok && found.segment == number && found.valueAt == <u32>baseOf(number) + offset + 24 + KEY;
}
