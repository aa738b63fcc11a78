/**
 * The core: one compiled module, one instance, one memory. A thread's stores share one `Core` unless a caller asks for
 * a private one. Only the files in this folder call what the module exports; the rest of the host uses the typed
 * wrappers beside it.
 */
import { instantiateSync } from '@assemblyscript/loader';
import baselineModule from '../../build/core.wasm';
import simdModule from '../../build/core.simd.wasm';
import { VarveError } from '../errors/varve-error.ts';
import { SLOTS_OFFSET, SLOT_BYTES, STAGE_OFFSET } from '../generated/abi.ts';
import { CoreMemory } from './memory.ts';

/** The functions of the core; see assembly/index.ts for what each does. */
export interface CoreExports {
  init(): number;
  crc32c(seed: number, at: number, size: number): number;
  endOfBytes(from: number, to: number): number;
  keydirReset(dir: number): void;
  keydirReserve(dir: number, keys: number): number;
  keydirHasHash(dir: number, hash: number): number;
  keydirOrder(from: number, count: number, to: number): number;
  keydirGet(dir: number, keyBytes: number, check: number): number;
  keydirApply(dir: number, segment: number, offset: number, end: number, ordinal: number, check: number): number;
  keydirApplyHints(dir: number, segment: number, at: number, count: number): number;
  keydirHints(dir: number, segment: number, offset: number, end: number): number;
  keydirApplyDamaged(dir: number, segment: number, offset: number, stride: number): number;
  keydirHolds(dir: number, segment: number, offset: number): number;
  keydirExpire(dir: number, segment: number, offset: number, expiresAt: number): number;
  keydirPurge(dir: number): number;
  keydirWalk(
    dir: number, segment: number, offset: number, end: number, ordinal: number, bytesMax: number, prefixBytes: number,
  ): number;
  keydirCopy(
    dir: number, segment: number, offset: number, end: number, ordinal: number, room: number, bytesMax: number,
  ): number;
  keydirMoved(dir: number, from: number, to: number, offset: number, count: number): void;
  append(view: number, info: number, payloadBytes: number): number;
  appendBatch(view: number, count: number): number;
  sealBatch(view: number, at: number, count: number): void;
  publishBatch(view: number, count: number, dataEnd: number): number;
  commit(view: number): number;
  advance(view: number, records: number): number;
  locate(view: number, ordinal: number): number;
  read(view: number, ordinal: number): number;
  readAt(view: number, offset: number, ordinal: number): number;
  scan(view: number, offset: number, ordinal: number, recordsMax: number, bytesMax: number): number;
  recover(view: number, limit: number, recordsMax: number): number;
  findLater(view: number, from: number, limit: number, ordinal: number): number;
  fillLost(view: number, offset: number, end: number, ordinal: number, count: number, epoch: number): number;
  sealHeader(at: number): void;
  checkHeader(at: number): number;
  sealFooter(at: number): void;
  checkFooter(at: number): number;
  sealControl(at: number): void;
  checkControl(at: number): number;
  sealWriter(control: number): void;
  checkWriter(control: number): number;
  newestMarks(control: number): number;
  writeMarks(
    control: number, durableLsn: number, durablePosition: number, firstLsn: number, truncating: number,
    truncateLsn: number): void;
  sealCursor(at: number): void;
  checkCursor(at: number): number;
  layoutFields(list: number, count: number): number;
  sealTyped(at: number): void;
  checkTyped(at: number): number;
  sealTypedWriter(header: number): void;
  checkTypedWriter(header: number): number;
  raiseWord(at: number, value: number): void;
  resetNext(base: number, stride: number, from: number, count: number): number;
  damagedNext(base: number, stride: number, checksumAt: number, from: number, count: number): number;
  clearWords(from: number, to: number): number;
  refreshLimit(view: number): number;
  getBool(view: number, index: number, offset: number): number;
  getI8(view: number, index: number, offset: number): number;
  getU8(view: number, index: number, offset: number): number;
  getI16(view: number, index: number, offset: number): number;
  getU16(view: number, index: number, offset: number): number;
  getI32(view: number, index: number, offset: number): number;
  getU32(view: number, index: number, offset: number): number;
  getF32(view: number, index: number, offset: number): number;
  getF64(view: number, index: number, offset: number): number;
  getI64(view: number, index: number, offset: number): bigint;
  getI64Number(view: number, index: number, offset: number): number;
  getU64Number(view: number, index: number, offset: number): number;
  set8(view: number, index: number, offset: number, value: number): number;
  set16(view: number, index: number, offset: number, value: number): number;
  set32(view: number, index: number, offset: number, value: number): number;
  set64(view: number, index: number, offset: number, value: bigint): number;
  set64Number(view: number, index: number, offset: number, value: number): number;
  setF32(view: number, index: number, offset: number, value: number): number;
  setF64(view: number, index: number, offset: number, value: number): number;
  getBytes(view: number, index: number, offset: number, bound: number, to: number): number;
  setBytes(view: number, index: number, offset: number, bound: number, from: number, length: number): number;
  readRow(view: number, index: number, row: number): number;
  writeRow(view: number, index: number, row: number): number;
  patchRow(view: number, index: number, row: number, mask: number): number;
  appendRow(view: number, row: number): number;
  readRing(view: number, index: number, row: number): number;
  writeRing(view: number, index: number, row: number): number;
  patchRing(view: number, index: number, row: number, mask: number): number;
  appendRing(view: number, row: number): number;
  gatherRows(
    view: number, type: number, offset: number, from: number, count: number, row: number, to: number,
    presence: number, present: number,
  ): number;
  foldNullable(
    view: number, type: number, offset: number, presence: number, from: number, count: number, start: number,
    how: number,
  ): number;
  selectNullable(
    view: number, type: number, offset: number, presence: number, from: number, count: number, wanted: number,
    other: number, to: number, most: number,
  ): number;
  gatherNullable(
    view: number, type: number, offset: number, presence: number, from: number, count: number, to: number,
  ): number;
  sumColumn(view: number, type: number, offset: number, from: number, count: number, start: number): number;
  minColumn(view: number, type: number, offset: number, from: number, count: number, start: number): number;
  maxColumn(view: number, type: number, offset: number, from: number, count: number, start: number): number;
  selectColumn(
    view: number, type: number, offset: number, from: number, count: number, wanted: number, other: number, to: number,
    most: number): number;
  gatherColumn(view: number, type: number, offset: number, from: number, count: number, to: number): number;
  noteStamps(view: number, from: number, count: number, copies: number): number;
  findChanges(view: number, from: number, count: number, copies: number, to: number): number;
  loadWord(at: number): number;
  storeWord(at: number, value: number): void;
  findKind(view: number, offset: number, ordinal: number, to: number, kind: number): number;
  sealGroup(at: number): void;
  checkGroup(at: number): number;
  bump(at: number): void;
  sealCheckpoint(at: number): void;
  checkCheckpoint(at: number): number;
  sealCheckpointFooter(at: number): void;
  checkCheckpointFooter(at: number): number;
}

