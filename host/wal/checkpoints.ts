/**
 * The directory `checkpoints/` of a group: which there are, the newest one that is whole, the next one, and removing
 * those that are no longer wanted. Ids are dense from 1 and never used twice while any later one is there.
 *
 * Nothing is removed but what is older than checkpoints that are known to be whole, their states read and compared.
 * Where a crash brings one back that was removed, and whose log is gone by then, those that were kept are newer, and
 * whole.
 */
import { join } from 'node:path';
import { outOfRange, VarveError } from '../errors/varve-error.ts';
import { newerVersion } from '../log/load.ts';
import { replacementPath } from '../log/names.ts';
import type { LogContext } from '../log/segment.ts';
import {
  damagedCheckpoint, isUnusable, readCheckpoint, writeCheckpoint, type Checkpoint, type CheckpointGroup,
  type CheckpointPlace, type UnusableCheckpoint,
} from './checkpoint-file.ts';
import { checkState, type CheckpointState } from './checkpoint-state.ts';
import { commitBytes, encodeCommit, type CommitOffsets } from './commit.ts';
import { CHECKPOINTS_NAME } from './names.ts';

const CHECKPOINT_NAME = /^(\d{20})\.checkpoint(\.new)?$/;
const NANOSECONDS = 1_000_000n;
const WORD_BITS = 32n;
const WORD_MASK = 0xffff_ffffn;

/** Where a group is, and what it is worked on with. */
export type CheckpointsContext = Pick<LogContext, 'storage' | 'core' | 'directory'>;

/** What a checkpoint is made of. */
export interface CheckpointContents {
  /** An epoch that has ended, durably, on every core. */
  readonly epoch: number;
  /** Where, for each core in their order. */
  readonly cores: readonly CheckpointPlace[];
  readonly offsets: CommitOffsets;
  readonly watermark: number | bigint | undefined;
  readonly state: CheckpointState;
}

/** Where to begin. */
export interface NewestCheckpoint {
  /** The newest one that is whole, its state included; `undefined` where none is. */
  readonly checkpoint: Checkpoint | undefined;
  /** Those that are newer and cannot be used, newest first. */
  readonly skipped: readonly UnusableCheckpoint[];
}

/** What a removal did. */
export interface CheckpointRemoval {
  /** Ids of those that are gone, oldest first. */
  readonly removed: readonly number[];
  /** Those that can be used, oldest first: the older ones are not wanted any more. */
  readonly kept: readonly Checkpoint[];
  /** Those that stay though they cannot be used, oldest first. */
  readonly unusable: readonly UnusableCheckpoint[];
}

/** `00000000000000000001.checkpoint` for the first one. */
export function checkpointName(id: number): string {
  return `${String(id).padStart(20, '0')}.checkpoint`;
}

/** The id in a name, and whether it is of a file that is not done. */
function parseName(name: string): { readonly id: number; readonly unfinished: boolean } | undefined {
  const match = CHECKPOINT_NAME.exec(name);
  const id = Number(match?.[1]);
  return match !== null && Number.isSafeInteger(id) && id >= 1 ? { id, unfinished: match[2] !== undefined } : undefined;
}

export class Checkpoints {
  readonly directory: string;
  private readonly context: CheckpointsContext;
  private readonly group: CheckpointGroup;
  /** Header checksums, by ids, of those whose states were written here, or read and found right. */
  private readonly whole = new Map<number, number>();
  /** Whether the name of the directory is known to be durable. */
  private named = false;
  /** Whether the names in it are: a removal that failed, or a process before, may have left some that are not. */
  private settled = false;
  /** Ends when the last writing that was asked for has ended. */
  private last: Promise<unknown> = Promise.resolve();

  /** Of the group in a directory. Changes nothing. */
  constructor(context: CheckpointsContext, group: CheckpointGroup) {
    this.context = context;
    this.group = group;
    this.directory = join(context.directory, CHECKPOINTS_NAME);
  }

  /** All that are there, oldest first, without a look at their states. Errors: ERR_VARVE_IO */
  list(): (Checkpoint | UnusableCheckpoint)[] {
    return this.names().filter(({ unfinished }) => !unfinished)
      .flatMap(({ id }) => this.find(id) ?? []);
  }

