/**
 * What the tests of checkpoints share: a directory of a group with its checkpoints, on a real or a simulated disk, and
 * what is written into them, which follows from a number.
 */
import { realStorage } from '../../host/io/real-storage.ts';
import type { Storage } from '../../host/io/storage.ts';
import type { Checkpoint, CheckpointGroup } from '../../host/wal/checkpoint-file.ts';
import {
  checkpointName, Checkpoints, type CheckpointContents, type CheckpointsContext,
} from '../../host/wal/checkpoints.ts';
import type { LogFixture } from './log-fixture.ts';

export const GROUP: CheckpointGroup = { idLow: 0x1122334455667788n, idHigh: 2n ** 64n - 1n, cores: 3 };

/** The path of a checkpoint below the fixture's directory. */
export function nameOf(id: number): string {
  return `checkpoints/${checkpointName(id)}`;
}

/** What the n-th checkpoint holds. */
export function contentsOf(n: number, state: CheckpointContents['state'] = stateOf(n)): CheckpointContents {
  return {
    epoch: n + 10,
    cores: [0, 1, 2].map((core) => ({ sequence: n * 100 + core, position: core === 1 ? 0 : n * 4096 + core * 32 })),
    offsets: { orders: n, 'événements': 2n ** 63n + BigInt(n) },
    watermark: -n,
    state,
  };
}

/** A state of some bytes. */
export function stateOf(n: number): Uint8Array {
  return Buffer.from(`the state of checkpoint ${n}, `.repeat(n));
}

/** A state as a whole, by its pieces. */
export async function streamed(checkpoint: Checkpoint): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of checkpoint.state()) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Storage and core of a fixture, in its process of now. */
export function contextOf(
  fixture: LogFixture, storage: Storage = fixture.storage ?? realStorage(),
): CheckpointsContext {
  return { storage, core: fixture.core, directory: fixture.directory };
}

/** The checkpoints of a fixture's directory, which is made where it is missing. */
export function checkpointsIn(fixture: LogFixture, group: CheckpointGroup = GROUP): Checkpoints {
  const context = contextOf(fixture);
  context.storage.createDirectory(fixture.directory);
  return new Checkpoints(context, group);
}
