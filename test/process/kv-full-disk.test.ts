/**
 * A disk that is full, and a file-size limit, beneath a key-value store: typed errors and no signal, everything that
 * was put stays readable, and writing and compacting go on once there is room again.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Mounts } from '../support/mounts.ts';
import { cannot, start, startBehind, temporary } from '../support/processes.ts';
import type { Child } from '../support/real-storage.ts';

const FULL = { code: 'ERR_VARVE_DISK_FULL', kind: 'capacity' };

let place: ReturnType<typeof temporary>;
const mounts = new Mounts();
beforeEach(() => { place = temporary(); });
afterEach(() => {
  mounts.remove();
  place.remove();
});

/** Does steps that must give these results. */
async function steps(child: Child, ...expected: readonly (readonly [name: string, result: unknown])[]): Promise<void> {
  for (const [at, [name, result]] of expected.entries()) {
    child.process.send(name);
    const answer = await child.told() as { result: unknown; poisoned: boolean };
    expect([at, name, answer.result]).toEqual([at, name, result]);
    expect(answer.poisoned, `poisoned after ${name}`).toBe(false);
  }
}

describe('a full disk', () => {
  it.for(['fill', 'unique'])('(%s) refuses every write whole, and goes on when there is room', async (fill, context) => {
    const reason = mounts.disk(place.file('disk'), 6 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const ballast = place.file('disk', 'ballast');
    writeFileSync(ballast, new Uint8Array(2 << 20));
    const child = start('kv-filler', [place.file('disk', 'store')]);
    await child.told();
    await steps(child, ['open', 'open'], [fill, FULL], ['verify', 'right'], ['put', FULL], ['batch', FULL], ['many', FULL],
      ['verify', 'right'], ['sync', 'synced'], ['clear', FULL], ['verify', 'right']);
    // What is all dead is dropped without any room; what lives has to be copied.
    if (fill === 'fill') await steps(child, ['compact', 'compacted'], ['put', 'put']);
    else await steps(child, ['compact', FULL], ['verify', 'right'], ['compact', FULL], ['put', FULL]);
    await steps(child, ['verify', 'right']);
    rmSync(ballast);
    await steps(child, ['put', 'put'], ['verify', 'right'], ['compact', 'compacted'], ['verify', 'right'],
      [fill, FULL], ['verify', 'right']);
    // Closing needs no room for the log; for the key directory it may.
    child.process.send('close');
    const closed = await child.told() as { result: unknown };
    expect([FULL, 'closed']).toContainEqual(closed.result);
    await steps(child, ['open', 'open'], ['verify', 'right']);
    child.process.send('end');
    expect(await child.ended).toEqual([0, null]);
  });
});

describe('a file-size limit', () => {
  /** The unit of the shell's `ulimit -f`. */
  const BLOCK = 512;

  it('below a segment refuses every write with a code instead of a signal; without it all goes on', async () => {
    const directory = place.file('store');
    const child = startBehind(`ulimit -f ${65536 / BLOCK}`, 'kv-filler', [directory]);
    await child.told();
    await steps(child, ['open', 'open'], ['put', FULL], ['many', FULL], ['batch', FULL], ['verify', 'right'],
      ['sync', 'synced']);
    child.process.send('end');
    expect(await child.ended).toEqual([0, null]);
    const free = start('kv-filler', [directory]);
    await free.told();
    await steps(free, ['open', 'open'], ['verify', 'right'], ['put', 'put'], ['verify', 'right'], ['close', 'closed']);
    free.process.send('end');
    expect(await free.ended).toEqual([0, null]);
  });

  it('below a batch refuses that alone', async () => {
    const child = startBehind(`ulimit -f ${200_000 / BLOCK | 0}`, 'kv-filler', [place.file('store')]);
    await child.told();
    await steps(child, ['open', 'open'], ['put', 'put'], ['batch', FULL], ['put', 'put'], ['verify', 'right'],
      ['sync', 'synced'], ['verify', 'right']);
    child.process.send('end');
    expect(await child.ended).toEqual([0, null]);
  });
});
