/**
 * Power cuts and failing syncs under a cursor, on the simulated disk: whatever the disk kept, lost or tore, the cursor
 * stands at a position that was saved, and never at one older than the last durable one; nor does what opening has
 * shown once ever go back.
 *
 * VARVE_SEED replays one seed.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { Core } from '../../host/core/core.ts';
import { VarveError, type Cursor } from '../../host/index.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { appendAll, failure, giveCore, rejection, takeCore, texts, wipeCore } from '../support/log-fixture.ts';
import { Random, forEachSeed } from '../support/random.ts';
import { SimulatedDisk, SimulatedPowerCut, type CutPolicy } from '../support/simulated-disk.ts';

const DIRECTORY = '/store';
const RECORDS = 500;
const core = takeCore('simd', 16 << 20);
afterAll(() => { giveCore(core); });

/** A closed, durable log, and how many syncs it took. */
const closed = new SimulatedDisk();
{
  const log = RecordLog.openSync(DIRECTORY, { core, storage: closed.storage(), segmentBytes: 65536 });
  appendAll(log, texts(RECORDS));
  log.closeSync();
}
const SYNCS = closed.operations.get('sync')! + closed.operations.get('syncDirectory')!;

interface Tally {
  saves: number; durable: number; cuts: number;
  /** Restarts that found the last position, one between it and the last durable one, and the last durable one. */
  last: number; between: number; first: number;
}

/** What a disk under a follower's feet may still hold: every position from the last durable one on. */
class Follower {
  readonly disk: SimulatedDisk;
  /** Positions in the order in which they were saved; all in front of the last durable one are left out. */
  allowed: (number | undefined)[] = [undefined];
  private readonly core: Core;
  private readonly random: Random;
  private readonly tally: Tally;
  /** Whether saves that resolve after the disk has begun to lie count. */
  private readonly credulous: boolean;
  private readonly lsns: number[];
  private readonly wrong: unknown[] = [];
  private log: RecordLog | undefined;
  cursor: Cursor | undefined;

  constructor(core: Core, random: Random, tally: Tally, syncs: 'immediate' | 'manual', credulous = false) {
    this.disk = closed.clone();
    this.disk.queue.mode = syncs;
    this.core = core;
    this.random = random;
    this.tally = tally;
    this.credulous = credulous;
    // No position is saved twice, so that each can be told from the others.
    this.lsns = random.shuffled(Array.from({ length: RECORDS }, (_, at) => at + 1));
  }

  /** Starts a process, which opens the log for reading, and the cursor. */
  open(): void {
    this.log = RecordLog.openSync(DIRECTORY, { core: this.core, storage: this.disk.storage(), readOnly: true });
    this.openCursor();
  }

  private openCursor(): void {
    this.cursor = this.log!.cursor('mailer');
    // What is shown is durable.
    expect(this.allowed).toContain(this.cursor.lsn);
    this.noteDurable(this.cursor.lsn);
  }

  private noteDurable(lsn: number | undefined): void {
    if (this.disk.frozen && !this.credulous) return;
    const at = this.allowed.indexOf(lsn);
    if (at > 0) this.allowed.splice(0, at);
  }

  private next(): number {
    const lsn = this.lsns.pop()!;
    this.allowed.push(lsn);
    this.tally.saves++;
    return lsn;
  }

  /** Saves without waiting for it; a save may end by the power or because its cursor was closed. */
  private save(): void {
    const lsn = this.next();
    this.cursor!.save(lsn).then(() => {
      this.tally.durable++;
      this.noteDurable(lsn);
    }, (error: unknown) => {
      if (!(error instanceof SimulatedPowerCut) && !VarveError.is(error, 'ERR_VARVE_CLOSED')) this.wrong.push(error);
    });
  }

