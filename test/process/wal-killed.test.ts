/**
 * A group whose writers, in processes and in worker threads, and whose coordinator are killed at random moments: what
 * was committed is there, in order, without a gap and without anything twice; what is cut at an epoch ends on every
 * core, and no earlier than what was complete.
 */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WalGroup } from '../../host/index.ts';
import { LAB, pause, start, temporary } from '../support/processes.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import type { Child } from '../support/real-storage.ts';
import { newTally, scaled } from '../support/tally.ts';
import { keyOf, valueOf } from './children/wal-entries.mjs';

const SEED = seedFromEnvironment() ?? 20240617;
const CORES = 3;
/** How often one writer, the coordinator, and all of them are killed. */
const KILLS = scaled(100);
const SEGMENT_BYTES = 65536;

const tally = newTally('killed writers of groups');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

/** What the processes have noted of a group that was never cut. */
interface Told {
  /** Of each core, the last sequence that was noted when an append, or a sync, had returned. */
  readonly appended: number[];
  /** The last number that was appended, by core. */
  readonly epochs: number[];
  readonly wrong: string[];
  readonly checkpoint: readonly number[] | undefined;
  readonly complete: number;
}

function linesOf(path: string): string[][] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1).map((line) => line.split(' '));
}

function toldOf(file: (...names: string[]) => string): Told {
  const appended: number[] = [];
  const epochs: number[] = [];
  const wrong: string[] = [];
  for (let core = 0; core < CORES; core++) {
    appended.push(0);
    epochs.push(0);
    for (const [word, ...rest] of linesOf(file(`journal-${core}`))) {
      if (word === 'wrong') wrong.push(rest.join(' '));
      else appended[core] = Math.max(appended[core]!, Number(rest[1]));
      if (word === 'attached') {
        if (Number(rest[2]) <= epochs[core]!) wrong.push(`core ${core} is attached in epoch ${rest[2]} after ${epochs[core]}`);
        epochs[core] = Number(rest[2]);
      }
    }
  }
  let checkpoint: readonly number[] | undefined;
  let complete = 0;
  for (const [word, ...rest] of linesOf(file('journal-coordinator'))) {
    if (word === 'wrong') wrong.push(rest.join(' '));
    if (word === 'checkpoint') checkpoint = rest.map(Number);
    if (word === 'complete') complete = Math.max(complete, Number(rest[0]));
  }
  return { appended, epochs, wrong, checkpoint, complete };
}

/** Recovers and compares everything; returns how many entries were compared. */
async function verify(directory: string, told: Told, upTo: 'end' | 'epoch', readOnly: boolean): Promise<number> {
  const { appended, wrong, checkpoint, complete } = told;
  expect(wrong).toEqual([]);
  const group = await WalGroup.open(directory, { segmentBytes: SEGMENT_BYTES, readOnly });
  const recovery = await group.recover({ upTo });
  expect(recovery.completeEpoch).toBeGreaterThanOrEqual(complete);
  if (checkpoint !== undefined) {
    const [id, epoch, ...cut] = checkpoint;
    expect(recovery.checkpoint!.id).toBeGreaterThanOrEqual(id!);
    expect(JSON.parse(recovery.checkpoint!.readState().toString()))
      .toEqual(recovery.checkpoint!.cores.map(({ sequence }) => sequence));
    if (recovery.checkpoint!.id === id) {
      expect([recovery.checkpoint!.epoch, ...recovery.checkpoint!.cores.map(({ sequence }) => sequence)])
        .toEqual([epoch, ...cut]);
    }
  }
  const next = recovery.cores.map(({ from }) => from);
  const numbers = recovery.cores.map(() => -1);
  let last: readonly number[] = [0, 0, 0];
  let count = 0;
  for (const { core, epoch, sequence, type, key, value } of recovery.entries()) {
    if (sequence !== next[core]!++) expect.fail(`entry ${sequence} of core ${core} follows ${next[core]! - 2}`);
    const at = [epoch, sequence, core];
    const differs = at.findIndex((part, index) => part !== last[index]);
    if (differs < 0 || at[differs]! < last[differs]!) expect.fail(`entry ${at.join()} follows ${last.join()}`);
    last = at;
    if (type === 'put') {
      const n = Number(Buffer.from(key).toString().split('/')[1]);
      if (n <= numbers[core]!) expect.fail(`number ${n} of core ${core} follows ${numbers[core]}`);
      numbers[core] = n;
      if (Buffer.from(key).toString() !== keyOf(core, n) || Buffer.from(value).toString() !== valueOf(n)) {
        expect.fail(`entry ${sequence} of core ${core} is another one`);
      }
    }
    count++;
  }
  for (const { core, to, cut, lastEpoch } of recovery.cores) {
    expect(next[core]).toBe(to + 1);
    // The machine goes on: what was committed is there, synced or not.
    expect(to + cut, `entries of core ${core}`).toBeGreaterThanOrEqual(appended[core]!);
    // A barrier may stand just behind the epoch that it ends.
    if (upTo === 'epoch') expect(lastEpoch).toBeLessThanOrEqual(recovery.completeEpoch + 1);
  }
  if (!readOnly && upTo === 'epoch') {
    // What is cut stays cut, and the next recovery finds the same.
    const again = await group.recover({ upTo });
    expect([again.completeEpoch, again.cores.map(({ to }) => to)])
      .toEqual([recovery.completeEpoch, recovery.cores.map(({ to }) => to)]);
  }
  await group.close();
  return count;
}

