/**
 * The LSN index of a sealed segment whose file has none that is intact. It is made from the valid frames; damaged ones
 * get no entry and cannot be read.
 */
import type { FooterFields } from '../core/segment-file.ts';
import type { SegmentView } from '../core/segment-view.ts';
import { FRAMES_OFFSET, Frame, INDEX_SHIFT } from '../generated/abi.ts';

const ALL = 0xffffffff;

/** Makes the index at `address`, which is the view's, anew. */
export function rebuildIndex(view: SegmentView, address: number, footer: FooterFields): void {
  const words = view.core.memory.unsigned;
  const index = address / 4;
  words.fill(0, index, index + footer.indexBytes / 4);
  view.setEnd(footer.records, footer.dataEnd, footer.epoch);
  let offset: number = FRAMES_OFFSET;
  let ordinal = 0;
  while (offset < footer.dataEnd) {
    view.scan(offset, ordinal, ALL, ALL);
    const end = view.resultOffset;
    while (offset < end) {
      if (ordinal % (1 << INDEX_SHIFT) === 0) words[index + (ordinal >> INDEX_SHIFT)] = offset;
      offset += (words[(view.base + offset + Frame.size) / 4]! + 7) & ~7;
      ordinal++;
    }
    if (offset >= footer.dataEnd) return;
    offset = view.findLater(end + 8, footer.dataEnd, ordinal + 1);
    if (offset === 0) return;
    ordinal = view.resultRecords;
  }
}
