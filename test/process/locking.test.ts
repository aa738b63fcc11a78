/**
 * Two processes and one directory: only one of them writes, the other learns who does, and death frees the directory.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { start, temporary } from '../support/processes.ts';
import { keyOf, payloadOf } from './children/records.mjs';

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
