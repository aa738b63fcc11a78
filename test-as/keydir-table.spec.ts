/**
 * The table of a key directory alone, without any frame: entries of random and of equal hashes are inserted, removed
 * and found, through many growths, and compared with a plain list. After every phase the whole table is looked at.
 */
import { Status } from '../assembly/abi/status';
import { slotOf } from '../assembly/keydir/find';
import { homeOf, insertAt, keydirGrow, prepare, removeAt } from '../assembly/keydir/table';
import { KEYDIR_SPARE } from '../assembly/layout/keydir';
import { dir, enlarge, freshTable, next, slot, wrongInTable } from './support/keydir';

/** The list: hash << 32 | place of each entry; its segment follows from its place. */
const list = new StaticArray<u64>(65536);
/** Entries that there is room for, where it shall not matter. */
const ROOM: u32 = 65536;
let listed: i32 = 0;
let lastPlace: u32 = 0;
let state: u32 = 2463534242;

function random(): u32 {
  state = next(state);
  return state;
}

function fresh(room: u32): void {
  freshTable(room);
  listed = 0;
  lastPlace = 0;
}

function segmentOfPlace(place: u32): u32 {
  return place * 7 & 0xffff;
}

/** Inserts an entry as a put does. */
function insert(hash: u32): Status {
  const ready = prepare(dir);
  if (ready != Status.Ok) return ready;
  let at = homeOf(dir, hash);
  while (at < dir.room && slot(at).place != 0 && slot(at).hash <= hash) at++;
  const place = lastPlace + 1;
  const status = insertAt(dir, at, hash, place, ~place, segmentOfPlace(place));
  if (status != Status.Ok) return status;
  lastPlace = place;
  list[listed++] = (<u64>hash << 32) | place;
  return Status.Ok;
}

/** Inserts one hash, or random ones where there is none, until so many entries are listed or one is refused. */
function fill(count: i32, hash: i64 = -1): Status {
  while (listed < count) {
    const status = insert(hash < 0 ? random() : <u32>hash);
    if (status != Status.Ok) return status;
  }
  return Status.Ok;
}

function find(index: i32): i32 {
  const place = <u32>list[index];
  return slotOf(dir, <u32>(list[index] >> 32), segmentOfPlace(place), place);
}

/** Removes the `index`-th of the list; false where it is not there. */
function remove(index: i32): bool {
  const at = find(index);
  if (at < 0) return false;
  removeAt(dir, at);
  const gone = find(index) < 0;
  list[index] = list[--listed];
  return gone;
}

/** How much is wrong: the table's invariants, entries that are not found, or are not as they were put. */
function wrong(): i32 {
  let count = wrongInTable();
  if (dir.count != <u32>listed) count++;
  for (let i = 0; i < listed; i++) {
    const at = find(i);
    if (at < 0 || slot(at).size != ~slot(at).place) count++;
  }
  return count;
}

describe('a table of random hashes', () => {
  it('grows from 4096 slots through many growths, and holds all that was put', () => {
    fresh(ROOM);
    let failures = 0;
    let looked = 0;
    let lookedGrowing = 0;
    for (let i = 0; i < 30000; i++) {
      if (insert(random()) != Status.Ok) failures++;
      // The steps of a growth and what lies between growths, at places that wander.
      if (listed % 991 != 0 && listed != 3584 && listed != 3585) continue;
      looked++;
      if (dir.nextSlots != 0) lookedGrowing++;
      failures += wrong();
    }
    expect(failures).toBe(0);
    expect(looked).toBeGreaterThan(30);
    expect(lookedGrowing).toBeGreaterThan(5);
    expect(dir.slots).toBeGreaterThan(30000);
  });

  it('keeps its order at every step of a growth', () => {
    fresh(32768);
    while (dir.nextSlots == 0) insert(random());
    let steps = 0;
    let failures = 0;
    for (let moved = dir.moved; dir.nextSlots != 0; moved = dir.moved) {
      while (dir.nextSlots != 0 && dir.moved == moved) insert(random());
      failures += wrong();
      steps++;
    }
    expect(failures).toBe(0);
    expect(steps).toBeGreaterThan(30);
  });

  it('is right while entries come and go, also during a growth, and ends as an empty one', () => {
    fresh(ROOM);
    let failures = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 1000; i++) {
        // Twice as many come as go, and then the other way round.
        const come = round < 12 ? random() % 3 != 0 : random() % 3 == 0;
        if (come || listed == 0) failures += <i32>(insert(random()) != Status.Ok);
        else failures += <i32>!remove(<i32>(random() % <u32>listed));
      }
      failures += wrong();
    }
    expect(failures).toBe(0);
    while (listed > 0) failures += <i32>!remove(listed - 1);
    expect(failures + wrong()).toBe(0);
    expect(dir.count).toBe(0);
  });

  it('loses nothing where all but what a growth has moved goes between two steps', () => {
    fresh(32768);
    let failures = 0;
    while (dir.nextSlots == 0) insert(random());
    for (let round = 0; dir.nextSlots != 0; round++) {
      for (let i = 0; i < 10; i++) insert(random());
      for (let i = listed - 1; i >= 0 && round % 7 == 3; i--) {
        if (<u64>(list[i] >> 32) < dir.border && random() % 4 != 0) failures += <i32>!remove(i);
      }
      failures += wrong();
    }
    expect(failures).toBe(0);
  });

  it('moves few entries with one insertion', () => {
    fresh(ROOM);
    let most: u32 = 0;
    let steps = 0;
    for (let i = 0; i < 20000; i++) {
      const before = dir.moved;
      const growing = dir.nextSlots != 0;
      insert(random());
      if (!growing || dir.nextSlots == 0 || dir.moved == before) continue;
      most = max(most, before - dir.moved);
      steps++;
    }
    expect(steps).toBeGreaterThan(250);
    expect(most).toBeLessThan(136);
  });
});

