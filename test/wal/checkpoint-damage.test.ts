/**
 * Checkpoints that are not what they were: every flipped bit is found, whoever looks; the newest whole one is found
 * behind those that are not; and nothing is removed that may be needed.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { crc32c } from '../../host/core/crc32c.ts';
import { CheckpointCore, CheckpointFooter, CheckpointHeader } from '../../host/generated/abi.ts';
import { isUnusable, type Checkpoint, type UnusableCheckpoint } from '../../host/wal/checkpoint-file.ts';
import { checkpointName, Checkpoints } from '../../host/wal/checkpoints.ts';
import {
  checkpointsIn, contentsOf, contextOf, GROUP, nameOf, stateOf, streamed,
} from '../support/checkpoint-fixture.ts';
import { failure, logFixture, rejection, type LogFixture } from '../support/log-fixture.ts';

const tally = { front: 0, state: 0, footer: 0, lengths: 0 };
afterAll(() => { console.info('damaged checkpoints:', tally); });

/** A group's directory with checkpoints of these numbers. */
async function written(...numbers: readonly number[]): Promise<LogFixture> {
  const fixture = logFixture('simulated', 'simd');
  const checkpoints = checkpointsIn(fixture);
  fixture.storage!.syncDirectoryNow('/');
  for (const n of numbers) await checkpoints.write(contentsOf(n));
  return fixture;
}

/** Flips a bit of a file. */
function flip(fixture: LogFixture, name: string, bit: number): void {
  const at = bit >> 3;
  fixture.tamper(name, at, Uint8Array.of(fixture.bytes(name)[at]! ^ (1 << (bit & 7))));
}

function stateStart(bytes: Uint8Array): number {
  return bytes.length - CheckpointFooter.BYTES - stateOf(2).length;
}

/** Replaces fields and makes the checksums of header and footer right again. */
function rewrite(bytes: Uint8Array, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  const footer = copy.length - CheckpointFooter.BYTES;
  change(copy);
  copy.writeUInt32LE(crc32c(copy.subarray(CheckpointHeader.version, CheckpointHeader.BYTES)), CheckpointHeader.crc);
  copy.writeUInt32LE(copy.readUInt32LE(CheckpointHeader.crc), footer + CheckpointFooter.headerCrc);
  copy.writeUInt32LE(crc32c(copy.subarray(footer + CheckpointFooter.stateCrc)), footer + CheckpointFooter.crc);
  return copy;
}

const ids = (list: readonly { readonly id: number }[]) => list.map(({ id }) => id);

/** What is there, as ids with what is wrong with them. */
function listed(checkpoints: Checkpoints): (number | [number, UnusableCheckpoint['reason']])[] {
  return checkpoints.list().map((one) => isUnusable(one) ? [one.id, one.reason] : one.id);
}

describe('a checkpoint with a flipped bit', () => {
  it('is known for it, and the one before is the newest', async () => {
    const fixture = await written(1, 2);
    const checkpoints = checkpointsIn(fixture);
    const bytes = fixture.bytes(nameOf(2));
    const [state, footer] = [stateStart(bytes), bytes.length - CheckpointFooter.BYTES];
    const intact = checkpoints.load(2)!;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const at = bit >> 3;
      flip(fixture, nameOf(2), bit);
      const inState = at >= state && at < footer;
      const found = listed(checkpoints)[1];
      if (inState) {
        expect([bit, found]).toEqual([bit, 2]);
        expect(failure('ERR_VARVE_CORRUPT', () => checkpoints.load(2)!.readState()).details)
          .toMatchObject({ id: 2, status: 'BadCrc' });
        failure('ERR_VARVE_CORRUPT', () => { checkpoints.load(2)!.verifyNow(); });
      } else {
        expect([bit, found]).toEqual([bit, [2, 'damaged']]);
        failure('ERR_VARVE_CORRUPT', () => checkpoints.load(2));
      }
      const { checkpoint, skipped } = checkpoints.newestNow();
      expect([bit, checkpoint?.id, skipped]).toMatchObject([bit, 1, [{ id: 2, reason: 'damaged' }]]);
      tally[inState ? 'state' : at < state ? 'front' : 'footer']++;
      fixture.tamper(nameOf(2), 0, bytes);
    }
    expect(checkpoints.newestNow().checkpoint).toMatchObject({ id: 2 });
    expect(intact.readState().equals(stateOf(2))).toBe(true);
  });

  it('does not give the last of its state', async () => {
    const fixture = logFixture('simulated', 'simd');
    const state = Buffer.alloc(600_000, 5);
    const made = await checkpointsIn(fixture).write(contentsOf(2, state));
    const start = made.bytes - CheckpointFooter.BYTES - state.length;
    for (const at of [0, 300_000, 599_999]) {
      flip(fixture, nameOf(1), (start + at) * 8);
      let given = 0;
      const reading = (async () => {
        for await (const piece of made.state()) given += piece.length;
      })();
      const error = await rejection('ERR_VARVE_CORRUPT', reading);
      expect([given, error.details['path']]).toEqual([524_288, made.path]);
      await rejection('ERR_VARVE_CORRUPT', made.verify());
      const { checkpoint, skipped } = await checkpointsIn(fixture).newest();
      expect([checkpoint, skipped]).toMatchObject([undefined, [{ id: 1, path: made.path, reason: 'damaged' }]]);
      flip(fixture, nameOf(1), (start + at) * 8);
    }
    expect((await streamed(made)).equals(state)).toBe(true);
  });

  it('that opens nothing more where a header changes under its reader', async () => {
    const fixture = await written(2);
    const found = checkpointsIn(fixture).load(1)!;
    for (const bit of [0, 70, 200]) {
      flip(fixture, nameOf(1), bit);
      failure('ERR_VARVE_CORRUPT', () => found.readState());
      flip(fixture, nameOf(1), bit);
    }
    expect(found.readState().equals(stateOf(2))).toBe(true);
  });
});

