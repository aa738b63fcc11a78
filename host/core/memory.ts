/**
 * The core's linear memory and who has which part of it.
 *
 * [0, STATIC_END) belongs to the core: its tables, the scratch areas and the stage. The rest is handed out in ranges
 * whose address and length are multiples of 64 KiB, so that a file can be mapped onto each. The memory never grows, so
 * `buffer` and the views below stay valid for ever.
 */
import { VarveError } from '../errors/varve-error.ts';
import { STATIC_END } from '../generated/abi.ts';

/** Ranges are multiples of this: one WebAssembly page. */
export const RANGE_ALIGNMENT = 65536;
/** Bytes of the whole memory of a shared core: all that 32-bit addresses reach. It costs address space, not memory. */
export const MEMORY_BYTES_MAX = 4294967296;

interface Range { address: number; length: number }

/** Rounds up to a multiple of the range alignment. */
export function rangeBytes(length: number): number {
  return Math.ceil(length / RANGE_ALIGNMENT) * RANGE_ALIGNMENT;
}

/** A `WebAssembly.Memory`, whose type only programs for browsers are sure to know. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

export class CoreMemory {
  readonly memory: WasmMemory;
  /** The memory's buffer; asking a view for it costs more than a copy of a small record. */
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly unsigned: Uint32Array;
  readonly doubles: Float64Array;
  /** Free ranges, ascending, never adjacent. */
  private readonly free: Range[];

  /** Reserves `length` bytes of address space, from 16 MiB to 4 GiB. */
  constructor(length: number = MEMORY_BYTES_MAX) {
    const pages = Math.ceil(length / RANGE_ALIGNMENT);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = this.memory.buffer;
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.unsigned = new Uint32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.free = [{ address: STATIC_END, length: buffer.byteLength - STATIC_END }];
  }

  /** Returns the address of `length` bytes nobody else has, rounded up to 64 KiB. Errors: ERR_VARVE_MEMORY_FULL. */
  reserve(length: number): number {
    const need = rangeBytes(length);
    const at = this.free.findIndex((range) => range.length >= need);
    const range = this.free[at];
    if (range === undefined) {
      throw new VarveError('ERR_VARVE_MEMORY_FULL',
        `no ${need} contiguous bytes left in the core's memory of ${this.bytes.length} bytes; close logs that are not `
        + 'used or lower mappedBytesMax', { bytes: need, largest: this.largestFree() });
    }
    const address = range.address;
    range.address += need;
    range.length -= need;
    if (range.length === 0) this.free.splice(at, 1);
    return address;
  }

  /** Gives back what `reserve(length)` returned. */
  release(address: number, length: number): void {
    const size = rangeBytes(length);
    const next = this.free.findIndex((range) => range.address > address);
    const at = next < 0 ? this.free.length : next;
    this.free.splice(at, 0, { address, length: size });
    this.join(at);
    this.join(at - 1);
  }

  /** Bytes of the largest free range. */
  largestFree(): number {
    return this.free.reduce((most, range) => Math.max(most, range.length), 0);
  }

  private join(at: number): void {
    const [range, next] = [this.free[at], this.free[at + 1]];
    if (range === undefined || next === undefined || range.address + range.length !== next.address) return;
    range.length += next.length;
    this.free.splice(at + 1, 1);
  }
}