  /** Saves in one of the ways that there are; false where the power went. */
  async step(): Promise<boolean> {
    const { random, disk } = this;
    try {
      const choice = random.integer(10);
      if (choice < 3) {
        const lsn = this.next();
        this.cursor!.saveNow(lsn);
        this.noteDurable(lsn);
      } else if (choice < 8) {
        for (let count = random.between(1, 4); count > 0; count--) {
          this.save();
          disk.completeSyncs(random.integer(2));
          if (random.chance(0.2)) this.cursor!.saveNow(this.next());
        }
      } else if (choice < 9) {
        this.cursor!.closeSync();
        this.openCursor();
      } else {
        this.allowed.push(undefined);
        await Promise.all([this.cursor!.remove(), this.settle()]);
        this.noteDurable(undefined);
        this.openCursor();
      }
      if (random.chance(0.7)) await this.settle();
      return true;
    } catch (error) {
      if (error instanceof SimulatedPowerCut) return false;
      throw error;
    }
  }

  /** Lets every sync complete. */
  private async settle(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) {
      this.disk.completeSyncs();
      await new Promise((resolve) => { setImmediate(resolve); });
    }
  }

  /** Cuts the power, starts again, and judges what is there. */
  cutAndJudge(policy: CutPolicy = {}): void {
    this.disk.powerCut(this.random, policy);
    wipeCore(this.core);
    this.disk.queue.mode = 'immediate';
    const log = RecordLog.openSync(DIRECTORY, { core: this.core, storage: this.disk.storage(), readOnly: true });
    this.log = log;
    const listed = log.cursors();
    const { allowed } = this;
    const cursor = log.cursor('mailer');
    expect(allowed, 'a position that was saved, not older than the last durable one').toContain(cursor.lsn);
    expect(listed.map(({ lsn }) => lsn)).toEqual(listed.length === 0 ? [] : [cursor.lsn]);
    expect(cursor.epoch).toBe(cursor.lsn === undefined ? undefined : 1);
    const at = allowed.indexOf(cursor.lsn);
    this.tally.cuts++;
    this.tally[at === allowed.length - 1 ? 'last' : at === 0 ? 'first' : 'between']++;
    this.allowed = [cursor.lsn];
    this.cursor = cursor;
  }

  finish(): void {
    expect(this.wrong).toEqual([]);
    this.log?.closeSync();
    this.disk.check();
    wipeCore(this.core);
  }
}

function emptyTally(): Tally {
  return { saves: 0, durable: 0, cuts: 0, last: 0, between: 0, first: 0 };
}

describe('a power cut under a cursor', () => {
  for (const syncs of ['immediate', 'manual'] as const) {
    it(`at any call leaves a position that was saved (${syncs} syncs)`, async () => {
      const tally = emptyTally();
      await forEachSeed(200, async (random) => {
        const follower = new Follower(core, random, tally, syncs);
        for (let life = 0; life < 4; life++) {
          const plan = follower.disk.failAt({ error: 'power-cut', nth: random.between(1, 60) });
          try {
            follower.open();
            for (let steps = random.between(1, 12); steps > 0; steps--) if (!await follower.step()) break;
          } catch (error) {
            if (!(error instanceof SimulatedPowerCut)) throw error;
          }
          plan.cancel();
          follower.cutAndJudge();
          follower.finish();
          follower.disk.processCrash();
          follower.disk.queue.mode = syncs;
        }
      });
      console.info(`power cuts under a cursor, ${syncs} syncs:`, tally);
      expect(Math.min(...Object.values(tally))).toBeGreaterThan(20);
    }, 60_000);
  }

  const POLICIES: CutPolicy[] = [
    { pages: 'lost', sizes: 'old', names: 'lost' }, { pages: 'lost', sizes: 'new', names: 'kept' },
    { pages: 'kept', sizes: 'new', names: 'kept' }, { pages: 'kept', sizes: 'old', names: 'lost' },
    { keep: 0, tear: 1 }, { keep: 0.5, tear: 1 }, { keep: 0.5, tear: 0, metadata: 'any' },
  ];

  /** Freezes the disk at each sync of a life in turn, and cuts the power in each of the ways. */
  async function atEverySync(seed: number, tally: Tally, credulous: boolean): Promise<void> {
    for (const policy of POLICIES) {
      for (let k = 1, frozen = true; frozen; k++) {
        const follower = new Follower(core, new Random(seed), tally, seed % 2 === 0 ? 'manual' : 'immediate', credulous);
        follower.disk.freezeAtSync(SYNCS + k);
        follower.open();
        for (let steps = 6; steps > 0; steps--) expect(await follower.step()).toBe(true);
        ({ frozen } = follower.disk);
        try {
          follower.cutAndJudge(policy);
        } catch (error) {
          wipeCore(core);
          throw error;
        }
        follower.finish();
      }
    }
  }

  it('at every sync leaves a position that was saved, whichever pages it keeps, loses or tears', async () => {
    const tally = emptyTally();
    await forEachSeed(12, (_, seed) => atEverySync(seed, tally, false));
    console.info('power cuts under a cursor, at every sync:', tally);
    expect(tally.cuts).toBeGreaterThan(1000);
  }, 60_000);

  it('is not survived where the disk lies about its syncs, so that the judge is known to judge', async () => {
    let failures = 0;
    for (let seed = 1; seed <= 8; seed++) {
      await atEverySync(seed, emptyTally(), true).catch((error: Error) => {
        expect(error.message).toContain('a position that was saved');
        failures++;
      });
    }
    expect(failures).toBe(8);
  }, 60_000);
});