describe('a checkpoint of another length', () => {
  it('is damaged at every one', async () => {
    const fixture = await written(2);
    const checkpoints = checkpointsIn(fixture);
    const bytes = fixture.bytes(nameOf(1));
    for (let length = 0; length < bytes.length; length++) {
      fixture.put(nameOf(1), bytes.subarray(0, length));
      expect([length, listed(checkpoints)]).toEqual([length, [[1, 'damaged']]]);
      tally.lengths++;
    }
    for (const more of [1, 40, 4096]) {
      fixture.put(nameOf(1), Buffer.concat([bytes, Buffer.alloc(more)]));
      expect(listed(checkpoints)).toEqual([[1, 'damaged']]);
    }
    for (const other of [Buffer.alloc(bytes.length), Buffer.alloc(bytes.length, 255)]) {
      fixture.put(nameOf(1), other);
      expect(listed(checkpoints)).toEqual([[1, 'damaged']]);
    }
    fixture.put(nameOf(1), bytes);
    expect(listed(checkpoints)).toEqual([1]);
  });
});

describe('a checkpoint that is not the one looked for', () => {
  it('is of another group', async () => {
    const fixture = await written(1);
    for (const other of [{ ...GROUP, idLow: 1n }, { ...GROUP, idHigh: 1n }]) {
      const checkpoints = checkpointsIn(fixture, other);
      expect(listed(checkpoints)).toEqual([[1, 'another-group']]);
      expect(failure('ERR_VARVE_CORRUPT', () => checkpoints.load(1)).message).toContain('another group');
      expect((await checkpoints.newest()).skipped).toMatchObject([{ id: 1, reason: 'another-group' }]);
      expect(checkpoints.nextId()).toBe(2);
    }
  });

  it('has another number of cores than the group, or another id than its name', async () => {
    const fixture = await written(1);
    for (const cores of [2, 4]) {
      const [found] = checkpointsIn(fixture, { ...GROUP, cores }).list();
      expect(found).toMatchObject({ id: 1, reason: 'damaged', because: `it has 3 cores, the group ${cores}` });
    }
    fixture.put(nameOf(5), fixture.bytes(nameOf(1)));
    const checkpoints = checkpointsIn(fixture);
    expect(checkpoints.list()[1]).toMatchObject({ id: 5, because: 'it is checkpoint 1 under the name of 5' });
    const { checkpoint, skipped } = await checkpoints.newest();
    expect([checkpoint?.id, ids(skipped), checkpoints.nextId()]).toEqual([1, [5], 6]);
  });

  it('is of a later version, over which there is no way back', async () => {
    const fixture = await written(1, 2);
    const [first, bytes] = [fixture.bytes(nameOf(1)), fixture.bytes(nameOf(2))];
    for (const [offset, value] of [[CheckpointHeader.version, 2], [CheckpointHeader.incompatible, 1]] as const) {
      fixture.put(nameOf(2), rewrite(bytes, (copy) => { copy.writeUInt32LE(value, offset); }));
      const checkpoints = checkpointsIn(fixture);
      expect(listed(checkpoints)).toEqual([1, [2, 'newer-version']]);
      failure('ERR_VARVE_NEWER_VERSION', () => checkpoints.newestNow());
      failure('ERR_VARVE_NEWER_VERSION', () => checkpoints.load(2));
      await rejection('ERR_VARVE_NEWER_VERSION', checkpoints.newest());
      await rejection('ERR_VARVE_NEWER_VERSION', checkpoints.removeBefore(2));
      expect((await checkpoints.write(contentsOf(3))).id).toBe(3);
      expect((await checkpoints.newest()).checkpoint?.id).toBe(3);
      expect(await checkpoints.keepNewest(1)).toMatchObject({ removed: [1], unusable: [{ id: 2 }] });
      fixture.put(nameOf(1), first);
      fixture.remove(nameOf(3));
    }
    fixture.put(nameOf(2), rewrite(bytes, (copy) => { copy.writeUInt32LE(7, CheckpointHeader.compatible); }));
    expect(listed(checkpointsIn(fixture))[1]).toBe(2);
  });

  it('contradicts itself, with every checksum right', async () => {
    const fixture = await written(2);
    const bytes = fixture.bytes(nameOf(1));
    const footer = bytes.length - CheckpointFooter.BYTES;
    const commit = CheckpointHeader.BYTES + 3 * CheckpointCore.BYTES;
    const parts = (copy: Buffer) => {
      copy.writeUInt32LE(crc32c(copy.subarray(CheckpointHeader.BYTES, stateStart(bytes))), CheckpointHeader.partsCrc);
    };
    const changes: readonly ((copy: Buffer) => void)[] = [
      (copy) => { copy.writeUInt32LE(0, CheckpointHeader.cores); },
      (copy) => { copy.writeUInt32LE(1025, CheckpointHeader.cores); },
      (copy) => { copy.writeUInt32LE(2, CheckpointHeader.cores); },
      (copy) => { copy.writeUInt32LE(0xffffffff, CheckpointHeader.cores); },
      (copy) => { copy.writeUInt32LE(0, CheckpointHeader.commitBytes); },
      (copy) => { copy.writeUInt32LE(0xffffffff, CheckpointHeader.commitBytes); },
      (copy) => { copy.writeBigUInt64LE(2n ** 64n - 1n, CheckpointHeader.id); },
      (copy) => { copy.writeBigUInt64LE(2n ** 53n, CheckpointHeader.epoch); },
      (copy) => { copy.writeBigUInt64LE(2n ** 53n, CheckpointHeader.BYTES); parts(copy); },
      (copy) => { copy.writeUInt32LE(2, commit + 16); parts(copy); },
      (copy) => { copy.writeUInt32LE(3, commit + 20); parts(copy); },
      (copy) => { copy.writeBigUInt64LE(0n, footer + CheckpointFooter.stateBytes); },
      (copy) => { copy.writeBigUInt64LE(2n ** 64n - 1n, footer + CheckpointFooter.stateBytes); },
      (copy) => { copy.writeUInt32LE(9, footer + CheckpointFooter.id); },
    ];
    const checkpoints = checkpointsIn(fixture);
    for (const [at, change] of changes.entries()) {
      fixture.put(nameOf(1), rewrite(bytes, change));
      expect([at, listed(checkpoints)]).toEqual([at, [[1, 'damaged']]]);
    }
    // A footer of another file, whole in itself.
    const other = rewrite(bytes, () => undefined);
    other.writeUInt32LE(1, footer + CheckpointFooter.headerCrc);
    other.writeUInt32LE(crc32c(other.subarray(footer + CheckpointFooter.stateCrc)), footer + CheckpointFooter.crc);
    fixture.put(nameOf(1), other);
    expect(listed(checkpoints)).toEqual([[1, 'damaged']]);
    fixture.put(nameOf(1), rewrite(bytes, parts));
    expect(listed(checkpoints)).toEqual([1]);
  });
});

