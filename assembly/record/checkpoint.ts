/**
 * The fixed structures of a checkpoint file: its header and its footer. The host fills in the fields by the generated
 * offsets; magic, version and checksum are this file's. docs/format.md, "Checkpoint".
 *
 * Each `seal` is called when all other fields stand; each `check` reads nothing beyond the structure.
 */
import { FORMAT_VERSION } from '../abi/limits';
import { Status } from '../abi/status';
import { CHECKPOINT_FOOTER_MAGIC, CHECKPOINT_MAGIC, CheckpointFooter, CheckpointHeader } from '../layout/checkpoint';
import { checkVersion, crcOf } from './structures';

/** Completes the header of a checkpoint at `at`. */
export function sealCheckpoint(at: usize): void {
  const header = changetype<CheckpointHeader>(at);
  header.magic = CHECKPOINT_MAGIC;
  header.version = FORMAT_VERSION;
  header.crc = crcOf(at, offsetof<CheckpointHeader>('version'), offsetof<CheckpointHeader>());
}

/**
 * Checks the header of a checkpoint at `at`, 80 readable bytes.
 *
 * @returns `Ok`, `BadMagic`, `BadHeader` or, only where the checksum is right, `NewerVersion`
 */
export function checkCheckpoint(at: usize): Status {
  const header = changetype<CheckpointHeader>(at);
  if (header.magic != CHECKPOINT_MAGIC) return Status.BadMagic;
  const crc = crcOf(at, offsetof<CheckpointHeader>('version'), offsetof<CheckpointHeader>());
  return header.crc == crc ? checkVersion(header.version, header.incompatible) : Status.BadHeader;
}

/** Completes the footer of a checkpoint at `at`. */
export function sealCheckpointFooter(at: usize): void {
  const footer = changetype<CheckpointFooter>(at);
  footer.magic = CHECKPOINT_FOOTER_MAGIC;
  footer.crc = crcOf(at, offsetof<CheckpointFooter>('stateCrc'), offsetof<CheckpointFooter>());
}

/** Checks the footer of a checkpoint at `at`, 40 readable bytes. Returns `Ok` or `BadFooter`. */
export function checkCheckpointFooter(at: usize): Status {
  const footer = changetype<CheckpointFooter>(at);
  const crc = crcOf(at, offsetof<CheckpointFooter>('stateCrc'), offsetof<CheckpointFooter>());
  return footer.magic == CHECKPOINT_FOOTER_MAGIC && footer.crc == crc ? Status.Ok : Status.BadFooter;
}
