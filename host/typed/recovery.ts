/**
 * What opening does for a typed store before anybody writes, by whoever knows that nobody else does: it makes stamps
 * even that a dead writer has left odd, finds records whose checksum is wrong, and zeros what stands behind the last
 * record. docs/durability.md, "Typed stores".
 *
 * It looks at every record, because a power cut may have kept any page and lost any other: no flag in the header could
 * vouch for them.
 */
import type { Core } from '../core/core.ts';
import { clearWords, damagedRecords, resetStamps } from '../core/typed-header.ts';
import type { RecordWindow } from './window.ts';

export interface TypedRecovery {
  /** Indices of the records whose stamps were odd: what their fields hold may be part of a change. */
  readonly torn: readonly number[];
  /**
   * Indices of the records whose checksum is wrong. Of a store with checksums all are verified that was not closed
   * cleanly; a record that is torn and not damaged is whole.
   */
  readonly damaged: readonly number[];
  /** Words of 8 bytes behind the last record that were not zero: of an append that was not finished, or not synced. */
  readonly clearedWords: number;
}

/** What is to be gone through. */
export interface Recoverable {
  readonly stride: number;
  /** Where checksums stand that are to be verified; 0 for none. */
  readonly checksumAt: number;
  /** Records that are there; of a ring, all that ever were appended. */
  readonly count: number;
  readonly capacity: number;
  readonly ring: boolean;
}

/** Goes through the whole file; the window ends where it began. */
export function recoverRecords(core: Core, window: RecordWindow, records: Recoverable): TypedRecovery {
  const { stride, checksumAt, count, capacity, ring } = records;
  const torn: number[] = [];
  const damaged: number[] = [];
  let clearedWords = 0;
  for (let from = 0; from < capacity; from = window.first + window.room) {
    if (!window.contains(from)) window.moveTo(from, capacity);
    const { first, room, base, end } = window;
    const here = Math.min(Math.max(count - first, 0), room);
    for (const ordinal of resetStamps(core, base, stride, here)) {
      // Parts may overlap, but a stamp that was reset is found only once.
      torn.push(first + ordinal);
    }
    if (checksumAt !== 0) {
      for (const ordinal of damagedRecords(core, base, stride, checksumAt, from - first, here)) {
        damaged.push(first + ordinal);
      }
    }
    clearedWords += clearWords(core, base + here * stride, end);
  }
  if (!window.contains(0)) window.moveTo(0, capacity);
  const indices = (places: number[]) => (ring ? indicesOf(places, count, capacity) : places);
  return { torn: indices(torn), damaged: indices(damaged), clearedWords };
}

/** The sequence numbers of the records in the given slots of a ring, ascending. */
function indicesOf(slots: readonly number[], count: number, capacity: number): number[] {
  const last = (count - 1) % capacity;
  return slots.map((slot) => count - 1 - (last - slot + capacity) % capacity).sort((a, b) => a - b);
}
