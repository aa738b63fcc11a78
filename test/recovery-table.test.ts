/**
 * The decision table of recovery: each combination of evidence hits exactly one row, and for each row a real store is
 * made that leads to it - by changing its bytes, or by a power cut - with the right outcome for the writer, for a
 * reader and for the records.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { CONTROL_MARKS_OFFSET, CONTROL_MARKS_STRIDE, FRAMES_OFFSET } from '../host/generated/abi.ts';
import {
  EVIDENCE_VALUES, RECOVERY_TABLE, decide, rowsFor, type Evidence,
} from '../host/log/recovery-table.ts';
import { RecordLog } from '../host/record-log/record-log.ts';
import { giveCore, takeCore, textOf, texts } from './support/log-fixture.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const combinations: Evidence[] = [];
for (const marks of EVIDENCE_VALUES.marks) {
  for (const rest of EVIDENCE_VALUES.rest) {
    for (const laterFrames of EVIDENCE_VALUES.laterFrames) {
      for (const laterSegments of EVIDENCE_VALUES.laterSegments) {
        for (const truncation of EVIDENCE_VALUES.truncation) {
          combinations.push({ marks, rest, laterFrames, laterSegments, truncation });
        }
      }
    }
  }
}

describe('the recovery table', () => {
  it('has exactly one row for each combination of evidence', () => {
    expect(combinations).toHaveLength(3 * 2 * 3 * 3 * 3);
    for (const evidence of combinations) expect(rowsFor(evidence), JSON.stringify(evidence)).toHaveLength(1);
  });

  it('has no row that nothing hits', () => {
    const hit = new Set(combinations.map((evidence) => rowsFor(evidence)[0]));
    expect(RECOVERY_TABLE.filter((row) => !hit.has(row))).toEqual([]);
  });

  it('never gives up what a sync had covered, unless a truncation says so', () => {
    for (const evidence of combinations) {
      const synced = evidence.marks === 'beyond' || evidence.laterFrames === 'synced'
        || evidence.laterSegments === 'synced';
      if (evidence.truncation === 'reached') expect(decide(evidence).outcome).toBe('truncate');
      else expect(decide(evidence).outcome === 'corrupt', JSON.stringify(evidence)).toBe(synced);
    }
  });

  it('calls whole only what nothing follows', () => {
    for (const evidence of combinations.filter((each) => decide(each).outcome === 'whole')) {
      expect(evidence).toMatchObject({ rest: 'zeros', laterFrames: 'none', laterSegments: 'none' });
      expect(evidence.marks).not.toBe('beyond');
    }
  });
});

const DIRECTORY = '/store';
const core = takeCore('simd', 16 << 20);
const seen = new Set<string>();
afterAll(() => { giveCore(core); });

const pathOf = (lsn: number) => `${DIRECTORY}/${String(lsn).padStart(20, '0')}.seg`;
let disk: SimulatedDisk;

function open(readOnly = false): RecordLog {
  return RecordLog.openSync(DIRECTORY, {
    core, storage: disk.storage({ pid: 7 }), segmentBytes: 65536, readOnly, mappedBytesMax: 0,
  });
}

/** Runs a writer and leaves its store as its death leaves it. */
function leave(run: (log: RecordLog) => void): void {
  const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), segmentBytes: 65536 });
  run(log);
  const left = disk.clone();
  log.closeSync();
  disk = left;
}

function fill(path: string, from: number, length: number, byte: number): void {
  disk.tamper(path, from, new Uint8Array(length).fill(byte));
}

function removeFile(path: string): void {
  const process = disk.storage({ pid: 5 });
  process.remove(path);
  disk.processCrash(process);
}

/** Makes the identity of CONTROL invalid, so that its marks are no evidence. */
function spoilControl(): void {
  fill(`${DIRECTORY}/CONTROL`, 0, 8, 0xee);
}

