/**
 * Looking at a group while another process writes to it, makes checkpoints, drops what they cover, and cuts: what is
 * seen is whole at every moment, and never said to be damaged.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { VarveError, WalGroup } from '../../host/index.ts';
import { Scratch } from '../support/dwal.ts';

const scratch = new Scratch('cli-wal-live');
afterAll(() => { scratch.remove(); });

const INDEX = new URL('../../dist/esm/index.js', import.meta.url).href;
/** Two cores in segments of 64 KiB; every round is checkpointed, and part of a round is cut and written again. */
const WRITER = `import { WalGroup } from '${INDEX}';
  const group = await WalGroup.create(process.argv[1], { cores: 2, segmentBytes: 65536, checkpointsKept: 1 });
  const [a, b] = [group.writer(0), group.writer(1)];
  const value = Buffer.alloc(1000, 'v');
  process.once('message', () => { process.disconnect(); });
  for (let round = 0; process.connected; round++) {
    for (let i = 0; i < 100; i++) {
      a.put('a' + round, value);
      if (i % 3 === 0) b.put('b' + round, value);
    }
    const position = a.put('to be cut', value);
    a.put('cut too', value);
    a.truncate(position);
    await group.checkpoint({ state: String(round), offsets: { round } });
    if (round === 1) process.send('ready');
  }
  await group.close();`;
const LOOKING_MS = 2500;
const PAUSE_MS = 15;

/** Lets nothing of this thread run for a while. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
}

async function startWriter(directory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, directory], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return child;
}

it('finds no damage in what is written meanwhile', async () => {
  const directory = scratch.path();
  const child = await startWriter(directory);
  const seen = { checks: 0, stats: 0, recoveries: 0, merges: 0, overtaken: 0 };
  const checkpoints = new Set<number>();
  try {
    await using group = await WalGroup.open(directory, { readOnly: true });
    for (const end = performance.now() + LOOKING_MS; performance.now() < end;) {
      // Now and then slowly, so that the writer makes checkpoints in the midst of it.
      const onProgress = seen.checks % 4 === 0 ? { onProgress: pause } : {};
      const { outcome, because, joined, damaged, unusable } = group.check(onProgress);
      expect({ outcome, because, joined, damaged, unusable }).toEqual({
        outcome: 'ok', because: 'every frame and every checkpoint is valid', joined: true, damaged: [], unusable: [],
      });
      seen.checks++;
      const stats = group.stats();
      for (const { attached, log } of stats.cores) expect([attached, log?.outcome]).toEqual([child.pid, 'whole']);
      seen.stats++;
      const recovery = await group.recover();
      checkpoints.add(recovery.checkpoint!.id);
      expect(recovery.offsets.get('round')).toBeGreaterThan(0);
      seen.recoveries++;
      try {
        for (const entry of group.merge()) expect(entry.sequence).toBeGreaterThan(0);
        seen.merges++;
      } catch (error) {
        // What was to be read was dropped or cut: it is said, and nothing else is.
        expect(VarveError.is(error, 'ERR_VARVE_TRUNCATED'), String(error)).toBe(true);
        seen.overtaken++;
      }
      await setTimeout(1);
    }
    child.send('stop');
    const [code] = await once(child, 'exit') as [number | null];
    expect(code).toBe(0);
  } finally {
    child.kill('SIGKILL');
  }
  await using last = await WalGroup.open(directory, { readOnly: true });
  expect(last.check()).toMatchObject({ outcome: 'ok', joined: true });
  expect(checkpoints.size).toBeGreaterThan(3);
  expect(seen.checks).toBeGreaterThan(10);
  console.log(`looks at a group beside its writer: ${JSON.stringify(seen)}, checkpoints ${checkpoints.size}`);
}, 60_000);