  /** The newest one, its state not looked at: what it says of epochs holds even where that is damaged. */
  latest(): Checkpoint | undefined {
    return this.list().findLast((one): one is Checkpoint => !isUnusable(one));
  }

  /**
   * One by its id, its state not looked at; `undefined` where there is none.
   *
   * Errors: ERR_VARVE_CORRUPT (damaged, or another group's), ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO
   */
  load(id: number): Checkpoint | undefined {
    const found = this.find(id);
    if (found === undefined || !isUnusable(found)) return found;
    const { path, reason, because } = found;
    if (reason === 'newer-version') throw newerVersion(path);
    if (reason === 'unreadable') throw new VarveError('ERR_VARVE_IO', because, { path, id });
    throw damagedCheckpoint(id, path, because, { reason });
  }

  /**
   * Finds the newest one that is whole, walking back over those that are not; a slice of a state is read in each turn
   * of the event loop. Over one that a later version has written there is no way back: what it means is unknown.
   *
   * Errors: ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO (the directory)
   */
  async newest(): Promise<NewestCheckpoint> {
    const skipped: UnusableCheckpoint[] = [];
    for (const found of this.list().reverse()) {
      const unusable = isUnusable(found) ? found : await this.examine(found);
      if (unusable === undefined) return { checkpoint: found as Checkpoint, skipped };
      this.skip(unusable, skipped);
    }
    return { checkpoint: undefined, skipped };
  }

  /** The same, blocking. */
  newestNow(): NewestCheckpoint {
    const skipped: UnusableCheckpoint[] = [];
    for (const found of this.list().reverse()) {
      const unusable = isUnusable(found) ? found : this.examineNow(found);
      if (unusable === undefined) return { checkpoint: found as Checkpoint, skipped };
      this.skip(unusable, skipped);
    }
    return { checkpoint: undefined, skipped };
  }

  private skip(unusable: UnusableCheckpoint, skipped: UnusableCheckpoint[]): void {
    if (unusable.reason === 'newer-version') throw newerVersion(unusable.path);
    skipped.push(unusable);
  }

  /** The id of the next one: above any that is there, usable or not. One that was not finished leaves its own free. */
  nextId(): number {
    return (this.names().findLast(({ unfinished }) => !unfinished)?.id ?? 0) + 1;
  }

  /**
   * Writes the next checkpoint and makes it durable. On any failure, nothing is left of it. Where two are asked for at
   * once, one follows the other.
   *
   * @param ready asked before the file gets its name: resolves when there may be such a checkpoint
   * Errors: what `ready` is rejected with, ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_RECORD_TOO_LARGE
   * (offsets), ERR_VARVE_DISK_FULL, ERR_VARVE_IO; what an iterator of the state throws
   */
  write(contents: CheckpointContents, ready?: () => Promise<unknown>): Promise<Checkpoint> {
    const writing = this.last.then(() => this.writeNext(contents, ready));
    this.last = writing.catch(() => undefined);
    return writing;
  }

  private async writeNext(
    { epoch, cores, offsets, watermark, state }: CheckpointContents, ready: (() => Promise<unknown>) | undefined,
  ): Promise<Checkpoint> {
    const { storage, directory } = this.context;
    const { idLow: groupIdLow, idHigh: groupIdHigh } = this.group;
    if (cores.length !== this.group.cores) throw outOfRange('cores', `${this.group.cores} places`, cores.length);
    const commit = new Uint8Array(commitBytes(offsets, watermark));
    checkState(state);
    const createdAt = storage.now();
    const time = BigInt(createdAt) * NANOSECONDS;
    encodeCommit(commit, 0, Number(time & WORD_MASK), Number(time >> WORD_BITS), offsets, watermark);
    storage.createDirectory(this.directory);
    // Whoever made the directory may have died before its name was durable.
    if (!this.named) await storage.syncDirectory(directory);
    this.named = true;
    const id = this.nextId();
    const fields = { groupIdLow, groupIdHigh, id, epoch, createdAt, cores, commit };
    const made = await writeCheckpoint(this.context, this.path(id), fields, state, ready);
    this.whole.set(id, made.front.crc);
    return made;
  }

