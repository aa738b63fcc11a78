/**
 * The typed handle of a `TypedView` (assembly/layout/typed.ts): a mapped range of typed records, as the core sees it.
 * Stand-in for the one that is written at the same time; to be replaced by it.
 */
import { SCRATCH_OFFSET, Status, TYPED_STRIDE_MAX, TypedView as Layout, type WriteMode } from '../generated/abi.ts';
import type { Core } from './core.ts';

/* eslint-disable */
const U32 = 4;
/** A slot without records, for all views of a core that were released. */
const EMPTY = new WeakMap<Core, number>();

export interface TypedViewFields {
  readonly base: number; readonly stride: number; readonly countAt: number; readonly first: number;
  readonly limit: number; readonly room: number; readonly mode: WriteMode; readonly strict: boolean;
}

interface Exports { [name: string]: (...args: any[]) => any }

export class TypedView {
  readonly core: Core;
  at: number;
  private readonly exports: Exports;
  private readonly words: Int32Array;
  constructor(core: Core, fields: TypedViewFields) {
    this.core = core;
    this.exports = core.exports as unknown as Exports;
    this.words = core.memory.words;
    this.at = core.takeSlot();
    for (const [name, value] of Object.entries(fields)) this.put((Layout as any)[name], Number(value));
  }
  private put(offset: number, value: number) { this.words[(this.at + offset) / U32] = value; }
  private take(offset: number) { return this.words[(this.at + offset) / U32]! >>> 0; }
  get first() { return this.take(Layout.first); }
  get limit() { return this.take(Layout.limit); }
  get room() { return this.take(Layout.room); }
  moveTo({ base, first, limit, room }: { base: number; first: number; limit: number; room: number }) {
    this.put(Layout.base, base); this.put(Layout.first, first); this.put(Layout.limit, limit); this.put(Layout.room, room);
  }
  set mode(value: number) { this.put(Layout.mode, value); }
  /** From here on there are no records, whoever has the slot next. */
  release() {
    const empty = EMPTY.get(this.core) ?? this.core.takeSlot();
    EMPTY.set(this.core, empty);
    if (this.at !== empty) this.core.releaseSlot(this.at);
    this.at = empty;
  }
  takeStatus(): number {
    const at = (this.at + Layout.status) / U32; const status = this.words[at]!;
    this.words[at] = Status.Ok; return status;
  }
  refreshLimit(): number { return this.exports['refreshLimit']!(this.at); }
  getBool(i: number, o: number): number { return this.exports['getBool']!(this.at, i, o); }
  getI8(i: number, o: number): number { return this.exports['getI8']!(this.at, i, o); }
  getU8(i: number, o: number): number { return this.exports['getU8']!(this.at, i, o); }
  getI16(i: number, o: number): number { return this.exports['getI16']!(this.at, i, o); }
  getU16(i: number, o: number): number { return this.exports['getU16']!(this.at, i, o); }
  getI32(i: number, o: number): number { return this.exports['getI32']!(this.at, i, o); }
  getU32(i: number, o: number): number { return this.exports['getU32']!(this.at, i, o); }
  getF32(i: number, o: number): number { return this.exports['getF32']!(this.at, i, o); }
  getF64(i: number, o: number): number { return this.exports['getF64']!(this.at, i, o); }
  getI64(i: number, o: number): bigint { return this.exports['getI64']!(this.at, i, o); }
  getI64Number(i: number, o: number): number { return this.exports['getI64Number']!(this.at, i, o); }
  getU64Number(i: number, o: number): number { return this.exports['getU64Number']!(this.at, i, o); }
  set8(i: number, o: number, v: number): number { return this.exports['set8']!(this.at, i, o, v); }
  set16(i: number, o: number, v: number): number { return this.exports['set16']!(this.at, i, o, v); }
  set32(i: number, o: number, v: number): number { return this.exports['set32']!(this.at, i, o, v); }
  set64(i: number, o: number, v: bigint): number { return this.exports['set64']!(this.at, i, o, v); }
  set64Number(i: number, o: number, v: number): number { return this.exports['set64Number']!(this.at, i, o, v); }
  setF32(i: number, o: number, v: number): number { return this.exports['setF32']!(this.at, i, o, v); }
  setF64(i: number, o: number, v: number): number { return this.exports['setF64']!(this.at, i, o, v); }
  readRow(i: number): number { return this.exports['readRow']!(this.at, i, SCRATCH_OFFSET); }
  writeRow(i: number): number { return this.exports['writeRow']!(this.at, i, SCRATCH_OFFSET); }
  appendRow(useRow: boolean): number { return this.exports['appendRow']!(this.at, useRow ? SCRATCH_OFFSET : 0); }
  patchRow(i: number): number {
    return this.exports['patchRow']!(this.at, i, SCRATCH_OFFSET, SCRATCH_OFFSET + TYPED_STRIDE_MAX);
  }
  getBytes(i: number, o: number, bound: number): number {
    const status = this.readRow(i);
    if (status !== 0) return status;
    const { bytes } = this.core.memory;
    const length = this.core.memory.unsigned[(SCRATCH_OFFSET + o) / 4]!;
    if (length > bound) return Status.BadValue;
    bytes.copyWithin(SCRATCH_OFFSET, SCRATCH_OFFSET + o + 4, SCRATCH_OFFSET + o + 4 + length);
    return length;
  }
  setBytes(i: number, o: number, bound: number, length: number): number {
    const { bytes } = this.core.memory;
    const text = bytes.slice(SCRATCH_OFFSET, SCRATCH_OFFSET + length);
    const mask = SCRATCH_OFFSET + TYPED_STRIDE_MAX;
    bytes.fill(0, mask, mask + TYPED_STRIDE_MAX);
    bytes.fill(255, mask + o, mask + o + 4 + bound);
    bytes.fill(0, SCRATCH_OFFSET + o + 4, SCRATCH_OFFSET + o + 4 + bound);
    this.core.memory.unsigned[(SCRATCH_OFFSET + o) / 4] = length;
    bytes.set(text, SCRATCH_OFFSET + o + 4);
    return this.patchRow(i);
  }
}
