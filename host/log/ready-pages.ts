/**
 * Making the pages ahead of the tail ready to be stored to: zeros are written over the zeros that stand there, in small
 * pieces, and the pages are populated. A page that was written costs less than half of what a fault on a preallocated
 * page does, and small commits stay small. docs/decisions/0002.
 *
 * It must never write to a page in which a frame stands: it begins at the first whole page behind the tail, and the
 * writer appends only below what it has made ready.
 */
import type { Segment } from './segment.ts';

/**
 * Pages are made ready ahead of the tail by so many bytes at a time, and written in pieces of so many: a larger piece
 * makes a larger folio, which is cheaper, but of which a small commit then writes out the whole.
 */
const READY = { bytes: 65536, piece: 16384 } as const;
/** The same, for a writer that has not asked for a sync since it last needed pages. */
const READY_IN_BULK = { bytes: 262144, piece: 65536 } as const;
const PAGE_BYTES = 4096;
const ZEROS = new Uint8Array(READY_IN_BULK.piece);

export class ReadyPages {
  /** Offset up to which the active segment's pages are ready. */
  private end = 0;
  /** Whether no sync was asked for since pages were last made ready. */
  private bulk = false;

  /** Begins anew, for a segment whose frames end at `dataEnd`. */
  begin(dataEnd: number): void {
    this.end = Math.ceil(dataEnd / PAGE_BYTES) * PAGE_BYTES;
  }

  /** Told that a sync was asked for. */
  syncAsked(): void {
    this.bulk = false;
  }

  /** Told that what stands before `dataEnd` was written otherwise. */
  passed(dataEnd: number): void {
    this.end = Math.max(this.end, Math.ceil(dataEnd / PAGE_BYTES) * PAGE_BYTES);
  }

  /** Makes the pages up to `reach` ready, and some behind them; returns the offset up to which they are. */
  upTo(segment: Segment, reach: number): number {
    const from = this.end;
    if (from >= reach) return from;
    const { bytes } = this.bulk ? READY_IN_BULK : READY;
    // What a large batch covers will be stored to in any case, so its folios may be large.
    const { piece } = this.bulk || reach - from >= READY_IN_BULK.piece ? READY_IN_BULK : READY;
    const mapping = segment.mapping!;
    const to = Math.min(Math.ceil(reach / bytes) * bytes, mapping.length);
    this.bulk = true;
    try {
      for (let at = from; at < to;) {
        const end = Math.min(to, at - (at % piece) + piece);
        segment.stored.write(ZEROS.subarray(0, end - at), at);
        at = end;
      }
    } catch {
      // The blocks are there; the stores that follow take the price of the faults, and a broken disk shows at the sync.
    }
    mapping.populate(from, to - from);
    this.end = to;
    return to;
  }
}
