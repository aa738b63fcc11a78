/**
 * The checksum of a typed record: CRC-32C of its fields, from behind the stamp up to where the checksum itself stands,
 * at `checksumAt` of the view. Nothing here is called for stores without checksums.
 */
import { crc32c } from '../crc/crc32c';
import { TypedView } from '../layout/typed';
import { put } from './seqlock';

const STAMP_BYTES: u32 = 8;

/** Returns the checksum of the fields of a record or a row at `at`. */
export function checksumOf(at: usize, checksumAt: u32): u32 {
  return crc32c(0, at + STAMP_BYTES, checksumAt - STAMP_BYTES);
}

/** Whether the checksum of a row is that of its fields; of a record too, while nobody else may write it. */
export function isWhole(view: TypedView, at: usize): bool {
  return load<u32>(at + view.checksumAt) == checksumOf(at, view.checksumAt);
}

/** Gives a row its checksum. */
export function sealRow(view: TypedView, row: usize): void {
  store<u32>(row + view.checksumAt, checksumOf(row, view.checksumAt));
}

/** Gives a record that is taken, or that nobody can see yet, the checksum of what it holds. */
export function sealRecord(view: TypedView, at: usize): void {
  put<u32>(view, at + view.checksumAt, checksumOf(at, view.checksumAt));
}
