/** The names of a store's files: which are varve's own; and the kinds of records that nobody else may write. */
import { describe, expect, it } from 'vitest';
import { Kind } from '../host/generated/abi.ts';
import { baseLsnOf, hintBaseLsnOf, hintName, isOwnName, isReplacement, segmentName } from '../host/log/names.ts';
import { RecordLog } from '../host/record-log/record-log.ts';
import { failure, logFixture } from './support/log-fixture.ts';

const DIGITS = '00000000000000000042';
const OWN = [
  'CONTROL', 'CONTROL.new', 'LOCK', 'cursors', 'KEYDIR', 'KEYDIR.new', `${DIGITS}.seg`, `${DIGITS}.seg.new`,
  `${DIGITS}.hint`, `${DIGITS}.hint.new`, `${DIGITS}-4096-e3.cut`, `${DIGITS}-4096-e3-2.cut`,
  'spare-e3-1',
];
const FOREIGN = [
  'control', 'CONTROL.old', 'KEYDIR.newer', 'MY-KEYDIR', 'keydir', 'LOCK.new', 'cursors.new', '42.hint', '42.seg',
  `${DIGITS}`, `${DIGITS}.hint.old`, `${DIGITS}0.hint`, `${DIGITS}.hint.new.new`, `a${DIGITS}.seg`, 'notes.txt', '', 'spare-1', 'spare-e3-1.seg',
];

describe('names', () => {
  it('of varve are known, and no others', () => {
    expect(OWN.filter((name) => !isOwnName(name))).toEqual([]);
    expect(FOREIGN.filter(isOwnName)).toEqual([]);
  });

  it('of hints and segments say their base LSN, and are not mixed up', () => {
    expect([hintName(42), segmentName(42)]).toEqual([`${DIGITS}.hint`, `${DIGITS}.seg`]);
    expect([hintBaseLsnOf(hintName(42)), hintBaseLsnOf(hintName(Number.MAX_SAFE_INTEGER))])
      .toEqual([42, Number.MAX_SAFE_INTEGER]);
    expect([segmentName(42), `${DIGITS}.hint.new`, `${'0'.repeat(20)}.hint`, `${'9'.repeat(20)}.hint`]
      .map(hintBaseLsnOf)).toEqual([undefined, undefined, undefined, undefined]);
    expect(baseLsnOf(hintName(42))).toBeUndefined();
    expect([`${DIGITS}.seg.new`, `${DIGITS}.hint.new`].map(isReplacement)).toEqual([true, false]);
  });

  it('of varve do not make a directory a foreign one, and are no store either', () => {
    const fixture = logFixture('real', 'simd');
    for (const name of OWN.slice(8)) fixture.put(name, new Uint8Array(1));
    failure('ERR_VARVE_NOT_FOUND', () => fixture.openSync({ create: false }));
    expect(fixture.openSync().lastLsn).toBe(0);
    const other = logFixture('real', 'simd');
    other.put('42.hint', new Uint8Array(1));
    expect(failure('ERR_VARVE_FOREIGN_DIRECTORY', () => RecordLog.openSync(other.directory, other.options()))
      .details['names']).toEqual(['42.hint']);
  });
});

describe('the kinds of varve', () => {
  it('are above those of users, which no call of a record log takes them for', () => {
    const log = logFixture('simulated', 'simd').openSync();
    for (const kind of [Kind.PutMeta, Kind.Clear, Kind.Lost]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.append('x', { kind }));
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.appendBatch(['a', { payload: 'x', kind }]));
    }
    expect([log.append('x', { kind: 127 }), log.lastLsn]).toEqual([1, 1]);
  });
});
