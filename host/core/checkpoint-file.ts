/**
 * What stands in front of and behind the state in the file of a checkpoint: between the bytes and plain objects. Works
 * on copies in the scratch area; checksums are the core's. The layout is that of assembly/layout/checkpoint.ts.
 *
 * Whatever contradicts itself or the length of the file counts as damaged, whatever its checksum says.
 */
import {
  CheckpointCore, CheckpointFooter, CheckpointHeader, CommitEntry, GROUP_CORES_MAX, PAYLOAD_BYTES_MAX, SCRATCH_OFFSET,
  Status,
} from '../generated/abi.ts';
import { checksum } from './checksum.ts';
import type { Core } from './core.ts';
import { Fields } from './fields.ts';

/** Where an epoch ends on a core. */
export interface CheckpointPlace {
  /** LSN of the barrier; 0 where the core was never written to. */
  readonly sequence: number;
  /** Position just past it. */
  readonly position: number;
}

/** What is written in front of the state. */
export interface CheckpointFields {
  readonly groupIdLow: bigint;
  readonly groupIdHigh: bigint;
  readonly id: number;
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** One for each core, in their order. */
  readonly cores: readonly CheckpointPlace[];
  /** Offsets and watermark, in the layout of a commit. */
  readonly commit: Uint8Array;
}

/** What a header says. */
export interface CheckpointFront extends Omit<CheckpointFields, 'cores' | 'commit'> {
  readonly cores: number;
  readonly commitBytes: number;
  readonly partsCrc: number;
  readonly crc: number;
}

/** What a footer says. */
export interface CheckpointEnd {
  readonly id: number;
  readonly headerCrc: number;
  readonly stateBytes: number;
  readonly stateCrc: number;
}

/** Bytes of the cores and the commit, which follow the header. */
export function partsBytes({ cores, commitBytes }: CheckpointFront): number {
  return cores * CheckpointCore.BYTES + commitBytes;
}

/** Returns the bytes in front of the state - header, cores, commit - and the checksum of the header. */
export function encodeCheckpoint(
  core: Core, { commit, cores, ...facts }: CheckpointFields,
): { readonly bytes: Uint8Array; readonly crc: number } {
  const parts = CheckpointHeader.BYTES;
  const file = new Uint8Array(parts + cores.length * CheckpointCore.BYTES + commit.length);
  const places = new Fields(file, parts);
  cores.forEach(({ sequence, position }, index) => {
    places.setU64(index * CheckpointCore.BYTES + CheckpointCore.lsn, sequence);
    places.setU64(index * CheckpointCore.BYTES + CheckpointCore.position, position);
  });
  file.set(commit, parts + cores.length * CheckpointCore.BYTES);
  const partsCrc = checksum(core, file.subarray(parts));
  const header = core.memory.bytes.subarray(SCRATCH_OFFSET, SCRATCH_OFFSET + parts);
  header.fill(0);
  const fields = new Fields(header);
  fields.setU32(CheckpointHeader.cores, cores.length);
  fields.setU64(CheckpointHeader.groupIdLow, facts.groupIdLow);
  fields.setU64(CheckpointHeader.groupIdHigh, facts.groupIdHigh);
  fields.setU64(CheckpointHeader.id, facts.id);
  fields.setU64(CheckpointHeader.epoch, facts.epoch);
  fields.setU64(CheckpointHeader.createdAt, facts.createdAt);
  fields.setU32(CheckpointHeader.commitBytes, commit.length);
  fields.setU32(CheckpointHeader.partsCrc, partsCrc);
  core.exports.sealCheckpoint(SCRATCH_OFFSET);
  file.set(header, 0);
  return { bytes: file, crc: fields.u32(CheckpointHeader.crc) };
}

/**
 * Reads the header at the beginning of a file of `fileBytes`; a `Status` where it is not valid: `BadMagic`, `BadHeader`
 * or `NewerVersion`.
 */