describe('saves of a cursor', () => {
  /** A cursor on a disk whose syncs complete when they are told. */
  function open(): { disk: SimulatedDisk; log: RecordLog; cursor: Cursor; syncs: () => number } {
    const disk = closed.clone();
    disk.queue.mode = 'manual';
    const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), readOnly: true });
    const cursor = log.cursor('mailer');
    const before = disk.operations.get('sync')!;
    return { disk, log, cursor, syncs: () => disk.operations.get('sync')! - before };
  }

  it('that come together share two syncs, and the latest one counts', async () => {
    const { disk, log, cursor, syncs } = open();
    const resolved: number[] = [];
    const saves = [9, 2, 7, 5, 3].map((lsn) => cursor.save(lsn).then(() => { resolved.push(lsn); }));
    expect([syncs(), cursor.lsn]).toEqual([1, undefined]);
    disk.completeSyncs();
    await saves[0];
    await new Promise((resolve) => { setImmediate(resolve); });
    expect([syncs(), cursor.lsn, resolved]).toEqual([2, 9, [9]]);
    disk.completeSyncs();
    await Promise.all(saves);
    expect([syncs(), cursor.lsn, log.cursors()[0]!.lsn]).toEqual([2, 3, 3]);
    log.closeSync();
  });

  it('that block overtake those that wait, which are covered by them', async () => {
    const { disk, log, cursor, syncs } = open();
    const saves = [cursor.save(9), cursor.save(2)];
    cursor.saveNow(7);
    // The one that was under way had to be durable first.
    expect([syncs(), cursor.lsn, disk.queue.length]).toEqual([3, 7, 1]);
    disk.completeSyncs();
    await Promise.all(saves);
    expect([syncs(), cursor.lsn]).toEqual([3, 7]);
    log.closeSync();
  });

  it('end with their cursor: closing waits for them, closing at once lets only what is under way come to its end', async () => {
    const { disk, log, cursor } = open();
    const [first, second] = [cursor.save(9), cursor.save(2)];
    const closing = cursor.close();
    await rejection('ERR_VARVE_CLOSED', cursor.save(4));
    failure('ERR_VARVE_LOCKED', () => log.cursor('mailer'));
    for (const save of [first, second]) {
      disk.completeSyncs();
      await save;
      // The next one is under way after that.
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    await closing;
    const again = log.cursor('mailer');
    expect([cursor.lsn, again.lsn]).toEqual([2, 2]);
    const [third, fourth] = [again.save(9), again.save(3)];
    log.closeSync();
    disk.completeSyncs();
    await third;
    await rejection('ERR_VARVE_CLOSED', fourth);
    expect(again.lsn).toBe(9);
  });
});

