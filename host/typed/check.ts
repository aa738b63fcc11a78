/**
 * Checking what the records of a typed store hold: stamps, checksums, and values that their types allow. It reads as
 * everybody does and changes nothing, so that it may run beside writers.
 */
import { VarveError } from '../errors/varve-error.ts';
import { Status } from '../generated/abi.ts';
import type { Answers } from './answers.ts';
import type { Records } from './records.ts';
import type { TypedFile } from './typed-file.ts';

export interface TypedCheck {
  /** Records that were looked at. */
  readonly records: number;
  /** Indices of those that a writer has held for longer than a write takes: it is dead, or stopped. */
  readonly torn: readonly number[];
  /** Indices of those whose checksum is wrong, or a field of which holds what its type does not allow. */
  readonly damaged: readonly number[];
}

/** What was found of a record: a `Status`, or that it was overwritten. */
type Found = number | 'overwritten';

/** Looks at all records that are there when it begins; of a ring, at those that are still there in their turn. */
export function checkRecords(file: TypedFile, answers: Answers, records: Records): TypedCheck {
  const length = answers.length();
  const held: number[] = [];
  const torn: number[] = [];
  const damaged: number[] = [];
  let looked = 0;
  const take = (index: number, found: Found): void => {
    if (found === 'overwritten') return;
    looked++;
    if (found === Status.Contention) torn.push(index);
    else if (found === Status.BadCrc || !records.isValid(index)) damaged.push(index);
  };
  for (let index = file.first; index < length; index++) {
    const found = look(file, index);
    if (found === Status.Contention) held.push(index);
    else take(index, found);
    // The next that is there may be far ahead.
    if (found === 'overwritten') index = file.first - 1;
  }
  for (const index of held) {
    // One long pause is enough for all of them: who lives gives back meanwhile what it holds.
    if (torn.length === 0) pause(answers, index);
    take(index, look(file, index));
  }
  return { records: looked, torn, damaged: damaged.sort((a, b) => a - b) };
}

/** Copies a record to the row, as long as it is there. */
function look(file: TypedFile, index: number): Found {
  for (;;) {
    const status = file.view.readRow(index);
    if (status !== Status.OutOfRange) return status;
    if (index < file.first) return 'overwritten';
    file.refresh();
    file.moveTo(index);
  }
}

/** Waits for whoever holds a record, for as long as a reader would. */
function pause(answers: Answers, index: number): void {
  try {
    answers.settle(Status.Contention, index);
  } catch (error) {
    if (!VarveError.is(error, 'ERR_VARVE_CONTENTION')) throw error;
  }
}
