/**
 * The header of a typed store as a writer leaves it that dies: it says that the store is open.
 */
import { crc32c } from '../../host/core/crc32c.ts';
import { TypedWriter, TYPED_WRITER_OFFSET } from '../../host/generated/abi.ts';

/** Marks a file with an own header as open, in place, and returns it. */
export function leftOpen(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(1, TYPED_WRITER_OFFSET + TypedWriter.open);
  const group = bytes.subarray(TYPED_WRITER_OFFSET + TypedWriter.epoch, TYPED_WRITER_OFFSET + TypedWriter.BYTES);
  bytes.writeUInt32LE(crc32c(group), TYPED_WRITER_OFFSET + TypedWriter.crc);
  return bytes;
}
