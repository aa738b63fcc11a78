/**
 * Threads of one process: a worker writes, the main thread reads at the same time, each with a core of its own; and the
 * lock keeps them apart as it keeps processes apart.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { programOf, temporary } from '../support/processes.ts';
import { payloadOf } from './children/records.mjs';

let place: ReturnType<typeof temporary>;
let worker: Worker | undefined;
beforeEach(() => { place = temporary(); });
afterEach(async () => {
  await worker?.terminate();
  place.remove();
});

/** Starts a writer in a worker thread; `ask` posts a message and resolves with the answer. */
async function startWriter(directory: string): Promise<(message: object) => Promise<Record<string, unknown>>> {
  const started = new Worker(programOf('worker-writer'), { workerData: { directory } });
  worker = started;
  const answer = async () => (await once(started, 'message'))[0] as Record<string, unknown>;
  await answer();
  return (message) => {
    const answered = answer();
    started.postMessage(message);
    return answered;
  };
}

describe('a log that a worker thread writes', () => {
  it('is read by the main thread, record by record as it grows', async () => {
    const directory = place.file('log');
    const ask = await startWriter(directory);
    const reader = await RecordLog.open(directory, { readOnly: true });
    expect(reader.lastLsn).toBe(0);
    let total = 0;
    for (const count of [1, 10, 200, 3, 500]) {
      total += count;
      expect(await ask({ append: count })).toEqual({ lastLsn: total });
      expect(reader.lastLsn).toBe(total);
      expect(Buffer.compare(reader.read(total).payload, payloadOf(total, 0))).toBe(0);
    }
    let lsn = 0;
    for (const record of reader) expect(Buffer.compare(record.payload, payloadOf(++lsn, 0))).toBe(0);
    expect(lsn).toBe(total);
    expect(reader.stats.segments).toBeGreaterThan(1);

    await expect(RecordLog.open(directory)).rejects.toMatchObject({
      code: 'ERR_VARVE_LOCKED', details: { pid: process.pid },
    });
    expect(await ask({ close: true })).toEqual({ closed: true });
    const writer = await RecordLog.open(directory);
    expect(writer.append('from the main thread')).toBe(total + 1);
    expect(reader.lastLsn).toBe(total + 1);
    await writer.close();
    await reader.close();
  });

  it('is free when the worker was terminated, with all that was appended', async () => {
    const directory = place.file('log');
    const ask = await startWriter(directory);
    await ask({ append: 300 });
    await worker!.terminate();
    const log = await RecordLog.open(directory);
    expect(log.lastLsn).toBe(300);
    for (const record of log) expect(Buffer.compare(record.payload, payloadOf(record.lsn, 0))).toBe(0);
    await log.close();
  });
});