describe('a failing sync or write of a cursor', () => {
  it('refuses further saves, keeps what was stored, and is over when the cursor is opened again', async () => {
    const found = { newer: 0, older: 0 };
    await forEachSeed(60, async (random, seed) => {
      const disk = closed.clone();
      const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), readOnly: true });
      const cursor = log.cursor('mailer');
      await cursor.save(10);
      cursor.saveNow(20);
      const operation = random.pick(['sync', 'write'] as const);
      disk.failAt({
        operation, path: /mailer/, error: random.pick(['EIO', 'ENOSPC']),
        dirtyPages: random.pick(['dropped', 'kept']), written: random.integer(100),
      });
      const code = ['ERR_VARVE_IO', 'ERR_VARVE_DISK_FULL'];
      if (seed % 2 === 0) {
        expect(code).toContain((await cursor.save(30).catch((error: unknown) => error) as { code: string }).code);
      } else {
        expect(() => { cursor.saveNow(30); }).toThrow(expect.objectContaining({ code: expect.stringMatching(code.join('|')) }));
      }
      const { details } = await rejection('ERR_VARVE_POISONED', cursor.save(40));
      expect(details).toMatchObject({ name: 'mailer' });
      failure('ERR_VARVE_POISONED', () => { cursor.saveNow(40); });
      expect(cursor.lsn).toBe(20);
      await cursor.close();
      if (random.chance(0.5)) disk.evictFailedPages();
      const again = log.cursor('mailer');
      expect([20, 30]).toContain(again.lsn);
      found[again.lsn === 30 ? 'newer' : 'older']++;
      // What opening has shown is durable, also where the failed sync had left a page that counts as clean; and a save
      // that is torn does not harm it.
      const { lsn } = again;
      again.save(50).catch(() => undefined);
      disk.powerCut(random, { pages: 'random', keep: 0, tear: random.pick([0, 1]) });
      wipeCore(core);
      const next = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), readOnly: true });
      expect([lsn, 50]).toContain(next.cursor('mailer').lsn);
      next.closeSync();
      wipeCore(core);
    });
    expect(Math.min(found.newer, found.older)).toBeGreaterThan(5);
  });

  it('while it is opened leaves it as it was', () => {
    const counts = { failed: 0, opened: 0 };
    for (let nth = 1; nth <= 14; nth++) {
      for (const made of [false, true]) {
        const disk = closed.clone();
        const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), readOnly: true });
        if (made) {
          using cursor = log.cursor('mailer');
          cursor.saveNow(10);
        }
        const plan = disk.failAt({ error: 'EIO', nth });
        try {
          log.cursor('mailer').closeSync();
          counts.opened++;
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_VARVE_IO' });
          counts.failed++;
        }
        plan.cancel();
        expect(log.cursor('mailer').lsn).toBe(made ? 10 : undefined);
        log.closeSync();
      }
    }
    expect(Math.min(counts.failed, counts.opened)).toBeGreaterThan(3);
  });
});

describe('a file system that may only be read', () => {
  it('has no cursors to open, by a typed error, and still lists those that are there', () => {
    const disk = closed.clone();
    const open = (readOnly: boolean) => RecordLog.openSync(DIRECTORY,
      { core, storage: disk.storage({ readOnly }), readOnly: true });
    const before = disk.digest();
    const first = open(true);
    expect(failure('ERR_VARVE_IO', () => first.cursor('mailer')).details).toMatchObject({ errno: 'EROFS' });
    expect([first.cursors(), disk.digest()]).toEqual([[], before]);
    first.closeSync();
    const writing = open(false);
    writing.cursor('mailer').saveNow(3);
    writing.closeSync();
    const second = open(true);
    expect(failure('ERR_VARVE_IO', () => second.cursor('mailer')).details).toMatchObject({ errno: 'EROFS' });
    expect(second.cursors()).toMatchObject([{ name: 'mailer', lsn: 3 }]);
    second.closeSync();
  });
});
