/**
 * Several processes and one directory: only one of them writes, the others learn who does, and death frees the
 * directory.
 */
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { LAB, start, temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';
import { newTally, scaled } from '../support/tally.ts';
import { keyOf, payloadOf } from './children/records.mjs';

const tally = newTally('locking');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

describe('a directory that another process has open for writing', () => {
  it('is refused with the owner\'s process id, and opens with all records once the owner was killed', async () => {
    const directory = place.file('log');
    const owner = start('owner', [directory, 100]);
    expect(await owner.told()).toEqual({ lastLsn: 100 });

    const second = start('owner', [directory, 1]);
    const refusal = await second.told() as { message: string };
    expect(refusal).toMatchObject({ code: 'ERR_VARVE_LOCKED', kind: 'locked', details: { pid: owner.process.pid } });
    expect(refusal.message).toContain(String(owner.process.pid));
    expect(await second.ended).toEqual([0, null]);

    owner.process.kill('SIGKILL');
    await owner.ended;
    const third = start('owner', [directory, 5]);
    expect(await third.told()).toEqual({ lastLsn: 105 });
    third.process.kill('SIGKILL');
    await third.ended;

    const log = await RecordLog.open(directory);
    const records = [...log];
    expect(records.map(({ lsn }) => lsn)).toEqual(Array.from({ length: 105 }, (_, i) => i + 1));
    for (const { lsn, key, payload } of records) {
      expect(Buffer.from(payload)).toEqual(Buffer.from(payloadOf(lsn - 1, 0)));
      expect(new TextDecoder().decode(key)).toBe(keyOf(lsn - 1, 0));
    }
    expect(log.recovery).toMatchObject({ closedCleanly: false, lastLsn: 105, tornBytes: 0, cutFiles: [] });
    await log.close();
  });

  it('is refused within one process too, and free after a close', async () => {
    const directory = place.file('log');
    const log = await RecordLog.open(directory);
    await expect(RecordLog.open(directory)).rejects.toMatchObject({
      code: 'ERR_VARVE_LOCKED', details: { pid: process.pid },
    });
    await log.close();
    await (await RecordLog.open(directory)).close();
  });

  it('opens after the owner has closed it', async () => {
    const directory = place.file('log');
    const owner = start('owner', [directory, 3]);
    await owner.told();
    owner.process.send('close');
    expect(await owner.ended).toEqual([0, null]);
    const log = await RecordLog.open(directory);
    expect(log.lastLsn).toBe(3);
    expect(log.recovery).toMatchObject({ closedCleanly: true, outcome: 'whole', scannedRecords: 0 });
    await log.close();
  });
});

interface Answer { readonly won?: number; readonly code?: string; readonly pid?: number }
interface Turns { readonly turns: number; readonly refusals: number; readonly codes: string[]; readonly pids: number[] }

describe('many processes that open one directory at the same moment', () => {
  const CONTENDERS = 5;
  const timeout = 30_000 * LAB;
  const ROUNDS = scaled(30);
  const TURNS = scaled(25);

  async function startMany(count: number): Promise<Child[]> {
    const children = Array.from({ length: count }, () => start('contender', [place.file('log')]));
    for (const child of children) expect(await child.told()).toBe('ready');
    return children;
  }

  async function endAll(children: readonly Child[]): Promise<void> {
    for (const { process: each } of children) each.send({ end: true });
    for (const { ended } of children) expect(await ended).toEqual([0, null]);
  }

  it('have one winner each time, and the others are told of a process that was the owner', { timeout }, async () => {
    const contenders = await startMany(CONTENDERS);
    const winners: number[] = [];
    let named = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const at = Date.now() + 4;
      for (const { process: each } of contenders) each.send({ at });
      const answers = await Promise.all(contenders.map((child) => child.told())) as Answer[];
      const won = answers.filter((answer) => answer.won !== undefined);
      expect(won, `round ${round}`).toHaveLength(1);
      winners.push(won[0]!.won!);
      for (const { code, pid } of answers.filter((answer) => answer.won === undefined)) {
        expect(code).toBe('ERR_VARVE_LOCKED');
        // The winner's name may not stand there yet; then the one that was killed before it may still.
        if (pid !== undefined) expect(winners.slice(-2)).toContain(pid);
        named += pid === winners.at(-1) ? 1 : 0;
      }
      const index = contenders.findIndex(({ process: { pid } }) => pid === winners.at(-1));
      const winner = contenders[index]!;
      if (round % 3 === 0) {
        winner.process.kill('SIGKILL');
        await winner.ended;
        [contenders[index]] = await startMany(1) as [Child];
      } else {
        winner.process.send({ release: true });
        expect(await winner.told()).toEqual({ released: true });
      }
    }
    await endAll(contenders);
    tally.add('races', ROUNDS);
    tally.add('told of the owner', named);
    expect(new Set(winners).size).toBeGreaterThan(2);
    expect(named).toBeGreaterThan(ROUNDS * (CONTENDERS - 1) / 2);
  });

  it('never write at the same time, however fast they take turns', { timeout }, async () => {
    const contenders = await startMany(3);
    for (const { process: each } of contenders) each.send({ turns: TURNS });
    const told = await Promise.all(contenders.map((child) => child.told())) as Turns[];
    const pids = contenders.map((child) => child.process.pid!);
    for (const each of told) {
      expect(each.codes.filter((code) => code !== 'ERR_VARVE_LOCKED')).toEqual([]);
      expect(each.pids.filter((pid) => !pids.includes(pid))).toEqual([]);
    }
    await endAll(contenders);
    const refusals = told.reduce((sum, each) => sum + each.refusals, 0);
    tally.add('refusals', refusals);
    expect(refusals).toBeGreaterThan(TURNS);

    const log = await RecordLog.open(place.file('log'), { readOnly: true });
    let owner: string | undefined;
    let turns = 0;
    for (const { lsn, payload } of log) {
      const [word, pid] = new TextDecoder().decode(payload).split(' ');
      expect(word === 'begin' ? undefined : pid, `the owner at record ${lsn}`).toBe(owner);
      owner = word === 'end' ? undefined : pid;
      turns += word === 'end' ? 1 : 0;
    }
    expect(turns).toBe(3 * TURNS);
    await log.close();
  });
});