describe('removing checkpoints', () => {
  it('keeps the newest ones, and says which', async () => {
    const fixture = await written(1, 2, 3, 4, 5);
    for (const checkpoints of [checkpointsIn(fixture), checkpointsIn(fixture)]) {
      const { removed, kept, unusable } = await checkpoints.keepNewest(2);
      expect([ids(kept), unusable, listed(checkpoints)]).toEqual([[4, 5], [], [4, 5]]);
      expect(removed.length === 0 || removed).toEqual(removed.length === 0 ? true : [1, 2, 3]);
    }
    expect((await checkpointsIn(fixture).keepNewest(9)).removed).toEqual([]);
    expect(fixture.disk!.paths('durable').filter((path) => path.endsWith('.checkpoint')).length).toBe(2);
  });

  it('counts those only that are whole, their states too, and keeps the damaged ones among them', async () => {
    const fixture = await written(2, 2, 2, 2, 2, 2);
    const size = fixture.bytes(nameOf(5)).length;
    flip(fixture, nameOf(1), 3);
    flip(fixture, nameOf(4), (stateStart(fixture.bytes(nameOf(4))) + 1) * 8);
    flip(fixture, nameOf(5), (size - 5) * 8);
    const checkpoints = checkpointsIn(fixture);
    const { removed, kept, unusable } = await checkpoints.keepNewest(2);
    expect([removed, ids(kept), ids(unusable)]).toEqual([[1, 2], [3, 6], [4, 5]]);
    expect(unusable.map(({ reason }) => reason)).toEqual(['damaged', 'damaged']);
    expect((await checkpoints.keepNewest(1)).removed).toEqual([3, 4, 5]);
    expect(listed(checkpoints)).toEqual([6]);
  });

  it('removes nothing where fewer are whole than are to be kept, and never the last', async () => {
    const fixture = await written(2, 2, 2);
    flip(fixture, nameOf(1), 3);
    flip(fixture, nameOf(3), 3);
    const checkpoints = checkpointsIn(fixture);
    expect(await checkpoints.keepNewest(2)).toMatchObject({ removed: [], kept: [{ id: 2 }] });
    expect(await checkpoints.keepNewest(1)).toMatchObject({ removed: [1], kept: [{ id: 2 }], unusable: [{ id: 3 }] });
    flip(fixture, nameOf(2), 3);
    expect(await checkpoints.keepNewest(1)).toMatchObject({ removed: [], kept: [], unusable: [{ id: 2 }, { id: 3 }] });
    expect(checkpoints.nextId()).toBe(4);
  });

  it('leaves what is not of this group, and what the system does not let it read', async () => {
    const fixture = await written(1, 2, 3);
    const foreign = logFixture('simulated', 'simd');
    await checkpointsIn(foreign, { ...GROUP, idLow: 1n }).write(contentsOf(1));
    fixture.put(nameOf(1), foreign.bytes(nameOf(1)));
    fixture.disk!.failAt({ operation: 'open', path: /2\.checkpoint$/, error: 'EACCES' });
    const { removed, unusable } = await checkpointsIn(fixture).keepNewest(1);
    expect([removed, unusable]).toMatchObject([[], [{ reason: 'another-group' }, { reason: 'unreadable' }]]);
    expect((await checkpointsIn(fixture).keepNewest(1)).removed).toEqual([2]);
  });

  it('goes up to one that is whole', async () => {
    const fixture = await written(2, 2, 2, 2);
    const checkpoints = checkpointsIn(fixture);
    await rejection('ERR_VARVE_INVALID_ARGUMENT', checkpoints.removeBefore(5));
    flip(fixture, nameOf(3), (stateStart(fixture.bytes(nameOf(3))) + 1) * 8);
    await rejection('ERR_VARVE_CORRUPT', checkpoints.removeBefore(3));
    flip(fixture, nameOf(4), 9);
    await rejection('ERR_VARVE_CORRUPT', checkpoints.removeBefore(4));
    expect(listed(checkpoints).length).toBe(4);
    expect(await checkpoints.removeBefore(2)).toMatchObject({ removed: [1], unusable: [{ id: 4 }] });
  });
});

