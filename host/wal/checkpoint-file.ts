/**
 * The file of one checkpoint: written beside its place and renamed into it when it is durable, then never changed.
 * docs/format.md, "Checkpoint".
 *
 * What a crash leaves, step by step: a `.new` that is not whole, one that is, or the file. Reading believes nothing
 * unchecked: header, cores, commit, footer and length when a file is found, the state before its last bytes are given.
 */
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import {
  decodeCheckpoint, decodeCheckpointFooter, decodeParts, encodeCheckpoint, encodeCheckpointFooter, partsBytes,
  type CheckpointEnd, type CheckpointFields, type CheckpointFront, type CheckpointPlace,
} from '../core/checkpoint-file.ts';
import { checksum } from '../core/checksum.ts';
import { VarveError } from '../errors/varve-error.ts';
import { CheckpointFooter, CheckpointHeader, SCRATCH_BYTES, Status } from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { newerVersion } from '../log/load.ts';
import { replacementPath } from '../log/names.ts';
import type { LogContext } from '../log/segment.ts';
import { statusName } from '../log/segments.ts';
import { StateWriter, type CheckpointState } from './checkpoint-state.ts';
import { decodeCommit } from './commit.ts';

export type { CheckpointPlace } from '../core/checkpoint-file.ts';

/** Storage and core that checkpoints are written and read with. */
export type CheckpointContext = Pick<LogContext, 'storage' | 'core'>;

/** The group that a checkpoint must be of. */
export interface CheckpointGroup {
  readonly idLow: bigint;
  readonly idHigh: bigint;
  readonly cores: number;
}

/** What a checkpoint says, but for its state. */
export interface CheckpointInfo {
  readonly id: number;
  readonly path: string;
  /** The last epoch that it covers. */
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly stateBytes: number;
  /** Where the epoch ends, on every core in their order. */
  readonly cores: readonly (CheckpointPlace & { readonly core: number })[];
  readonly offsets: ReadonlyMap<string, number | bigint>;
  readonly watermark: number | bigint | undefined;
}

/** A checkpoint that cannot be used. */
export interface UnusableCheckpoint {
  readonly id: number;
  readonly path: string;
  /** `unreadable`: the system refuses it. */
  readonly reason: 'damaged' | 'newer-version' | 'another-group' | 'unreadable';
  /** In words, for a report. */
  readonly because: string;
}

const SLICE_BYTES = SCRATCH_BYTES;

/** Whether this is a checkpoint that cannot be used. */
export function isUnusable(found: Checkpoint | UnusableCheckpoint): found is UnusableCheckpoint {
  return !(found instanceof Checkpoint);
}

/** What a checkpoint says, without the means to read its state: of use to a report. */
export function infoOf(checkpoint: CheckpointInfo): CheckpointInfo {
  const { id, path, epoch, createdAt, bytes, stateBytes, cores, offsets, watermark } = checkpoint;
  return { id, path, epoch, createdAt, bytes, stateBytes, cores, offsets, watermark };
}

/**
 * Writes a checkpoint and makes it durable. On any failure, nothing is left of it. The directory is there, and nobody
 * else writes to the path meanwhile.
 *
 * @param ready asked before the file gets its name: resolves when there may be such a checkpoint
 *
 * Errors: ERR_VARVE_INVALID_ARGUMENT (a piece of the state), ERR_VARVE_DISK_FULL, ERR_VARVE_IO; what an iterator throws
 */