describe('a table of equal hashes', () => {
  it('holds thousands of them, at both ends and between, through growths', () => {
    const hashes: StaticArray<u32> = [0, 1, 0x7fffffff, 0xfffffffe, 0xffffffff];
    for (let h = 0; h < hashes.length; h++) {
      fresh(ROOM);
      let failures = 0;
      failures += <i32>(fill(2000, hashes[h]) != Status.Ok);
      failures += wrong();
      failures += <i32>(fill(4000) != Status.Ok);
      failures += wrong();
      for (let i = 0; i < 2500; i++) failures += <i32>!remove(<i32>(random() % <u32>listed));
      failures += wrong();
      for (let i = 0; i < 4000; i++) failures += <i32>(insert(random() % 3 == 0 ? hashes[h] : random()) != Status.Ok);
      expect(failures + wrong()).toBe(0);
    }
  });

  it('refuses more than it can move, and loses none', () => {
    fresh(ROOM);
    let status = fill(20000, 0x40000000);
    expect(status).toBe(Status.Full);
    expect(listed).toBeGreaterThan(8000);
    // No insertion slips through between two steps.
    for (let i = 0; i < 20; i++) if (insert(random()) != Status.Full) status = Status.Ok;
    expect(status).toBe(Status.Full);
    expect(wrong()).toBe(0);
    while (listed > 5000) remove(listed - 1);
    expect(fill(9000)).toBe(Status.Ok);
    expect(wrong()).toBe(0);
  });
});

describe('the end of the range', () => {
  it('is Full where there is no room to grow, loses nothing, and goes on with more room', () => {
    fresh(4096 + KEYDIR_SPARE);
    expect(fill(20000)).toBe(Status.Full);
    expect(listed).toBe(3584);
    expect(dir.nextSlots).toBe(0);
    expect(insert(random())).toBe(Status.Full);
    expect(wrong()).toBe(0);
    enlarge(5120 + KEYDIR_SPARE - 1);
    expect(insert(random())).toBe(Status.Full);
    enlarge(5120 + KEYDIR_SPARE);
    expect(fill(20000)).toBe(Status.Full);
    expect(listed).toBe(4480);
    expect(dir.slots).toBe(5120);
    expect(wrong()).toBe(0);
  });

  it('is Full where a run reaches it, and takes other hashes', () => {
    fresh(4096 + KEYDIR_SPARE);
    expect(fill(3000, 0xffffffff)).toBe(Status.Ok);
    expect(wrong()).toBe(0);
    enlarge(9000 + KEYDIR_SPARE);
    expect(fill(9000, 0xffffffff)).toBe(Status.Full);
    expect(wrong()).toBe(0);
    while (listed > 2000) remove(listed - 1);
    expect(wrong()).toBe(0);
    expect(fill(5000)).toBe(Status.Ok);
    expect(wrong()).toBe(0);
  });

  it('is not written behind by a growth that has no room for a long run', () => {
    for (let room: u32 = 13000; room < 17000; room += 1000) {
      fresh(room);
      fill(7300, 0xffffffff);
      expect(wrong()).toBe(0);
    }
  });

  it('is not written behind by runs of several hashes that a growth brings together', () => {
    for (let room: u32 = 9216; room < 9600; room += 64) {
      fresh(room);
      for (let i = 0; i < 3584; i++) insert(0xffffffff - (random() & 0x7ffffff));
      for (let i = 0; i < 800; i++) insert(0xf0000000 + (<u32>i << 12));
      expect(wrong()).toBe(0);
    }
  });
});

describe('keydirGrow', () => {
  it('can take the whole table in one step', () => {
    fresh(32768);
    while (dir.nextSlots == 0) insert(random());
    expect(keydirGrow(dir, 0xffffffff)).toBe(Status.Ok);
    expect(dir.nextSlots).toBe(0);
    expect(dir.slots).toBe(8192);
    expect(wrong()).toBe(0);
  });

  it('can take one slot at a time', () => {
    fresh(32768);
    while (dir.nextSlots == 0) insert(random());
    let failures = 0;
    let steps = 0;
    while (dir.nextSlots != 0) {
      failures += <i32>(keydirGrow(dir, 1) != Status.Ok);
      if (++steps % 37 == 0) failures += wrong();
    }
    expect(failures + wrong()).toBe(0);
    expect(steps).toBeGreaterThan(1000);
  });
});
