/**
 * The table of a key directory: entries in the order of their hashes, found, inserted, removed, and moved apart as it
 * grows. assembly/layout/keydir.ts describes it.
 *
 * Invariants: hashes never fall from slot to slot; no gap lies between an entry and its home; no slot at or behind
 * `room` is touched. Knows nothing of keys: who has two entries of one hash tells them apart.
 */
import { VALUES_BYTES, VALUES_OFFSET } from '../abi/memory';
import { Status } from '../abi/status';
import { KEYDIR_ENTRY_BYTES, KEYDIR_SPARE, Keydir, KeydirEntry } from '../layout/keydir';

const SHIFT: usize = 4;
const ALL_HASHES: u64 = 0x100000000;
/** The table grows when it is filled to 7/8, by a quarter: its load is 0.7 at least, but in a small one. */
const LOAD_OF_8: u64 = 7;
const LEAST_SLOTS: u32 = 4096;
/** A smaller table, of less than 16 MiB, is doubled where there is room: at each growth every entry moves once. */
const SMALL_SLOTS: u32 = 1048576;
/** While the table grows, a step every so many insertions, over so many slots. */
const PACE: u32 = 8;
const STEP: u32 = 128;
/** Slots of a step where it grows at once. */
const RESERVE_STEP: u32 = 2048;

if (<usize>KEYDIR_ENTRY_BYTES != <usize>1 << SHIFT) ERROR('entries are found by a shift');

/** The entry of a slot. */
@inline
export function entryAt(dir: Keydir, slot: u32): KeydirEntry {
  return changetype<KeydirEntry>(<usize>dir.table + (<usize>slot << SHIFT));
}

/** The slot where an entry of this hash belongs if nothing is in its way. */
@inline
export function homeOf(dir: Keydir, hash: u32): u32 {
  const slots = <u64>hash < dir.border ? dir.slots : dir.nextSlots;
  return <u32>((<u64>hash * slots) >> 32);
}

/** Loads the home of a hash, so that it is near when its turn comes: many such loads are under way at once. */
@inline
export function touch(dir: Keydir, hash: u32): u32 {
  return entryAt(dir, homeOf(dir, hash)).place;
}

@inline
function isGap(dir: Keydir, slot: u32): bool {
  return entryAt(dir, slot).place == 0;
}

/** Makes the slot at `slot` a gap. */
@inline
function clear(dir: Keydir, slot: u32): void {
  const at = changetype<usize>(entryAt(dir, slot));
  store<u64>(at, 0);
  store<u64>(at, 0, 8);
}

@inline
function copyEntry(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
}

/** Makes an empty table of a range of zeros. */
export function keydirReset(dir: Keydir): void {
  dir.slots = LEAST_SLOTS;
  dir.nextSlots = 0;
  dir.border = ALL_HASHES;
  dir.moved = 0;
  dir.count = 0;
  dir.pace = 0;
}

/**
 * Makes ready for one more entry: begins to grow where the table is full enough, and goes on with it.
 *
 * @returns `Ok`, or `Full` where the range has no room to grow
 */
@inline
export function prepare(dir: Keydir): Status {
  if (dir.nextSlots == 0) {
    if (<u64>dir.count << 3 < <u64>dir.slots * LOAD_OF_8) return Status.Ok;
    let next = <u64>dir.slots << 1;
    if (dir.slots >= SMALL_SLOTS || next + KEYDIR_SPARE > <u64>dir.room) next = <u64>dir.slots + (dir.slots >> 2);
    if (next + KEYDIR_SPARE > <u64>dir.room) return Status.Full;
    beginGrowth(dir, <u32>next);
  }
  if (dir.pace != 0) {
    dir.pace--;
    return Status.Ok;
  }
  const status = keydirGrow(dir, STEP);
  if (status == Status.Ok) dir.pace = PACE;
  return status;
}

/**
 * Grows at once, so that the table is filled to 4/5 by so many keys; for who is about to bring them and has the time.
 *
 * @returns `Ok`, or `Full` where the range has no room for that; the table can be used and grow on as it is then
 */
export function keydirReserve(dir: Keydir, keys: u32): Status {
  const wanted = (<u64>keys * 5 >> 2) + 1;
  while (dir.nextSlots != 0 || <u64>dir.slots < wanted) {
    if (dir.nextSlots == 0) {
      if (wanted + KEYDIR_SPARE > <u64>dir.room) return Status.Full;
      beginGrowth(dir, <u32>wanted);
    }
    const status = keydirGrow(dir, RESERVE_STEP);
    if (status != Status.Ok) return status;
  }
  return Status.Ok;
}

