/**
 * Changing some fields of a record and leaving the others: one change for readers, and nothing lost among many writers.
 */
import { Status } from '../abi/status';
import { TypedView } from '../layout/typed';
import { put, recordAt, release, take } from './seqlock';

/**
 * Writes the bytes of a row whose bits are set in a mask. The others are read while the record is taken, so that what
 * another writer has put there stays.
 *
 * @param row a multiple of 8, `stride` bytes, at the offsets of the record; so is `mask`
 * @returns `Ok`, `OutOfRange`, `ReadOnly` or `Contention`
 */
export function patchRow(view: TypedView, index: u32, row: usize, mask: usize): Status {
  const at = recordAt(view, index);
  if (at == 0) return Status.OutOfRange;
  const taken = take(view, at);
  if (taken != Status.Ok) return taken;
  const stride: usize = view.stride;
  for (let offset: usize = 8; offset < stride; offset += 8) {
    const changed = load<u64>(mask + offset);
    if (changed == 0) continue;
    const word = (load<u64>(at + offset) & ~changed) | (load<u64>(row + offset) & changed);
    put<u64>(view, at + offset, word);
  }
  release(view, at);
  return Status.Ok;
}