/** Which build of the core runs: one source, two targets. */
export type CoreVariant = 'baseline' | 'simd';

/** A module of `i32.const 0; i8x16.splat; i8x16.popcnt`: it validates only where SIMD does. */
const SIMD_PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11);

const compiled = new Map<CoreVariant, WebAssembly.Module>();

function compile(variant: CoreVariant): WebAssembly.Module {
  let module = compiled.get(variant);
  if (module === undefined) {
    module = new WebAssembly.Module(variant === 'simd' ? simdModule : baselineModule);
    compiled.set(variant, module);
  }
  return module;
}

/** The build that this machine runs best: SIMD where the engine has it. `VARVE_CORE=baseline` forces the other. */
export function preferredVariant(): CoreVariant {
  const forced = process.env['VARVE_CORE'];
  if (forced === 'baseline' || forced === 'simd') return forced;
  return WebAssembly.validate(SIMD_PROBE) ? 'simd' : 'baseline';
}

/** Options of a private core. */
export interface CoreOptions {
  /** The build; default: SIMD where the engine has it. */
  readonly variant?: CoreVariant;
  /** Bytes of address space, from 16 MiB to 4 GiB; default 4 GiB. It costs no memory until files are mapped. */
  readonly memoryBytes?: number;
}

export class Core {
  readonly variant: CoreVariant;
  readonly memory: CoreMemory;
  readonly exports: CoreExports;
  /** A slot of zeros that stays: what a view uses that was released. */
  readonly emptySlot: number;
  private readonly freeSlots: number[] = [];
  private nextSlot = SLOTS_OFFSET;

  constructor(options: CoreOptions = {}) {
    this.variant = options.variant ?? preferredVariant();
    this.memory = new CoreMemory(options.memoryBytes);
    // The loader's wrappers cost more than the calls: the raw exports are what is used.
    const memory = this.memory.memory as WebAssembly.Memory;
    const { instance } = instantiateSync(compile(this.variant), { env: { memory } });
    this.exports = instance.exports as unknown as CoreExports;
    if (this.exports.init() === 0) {
      throw new VarveError('ERR_VARVE_INTERNAL', 'the core\'s tables reach into the scratch area');
    }
    this.emptySlot = this.takeSlot();
  }

  private static ofThread: Core | undefined;

  /** The core that the stores of this thread share; made at the first call. */
  static shared(): Core {
    Core.ofThread ??= new Core();
    return Core.ofThread;
  }

  /** Returns the address of a zeroed slot for one segment view. Errors: ERR_VARVE_MEMORY_FULL. */
  takeSlot(): number {
    const slot = this.freeSlots.pop() ?? this.nextSlot;
    if (slot === this.nextSlot) {
      if (slot + SLOT_BYTES > STAGE_OFFSET) {
        throw new VarveError('ERR_VARVE_MEMORY_FULL',
          `more than ${(STAGE_OFFSET - SLOTS_OFFSET) / SLOT_BYTES} segments are mapped in one core; close logs that are `
          + 'not used');
      }
      this.nextSlot += SLOT_BYTES;
    }
    this.memory.bytes.fill(0, slot, slot + SLOT_BYTES);
    return slot;
  }

  /** Gives a slot back. */
  releaseSlot(slot: number): void {
    this.freeSlots.push(slot);
  }
}