export function decodeCheckpoint(core: Core, bytes: Uint8Array, fileBytes: number): CheckpointFront | number {
  if (bytes.length < CheckpointHeader.BYTES) return Status.BadHeader;
  core.memory.bytes.set(bytes.subarray(0, CheckpointHeader.BYTES), SCRATCH_OFFSET);
  const status = core.exports.checkCheckpoint(SCRATCH_OFFSET);
  if (status !== Status.Ok) return status;
  const fields = new Fields(bytes);
  const front: CheckpointFront = {
    crc: fields.u32(CheckpointHeader.crc),
    cores: fields.u32(CheckpointHeader.cores),
    groupIdLow: fields.big(CheckpointHeader.groupIdLow),
    groupIdHigh: fields.big(CheckpointHeader.groupIdHigh),
    id: fields.u64(CheckpointHeader.id),
    epoch: fields.u64(CheckpointHeader.epoch),
    createdAt: fields.u64(CheckpointHeader.createdAt),
    commitBytes: fields.u32(CheckpointHeader.commitBytes),
    partsCrc: fields.u32(CheckpointHeader.partsCrc),
  };
  const { cores, commitBytes, id, epoch } = front;
  const sound = cores >= 1 && cores <= GROUP_CORES_MAX && Number.isSafeInteger(id) && Number.isSafeInteger(epoch)
    && commitBytes >= CommitEntry.BYTES && commitBytes <= PAYLOAD_BYTES_MAX
    && CheckpointHeader.BYTES + partsBytes(front) + CheckpointFooter.BYTES <= fileBytes;
  return sound ? front : Status.BadHeader;
}

/** Reads the cores and the commit, which is a part of `bytes` then; `undefined` where they are not valid. */
export function decodeParts(
  core: Core, bytes: Uint8Array, front: CheckpointFront,
): Pick<CheckpointFields, 'cores' | 'commit'> | undefined {
  if (bytes.length !== partsBytes(front) || checksum(core, bytes) !== front.partsCrc) return undefined;
  const fields = new Fields(bytes);
  const cores = Array.from({ length: front.cores }, (_, index) => ({
    sequence: fields.u64(index * CheckpointCore.BYTES + CheckpointCore.lsn),
    position: fields.u64(index * CheckpointCore.BYTES + CheckpointCore.position),
  }));
  const exact = cores.every(({ sequence, position }) => (
    Number.isSafeInteger(sequence) && Number.isSafeInteger(position)));
  return exact ? { cores, commit: bytes.subarray(front.cores * CheckpointCore.BYTES) } : undefined;
}

/** Returns the bytes of a footer. */
export function encodeCheckpointFooter(core: Core, { id, headerCrc, stateBytes, stateCrc }: CheckpointEnd): Uint8Array {
  const bytes = core.memory.bytes.subarray(SCRATCH_OFFSET, SCRATCH_OFFSET + CheckpointFooter.BYTES);
  bytes.fill(0);
  const fields = new Fields(bytes);
  fields.setU32(CheckpointFooter.stateCrc, stateCrc);
  fields.setU64(CheckpointFooter.stateBytes, stateBytes);
  fields.setU64(CheckpointFooter.id, id);
  fields.setU32(CheckpointFooter.headerCrc, headerCrc);
  core.exports.sealCheckpointFooter(SCRATCH_OFFSET);
  return bytes.slice();
}

/** Reads the footer at the end of a file of `fileBytes` with this header; `undefined` where it is not valid. */
export function decodeCheckpointFooter(
  core: Core, bytes: Uint8Array, front: CheckpointFront, fileBytes: number,
): CheckpointEnd | undefined {
  if (bytes.length !== CheckpointFooter.BYTES) return undefined;
  core.memory.bytes.set(bytes, SCRATCH_OFFSET);
  if (core.exports.checkCheckpointFooter(SCRATCH_OFFSET) !== Status.Ok) return undefined;
  const fields = new Fields(bytes);
  const end: CheckpointEnd = {
    id: fields.u64(CheckpointFooter.id),
    headerCrc: fields.u32(CheckpointFooter.headerCrc),
    stateBytes: fields.u64(CheckpointFooter.stateBytes),
    stateCrc: fields.u32(CheckpointFooter.stateCrc),
  };
  const sound = end.id === front.id && end.headerCrc === front.crc
    && CheckpointHeader.BYTES + partsBytes(front) + end.stateBytes + CheckpointFooter.BYTES === fileBytes;
  return sound ? end : undefined;
}
