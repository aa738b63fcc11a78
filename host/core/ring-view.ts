/**
 * The typed handle of a `TypedView` on a ring (assembly/sync/ring.ts). Indices are sequence numbers, integers from 0 to
 * 2^53 - 1, and `first` and `room` of what is mapped count slots. No record is reached but through the row: the view
 * has a `limit` of 0, so that all that goes by it finds nothing.
 */
import { MASK_OFFSET, ROW_OFFSET } from '../generated/abi.ts';
import { TypedView } from './typed-view.ts';

export class RingView extends TypedView {
  override refreshLimit(): number { return 0; }

  override readRow(index: number): number { return this.exports.readRing(this.at, index, ROW_OFFSET); }

  override writeRow(index: number): number { return this.exports.writeRing(this.at, index, ROW_OFFSET); }

  override patchRow(index: number): number {
    return this.exports.patchRing(this.at, index, ROW_OFFSET, MASK_OFFSET);
  }

  /** Appends the row, or a record of zeros, in the place of the oldest; returns its sequence number or a status. */
  override appendRow(useRow: boolean): number { return this.exports.appendRing(this.at, useRow ? ROW_OFFSET : 0); }
}