/** Whether there is an entry of this hash. */
export function keydirHasHash(dir: Keydir, hash: u32): bool {
  const room = dir.room;
  for (let slot = homeOf(dir, hash); slot < room; slot++) {
    const entry = entryAt(dir, slot);
    if (entry.place == 0 || entry.hash > hash) return false;
    if (entry.hash == hash) return true;
  }
  return false;
}

@inline
function beginGrowth(dir: Keydir, slots: u32): void {
  dir.nextSlots = slots;
  dir.moved = dir.slots + KEYDIR_SPARE;
  dir.pace = 0;
}

/**
 * Moves the entries of the topmost slots that have not moved yet, `step` of them; those of one hash go together.
 *
 * The table may be cut anywhere between two hashes: what stands below stays where it is, what stands above goes to its
 * new home or right behind what is in front of it. So the run that is cut need not be taken as a whole.
 *
 * @returns `Ok`, or `Full` where too many keys have one hash, and then nothing has moved
 */
export function keydirGrow(dir: Keydir, step: u32): Status {
  const top = dir.moved;
  const room = dir.room;
  const next = <u64>dir.nextSlots;
  let from = top > step ? top - step : 0;
  while (from > 0 && !isGap(dir, from) && !isGap(dir, from - 1)
    && entryAt(dir, from - 1).hash == entryAt(dir, from).hash) from--;
  // Taken are all up to the gap behind the top: what was pushed there by others moves back when they go.
  let to = <usize>VALUES_OFFSET;
  let free = from;
  let end = from;
  while (end < top || (end < room && !isGap(dir, end))) {
    const entry = entryAt(dir, end++);
    if (entry.place == 0) continue;
    if (to == <usize>VALUES_OFFSET + VALUES_BYTES) return Status.Full;
    copyEntry(to, changetype<usize>(entry));
    to += KEYDIR_ENTRY_BYTES;
    free = max(free, <u32>((<u64>entry.hash * next) >> 32)) + 1;
  }
  // What has moved before and stands in the way will be pushed up; it begins at the home of the border.
  for (let slot = max(end, <u32>((dir.border * next) >> 32)); slot < free && free <= room; slot++) {
    if (!isGap(dir, slot)) free++;
  }
  if (free > room) return Status.Full;
  dir.border = min(dir.border, borderAt(dir, from));
  dir.moved = from;
  memory.fill(changetype<usize>(entryAt(dir, from)), 0, <usize>(end - from) << SHIFT);
  let slot = from;
  for (let at = <usize>VALUES_OFFSET; at < to; at += KEYDIR_ENTRY_BYTES) {
    slot = max(slot, <u32>((<u64>changetype<KeydirEntry>(at).hash * next) >> 32));
    openGap(dir, slot);
    copyEntry(changetype<usize>(entryAt(dir, slot)), at);
    slot++;
  }
  if (from == 0) {
    dir.slots = dir.nextSlots;
    dir.nextSlots = 0;
    dir.border = ALL_HASHES;
  }
  return Status.Ok;
}

/** The least hash of those that belong at `slot` or behind, none of which stands in front of it. */
@inline
function borderAt(dir: Keydir, slot: u32): u64 {
  if (slot == 0) return 0;
  return isGap(dir, slot) ? ((<u64>slot << 32) + dir.slots - 1) / dir.slots : <u64>entryAt(dir, slot).hash;
}

/** Makes a gap at `slot` by moving the rest of its run up; false where that would leave the range. */
@inline
function openGap(dir: Keydir, slot: u32): bool {
  let end = slot;
  while (end < dir.room && !isGap(dir, end)) end++;
  if (end >= dir.room) return false;
  const at = changetype<usize>(entryAt(dir, slot));
  memory.copy(at + KEYDIR_ENTRY_BYTES, at, <usize>(end - slot) << SHIFT);
  return true;
}

/** Inserts an entry at `slot`, which a search for its hash has ended at. Returns `Ok` or `Full`. */
@inline
export function insertAt(dir: Keydir, slot: u32, hash: u32, place: u32, size: u32, segment: u32): Status {
  if (!openGap(dir, slot)) return Status.Full;
  const entry = entryAt(dir, slot);
  entry.hash = hash;
  entry.place = place;
  entry.size = size;
  entry.segment = segment;
  dir.count++;
  return Status.Ok;
}

/** Removes the entry at `slot` and moves those that were pushed up by it back. */
export function removeAt(dir: Keydir, slot: u32): void {
  let end = slot + 1;
  while (end < dir.room && !isGap(dir, end) && homeOf(dir, entryAt(dir, end).hash) < end) end++;
  const at = changetype<usize>(entryAt(dir, slot));
  memory.copy(at, at + KEYDIR_ENTRY_BYTES, <usize>(end - slot - 1) << SHIFT);
  clear(dir, end - 1);
  dir.count--;
}
