/**
 * The typed handle of a mapped `GROUP` file (assembly/layout/group.ts). Knows fields, not policy: who stores to what is
 * host/wal's business. On a read-only page nothing but the getters may be called.
 */
import { VarveError } from '../errors/varve-error.ts';
import {
  GROUP_ANSWERS_OFFSET, GROUP_COPY_OFFSET, GROUP_CORES_MAX, GROUP_CORES_OFFSET, GROUP_CORE_STRIDE, GROUP_STATE_OFFSET,
  GROUP_WAKE_OFFSET, GroupCore, GroupIdentity, GroupState, SCRATCH_OFFSET, Status,
} from '../generated/abi.ts';
import type { Core } from './core.ts';
import { Fields } from './fields.ts';
import { WakeGroup } from './wake-group.ts';

const PAGE_BYTES = 4096;
/** What a frame has room for. */
const EPOCH_MAX = 2 ** 32 - 1;
/** Where the identity stands, and where once more. */
const COPIES = [0, GROUP_COPY_OFFSET] as const;

/** What a group is, for as long as it lives. */
export interface GroupFacts {
  readonly cores: number;
  readonly idLow: bigint;
  readonly idHigh: bigint;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** A core nobody has, one that somebody has, and one whose writer refuses to write. */
export const CORE_STATE = { detached: 0, attached: 1, poisoned: 2 } as const;
export type CoreState = (typeof CORE_STATE)[keyof typeof CORE_STATE];

/** Bytes of the file of a group of so many cores: whole pages. */
export function groupBytes(cores: number): number {
  return Math.ceil((GROUP_CORES_OFFSET + cores * GROUP_CORE_STRIDE) / PAGE_BYTES) * PAGE_BYTES;
}

/** The whole file of a new group, at epoch 1. */
export function encodeGroup(core: Core, facts: GroupFacts): Uint8Array {
  const { bytes } = core.memory;
  const identity = bytes.subarray(SCRATCH_OFFSET, SCRATCH_OFFSET + GroupIdentity.BYTES);
  identity.fill(0);
  const fields = new Fields(identity);
  fields.setU32(GroupIdentity.cores, facts.cores);
  fields.setU64(GroupIdentity.idLow, facts.idLow);
  fields.setU64(GroupIdentity.idHigh, facts.idHigh);
  fields.setU64(GroupIdentity.createdAt, facts.createdAt);
  core.exports.sealGroup(SCRATCH_OFFSET);
  const file = new Uint8Array(groupBytes(facts.cores));
  file.set(identity, 0);
  file.set(identity, GROUP_COPY_OFFSET);
  new Fields(file, GROUP_STATE_OFFSET).setU64(GroupState.epoch, 1);
  return file;
}

/** What the first page of a file says of its group, by either of its two copies; a `Status` where both are damaged. */
export function decodeGroup(core: Core, page: Uint8Array): GroupFacts | number {
  let status: number = Status.BadMagic;
  for (const offset of COPIES) {
    const identity = page.subarray(offset, offset + GroupIdentity.BYTES);
    if (identity.length < GroupIdentity.BYTES) continue;
    core.memory.bytes.set(identity, SCRATCH_OFFSET);
    const found = core.exports.checkGroup(SCRATCH_OFFSET);
    const fields = new Fields(identity);
    const cores = fields.u32(GroupIdentity.cores);
    if (found === Status.Ok && cores >= 1 && cores <= GROUP_CORES_MAX) {
      return {
        cores, idLow: fields.big(GroupIdentity.idLow), idHigh: fields.big(GroupIdentity.idHigh),
        createdAt: fields.u64(GroupIdentity.createdAt),
      };
    }
    if (status === Status.BadMagic || found === Status.NewerVersion) status = found;
  }
  return status === Status.Ok ? Status.BadHeader : status;
}

export class GroupPage {
  readonly core: Core;
  readonly at: number;
  /** What those who have a core attached wait for. */
  readonly wake: WakeGroup;
  /** What those wait for who have asked them for something. */
  readonly answers: WakeGroup;
  /** The lower half of the epoch, which has no upper one; its place among the memory's words. */
  readonly epochWord: number;

  constructor(core: Core, at: number) {
    this.core = core;
    this.at = at;
    this.wake = new WakeGroup(core, at, GROUP_WAKE_OFFSET);
    this.answers = new WakeGroup(core, at, GROUP_ANSWERS_OFFSET);
    this.epochWord = (at + GROUP_STATE_OFFSET + GroupState.epoch) / 4;
  }

  /** Where the two copies of the identity begin, and the `Status` of each. */
  copies(): { readonly offset: number; readonly status: number }[] {
    return COPIES.map((offset) => ({ offset, status: this.core.exports.checkGroup(this.at + offset) }));
  }

  /** Puts the copy that is valid in the place of one that is not; whether there was one. */
  restoreCopies(): boolean {
    const copies = this.copies();
    const valid = copies.find(({ status }) => status === Status.Ok)!;
    const damaged = copies.filter(({ status }) => status === Status.BadMagic || status === Status.BadHeader);
    const from = this.at + valid.offset;
    const { bytes } = this.core.memory;
    for (const { offset } of damaged) bytes.copyWithin(this.at + offset, from, from + GroupIdentity.BYTES);
    return damaged.length > 0;
  }

  /** The epoch that new entries belong to. */
  get epoch(): number { return this.state(GroupState.epoch); }
  /** How often all were asked for a sync. */
  get syncs(): number { return this.state(GroupState.syncs); }