/** Opens read-only and for writing; checks evidence, outcome and what is there. */
function expectRow(evidence: Partial<Evidence>, outcome: string, records: readonly string[]): void {
  const reader = open(true);
  expect(reader.recovery).toMatchObject({ outcome, evidence });
  const row = rowsFor(reader.recovery.evidence!)[0]!;
  seen.add(row.because);
  reader.closeSync();
  const before = disk.digest();
  if (outcome === 'corrupt') {
    let error: unknown;
    try {
      open();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'ERR_VARVE_CORRUPT', details: { because: row.because } });
    expect(disk.digest()).toBe(before);
    const again = open(true);
    for (const [at, text] of records.entries()) expect(textOf(again.read(at + 1))).toBe(text);
    again.closeSync();
    return;
  }
  const log = open();
  expect(log.recovery).toMatchObject({ outcome, evidence, because: row.because });
  expect([...log].map(textOf)).toEqual(records);
  log.append('more');
  log.closeSync();
  const again = open();
  expect(again.recovery).toMatchObject({ outcome: 'whole', scannedRecords: 0 });
  expect([...again].map(textOf)).toEqual([...records, 'more']);
  again.closeSync();
  disk.check();
}

describe('a store that is', () => {
  const list = texts(40, 3000);
  /** Frames of 3,024 bytes: 20 to a segment. */
  const offsetOf = (lsn: number) => FRAMES_OFFSET + ((lsn - 1) % 20) * 3024;

  beforeEach(() => { disk = new SimulatedDisk(); });

  it('intact at its end is whole', () => {
    leave((log) => { for (const text of list) log.append(text); });
    expectRow({ marks: 'behind', rest: 'zeros', truncation: 'none' }, 'whole', list);
  });

  it('torn in its last write is cut', () => {
    leave((log) => { for (const text of list.slice(0, 10)) log.append(text); });
    fill(pathOf(1), offsetOf(10) + 100, 8, 0xee);
    expectRow({ marks: 'behind', rest: 'bytes', laterFrames: 'none' }, 'cut', list.slice(0, 9));
  });

  it('torn with intact frames behind, none of which knows of a sync, is cut', () => {
    leave((log) => { for (const text of list.slice(0, 10)) log.append(text); });
    fill(pathOf(1), offsetOf(5) + 100, 8, 0xee);
    expectRow({ marks: 'behind', laterFrames: 'unsynced' }, 'cut', list.slice(0, 4));
  });

  it('torn before segments that were never synced is cut, and they are set aside', () => {
    leave((log) => { for (const text of list) log.append(text); });
    fill(pathOf(1), offsetOf(15) + 100, 8, 0xee);
    expectRow({ marks: 'behind', laterSegments: 'unsynced' }, 'cut', list.slice(0, 14));
    expect(disk.paths().filter((path) => path.endsWith('.cut'))).toHaveLength(2);
  });

  it('left by a power cut that took a whole page in the middle is cut', () => {
    leave((log) => { for (const text of list.slice(0, 10)) log.append(text); });
    fill(pathOf(1), offsetOf(3), 8192, 0);
    expectRow({ laterFrames: 'unsynced', rest: 'bytes' }, 'cut', list.slice(0, 2));
  });

  it('left by a power cut that took the tail is whole', () => {
    leave((log) => {
      for (const text of list.slice(0, 5)) log.append(text);
      log.syncNow();
      for (const text of list.slice(5, 10)) log.append(text);
    });
    disk.powerCut(undefined, { pages: 'lost', sizes: 'old', names: 'lost' });
    expectRow({ marks: 'behind', rest: 'zeros' }, 'whole', list.slice(0, 5));
  });

  it('damaged before the durable mark is corrupt', () => {
    leave((log) => {
      for (const text of list.slice(0, 10)) log.append(text);
      log.syncNow();
    });
    fill(pathOf(1), offsetOf(10) + 100, 8, 0xee);
    expectRow({ marks: 'beyond', laterFrames: 'none' }, 'corrupt', list.slice(0, 9));
  });

  it('without its newest synced segment is corrupt', () => {
    leave((log) => {
      for (const text of list) log.append(text);
      log.syncNow();
    });
    removeFile(pathOf(21));
    expectRow({ marks: 'beyond', rest: 'zeros' }, 'corrupt', list.slice(0, 20));
  });

  it('without its oldest synced segment is corrupt, and the others can be read', () => {
    leave((log) => {
      for (const text of list) log.append(text);
      log.syncNow();
    });
    removeFile(pathOf(1));
    expectRow({ marks: 'beyond' }, 'corrupt', []);
    const reader = open(true);
    expect([reader.firstLsn, reader.lastLsn]).toEqual([21, 40]);
    expect([...reader].map(textOf)).toEqual(list.slice(20));
    reader.closeSync();
  });

  it('damaged before a frame that knows of a later sync is corrupt, whatever CONTROL says', () => {
    leave((log) => {
      for (const text of list.slice(0, 10)) log.append(text);
      log.syncNow();
      log.append(list[10]!);
    });
    spoilControl();
    fill(pathOf(1), offsetOf(5) + 100, 8, 0xee);
    expectRow({ marks: 'absent', laterFrames: 'synced' }, 'corrupt', list.slice(0, 4));
  });

  it('damaged before a segment that shows a sync is corrupt, whatever CONTROL says', () => {
    leave((log) => {
      for (const text of list.slice(0, 25)) log.append(text);
      log.rotate();
      log.syncNow();
      log.append(list[25]!);
      log.syncNow();
      log.append(list[26]!);
    });
    spoilControl();
    fill(pathOf(21), offsetOf(23) + 100, 8, 0xee);
    // The segment was sealed and synced; without its footer, its frames are looked at.
    const size = disk.read(pathOf(21))!.length;
    fill(pathOf(21), size - 64, 8, 0xee);
    expectRow({ marks: 'absent', laterSegments: 'synced' }, 'corrupt', list.slice(0, 22));
  });

  it('without CONTROL, with nothing amiss, is whole, and CONTROL is made anew', () => {
    leave((log) => { for (const text of list) log.append(text); });
    spoilControl();
    expectRow({ marks: 'absent', rest: 'zeros' }, 'whole', list);
  });

  it('in the middle of a truncation is truncated, whatever follows', () => {
    for (let sync = 1; sync <= 4; sync++) {
      disk = new SimulatedDisk();
      leave((log) => {
        for (const text of list) log.append(text);
        log.syncNow();
        const plan = disk.failAt({ operation: ['sync', 'syncDirectory'], nth: 3, error: 'EIO' });
        try {
          log.truncateAfter(15);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_VARVE_IO' });
        }
        plan.cancel();
      });
      expect(disk.read(`${DIRECTORY}/CONTROL`)!.subarray(CONTROL_MARKS_OFFSET, CONTROL_MARKS_OFFSET
        + 2 * CONTROL_MARKS_STRIDE).some((byte) => byte !== 0)).toBe(true);
      expectRow({ truncation: 'reached' }, 'truncate', list.slice(0, 15));
    }
  });

  it('in the middle of a truncation of what never reached the disk is as if there were none', () => {
    leave((log) => {
      for (const text of list.slice(0, 10)) log.append(text);
      const plan = disk.failAt({ operation: 'rename', error: 'EIO' });
      try {
        log.truncateAfter(8);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_VARVE_IO' });
      }
      plan.cancel();
    });
    fill(pathOf(1), offsetOf(4) + 100, 8, 0xee);
    expectRow({ truncation: 'short', laterFrames: 'unsynced' }, 'cut', list.slice(0, 3));
  });

  it('one of these hits each row', () => {
    expect(RECOVERY_TABLE.map(({ because }) => because).filter((because) => !seen.has(because))).toEqual([]);
  });
});
