/**
 * The state of a checkpoint on its way into the file: bytes, text or pieces of bytes, through a stage of 256 KiB, which
 * is all that is in memory of it. What is written is what the checksum is of, even where the caller's memory changes
 * meanwhile. The event loop has its turn after each mebibyte.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { checksum } from '../core/checksum.ts';
import type { Core } from '../core/core.ts';
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { SCRATCH_BYTES } from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';

/**
 * A state: bytes, text, which is stored as UTF-8, or pieces of bytes, in their order. A piece may change once the next
 * one is asked for; bytes that are given whole must not change until the checkpoint is made.
 */
export type CheckpointState = Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

const STAGE_BYTES = SCRATCH_BYTES;
const TURN_BYTES = 1 << 20;
/** Most bytes of a character. */
const CHARACTER_BYTES = 4;
const encoder = new TextEncoder();

/** Checks what can be known of a state before its pieces come. */
export function checkState(state: unknown): CheckpointState {
  if (typeof state === 'string') {
    if (state.isWellFormed()) return state;
    throw outOfRange('state', 'text without lone surrogates, which no UTF-8 has', state);
  }
  if (state instanceof Uint8Array) return state;
  const given = Object(state) as Partial<Iterable<Uint8Array> & AsyncIterable<Uint8Array>>;
  const iterable = typeof given[Symbol.asyncIterator] === 'function' || typeof given[Symbol.iterator] === 'function';
  if (iterable && !ArrayBuffer.isView(state)) return state as AsyncIterable<Uint8Array>;
  throw wrongType('state', 'a Uint8Array, a string, or an iterable of Uint8Arrays', state);
}

export class StateWriter {
  private readonly core: Core;
  private readonly file: StoredFile;
  private readonly start: number;
  private readonly stage = new Uint8Array(STAGE_BYTES);
  private staged = 0;
  private written = 0;
  private checked = 0;

  /** Writes from `start` of the file on, which stays the caller's. */
  constructor(core: Core, file: StoredFile, start: number) {
    this.core = core;
    this.file = file;
    this.start = start;
  }

  /** Bytes that were written. */
  get bytes(): number { return this.written; }
  /** Their CRC-32C. */
  get crc(): number { return this.checked; }

  /**
   * Writes a state that `checkState` has accepted, wholly. An iterator that is not at its end is closed.
   *
   * Errors: ERR_VARVE_INVALID_ARGUMENT (a piece that is not bytes), ERR_VARVE_DISK_FULL, ERR_VARVE_IO; what an
   * iterator throws
   */
  async write(state: CheckpointState): Promise<void> {
    if (typeof state === 'string') await this.takeText(state);
    else if (state instanceof Uint8Array) await this.takeBytes(state);
    else {
      for await (const piece of state) {
        if (!(piece instanceof Uint8Array)) throw wrongType('a piece of state', 'a Uint8Array', piece);
        await this.takeBytes(piece);
      }
    }
    this.flush();
  }

  private async takeBytes(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + STAGE_BYTES - this.staged);
      this.stage.set(part, this.staged);
      this.staged += part.length;
      from += part.length;
      if (this.staged === STAGE_BYTES) await this.makeRoom();
    }
  }

  private async takeText(text: string): Promise<void> {
    for (let from = 0; from < text.length;) {
      // No call runs through all the rest, and none parts a pair.
      const end = Math.min(from + STAGE_BYTES, text.length);
      const part = text.slice(from, end < text.length && isHigh(text.charCodeAt(end - 1)) ? end - 1 : end);
      const { read, written } = encoder.encodeInto(part, this.stage.subarray(this.staged));
      from += read;
      this.staged += written;
      if (this.staged > STAGE_BYTES - CHARACTER_BYTES) await this.makeRoom();
    }
  }

  private async makeRoom(): Promise<void> {
    const before = this.written;
    this.flush();
    if (Math.floor(before / TURN_BYTES) !== Math.floor(this.written / TURN_BYTES)) await turn();
  }

  private flush(): void {
    if (this.staged === 0) return;
    const bytes = this.stage.subarray(0, this.staged);
    this.checked = checksum(this.core, bytes, this.checked);
    this.file.write(bytes, this.start + this.written);
    this.written += this.staged;
    this.staged = 0;
  }
}

/** Whether a unit is the first one of a pair. */
function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