describe('the directory', () => {
  it('need not be there, and other files in it are left alone', async () => {
    const fixture = logFixture('simulated', 'simd');
    const checkpoints = checkpointsIn(fixture);
    expect([checkpoints.list(), checkpoints.nextId(), checkpoints.newestNow()])
      .toEqual([[], 1, { checkpoint: undefined, skipped: [] }]);
    expect(checkpoints.load(1)).toBeUndefined();
    checkpoints.removeUnfinished();
    await checkpoints.write(contentsOf(1));
    const others = ['1.checkpoint', `${checkpointName(0)}`, `${checkpointName(3)}.old`, 'notes', '9'.repeat(20)
      + '.checkpoint', `x${checkpointName(4)}`, `${checkpointName(5)}.new.new`];
    for (const name of others) fixture.put(`checkpoints/${name}`, Buffer.from('not ours'));
    fixture.put(`${nameOf(2)}.new`, Buffer.from('half'));
    fixture.put(`${nameOf(7)}.new`, Buffer.from('half'));
    expect([listed(checkpoints), checkpoints.nextId()]).toEqual([[1], 2]);
    checkpoints.removeUnfinished();
    expect(checkpoints.nextId()).toBe(2);
    expect(fixture.names()).toEqual([...others.map((name) => `checkpoints/${name}`), nameOf(1)].sort());
    const again = new Checkpoints(contextOf(fixture), GROUP);
    expect((await again.write(contentsOf(2))).id).toBe(2);
    expect((again.list() as Checkpoint[]).map(({ epoch }) => epoch)).toEqual([11, 12]);
  });
});
