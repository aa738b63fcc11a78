/**
 * A cursor that was saved durably at a record which was not durable yet: when a power cut takes the record, following
 * says so, also after the next writer has appended others in its place. Where the record survived, following goes on.
 *
 * VARVE_SEED replays one seed.
 */
import { describe, expect, it } from 'vitest';
import { appendAll, disposeNow, failure, logFixture, texts } from '../support/log-fixture.ts';
import { forEachSeed } from '../support/random.ts';

describe('a cursor ahead of what is durable', () => {
  it('notices that its record is gone, whatever was appended since', async () => {
    const counts = { gone: 0, kept: 0 };
    await forEachSeed(150, (random) => {
      const fixture = logFixture('simulated', 'simd');
      const open = () => fixture.openSync({ segmentBytes: 65536 });
      for (let life = 1; life <= 4; life++) {
        const log = open();
        const cursor = log.cursor('mailer');
        appendAll(log, texts(random.between(1, 5), random.between(20, 6000)));
        if (random.chance(0.7)) log.syncNow();
        appendAll(log, texts(random.between(1, 5), random.between(20, 6000)));
        const { lastLsn } = log;
        const lsn = random.between(log.firstLsn, lastLsn);
        const { epoch } = log.read(lsn);
        cursor.saveNow(lsn);
        fixture.disk!.powerCut(random);
        fixture.startAgain();

        const next = open();
        const again = next.cursor('mailer');
        expect([again.lsn, again.epoch]).toEqual([lsn, epoch]);
        if (next.lastLsn < lsn) {
          counts.gone++;
          failure('ERR_VARVE_TRUNCATED', () => again.follow());
          while (next.lastLsn < lsn) {
            failure('ERR_VARVE_TRUNCATED', () => again.follow());
            next.append('another');
          }
          expect(failure('ERR_VARVE_TRUNCATED', () => again.follow()).details)
            .toMatchObject({ lsn, epoch, actual: next.read(lsn).epoch });
        } else {
          counts.kept++;
          expect(again.follow().lsn).toBe(lsn);
        }
        next.closeSync();
      }
      disposeNow(fixture);
    });
    console.info('cursors ahead of their log:', counts);
    expect(Math.min(counts.gone, counts.kept)).toBeGreaterThan(50);
  });
});
