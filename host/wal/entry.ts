/**
 * An entry of a write-ahead log group as it is read: a few numbers, and the place of its bytes in a run of frames that
 * were checked and copied. Whatever costs more than that is decoded when it is asked for, each time anew.
 *
 * A merge makes one of these for every entry, so that they must be cheap to make. Entries of a run share its copy of up
 * to 64 KiB: keeping one entry keeps the others' bytes too.
 */
import { VarveError } from '../errors/varve-error.ts';
import {
  BarrierEntry, CheckpointEntry, FRAME_HEADER_BYTES, Frame, INFO_KEY_MASK, Kind, STAMP_BYTES,
} from '../generated/abi.ts';
import { sizeAt } from '../log/record.ts';
import type { FrameRun } from '../log/scanner.ts';
import { decodeCommit, type Commit } from './commit.ts';

/** What an entry is. `user`: of a kind of your own, 0 or 3 to 127. */
export type WalEntryType = 'put' | 'delete' | 'checkpoint' | 'barrier' | 'commit' | 'user';

const TYPES = new Map<number, WalEntryType>([
  [Kind.Put, 'put'], [Kind.Delete, 'delete'], [Kind.Barrier, 'barrier'], [Kind.Checkpoint, 'checkpoint'],
  [Kind.Commit, 'commit'],
]);
const NO_BYTES = new Uint8Array(0);
/** One 64-bit word, and its halves. */
const word = new BigUint64Array(1);
const halves = new Uint32Array(word.buffer);

/** The 32 bits at `at`, which is aligned to nothing. */
function u32At(words: Uint32Array, at: number): number {
  const index = at >>> 2;
  const shift = (at & 3) << 3;
  const low = words[index]!;
  return shift === 0 ? low : ((low >>> shift) | (words[index + 1]! << (32 - shift))) >>> 0;
}

function u64At(words: Uint32Array, at: number): bigint {
  halves[0] = u32At(words, at);
  halves[1] = u32At(words, at + 4);
  return word[0]!;
}

/** A number where that is exact, else a bigint. */
function userNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The error for a frame whose checksum is right and whose payload is none of an entry. */
export function notAnEntry(
  place: { readonly path: string; readonly segment: number; readonly offset: number; readonly lsn: number },
  core: number, kind: number,
): VarveError {
  const { path, segment, offset, lsn } = place;
  return new VarveError('ERR_VARVE_CORRUPT',
    `entry ${lsn} of core ${core}, at offset ${offset} of ${path}, is no entry of kind ${kind}, though its `
    + 'checksum is right; restore a copy',
    { path, segment, offset, lsn, core, kind });
}

/** One entry. Its bytes stay valid for as long as anyone holds them; they are shared, so do not write to them. */
export class WalEntry {
  /** Which writer appended it, from 0. */
  readonly core: number;
  /** The epoch that it belongs to. */
  readonly epoch: number;
  /** Its number in its core: dense, from 1. */
  readonly sequence: number;
  /** Where it begins in the log of its core, in bytes. */
  readonly position: number;
  /** 1 put, 2 delete, 130 barrier, 131 checkpoint, 132 commit; 0 and 3 to 127 are your own. */
  readonly kind: number;
  private readonly run: FrameRun;
  /** Offset of its frame in the run. */
  private readonly at: number;

  /** @internal */
  constructor(core: number, epoch: number, sequence: number, kind: number, run: FrameRun, at: number) {
    this.core = core;
    this.epoch = epoch;
    this.sequence = sequence;
    this.position = run.position + at;
    this.kind = kind;
    this.run = run;
    this.at = at;
  }

  /** What it is, in a word. */
  get type(): WalEntryType { return TYPES.get(this.kind) ?? 'user'; }

  /** Its key; empty where it has none. A new object at each call, of shared bytes. */
  get key(): Uint8Array {
    const { run: { buffer, start }, at, keyBytes } = this;
    return keyBytes === 0 ? NO_BYTES : new Uint8Array(buffer, start + at + FRAME_HEADER_BYTES, keyBytes);
  }

  /** Its value, without the time that stands before it. A new object at each call, of shared bytes. */
  get value(): Uint8Array {
    const { run: { buffer, start, words }, at } = this;
    const from = this.payload(STAMP_BYTES) + STAMP_BYTES;
    return new Uint8Array(buffer, start + from, at + sizeAt(words, at) - from);
  }

  /** When it was appended, nanoseconds since 1970, by the writer's clock. For people: it says nothing about order. */
  get timestamp(): bigint { return u64At(this.run.words, this.payload(STAMP_BYTES)); }

  /** Of a barrier: the epoch that ends with it, and with it all before. */
  get ended(): number | undefined {
    if (this.kind !== Kind.Barrier) return undefined;
    return Number(u64At(this.run.words, this.payload(BarrierEntry.BYTES) + BarrierEntry.ended));
  }

  /** Of a checkpoint: the user's number. */
  get id(): number | bigint | undefined {
    if (this.kind !== Kind.Checkpoint) return undefined;
    return userNumber(u64At(this.run.words, this.payload(CheckpointEntry.BYTES) + CheckpointEntry.id));
  }

  /** Of a commit: up to where each source was taken in, by the source's name. A new map at each call. */
  get offsets(): Map<string, number | bigint> | undefined { return this.commit?.offsets; }

  /** Of a commit: its watermark, where it has one. */
  get watermark(): number | bigint | undefined { return this.commit?.watermark; }

  private get commit(): Commit | undefined {
    if (this.kind !== Kind.Commit) return undefined;
    const { run: { buffer, start, words }, at } = this;
    const from = this.payload(STAMP_BYTES);
    const commit = decodeCommit(new Uint8Array(buffer, start + from, at + sizeAt(words, at) - from));
    if (commit === undefined) throw this.damage();
    return commit;
  }

  private get keyBytes(): number { return this.run.words[(this.at + Frame.info) / 4]! & INFO_KEY_MASK; }

  /** Where its payload begins in the run, once it is known to have so many bytes at least. */
  private payload(least: number): number {
    const from = this.at + FRAME_HEADER_BYTES + this.keyBytes;
    if (this.at + sizeAt(this.run.words, this.at) - from < least) throw this.damage();
    return from;
  }

  private damage(): VarveError {
    const { run: { path, segment, offset }, at, sequence: lsn } = this;
    return notAnEntry({ path, segment, offset: offset + at, lsn }, this.core, this.kind);
  }
}
