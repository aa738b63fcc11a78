/**
 * What a core function answers when it cannot do what it was asked.
 *
 * A status is zero or negative, so that it fits beside a count, an offset or an LSN in one return value. The core
 * never throws: everything that a file or a user can cause is a status, and the host turns it into a typed error
 * (host/errors/codes.ts holds the table; test/errors.test.ts compares both sides with docs/errors.md).
 */
export const enum Status {
  /** Done. */
  Ok = 0,
  /** The frame word is zero: nothing was ever published here. */
  Absent = -1,
  /** The frame's size is below a header, beyond the limits, or smaller than its own key. */
  BadSize = -2,
  /** The frame says that it reaches beyond the end of the data. */
  Truncated = -3,
  /** The checksum of the frame, or of the typed record, does not match its bytes. */
  BadCrc = -4,
  /** The frame is valid but carries another LSN than its place demands. */
  BadLsn = -5,
  /** The frame is valid but its epoch is lower than that of the frame before it. */
  BadEpoch = -6,
  /** The file does not begin with this structure's magic. */
  BadMagic = -7,
  /** The file was written by a later version of varve. */
  NewerVersion = -8,
  /** The structure's checksum does not match its bytes. */
  BadHeader = -9,
  /** The footer's checksum does not match, or its numbers contradict the file. */
  BadFooter = -10,
  /** The LSN index's checksum does not match, or it leads to no frame. */
  BadIndex = -11,
  /** The LSN is not in this segment. */
  OutOfRange = -12,
  /** The bytes belong to another store. */
  ForeignStore = -13,
  /** A field has a type or a bound that there is not. */
  BadSchema = -14,
  /** A typed record stayed in the hands of another writer for too long. */
  Contention = -15,
  /** The view is for reading. */
  ReadOnly = -16,
  /** The mapped range has no room for another record. */
  Full = -17,
  /** A field holds what its type does not allow: a boolean that is neither 0 nor 1, a length beyond its bound. */
  BadValue = -18,
  /** A 64-bit integer is no exact number. */
  Inexact = -19,
  /** Nothing was written yet: those who watch the store must be woken after what comes. To be called again. */
  Wake = -20,
  /** Nothing was written yet: the pages of the next records are to be made ready first. To be called again. */
  Cold = -21,
  /** Nothing was done yet: the segment in the result is to be mapped first. To be called again. */
  Unmapped = -22,
  /** The record before the offset in the result expires; the run goes on behind it. */
  Expires = -23,
  /** The record at the offset in the result clears the store; the run goes on behind it. */
  Clear = -24,
}