  /**
   * Removes all that are older than the newest `count` ones that are whole; where there are not so many, nothing. Of
   * others, older than those, only damaged ones go. Durable when it resolves, or with the next one that is written.
   *
   * @param count from 1
   * Errors: ERR_VARVE_IO
   */
  async keepNewest(count: number, isDurable = true): Promise<CheckpointRemoval> {
    const found = this.list();
    const kept: Checkpoint[] = [];
    for (let at = found.length - 1; at >= 0 && kept.length < count; at--) {
      const one = found[at]!;
      if (isUnusable(one)) continue;
      const damage = this.isWhole(one) ? undefined : await this.examine(one);
      if (damage === undefined) kept.unshift(one);
      else found[at] = damage;
    }
    const oldest = kept.length < count ? 0 : kept[0]!.id;
    return this.removeOlder(found, oldest, kept, isDurable);
  }

  /**
   * Removes all that are older than one, which must be whole. Durable when it resolves.
   *
   * Errors: ERR_VARVE_INVALID_ARGUMENT (there is none of this id), ERR_VARVE_CORRUPT (it is damaged; nothing was
   * removed), ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO
   */
  async removeBefore(id: number): Promise<CheckpointRemoval> {
    const first = this.load(id);
    if (first === undefined) throw outOfRange('checkpointId', 'the id of a checkpoint that is there', id);
    await first.verify();
    this.whole.set(id, first.front.crc);
    const found = this.list();
    // It was whole a moment ago, whatever reading it again gives.
    const later = found.filter((one): one is Checkpoint => one.id > id && !isUnusable(one));
    return this.removeOlder(found, id, [first, ...later]);
  }

  private async removeOlder(
    found: readonly (Checkpoint | UnusableCheckpoint)[], oldest: number, kept: readonly Checkpoint[], isDurable = true,
  ): Promise<CheckpointRemoval> {
    const { storage } = this.context;
    const removed: number[] = [];
    const unusable: UnusableCheckpoint[] = [];
    for (const one of found) {
      const goes = one.id < oldest && (!isUnusable(one) || one.reason === 'damaged');
      if (goes) {
        this.settled = false;
        await storage.removeLater(one.path);
        this.whole.delete(one.id);
        removed.push(one.id);
      } else if (isUnusable(one)) unusable.push(one);
    }
    if (isDurable && !this.settled && found.length > 0) {
      await storage.syncDirectory(this.directory);
      this.settled = true;
    }
    return { removed, kept, unusable };
  }

  /** Removes what crashes have left of checkpoints that were never finished. For who has the group's lock alone. */
  removeUnfinished(): void {
    for (const { id, unfinished } of this.names()) {
      if (unfinished) this.context.storage.remove(replacementPath(this.path(id)));
    }
  }

  private isWhole({ id, front }: Checkpoint): boolean {
    return this.whole.get(id) === front.crc;
  }

  /** Reads a state for its checksum; says why the checkpoint cannot be used, where that is so. */
  private async examine(checkpoint: Checkpoint): Promise<UnusableCheckpoint | undefined> {
    try {
      await checkpoint.verify();
    } catch (error) {
      return this.unusable(checkpoint, error);
    }
    this.whole.set(checkpoint.id, checkpoint.front.crc);
    return undefined;
  }

  private examineNow(checkpoint: Checkpoint): UnusableCheckpoint | undefined {
    try {
      checkpoint.verifyNow();
    } catch (error) {
      return this.unusable(checkpoint, error);
    }
    this.whole.set(checkpoint.id, checkpoint.front.crc);
    return undefined;
  }

  private unusable({ id, path }: Checkpoint, error: unknown): UnusableCheckpoint {
    this.whole.delete(id);
    const because = (error as Error).message;
    if (VarveError.is(error, 'ERR_VARVE_CORRUPT')) return { id, path, reason: 'damaged', because };
    if (VarveError.is(error, 'ERR_VARVE_IO') || VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) {
      return { id, path, reason: 'unreadable', because };
    }
    throw error;
  }

  private find(id: number): Checkpoint | UnusableCheckpoint | undefined {
    return readCheckpoint(this.context, this.group, this.path(id), id);
  }

  private path(id: number): string {
    return join(this.directory, checkpointName(id));
  }

  private names(): { readonly id: number; readonly unfinished: boolean }[] {
    const names = this.context.storage.list(this.directory) ?? [];
    return names.flatMap((name) => parseName(name) ?? []).sort((a, b) => a.id - b.id);
  }
}
