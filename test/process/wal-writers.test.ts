/**
 * Writers of a group in worker threads and in processes: each core has one, death frees it at once, none keeps its
 * process alive, and the coordinator is answered by those who append without a turn of the event loop as by those who
 * wait in it; who does neither is told of.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WalGroup } from '../../host/index.ts';
import { programOf, start, temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';

interface Answer { readonly attached?: number; readonly code?: string; readonly pid?: number }

let place: ReturnType<typeof temporary>;
const workers: Worker[] = [];
const children: Child[] = [];
beforeEach(() => { place = temporary(); });
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.process.kill('SIGKILL');
    await child.ended;
  }
  for (const worker of workers.splice(0)) await worker.terminate();
  place.remove();
});

/** Makes a group that nobody coordinates. */
async function makeGroup(cores: number): Promise<string> {
  const directory = place.file('group');
  await (await WalGroup.create(directory, { cores, segmentBytes: 65536 })).close();
  return directory;
}

async function inThread(directory: string, core: number, mode: string): Promise<{ worker: Worker; answer: Answer }> {
  const worker = new Worker(programOf('wal-writer'), { workerData: [directory, core, place.file(`journal-${core}`), mode] });
  workers.push(worker);
  return { worker, answer: (await once(worker, 'message'))[0] as Answer };
}

async function inProcess(directory: string, core: number, mode: string): Promise<{ child: Child; answer: Answer }> {
  const child = start('wal-writer', [directory, core, place.file(`journal-${core}`), mode]);
  children.push(child);
  return { child, answer: await child.told() as Answer };
}

describe('a core that somebody has', () => {
  it('is refused to another process, and free when the first one was killed (defect 8)', async () => {
    const directory = await makeGroup(2);
    const first = await inProcess(directory, 1, 'waiting');
    expect(first.answer).toMatchObject({ attached: 1 });
    expect((await inProcess(directory, 1, 'waiting')).answer)
      .toMatchObject({ code: 'ERR_VARVE_LOCKED', pid: first.child.process.pid });
    await expect(WalGroup.attach(directory, 1)).rejects.toMatchObject({
      code: 'ERR_VARVE_LOCKED', details: { pid: first.child.process.pid },
    });
    first.child.process.kill('SIGKILL');
    await first.child.ended;
    const writer = await WalGroup.attach(directory, 1);
    await writer.close();
  });

  it('is refused to another thread, and free when the first one was terminated (defect 8)', async () => {
    const directory = await makeGroup(2);
    const first = await inThread(directory, 0, 'waiting');
    expect(first.answer).toMatchObject({ attached: 0 });
    expect((await inThread(directory, 0, 'waiting')).answer).toMatchObject({ code: 'ERR_VARVE_LOCKED', pid: process.pid });
    await expect(WalGroup.attach(directory, 0)).rejects.toMatchObject({ code: 'ERR_VARVE_LOCKED' });
    await first.worker.terminate();
    const writer = await WalGroup.attach(directory, 0);
    writer.put('k', 'v');
    await writer.close();
    const second = await inThread(directory, 0, 'waiting');
    expect(second.answer).toMatchObject({ attached: 0, sequence: 1 });
    second.worker.postMessage({ end: true });
    expect(await once(second.worker, 'exit')).toEqual([0]);
    await (await WalGroup.attach(directory, 0)).close();
  });
});

describe('a process that has attached a core', () => {
  it('ends by itself, and what it has not closed is free', async () => {
    const directory = await makeGroup(1);
    const { child, answer } = await inProcess(directory, 0, 'idle');
    expect(answer).toMatchObject({ attached: 0 });
    expect(await child.ended).toEqual([0, null]);
    await (await WalGroup.attach(directory, 0)).close();
  });
});

describe('the coordinator', () => {
  it('is answered by threads that only append, by those that wait, by processes, and for cores that nobody has', async () => {
    const directory = await makeGroup(6);
    for (const [core, mode] of [[0, 'busy'], [1, 'waiting'], [2, 'turns']] as const) {
      expect((await inThread(directory, core, mode)).answer).toMatchObject({ attached: core });
    }
    for (const [core, mode] of [[3, 'busy'], [4, 'waiting']] as const) {
      expect((await inProcess(directory, core, mode)).answer).toMatchObject({ attached: core });
    }
    const group = await WalGroup.open(directory, { segmentBytes: 65536 });
    for (let round = 0; round < 20; round++) {
      const { epoch, cores } = await group.barrierAll();
      expect(cores.map(({ core }) => core)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(group.epoch).toBeGreaterThan(epoch);
      // Who never comes to its event loop answers with a blocking sync of its own.
      await group.syncAll();
      expect(group.completeEpoch).toBeGreaterThanOrEqual(epoch);
    }
    expect((await group.checkpoint({ state: 'whole' })).cores.length).toBe(6);
    await group.close();
  });

  it('is told in time of a thread that neither appends nor comes to its event loop', async () => {
    const directory = await makeGroup(2);
    expect((await inThread(directory, 1, 'stuck')).answer).toMatchObject({ attached: 1 });
    const group = await WalGroup.open(directory);
    const begun = performance.now();
    await expect(group.barrierAll({ timeoutMs: 300 })).rejects.toMatchObject({
      code: 'ERR_VARVE_CONTENTION', details: { cores: [1] },
    });
    expect(performance.now() - begun).toBeGreaterThan(250);
    expect(performance.now() - begun).toBeLessThan(5000);
    await workers.pop()!.terminate();
    expect((await group.barrierAll()).cores.length).toBe(2);
    await group.close();
  });
});