describe('a group whose processes are killed', () => {
  it(`keeps all that was committed, ${KILLS} times`, { timeout: 120_000 * LAB }, async () => {
    const random = new Random(SEED);
    let directory = '';
    let files: (name: string) => string = () => '';
    let round = 0;
    const children = new Map<string, Child>();
    const startWriter = async (core: number): Promise<void> => {
      const mode = random.pick(['turns', 'busy']);
      const child = start('wal-writer', [directory, core, files(`journal-${core}`), mode]);
      children.set(String(core), child);
      expect(await child.told(), `core ${core} is free`).toMatchObject({ attached: core });
    };
    const startCoordinator = async (): Promise<void> => {
      const child = start('wal-coordinator', [directory, files('journal-coordinator')]);
      children.set('coordinator', child);
      await child.told();
    };
    const kill = async (name: string): Promise<void> => {
      const child = children.get(name)!;
      child.process.kill('SIGKILL');
      expect(await child.ended).toEqual([null, 'SIGKILL']);
      children.delete(name);
      tally.count('faults.kill');
    };
    try {
      for (let kills = 0; kills < KILLS;) {
        if (children.size === 0) {
          // A new group, so that what is cut is not to be told from what is lost.
          directory = place.file(`group-${round}`);
          const at = round++;
          files = (name) => place.file(`${at}-${name}`);
          await (await WalGroup.create(directory, { cores: CORES, segmentBytes: SEGMENT_BYTES })).close();
          await Promise.all([startCoordinator(), ...[0, 1, 2].map(startWriter)]);
        }
        await pause(random.integer(60));
        const victim = random.pick(['0', '1', '2', '0', '1', '2', 'coordinator', 'coordinator', 'all']);
        if (victim !== 'all') {
          await kill(victim);
          kills++;
          tally.count(victim === 'coordinator' ? 'kills of the coordinator' : 'kills of a writer');
          if (victim === 'coordinator') await startCoordinator();
          else await startWriter(Number(victim));
          continue;
        }
        const names = [...children.keys()];
        await Promise.all(names.map(kill));
        kills += names.length;
        tally.count('kills of all');
        const told = toldOf(files);
        tally.add('records', await verify(directory, told, 'epoch', true));
        tally.add('records', await verify(directory, told, 'end', false));
        tally.add('records', await verify(directory, told, 'epoch', false));
        tally.count('restarts');
      }
      await Promise.all([...children.keys()].map(kill));
      const told = toldOf(files);
      tally.add('records', await verify(directory, told, 'end', false));
    } catch (error) {
      (error as Error).message += ` [VARVE_SEED=${SEED}, round ${round - 1}]`;
      throw error;
    } finally {
      for (const child of children.values()) child.process.kill('SIGKILL');
    }
    expect(tally.get('records')).toBeGreaterThan(KILLS * 10);
  });
});
