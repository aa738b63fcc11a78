/**
 * Damaged frames among the records of a segment: where the next record stands, and what can still be told of one.
 * Nothing here believes a damaged byte, but for the size of a frame behind which the next one stands.
 */
import type { Core } from '../core/core.ts';
import { FRAME_HEADER_BYTES, Frame, INFO_KIND_SHIFT, Kind } from '../generated/abi.ts';
import type { Segment } from '../log/segment.ts';

/** Where a record stands, and which of its segment it is. */
export interface FramePlace {
  readonly offset: number;
  readonly ordinal: number;
}

/** The place of the next record behind a damaged one, by the index; `end` where there is none before it. */
export function placeBehind(core: Core, segment: Segment, { offset, ordinal }: FramePlace, end: number): FramePlace {
  const view = segment.view!;
  const known = ordinal + 1 < view.records ? view.locate(ordinal + 1) : end;
  if (known > offset) return { offset: known, ordinal: ordinal + 1 };
  // An index that was made anew knows no place of damaged records: the next one is damaged too.
  const { unsigned } = core.memory;
  const next = offset + ((unsigned[(view.base + offset + Frame.size) / 4]! + 7) & ~7);
  const isFrame = next >= offset + FRAME_HEADER_BYTES && next + FRAME_HEADER_BYTES <= end
    && unsigned[(view.base + next + Frame.lsn) / 4] === (segment.baseLsn + ordinal + 1) >>> 0;
  if (isFrame) return { offset: next, ordinal: ordinal + 1 };
  const later = view.findLater(offset + 8, end, ordinal + 1);
  return later === 0 ? { offset: end, ordinal: view.records } : { offset: later, ordinal: view.resultRecords };
}

/** Whether all of a damaged frame that can tell says that everything before it is gone: it must not come back. */
export function looksLikeClear(core: Core, segment: Segment, offset: number): boolean {
  const word = (segment.view!.base + offset) / 4;
  const { unsigned } = core.memory;
  return unsigned[word + Frame.size / 4] === FRAME_HEADER_BYTES
    && unsigned[word + Frame.info / 4] === Kind.Clear << INFO_KIND_SHIFT >>> 0;
}
