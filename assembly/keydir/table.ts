/**
 * The table of a key directory: entries in the order of their hashes, found, inserted, removed, and moved apart as it
 * grows. assembly/layout/keydir.ts describes it.
 *
 * Invariants: hashes never fall from slot to slot; no gap lies between an entry and its home; no slot at or behind `room`
 * is touched. Knows nothing of keys: who has two entries of one hash tells them apart.
 */
import { VALUES_BYTES, VALUES_OFFSET } from '../abi/memory';
import { Status } from '../abi/status';
import { KEYDIR_ENTRY_BYTES, KEYDIR_SPARE, Keydir, KeydirEntry } from '../layout/keydir';

const SHIFT: usize = 4;
const ALL_HASHES: u64 = 0x100000000;
/** The table grows when it is filled to 7/8, by a quarter: its load is 0.7 at least. */
const LOAD_OF_8: u64 = 7;
const LEAST_SLOTS: u32 = 4096;
/** While the table grows, a step every so many insertions, over so many slots. */
const PACE: u32 = 8;
const STEP: u32 = 128;

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
    const next = <u64>dir.slots + (dir.slots >> 2);
    if (next + KEYDIR_SPARE > <u64>dir.room) return Status.Full;
    dir.nextSlots = <u32>next;
    dir.moved = dir.slots + KEYDIR_SPARE;
    dir.pace = 0;
  }
  if (dir.pace != 0) {
    dir.pace--;
    return Status.Ok;
  }
  dir.pace = PACE;
  return keydirGrow(dir, STEP);
}

/**
 * Moves the entries of the topmost slots that have not moved yet, `step` of them and those that belong to the same run.
 *
 * @returns `Ok`, or `Full` where a run is too long for it: then too many keys have one hash
 */
export function keydirGrow(dir: Keydir, step: u32): Status {
  const top = dir.moved;
  let from = top > step ? top - step : 0;
  while (from > 0 && !isGap(dir, from - 1)) from--;
  // Whole runs are taken out, up to the gap behind the top: what was pushed there by others is put back among them.
  let taken: u32 = 0;
  const most = VALUES_BYTES >> <u32>SHIFT;
  let end = from;
  while (end < top || (end < dir.room && !isGap(dir, end))) {
    if (!isGap(dir, end)) taken++;
    end++;
  }
  if (taken > most) return Status.Full;
  let to = <usize>VALUES_OFFSET;
  for (let slot = from; slot < end; slot++) {
    if (isGap(dir, slot)) continue;
    memory.copy(to, changetype<usize>(entryAt(dir, slot)), KEYDIR_ENTRY_BYTES);
    clear(dir, slot);
    to += KEYDIR_ENTRY_BYTES;
  }
  dir.moved = from;
  // The least hash whose home is `from`: all that are below it stand below `from`, because there is a gap in front.
  dir.border = from == 0 ? 0 : ((<u64>from << 32) + dir.slots - 1) / dir.slots;
  if (dir.border > ALL_HASHES) dir.border = ALL_HASHES;
  for (let at = <usize>VALUES_OFFSET; at < to; at += KEYDIR_ENTRY_BYTES) {
    const entry = changetype<KeydirEntry>(at);
    let slot = homeOf(dir, entry.hash);
    while (!isGap(dir, slot) && entryAt(dir, slot).hash <= entry.hash) slot++;
    // There was room for them before, and there is more now.
    openGap(dir, slot);
    memory.copy(changetype<usize>(entryAt(dir, slot)), at, KEYDIR_ENTRY_BYTES);
  }
  if (from == 0) {
    dir.slots = dir.nextSlots;
    dir.nextSlots = 0;
    dir.border = ALL_HASHES;
  }
  return Status.Ok;
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
