/**
 * What single failing calls must not leave behind, each found by the simulation (test/simulation/faults.test.ts): a
 * poisoned log that hides committed records, and a reader that shows an empty log.
 */
import { describe, expect, it } from 'vitest';
import { appendAll, failure, logFixture, texts, textsOf } from '../support/log-fixture.ts';

describe('a call that fails', () => {
  it('in a truncation, before anything was cut, leaves every record to be read', () => {
    const fixture = logFixture('simulated', 'simd');
    const log = fixture.openSync();
    const list = texts(20);
    appendAll(log, list);
    const plan = fixture.disk!.failAt({ operation: 'rename', error: 'EIO' });
    failure('ERR_VARVE_IO', () => log.truncateAfter(5));
    expect([plan.fired, log.poisoned, log.lastLsn]).toEqual([1, true, 20]);
    expect(textsOf(log)).toEqual(list);
  });

  for (const operation of ['list', 'open', 'read'] as const) {
    it(`(${operation}) while a reader loads again after a truncation does not empty it`, () => {
      const fixture = logFixture('simulated', 'simd');
      const log = fixture.openSync();
      const list = texts(20);
      appendAll(log, list);
      const reader = fixture.openReader();
      log.truncateAfter(5);
      const plan = fixture.disk!.failAt({ operation, error: 'EIO' });
      fixture.refresh();
      failure('ERR_VARVE_IO', () => reader.lastLsn);
      expect(plan.fired).toBe(1);
      expect(textsOf(reader)).toEqual(list.slice(0, 5));
    });
  }
});