export async function writeCheckpoint(
  context: CheckpointContext, path: string, fields: CheckpointFields, state: CheckpointState,
  ready: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Checkpoint> {
  const { core, storage } = context;
  CANARY: if (globalThis.varveCanary === 'rename') ready = () => Promise.resolve();
  storage.remove(replacementPath(path));
  const file = storage.create(replacementPath(path));
  let made: Checkpoint;
  try {
    const { bytes, crc } = encodeCheckpoint(core, fields);
    file.write(bytes, 0);
    const writer = new StateWriter(core, file, bytes.length);
    await writer.write(state);
    const { bytes: stateBytes, crc: stateCrc } = writer;
    const footer = encodeCheckpointFooter(core, { id: fields.id, headerCrc: crc, stateBytes, stateCrc });
    file.write(footer, bytes.length + stateBytes);
    made = parsed(context, path, bytes, footer, bytes.length + stateBytes + footer.length);
    await file.sync();
    await ready();
    storage.rename(file.path, path);
  } catch (error) {
    abandon(context, file, file.path);
    throw error;
  }
  try {
    await storage.syncDirectory(dirname(path));
  } catch (error) {
    abandon(context, file, path);
    throw error;
  }
  file.close();
  return made;
}

/** Closes and removes what will not become a checkpoint; never fails. */
function abandon({ storage }: CheckpointContext, file: StoredFile, path: string): void {
  try {
    file.close();
    storage.remove(path);
  } catch {
    // A `.new` is removed by whoever opens the group next; under its own name it is a whole checkpoint, and true.
  }
}

/** What was just encoded, as it will be read. */
function parsed(
  context: CheckpointContext, path: string, bytes: Uint8Array, footer: Uint8Array, fileBytes: number,
): Checkpoint {
  const parts = bytes.subarray(CheckpointHeader.BYTES);
  const found = new Parser(context, path, fileBytes).parse(bytes, () => parts, () => footer);
  if (found instanceof Checkpoint) return found;
  throw new VarveError('ERR_VARVE_INTERNAL', `the checkpoint ${path} contradicts itself: ${statusName(found)}`, { path });
}

/**
 * Reads a checkpoint, but for its state. Changes nothing.
 *
 * @param id the number in the file's name
 * @returns the checkpoint; or why it cannot be used; `undefined` where there is none
 */
export function readCheckpoint(
  context: CheckpointContext, group: CheckpointGroup, path: string, id: number,
): Checkpoint | UnusableCheckpoint | undefined {
  const unusable = (reason: UnusableCheckpoint['reason'], because: string) => ({ id, path, reason, because });
  let found: Checkpoint | number;
  try {
    found = readParts(context, path);
  } catch (error) {
    if (VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) return undefined;
    if (VarveError.is(error, 'ERR_VARVE_IO')) return unusable('unreadable', error.message);
    throw error;
  }
  if (found === Status.NewerVersion) return unusable('newer-version', 'it was written by a later version of varve');
  if (typeof found === 'number') return unusable('damaged', `it is damaged (${statusName(found)})`);
  const { front } = found;
  if (front.groupIdLow !== group.idLow || front.groupIdHigh !== group.idHigh) {
    return unusable('another-group', 'it belongs to another group');
  }
  if (front.cores !== group.cores) return unusable('damaged', `it has ${front.cores} cores, the group ${group.cores}`);
  if (front.id !== id) return unusable('damaged', `it is checkpoint ${front.id} under the name of ${id}`);
  return found;
}

function readParts(context: CheckpointContext, path: string): Checkpoint | number {
  const file = context.storage.open(path, 'read');
  try {
    const size = file.size();
    const take = (at: number, length: number) => {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, file.read(bytes, at));
    };
    return new Parser(context, path, size).parse(take(0, CheckpointHeader.BYTES),
      (front) => take(CheckpointHeader.BYTES, partsBytes(front)),
      () => take(size - CheckpointFooter.BYTES, CheckpointFooter.BYTES));
  } finally {
    file.close();
  }
}

/** Puts a checkpoint together from the parts of its file, or says by a `Status` why it is none. */
class Parser {
  private readonly context: CheckpointContext;
  private readonly path: string;
  private readonly fileBytes: number;

  constructor(context: CheckpointContext, path: string, fileBytes: number) {
    this.context = context;
    this.path = path;
    this.fileBytes = fileBytes;
  }

  parse(
    header: Uint8Array, partsOf: (front: CheckpointFront) => Uint8Array, footer: () => Uint8Array,
  ): Checkpoint | number {
    const { context, path, fileBytes } = this;
    const front = decodeCheckpoint(context.core, header, fileBytes);
    if (typeof front === 'number') return front;
    const parts = decodeParts(context.core, partsOf(front), front);
    const commit = parts === undefined ? undefined : decodeCommit(parts.commit);
    if (parts === undefined || commit === undefined) return Status.BadHeader;
    const end = decodeCheckpointFooter(context.core, footer(), front, fileBytes);
    if (end === undefined) return Status.BadFooter;
    return new Checkpoint(context, { path, bytes: fileBytes, front, end, ...parts, ...commit });
  }
}

/** What a file was found to hold. */
interface Contents {
  readonly path: string;
  readonly bytes: number;
  readonly front: CheckpointFront;
  readonly end: CheckpointEnd;
  readonly cores: readonly CheckpointPlace[];
  readonly offsets: ReadonlyMap<string, number | bigint>;
  readonly watermark: number | bigint | undefined;
}

