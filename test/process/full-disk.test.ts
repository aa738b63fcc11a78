/**
 * A disk that is full and a file-size limit: typed errors and no signal, everything that was appended stays readable,
 * nothing is left lying around, and writing goes on once there is room again.
 */
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LogRecord, RecordLog } from '../../host/index.ts';
import { Mounts } from '../support/mounts.ts';
import { cannot, start, startBehind, temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';
import { payloadOf } from './children/records.mjs';

interface Answer {
  result: string | { code: string; kind: string; message: string } | number;
  poisoned: boolean; names: string[]; appended: number;
}

const SEGMENT_BYTES = 131072;
const FULL = { code: 'ERR_VARVE_DISK_FULL', kind: 'capacity' };
/** Names of a store; anything else was left lying around. */
const OWN = /^(CONTROL|LOCK|\d{20}\.seg)$/;

async function step(child: Child, name: string): Promise<Answer> {
  child.process.send(name);
  const answer = await child.told() as Answer;
  expect(answer.names.filter((each) => !OWN.test(each)), `files after ${name}`).toEqual([]);
  return answer;
}

function isRight({ lsn, payload }: LogRecord): boolean {
  return Buffer.compare(payload, payloadOf(lsn, 0)) === 0;
}

/** Does steps that must give these results. */
async function steps(child: Child, expected: readonly (readonly [name: string, result: unknown])[]): Promise<void> {
  for (const [name, result] of expected) {
    const answer = await step(child, name);
    if (typeof result !== 'object') expect([name, answer.result]).toEqual([name, result]);
    else expect(answer.result, name).toMatchObject(result as object);
    expect(answer.poisoned, `poisoned after ${name}`).toBe(false);
  }
}

let place: ReturnType<typeof temporary>;
const mounts = new Mounts();
beforeEach(() => { place = temporary(); });
afterEach(() => {
  mounts.remove();
  place.remove();
});

describe('a full disk', () => {
  it('refuses appends with a code, and goes on when there is room again, at once and after opening anew', async (context) => {
    const reason = mounts.disk(place.file('disk'), 4 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const ballast = place.file('disk', 'ballast');
    writeFileSync(ballast, new Uint8Array(2 << 20));
    const directory = place.file('disk', 'log');
    const child = start('filler', [directory, SEGMENT_BYTES]);
    await child.told();
    await steps(child, [['open', 'open'], ['fill', FULL]]);
    const filled = await step(child, 'append');
    expect(filled.result).toMatchObject(FULL);
    expect(filled.appended).toBeGreaterThan(1000);
    // Reading, syncing and refusing go on; whatever needs a new segment is refused, whole.
    await steps(child, [
      ['verify', 'right'], ['sync', 'synced'], ['rotate', FULL], ['batch', FULL], ['large', FULL], ['verify', 'right'],
    ]);

    rmSync(ballast);
    await steps(child, [['append', 'appended'], ['verify', 'right'], ['fill', FULL], ['verify', 'right']]);

    // Closing, and opening to read, need no room.
    await steps(child, [['close', 'closed'], ['reader', 'open'], ['verify', 'right'], ['close', 'closed']]);
    await steps(child, [['open', 'open'], ['verify', 'right']]);
    const { bavail, bsize } = statfsSync(directory);
    expect(bavail * bsize).toBeLessThan(SEGMENT_BYTES + 65536);
    const more = await step(child, 'fill');
    expect(more.result).toMatchObject(FULL);
    await steps(child, [['verify', 'right'], ['close', 'closed']]);
    child.process.send('end');
    expect(await child.ended).toEqual([0, null]);
  });

  it('stops no reader, and once there is room, opening again loses nothing', async (context) => {
    const reason = mounts.disk(place.file('disk'), 6 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const ballast = place.file('disk', 'ballast');
    writeFileSync(ballast, new Uint8Array(2 << 20));
    const directory = place.file('disk', 'log');
    const child = start('filler', [directory, SEGMENT_BYTES]);
    await child.told();
    await steps(child, [['open', 'open'], ['append', 'appended']]);
    // One that was there before, one that looks for the first time when nothing fits any more, and one that follows.
    const early = RecordLog.openSync(directory, { readOnly: true, mappedBytesMax: 0 });
    const follower = early.follow();
    await steps(child, [['fill', FULL], ['staged', FULL], ['batch', FULL], ['rotate', FULL]]);
    const { appended } = await step(child, 'sync');
    const late = RecordLog.openSync(directory, { readOnly: true });
    for (const reader of [early, late]) {
      expect([reader.lastLsn, reader.durableLsn]).toEqual([appended, appended]);
      expect([...reader].every(isRight)).toBe(true);
    }
    for (let lsn = 1; lsn <= appended; lsn++) {
      const { value } = await follower.next();
      expect(value!.lsn).toBe(lsn);
      expect(isRight(value!)).toBe(true);
    }

    // The process dies on the full disk, and there is room again before the next one opens.
    child.process.kill('SIGKILL');
    await child.ended;
    rmSync(ballast);
    const next = start('filler', [directory, SEGMENT_BYTES]);
    await next.told();
    await steps(next, [['open', 'open'], ['adopt', appended], ['append', 'appended'], ['staged', 'appended']]);
    await steps(next, [['fill', FULL], ['verify', 'right'], ['sync', 'synced'], ['close', 'closed']]);
    const last = await step(next, 'reader');
    expect(last.appended).toBeGreaterThan(appended + 20);
    for (const reader of [early, late]) {
      expect(reader.lastLsn).toBe(last.appended);
      expect([...reader].every(isRight)).toBe(true);
      await reader.close();
    }
    next.process.send('end');
    expect(await next.ended).toEqual([0, null]);
  });

  it('of no bytes at all makes opening fail with a code, and leaves no half-made store', async (context) => {
    const reason = mounts.disk(place.file('disk'), 1 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const ballast = place.file('disk', 'ballast');
    const directory = place.file('disk', 'log');
    mkdirSync(directory);
    const { bavail, bsize } = statfsSync(directory);
    writeFileSync(ballast, new Uint8Array(bavail * bsize));
    const child = start('filler', [directory, SEGMENT_BYTES]);
    await child.told();
    const refused = await step(child, 'open');
    expect(refused.result).toMatchObject(FULL);
    expect(refused.names).toEqual(['LOCK']);
    rmSync(ballast);
    await steps(child, [['open', 'open'], ['append', 'appended'], ['verify', 'right'], ['close', 'closed']]);
    child.process.send('end');
    expect(await child.ended).toEqual([0, null]);
  });

  it('does not kill a writer that stands on it, whose log then opens whole', async (context) => {
    const reason = mounts.disk(place.file('disk'), 2 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const directory = place.file('disk', 'log');
    const child = start('filler', [directory, SEGMENT_BYTES]);
    await child.told();
    await steps(child, [['open', 'open'], ['fill', FULL]]);
    const { appended } = await step(child, 'sync');
    child.process.kill('SIGKILL');
    await child.ended;
    // Recovery seals what is there: it must do with the room that the segments have.
    const next = start('filler', [directory, SEGMENT_BYTES]);
    await next.told();
    await steps(next, [['open', 'open']]);
    expect((await step(next, 'verify')).result).toBe(`${appended} records of 0`);
    await steps(next, [['close', 'closed']]);
    next.process.send('end');
    expect(await next.ended).toEqual([0, null]);
  });
});

describe('a file-size limit', () => {
  /** The unit of the shell's `ulimit -f`. */
  const BLOCK = 512;

  it('refuses what is larger with a code instead of a signal, and everything else goes on', async () => {
    const directory = place.file('log');
    const child = startBehind(`ulimit -f ${4 * SEGMENT_BYTES / BLOCK}`, 'filler', [directory, SEGMENT_BYTES]);
    await child.told();
    await steps(child, [
      ['open', 'open'], ['append', 'appended'], ['large', FULL], ['batch', FULL], ['append', 'appended'],
      ['verify', 'right'], ['rotate', 'rotated'], ['append', 'appended'], ['large', FULL], ['sync', 'synced'],
      ['verify', 'right'], ['close', 'closed'], ['open', 'open'], ['verify', 'right'], ['append', 'appended'],
      ['verify', 'right'], ['close', 'closed'],
    ]);
    child.process.send('end');
    expect(await child.ended).toEqual([0, null]);
  });

  it('below a segment refuses every append, and without it the same log can be written', async () => {
    const directory = place.file('log');
    const child = startBehind(`ulimit -f ${SEGMENT_BYTES / 2 / BLOCK}`, 'filler', [directory, SEGMENT_BYTES]);
    await child.told();
    await steps(child, [
      ['open', 'open'], ['append', FULL], ['rotate', 'rotated'], ['sync', 'synced'], ['verify', 'right'],
      ['close', 'closed'], ['reader', 'open'], ['verify', 'right'], ['close', 'closed'],
    ]);
    child.process.send('end');
    expect(await child.ended).toEqual([0, null]);
    const free = start('filler', [directory, SEGMENT_BYTES]);
    await free.told();
    await steps(free, [['open', 'open'], ['append', 'appended'], ['verify', 'right'], ['close', 'closed']]);
    free.process.send('end');
    expect(await free.ended).toEqual([0, null]);
  });
});
