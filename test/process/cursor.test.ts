/**
 * Cursors of real processes: a follower that is killed at random moments, again and again, sees every record at least
 * once, and its position is never beyond what it had processed; one name is one process's at a time; where nothing may
 * be written there is an error.
 */
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { cannot, listing, NOBODY, pause, start, SUPERUSER, temporary } from '../support/processes.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';

const SEED = seedFromEnvironment() ?? 20240715;
const KILLS = 20;
/** More than the followers come to before they have all been killed. */
const RECORDS = 1_000_000;

let place: ReturnType<typeof temporary>;
/** Directories that a test has closed to writing. */
const closed: string[] = [];
beforeEach(() => { place = temporary(); });
afterEach(() => {
  for (const path of closed.splice(0)) chmodSync(path, 0o755);
  place.remove();
});

/** Words and LSNs of a journal's whole lines; the last line may have been cut by the death of its writer. */
function entriesOf(path: string): [word: string, lsn: number][] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1).map((line) => {
    const [word = '', lsn = ''] = line.split(' ');
    return [word, Number(lsn)];
  });
}

describe('a follower with a cursor', () => {
  it(`sees each record at least once, though it is killed ${KILLS} times`, { timeout: 60_000 }, async () => {
    const random = new Random(SEED);
    const [directory, journal] = [place.file('log'), place.file('journal')];
    using writer = RecordLog.openSync(directory);
    let lives = 0;
    let resumed = 0;
    let ahead = 0;
    // Records come in front of it while it runs and while it is dead.
    const appending = setInterval(() => {
      for (let i = 0; i < 20; i++) writer.append(`record ${writer.lastLsn + 1}`);
    }, 1);
    try {
      for (; lives < KILLS; lives++) {
        const child = start('follower', [directory, 'mailer', journal, random.next(), RECORDS]);
        expect(await child.told()).toBe('open');
        await pause(random.integer(50));
        child.process.kill('SIGKILL');
        expect(await child.ended).toEqual([null, 'SIGKILL']);

        const entries = entriesOf(journal);
        const most = (which: string) => (
          entries.reduce((highest, [word, lsn]) => (word === which ? Math.max(highest, lsn) : highest), 0));
        const [found] = writer.cursors();
        const lsn = found?.lsn ?? 0;
        expect(lsn, `never beyond what was processed [VARVE_SEED=${SEED}]`).toBeLessThanOrEqual(most('processed'));
        expect(lsn, `never behind what was saved [VARVE_SEED=${SEED}]`).toBeGreaterThanOrEqual(most('saved'));
        if (lsn > 0) resumed++;
        if (lsn > most('saved')) ahead++;
      }
    } finally {
      clearInterval(appending);
    }
    const { lastLsn } = writer;
    const child = start('follower', [directory, 'mailer', journal, 1, lastLsn]);
    expect([await child.told(), await child.told()]).toEqual(['open', 'done']);
    expect(await child.ended).toEqual([0, null]);

    const entries = entriesOf(journal);
    const seen = new Set(entries.filter(([word]) => word === 'processed').map(([, lsn]) => lsn));
    expect(seen).toEqual(new Set(Array.from({ length: lastLsn }, (_, at) => at + 1)));
    // Each life begins right behind its position, and no two records are out of order within it.
    let next = 0;
    for (const [word, lsn] of entries) {
      if (word === 'open') next = lsn + 1;
      if (word === 'processed') expect(lsn).toBe(next++);
    }
    const again = entries.filter(([word]) => word === 'processed').length - seen.size;
    console.info('followers killed:', { lives, resumed, records: lastLsn, again, ahead });
    expect([lives, resumed]).toEqual([KILLS, expect.any(Number)]);
    expect(resumed).toBeGreaterThan(KILLS / 2);
    expect(again).toBeGreaterThan(0);
  });

  it('is the only one of its name, and leaves the name free when it dies', async () => {
    const directory = place.file('log');
    using writer = RecordLog.openSync(directory);
    const owner = start('follower', [directory, 'mailer', place.file('journal'), 1, 10]);
    expect(await owner.told()).toBe('open');
    const second = start('follower', [directory, 'mailer', place.file('journal'), 1, 10]);
    expect(await second.told()).toMatchObject({
      code: 'ERR_VARVE_LOCKED', message: expect.stringContaining(`process ${owner.process.pid}`) as string,
      details: { pid: owner.process.pid, name: 'mailer' },
    });
    expect(() => writer.cursor('mailer')).toThrow(expect.objectContaining({ code: 'ERR_VARVE_LOCKED' }));
    const other = start('follower', [directory, 'Mailer', place.file('journal'), 1, 10]);
    expect(await other.told()).toBe('open');
    for (const child of [owner, other]) {
      child.process.kill('SIGKILL');
      await child.ended;
    }
    using cursor = writer.cursor('mailer');
    expect(cursor.lsn).toBeUndefined();
  });

  it('gets an error where it may not write, and changes nothing', async (context) => {
    const directory = place.file('log');
    const log = RecordLog.openSync(directory);
    log.append('one');
    log.cursor('here').saveNow(1);
    log.closeSync();
    closed.push(place.path, directory, `${directory}/cursors`);
    for (const path of closed) chmodSync(path, 0o555);
    const before = [...listing(directory), ...listing(`${directory}/cursors`)];
    for (const name of ['here', 'new']) {
      const child = start('follower', [directory, name, '/dev/null', 1, 1], SUPERUSER ? { uid: NOBODY, gid: NOBODY } : {});
      const told = await child.told().catch(() => undefined);
      if (told === undefined && SUPERUSER) return cannot(context, 'a user without rights cannot run the package here');
      expect(told).toMatchObject({ code: 'ERR_VARVE_IO', details: { errno: 'EACCES' } });
    }
    expect([...listing(directory), ...listing(`${directory}/cursors`)]).toEqual(before);
  });
});