/** A checkpoint on the disk. It holds no file open but while its state is being read. */
export class Checkpoint implements CheckpointInfo {
  readonly id: number;
  readonly path: string;
  readonly epoch: number;
  readonly createdAt: number;
  readonly bytes: number;
  readonly stateBytes: number;
  readonly cores: CheckpointInfo['cores'];
  readonly offsets: ReadonlyMap<string, number | bigint>;
  readonly watermark: number | bigint | undefined;
  /** For this file's own use. */
  readonly front: CheckpointFront;
  private readonly end: CheckpointEnd;
  private readonly context: CheckpointContext;

  constructor(context: CheckpointContext, { path, bytes, front, end, cores, offsets, watermark }: Contents) {
    this.context = context;
    this.path = path;
    this.bytes = bytes;
    this.front = front;
    this.end = end;
    this.id = front.id;
    this.epoch = front.epoch;
    this.createdAt = front.createdAt;
    this.stateBytes = end.stateBytes;
    this.cores = cores.map(({ sequence, position }, core) => ({ core, sequence, position }));
    this.offsets = offsets;
    this.watermark = watermark;
  }

  /**
   * The state in pieces of up to 256 KiB, each the caller's own. Where the checksum is wrong it ends with an error
   * instead of the last piece: what came before is worth nothing then.
   *
   * Errors: ERR_VARVE_CORRUPT, ERR_VARVE_IO, ERR_VARVE_NOT_FOUND (it was removed meanwhile)
   */
  async *state(): AsyncGenerator<Buffer, void, undefined> {
    for (const piece of this.slices((_, length) => Buffer.allocUnsafeSlow(length))) {
      yield piece;
      await turn();
    }
  }

  /** The whole state. Blocks. Errors: as `state` */
  readState(): Buffer {
    const whole = Buffer.allocUnsafeSlow(this.stateBytes);
    for (const piece of this.slices((at, length) => whole.subarray(at, at + length))) void piece;
    return whole;
  }

  /** Reads the whole state for its checksum, a slice in each turn of the event loop. Errors: as `state` */
  async verify(): Promise<void> {
    for (const piece of this.reused()) {
      void piece;
      await turn();
    }
  }

  /** The same, blocking. */
  verifyNow(): void {
    for (const piece of this.reused()) void piece;
  }

  private reused(): Generator<Buffer, void, undefined> {
    const slice = Buffer.allocUnsafeSlow(Math.min(SLICE_BYTES, this.stateBytes));
    return this.slices((_, length) => slice.subarray(0, length));
  }

  /** Reads the state piece by piece to where `room` says; the last one only where the checksum is right. */
  private *slices(room: (at: number, length: number) => Buffer): Generator<Buffer, void, undefined> {
    const { context: { core, storage }, front, end: { stateBytes, stateCrc } } = this;
    const start = CheckpointHeader.BYTES + partsBytes(front);
    const file = storage.open(this.path, 'read');
    try {
      this.requireSame(file);
      let crc = 0;
      for (let done = 0; done < stateBytes;) {
        const piece = room(done, Math.min(SLICE_BYTES, stateBytes - done));
        if (file.read(piece, start + done) < piece.length) throw this.damaged(Status.Truncated);
        crc = checksum(core, piece, crc);
        done += piece.length;
        if (done === stateBytes && crc !== stateCrc) throw this.damaged(Status.BadCrc);
        yield piece;
      }
      if (stateBytes === 0 && stateCrc !== 0) throw this.damaged(Status.BadCrc);
    } finally {
      file.close();
    }
  }

  /** The file may have been damaged or replaced since its header was read. */
  private requireSame(file: StoredFile): void {
    const header = new Uint8Array(CheckpointHeader.BYTES);
    const there = header.subarray(0, file.read(header, 0));
    const front = decodeCheckpoint(this.context.core, there, file.size());
    if (front === Status.NewerVersion) throw newerVersion(this.path);
    if (typeof front === 'number') throw this.damaged(front);
    if (front.crc !== this.front.crc || file.size() !== this.bytes) throw this.damaged(Status.BadHeader);
  }

  private damaged(status: number): VarveError {
    return damagedCheckpoint(this.id, this.path, statusName(status), { status: statusName(status) });
  }
}

/** The error for a checkpoint that was to be loaded and is damaged. */
export function damagedCheckpoint(
  id: number, path: string, because: string, details: Readonly<Record<string, unknown>> = {},
): VarveError {
  return new VarveError('ERR_VARVE_CORRUPT',
    `checkpoint ${id} in ${path} is damaged (${because}); restore a copy, or begin at an older checkpoint`,
    { path, id, ...details });
}
