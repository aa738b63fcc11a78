/**
 * What opening does for a typed store before anybody writes, by whoever knows that nobody else does: it makes stamps
 * even that a dead writer has left odd, and zeros what stands behind the last record. docs/durability.md, "Typed
 * stores".
 *
 * It looks at every record, because a power cut may have kept any page and lost any other: no flag in the header could
 * vouch for them.
 */
import type { Core } from '../core/core.ts';
import { clearWords, resetStamps } from '../core/typed-header.ts';
import type { RecordWindow } from './window.ts';

export interface TypedRecovery {
  /** Indices of the records whose stamps were odd: what their fields hold may be part of a change. */
  readonly torn: readonly number[];
  /** Words of 8 bytes behind the last record that were not zero: of an append that was not finished, or not synced. */
  readonly clearedWords: number;
}

/** Goes through the whole file; the window ends where it began. */
export function recoverRecords(
  core: Core, window: RecordWindow, stride: number, count: number, capacity: number,
): TypedRecovery {
  const torn: number[] = [];
  let clearedWords = 0;
  for (let from = 0; from < capacity; from = window.first + window.room) {
    if (!window.contains(from)) window.moveTo(from, capacity);
    const { first, room, base, end } = window;
    const here = Math.min(Math.max(count - first, 0), room);
    for (const ordinal of resetStamps(core, base, stride, here)) {
      // Parts may overlap, but a stamp that was reset is found only once.
      torn.push(first + ordinal);
    }
    clearedWords += clearWords(core, base + here * stride, end);
  }
  if (!window.contains(0)) window.moveTo(0, capacity);
  return { torn, clearedWords };
}
