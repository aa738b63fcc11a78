/**
 * The table of error codes: what each means and what to do next. Codes and kinds are API; messages are not.
 * docs/errors.md is compared with this table by test/errors.test.ts, both ways.
 */

/** What sort of trouble an error is; decide by it where the code is too fine. */
export type ErrorKind =
  | 'invalid' | 'state' | 'conflict' | 'locked' | 'format' | 'corruption' | 'capacity' | 'io' | 'internal';

interface CodeEntry {
  readonly kind: ErrorKind;
  /** What it means. */
  readonly means: string;
  /** What to do next. */
  readonly next: string;
}

export const ERROR_CODES = {
  ERR_VARVE_INVALID_ARGUMENT: {
    kind: 'invalid',
    means: 'An argument has the wrong type or is out of range. Thrown as TypeError or RangeError.',
    next: 'Correct the call; `details` names the argument, what was expected and what was given.',
  },
  ERR_VARVE_RECORD_TOO_LARGE: {
    kind: 'capacity',
    means: 'A payload is above 64 MiB, a key above 64 KiB, a batch does not fit into one segment, or the offsets of a commit are too many.',
    next: 'Split the record or the batch.',
  },
  ERR_VARVE_CLOSED: {
    kind: 'state',
    means: 'The log, the cursor, the typed store, the group or the writer of a core was closed before the call.',
    next: 'Open it again.',
  },
  ERR_VARVE_READ_ONLY: {
    kind: 'state',
    means: 'The log, the typed store or the group was opened with `readOnly: true` and the call would write.',
    next: 'Open it for writing.',
  },
  ERR_VARVE_POISONED: {
    kind: 'state',
    means: 'A write or a sync, of the log, of a cursor or of a core of a group, failed earlier, so what is on disk is unknown. Reads go on, writes are refused. Where a group asks all cores, `details.core` and `details.pid` say whose writer it is.',
    next: 'Close the log, the cursor or the writer, mend the cause (`cause` holds it), open it again: recovery keeps all that is valid.',
  },
  ERR_VARVE_LOCKED: {
    kind: 'locked',
    means: 'Another writer has the directory open, or another follower the cursor, another coordinator the group, another thread or process the core; `details.pid` names its process where it is known.',
    next: 'Stop that process, or open with `readOnly: true`; give each follower a cursor of its own, and each writer of a group its own core.',
  },
  ERR_VARVE_NOT_FOUND: {
    kind: 'state',
    means: 'There is no store, or no group, in the directory, or no directory, and the call may not create one.',
    next: 'Check the path; open for writing to create a store, or make the group with `WalGroup.create`.',
  },
  ERR_VARVE_EXISTS: {
    kind: 'state',
    means: 'There is a file where the call was to make a new typed store, or a group in the directory where it was to make one. Nothing was touched.',
    next: 'Open it instead, or choose another path.',
  },
  ERR_VARVE_FOREIGN_DIRECTORY: {
    kind: 'format',
    means: 'The directory holds files that varve did not write, a store of another face, or, for a core, the log of another group or of another core.',
    next: 'Choose an empty directory, or open it with the face that made it.',
  },
  ERR_VARVE_NEWER_VERSION: {
    kind: 'format',
    means: 'A file was written by a later version of varve, or uses a feature that this version does not know.',
    next: 'Update varve.',
  },
  ERR_VARVE_CORRUPT: {
    kind: 'corruption',
    means: 'Bytes that were synced to disk have changed or are missing, or the checksum of a typed record is wrong; `details.index` names it then. Of a group, `details.core` names the core, or `details.id` the checkpoint. Nothing was altered.',
    next: 'Restore a copy, or run `varve check` to see the damage and `varve repair` to save what is intact. The file of a damaged cursor can be removed, to begin again; a typed record can be set anew; a damaged checkpoint is walked over by the next recovery.',
  },
  ERR_VARVE_RECORD_LOST: {
    kind: 'corruption',
    means: 'The record was damaged on disk and a repair put a placeholder in its place.',
    next: 'Restore it from elsewhere; the damaged bytes are in the `.cut` file beside the segment.',
  },
  ERR_VARVE_OUT_OF_RANGE: {
    kind: 'invalid',
    means: 'The LSN, the sequence, the position or the reference is not in the log: below the first, above the last, or cut since, or covered by a checkpoint where it was to be cut; or a typed store has no record of that index, or none any more, a ring.',
    next: 'Compare with `firstLsn` and `lastLsn`, with `length`, or with what `stats` says of the core.',
  },
  ERR_VARVE_TRUNCATED: {
    kind: 'conflict',
    means: 'The records that were being read, or the record that a cursor stands at, were cut off or dropped meanwhile.',
    next: 'Start again from `firstLsn` or `lastLsn`; of a group, recover or merge again.',
  },
  ERR_VARVE_CONFLICT: {
    kind: 'conflict',
    means: 'A condition of a write did not hold: the key has another version than `ifVersion` says, or is there where `ifAbsent` was asked for. Nothing was written.',
    next: 'Read the key again and decide anew; `details.expected` and `details.actual` hold both versions.',
  },
  ERR_VARVE_DISK_FULL: {
    kind: 'capacity',
    means: 'The disk, a quota or a file-size limit leaves no room for the next segment, a new cursor or a checkpoint. Nothing was lost.',
    next: 'Make room and try again; the log can be read meanwhile.',
  },
  ERR_VARVE_MEMORY_FULL: {
    kind: 'capacity',
    means: 'The address range of the core has no room for another mapped file.',
    next: 'Close logs that are not used, lower `segmentBytes` or `mappedBytesMax`, or pass a core of its own.',
  },
  ERR_VARVE_IO: {
    kind: 'io',
    means: 'The operating system refused an operation; `details.errno` and `details.syscall` say which.',
    next: 'Mend the cause: rights, a missing path, a broken disk.',
  },
  ERR_VARVE_UNSUPPORTED: {
    kind: 'state',
    means: 'The platform, the file system or the Node.js version cannot do what is needed, or an optional package is not installed; `details.package` names it then.',
    next: 'Use Linux or macOS on x64 or arm64, Node.js 20 or later, and a local file system; install the package.',
  },
  ERR_VARVE_FORMAT: {
    kind: 'format',
    means: 'A foreign file that was to be imported does not follow its format, or a record cannot be exported to it.',
    next: 'See `details` for file and offset; check the file with the program that wrote it.',
  },
  ERR_VARVE_SCHEMA_MISMATCH: {
    kind: 'format',
    means: 'The file of a typed store was written with another schema, or made with other options; `details.differences` lists what differs, field by field.',
    next: 'Open it with the schema that it was written with, or copy it to a new file.',
  },
  ERR_VARVE_REPLACED: {
    kind: 'state',
    means: 'The file of a typed store that is being watched was removed, or another one has taken its place, as a migration does.',
    next: 'Close the store and open it again, with the new schema where there is one.',
  },
  ERR_VARVE_CONTENTION: {
    kind: 'conflict',
    means: 'A typed record stayed in the hands of another writer for longer than a write takes: it is stopped, or dead. Or writers of a group did not answer in time; `details.cores` names their cores.',
    next: 'Try again; where its writer is dead, open the store for writing, which frees the record and reports it. Let the writers of a group come to their event loop, or give more `timeoutMs`.',
  },
  ERR_VARVE_VALUE_TOO_LONG: {
    kind: 'capacity',
    means: 'Text or bytes are longer than their field has room for. Nothing was written.',
    next: 'Shorten the value, or give the field a greater bound in a new schema; text counts as UTF-8.',
  },
  ERR_VARVE_BAD_VALUE: {
    kind: 'corruption',
    means: 'A typed record holds what its field cannot: a boolean that is neither 0 nor 1, a length above the bound, an index of no value of an enum, a timestamp beyond all dates. Or the bytes of a key\'s value are none of the codec that the store was opened with.',
    next: 'Set the field anew, or restore a copy; see which program wrote the record. Open a key-value store with the codec that it was written with.',
  },
  ERR_VARVE_INEXACT: {
    kind: 'state',
    means: 'A field of 64 bits that is given as a number holds an integer beyond 2^53 - 1, which is no exact number.',
    next: 'Take the field as a bigint: `i64` or `u64` in the schema instead of `i64.number` or `u64.number`.',
  },
  ERR_VARVE_INTERNAL: {
    kind: 'internal',
    means: 'varve contradicts itself: a bug.',
    next: 'Report it with the message and the stack.',
  },
} as const satisfies Record<string, CodeEntry>;

/** Every code that a `VarveError` can carry. */
export type ErrorCode = keyof typeof ERROR_CODES;
