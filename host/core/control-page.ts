/**
 * The typed handle of a mapped CONTROL page (assembly/layout/control.ts). Knows fields, not policy: who writes what and
 * when is host/log's business. On a read-only page nothing but the getters and `check` may be called.
 */
import {
  CONTROL_COMMITTED_OFFSET, CONTROL_WRITER_OFFSET, Control, ControlCommitted, ControlMarks, ControlWriter, Status,
} from '../generated/abi.ts';
import type { Core } from './core.ts';
import { Fields } from './fields.ts';

/** What the marks say; see assembly/layout/control.ts, `ControlMarks`. */
export interface Marks {
  readonly durableLsn: number;
  readonly durablePosition: number;
  readonly firstLsn: number;
  /** The last LSN that stays, while a truncation is under way. */
  readonly truncateLsn: number | undefined;
}

/** A store's identity, the same in CONTROL and in each segment header. */
export interface StoreIdentity {
  readonly storeKind: number;
  readonly idLow: bigint;
  readonly idHigh: bigint;
}

/** Which process writes or wrote, and in which epoch. */
export interface WriterGroup {
  readonly epoch: number;
  readonly open: boolean;
  readonly pid: number;
  readonly segmentBytes: number;
}

export class ControlPage {
  readonly core: Core;
  readonly at: number;
  private readonly fields: Fields;

  constructor(core: Core, at: number, bytes: number) {
    this.core = core;
    this.at = at;
    this.fields = new Fields(core.memory.bytes, at, bytes);
  }

  /** Whether the identity is valid: a `Status`. */
  check(): number {
    return this.core.exports.checkControl(this.at);
  }

  get identity(): StoreIdentity {
    const { fields } = this;
    return {
      storeKind: fields.u32(Control.storeKind),
      idLow: fields.big(Control.storeIdLow),
      idHigh: fields.big(Control.storeIdHigh),
    };
  }

  get createdAt(): number { return this.fields.u64(Control.createdAt); }

  writeIdentity(identity: StoreIdentity, createdAt: number): void {
    const { fields } = this;
    fields.setU32(Control.storeKind, identity.storeKind);
    fields.setU64(Control.storeIdLow, identity.idLow);
    fields.setU64(Control.storeIdHigh, identity.idHigh);
    fields.setU64(Control.createdAt, createdAt);
    this.core.exports.sealControl(this.at);
  }

  /** The writer group, or `undefined` where its checksum fails. */
  get writer(): WriterGroup | undefined {
    if (this.core.exports.checkWriter(this.at) !== Status.Ok) return undefined;
    const { fields } = this;
    return {
      epoch: fields.u32(CONTROL_WRITER_OFFSET + ControlWriter.epoch),
      open: fields.u32(CONTROL_WRITER_OFFSET + ControlWriter.open) === 1,
      pid: fields.u32(CONTROL_WRITER_OFFSET + ControlWriter.pid),
      segmentBytes: fields.u64(CONTROL_WRITER_OFFSET + ControlWriter.segmentBytes),
    };
  }

  writeWriter(group: WriterGroup, now: number): void {
    const { fields } = this;
    fields.setU32(CONTROL_WRITER_OFFSET + ControlWriter.epoch, group.epoch);
    fields.setU32(CONTROL_WRITER_OFFSET + ControlWriter.open, group.open ? 1 : 0);
    fields.setU32(CONTROL_WRITER_OFFSET + ControlWriter.pid, group.pid);
    fields.setU64(CONTROL_WRITER_OFFSET + ControlWriter.segmentBytes, group.segmentBytes);
    fields.setU64(CONTROL_WRITER_OFFSET + ControlWriter.writtenAt, now);
    this.core.exports.sealWriter(this.at);
  }

  /** The newest valid marks, or `undefined` where neither copy is valid. */
  get marks(): Marks | undefined {
    const at = this.core.exports.newestMarks(this.at) >>> 0;
    if (at === 0) return undefined;
    const offset = at - this.at;
    const { fields } = this;
    return {
      durableLsn: fields.u64(offset + ControlMarks.durableLsn),
      durablePosition: fields.u64(offset + ControlMarks.durablePosition),
      firstLsn: fields.u64(offset + ControlMarks.firstLsn),
      truncateLsn: fields.u32(offset + ControlMarks.truncating) === 1
        ? fields.u64(offset + ControlMarks.truncateLsn) : undefined,
    };
  }

  writeMarks(marks: Marks): void {
    this.core.exports.writeMarks(this.at, marks.durableLsn, marks.durablePosition, marks.firstLsn,
      marks.truncateLsn === undefined ? 0 : 1, marks.truncateLsn ?? 0);
  }

  private committed(offset: number): number {
    return this.core.exports.loadWord(this.at + CONTROL_COMMITTED_OFFSET + offset);
  }

  /** LSN of the last committed record; loaded before `position`, which it publishes. */
  get lsn(): number { return this.committed(ControlCommitted.lsn); }
  get position(): number { return this.committed(ControlCommitted.position); }
  /** Base LSN of the active segment. */
  get segment(): number { return this.committed(ControlCommitted.segment); }
  /** Twice the number of truncations; odd while one is under way. */
  get generation(): number { return this.committed(ControlCommitted.generation); }
  get durableLsn(): number { return this.committed(ControlCommitted.durableLsn); }
  get firstLsn(): number { return this.committed(ControlCommitted.firstLsn); }

  /** Names the active segment; to be called before a record in it is committed. */
  set segment(baseLsn: number) {
    this.core.exports.storeWord(this.at + CONTROL_COMMITTED_OFFSET + ControlCommitted.segment, baseLsn);
  }

  set generation(value: number) {
    this.core.exports.storeWord(this.at + CONTROL_COMMITTED_OFFSET + ControlCommitted.generation, value);
  }

  /** Sets all that readers look at. For opening and truncating; the core moves the watermark at each append. */
  publish(lsn: number, position: number, segment: number, generation: number): void {
    const { exports } = this.core;
    const at = this.at + CONTROL_COMMITTED_OFFSET;
    this.segment = segment;
    exports.storeWord(at + ControlCommitted.position, position);
    exports.storeWord(at + ControlCommitted.lsn, lsn);
    this.generation = generation;
  }}