  /** The last epoch that all were asked to end. */
  get barrier(): number { return this.state(GroupState.barrier); }

  /** The last epoch that a recovery has cut the logs at: every core has ended it, whatever its log still shows. */
  get complete(): number {
    const { unsigned } = this.core.memory;
    const word = (this.at + GROUP_STATE_OFFSET + GroupState.complete) / 4;
    const epoch = unsigned[word]!;
    return unsigned[word + 1] === ~epoch >>> 0 ? epoch : 0;
  }

  /** For who has the group's lock alone. */
  set complete(epoch: number) {
    const { unsigned } = this.core.memory;
    const word = (this.at + GROUP_STATE_OFFSET + GroupState.complete) / 4;
    unsigned[word] = epoch;
    unsigned[word + 1] = ~epoch;
  }

  /** Whether a checkpoint is being made. */
  get isCutting(): boolean { return this.state(GroupState.cutting) !== 0; }

  set isCutting(value: boolean) {
    this.core.exports.storeWord(this.at + GROUP_STATE_OFFSET + GroupState.cutting, value ? 1 : 0);
  }

  /** Asks all to end an epoch. */
  askBarrier(epoch: number): void {
    this.core.exports.raiseWord(this.at + GROUP_STATE_OFFSET + GroupState.barrier, epoch);
  }

  /** Takes back what was asked for: nobody waits for it any more. */
  forgetAsked(): void {
    this.isCutting = false;
    this.core.exports.storeWord(this.at + GROUP_STATE_OFFSET + GroupState.barrier, 0);
  }

  /** Errors: ERR_VARVE_OUT_OF_RANGE where a frame has no room for it */
  raiseEpoch(epoch: number): void {
    if (epoch > EPOCH_MAX) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `the epochs of this group are used up at ${EPOCH_MAX}; make a new group`, { epoch });
    }
    this.core.exports.raiseWord(this.at + GROUP_STATE_OFFSET + GroupState.epoch, epoch);
  }

  /** Asks all for a sync; returns the number of the asking. */
  askSync(): number {
    const asked = this.syncs + 1;
    this.core.exports.raiseWord(this.at + GROUP_STATE_OFFSET + GroupState.syncs, asked);
    return asked;
  }

  private state(offset: number): number {
    return this.core.exports.loadWord(this.at + GROUP_STATE_OFFSET + offset);
  }

  private word(core: number, offset: number): number {
    return this.core.exports.loadWord(this.line(core) + offset);
  }

  private setWord(core: number, offset: number, value: number): void {
    this.core.exports.storeWord(this.line(core) + offset, value);
  }

  private line(core: number): number {
    return this.at + GROUP_CORES_OFFSET + core * GROUP_CORE_STRIDE;
  }

  /** The last epoch that was ended on a core. */
  ended(core: number): number { return this.word(core, GroupCore.ended); }

  /** The barrier of an epoch, where that is the last one that was ended on a core, and a barrier has ended it. */
  barrierOf(core: number, epoch: number): { readonly sequence: number; readonly position: number } | undefined {
    if (this.ended(core) !== epoch) return undefined;
    const sequence = this.word(core, GroupCore.barrierLsn);
    const position = this.word(core, GroupCore.barrierPosition);
    return this.ended(core) === epoch && sequence !== 0 ? { sequence, position } : undefined;
  }

  /** The last epoch whose end on a core is known to be on disk. */
  durable(core: number): number { return this.word(core, GroupCore.durable); }
  /** The last asking for a sync that was answered. */
  synced(core: number): number { return this.word(core, GroupCore.synced); }
  /** Commits of a core that were counted; of use only to see whether there were some since. */
  commits(core: number): number { return this.word(core, GroupCore.commits); }
  dropLsn(core: number): number { return this.word(core, GroupCore.dropLsn); }
  pid(core: number): number { return this.core.memory.unsigned[(this.line(core) + GroupCore.pid) / 4]!; }

  coreState(core: number): CoreState {
    const state = Atomics.load(this.core.memory.words, (this.line(core) + GroupCore.state) / 4);
    return state === CORE_STATE.attached || state === CORE_STATE.poisoned ? state : CORE_STATE.detached;
  }

  /** Says who has a core. */
  setCoreState(core: number, state: CoreState, pid: number): void {
    const { unsigned, words } = this.core.memory;
    unsigned[(this.line(core) + GroupCore.pid) / 4] = pid;
    Atomics.store(words, (this.line(core) + GroupCore.state) / 4, state);
  }

  /**
   * Says that an epoch was ended on a core, and where its barrier is, 0 where there is none. Order: `ended` is 0 while
   * the others change, so that who finds it the same before and after he has loaded them has those that belong to it.
   */
  setEnded(core: number, ended: number, lsn: number, position: number): void {
    this.setWord(core, GroupCore.ended, 0);
    this.setWord(core, GroupCore.barrierLsn, lsn);
    this.setWord(core, GroupCore.barrierPosition, position);
    this.setWord(core, GroupCore.ended, ended);
  }

  /** Counts a commit of a core. */
  noteCommit(core: number): void { this.setWord(core, GroupCore.commits, this.commits(core) + 1); }

  setDurable(core: number, epoch: number): void { this.setWord(core, GroupCore.durable, epoch); }
  setSynced(core: number, asked: number): void { this.setWord(core, GroupCore.synced, asked); }
  setDropLsn(core: number, lsn: number): void { this.setWord(core, GroupCore.dropLsn, lsn); }
}
