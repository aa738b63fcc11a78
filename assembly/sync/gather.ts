/**
 * One field of many records, each taken out of a copy of the whole record: for records with a checksum, and for rings.
 */
import { Status } from '../abi/status';
import { TypedView } from '../layout/typed';
import { numberOf } from './columns';
import { isSet } from './nullable';
import { readRing } from './ring';
import { readRow } from './rows';

/**
 * Copies the values of [from, from + count) to `to`, 8 bytes each, until it comes to one that it cannot copy: `status`
 * of the view says why then.
 *
 * @param from an integer from 0 to 2^53
 * @param row a multiple of 8, `stride` writable bytes
 * @param presence the bit of the record that says whether the field has a value; 0 where it always has one
 * @param present where 1 goes for each value and 0 for each null, a byte each; without meaning where `presence` is 0
 * @returns how many it has copied
 */
export function gatherRows(
  view: TypedView, type: i32, offset: u32, from: f64, count: u32, row: usize, to: usize, presence: u32, present: usize,
): u32 {
  const word = offset & ~7;
  const shift: u64 = (offset & 7) << 3;
  for (let done: u32 = 0; done < count; done++) {
    const index = from + <f64>done;
    const status = view.slots == 0 ? readRow(view, <u32>index, row) : readRing(view, index, row);
    if (status != Status.Ok) {
      view.status = status;
      return done;
    }
    store<f64>(to + (<usize>done << 3), numberOf(type, load<u64>(row + word) >> shift));
    if (presence != 0) store<u8>(present + done, isSet(row, presence) ? 1 : 0);
  }
  return count;
}
