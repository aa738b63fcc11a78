/**
 * The decision of recovery, as data: what is known about the place where the longest valid prefix of a log ends, and
 * what follows from it. Each combination of evidence hits exactly one row; test/recovery-table.test.ts walks them all.
 *
 * The rule behind the rows: bytes that were known to be on disk are never given up. Where any evidence says that a sync
 * had covered what is now invalid, that is corruption, and nothing is changed. Where none does, it is what an
 * interrupted write leaves, and it is cut. docs/durability.md, "Recovery".
 */

/** What is known about the end of the longest valid prefix. */
export interface Evidence {
  /**
   * The marks of CONTROL: `absent` where both copies are invalid, `behind` where the durable LSN lies within the
   * prefix, `beyond` where it says that records behind the prefix were synced.
   */
  readonly marks: 'absent' | 'behind' | 'beyond';
  /** What stands behind the prefix in its segment: nothing but zeros, or bytes that are no valid frames. */
  readonly rest: 'zeros' | 'bytes';
  /**
   * Valid frames found further on in the segment: none; some that know of no sync behind the prefix; or some written
   * when a sync had already covered the place where the prefix ends.
   */
  readonly laterFrames: 'none' | 'unsynced' | 'synced';
  /** Segments behind the one where the prefix ends: none, some without, or some with a sign that they were synced. */
  readonly laterSegments: 'none' | 'unsynced' | 'synced';
  /**
   * A truncation that CONTROL announces: none, one whose last remaining record is in the prefix, or one whose last
   * remaining record is not.
   */
  readonly truncation: 'none' | 'reached' | 'short';
}

/** What recovery does. */
export type Outcome =
  /** Nothing follows the prefix: the log is whole. */
  | 'whole'
  /** An interrupted write follows: save it, cut it, report it. */
  | 'cut'
  /** A truncation was interrupted: finish it. */
  | 'truncate'
  /** Synced bytes have changed or are missing: refuse, change nothing. */
  | 'corrupt';

type Values<K extends keyof Evidence> = readonly Evidence[K][];
type Row = { readonly [K in keyof Evidence]: Values<K> } & { readonly outcome: Outcome; readonly because: string };

/** Every value that each kind of evidence can have. */
export const EVIDENCE_VALUES = {
  marks: ['absent', 'behind', 'beyond'],
  rest: ['zeros', 'bytes'],
  laterFrames: ['none', 'unsynced', 'synced'],
  laterSegments: ['none', 'unsynced', 'synced'],
  truncation: ['none', 'reached', 'short'],
} as const satisfies { readonly [K in keyof Evidence]: Values<K> };

const any = EVIDENCE_VALUES;
const notReached = ['none', 'short'] as const;
const notBeyond = ['absent', 'behind'] as const;
const notSynced = ['none', 'unsynced'] as const;

/** The rows. No two of them match the same evidence. */
export const RECOVERY_TABLE: readonly Row[] = [
  {
    ...any, truncation: ['reached'], outcome: 'truncate',
    because: 'everything behind the announced record was to go, whatever it is',
  },
  {
    ...any, truncation: notReached, marks: ['beyond'], outcome: 'corrupt',
    because: 'CONTROL says that records behind the prefix were synced',
  },
  {
    ...any, truncation: notReached, marks: notBeyond, laterFrames: ['synced'], outcome: 'corrupt',
    because: 'a later frame was written when a sync had covered the end of the prefix',
  },
  {
    ...any, truncation: notReached, marks: notBeyond, laterFrames: notSynced, laterSegments: ['synced'],
    outcome: 'corrupt',
    because: 'a later segment was written when a sync had covered this one',
  },
  {
    ...any, truncation: notReached, marks: notBeyond, laterFrames: notSynced, laterSegments: ['unsynced'],
    outcome: 'cut',
    because: 'the machine stopped before the later segments and the end of this one were synced',
  },
  {
    ...any, truncation: notReached, marks: notBeyond, laterFrames: ['unsynced'], laterSegments: ['none'], outcome: 'cut',
    because: 'the machine stopped when a later page had reached the disk and an earlier one had not',
  },
  {
    truncation: notReached, marks: notBeyond, laterFrames: ['none'], laterSegments: ['none'], rest: ['bytes'],
    outcome: 'cut',
    because: 'the last write was interrupted',
  },
  {
    truncation: notReached, marks: notBeyond, laterFrames: ['none'], laterSegments: ['none'], rest: ['zeros'],
    outcome: 'whole',
    because: 'nothing follows',
  },
];

function matches(row: Row, evidence: Evidence): boolean {
  return (Object.keys(EVIDENCE_VALUES) as (keyof Evidence)[])
    .every((key) => (row[key] as readonly string[]).includes(evidence[key]));
}

/** The rows that evidence hits; exactly one. */
export function rowsFor(evidence: Evidence): readonly Row[] {
  return RECOVERY_TABLE.filter((row) => matches(row, evidence));
}

/** What to do, and why. */
export function decide(evidence: Evidence): { readonly outcome: Outcome; readonly because: string } {
  const [row] = rowsFor(evidence);
  return row!;
}
