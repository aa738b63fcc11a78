/**
 * Where things lie in the file of a typed store, for tests that spoil them as a crash or another program would.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { TYPED_COUNT_OFFSET } from '../../host/generated/abi.ts';
import type { Layout } from '../../host/typed/layout.ts';

interface Inside {
  readonly path: string;
  readonly file: { readonly recordsOffset: number; readonly layout: Layout };
}

export class Places {
  readonly layout: Layout;
  private readonly path: string;
  private readonly recordsOffset: number;

  /** Of a store that is open; it may be closed when they are used. */
  constructor(store: object) {
    const { path, file } = store as Inside;
    this.path = path;
    this.layout = file.layout;
    this.recordsOffset = file.recordsOffset;
  }

  /** Offset in the file of a record's stamp, by its place. */
  record(place: number): number {
    return this.recordsOffset + place * this.layout.stride;
  }

  /** Offset in a record of a field. */
  field(name: string): number {
    return this.layout.fields.find((field) => field.name === name)!.offset;
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const fd = openSync(this.path, 'r');
    readSync(fd, bytes, 0, length, offset);
    closeSync(fd);
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    const fd = openSync(this.path, 'r+');
    writeSync(fd, bytes, 0, bytes.length, offset);
    closeSync(fd);
  }

  /** Flips a bit. */
  flip(offset: number, bit = 0): void {
    const [byte] = this.read(offset, 1);
    this.write(offset, Uint8Array.of(byte! ^ (1 << bit)));
  }

  /** Leaves a record as a writer does that dies while it has it. */
  hold(place: number): void {
    this.write(this.record(place), Uint8Array.of(this.read(this.record(place), 1)[0]! | 1));
  }

  /** Sets the live count. */
  count(count: number | bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(count));
    this.write(TYPED_COUNT_OFFSET, bytes);
  }
}
