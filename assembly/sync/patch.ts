/**
 * Changing some fields of a record and leaving the others: one change for readers, and nothing lost among many writers.
 */
import { Status } from '../abi/status';
import { TypedView } from '../layout/typed';
import { isWhole, sealRecord } from './checksum';
import { put, recordAt, release, take } from './seqlock';

/** Puts the bytes of a row whose bits are set in a mask into a record that is taken. */
@inline
function mix(view: TypedView, at: usize, row: usize, mask: usize): void {
  const stride: usize = view.stride;
  for (let offset: usize = 8; offset < stride; offset += 8) {
    const changed = load<u64>(mask + offset);
    if (changed == 0) continue;
    const word = (load<u64>(at + offset) & ~changed) | (load<u64>(row + offset) & changed);
    put<u64>(view, at + offset, word);
  }
}

/** The same with a checksum. A wrong one stays wrong: sealed once more, damaged fields would pass for good ones. */
function mixSealed(view: TypedView, at: usize, row: usize, mask: usize): Status {
  if (!isWhole(view, at)) return Status.BadCrc;
  mix(view, at, row, mask);
  sealRecord(view, at);
  return Status.Ok;
}

/** Patches a record that is taken. Returns `Ok`, or `BadCrc` where nothing was changed. */
@inline
export function patch(view: TypedView, at: usize, row: usize, mask: usize): Status {
  if (view.checksumAt != 0) return mixSealed(view, at, row, mask);
  mix(view, at, row, mask);
  return Status.Ok;
}

/**
 * Writes the bytes of a row whose bits are set in a mask. The others are read while the record is taken, so that what
 * another writer has put there stays.
 *
 * @param row a multiple of 8, `stride` bytes, at the offsets of the record; so is `mask`
 * @returns `Ok`, `OutOfRange`, `BadCrc`, or what `take` does
 */
export function patchRow(view: TypedView, index: u32, row: usize, mask: usize): Status {
  const at = recordAt(view, index);
  if (at == 0) return Status.OutOfRange;
  const taken = take(view, at);
  if (taken != Status.Ok) return taken;
  const status = patch(view, at, row, mask);
  release(view, at);
  return status;
}
