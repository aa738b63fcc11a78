/**
 * Typed stores for tests of the face: a schema with a field of every type, records of it, and stores in a directory of
 * their own that are closed and removed afterwards.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TypedStore } from '../../host/typed/typed-store.ts';
import type { TypedStoreOptions } from '../../host/typed/options.ts';
import {
  bool, bytes, defineSchema, f32, f64, i16, i32, i64, i8, str, u16, u32, u64, u8, type Fields, type RecordOf,
  type Schema,
} from '../../host/typed/schema.ts';
import type { Random } from './random.ts';

/** Every type, more than eight fields, and gaps between them. */
export const Everything = defineSchema('Everything', { version: 3, fields: {
  flag: bool, tiny: i8, octet: u8, short: i16, word: u16, int: i32, count: u32, long: i64, size: u64, near: i64.number,
  age: u64.number, ratio: f32, price: f64, name: str(24), blob: bytes(9),
} });
export type EverythingRecord = RecordOf<typeof Everything.fields>;

/** A record of a given name; the rest is zero. */
export function zeros(name = ''): EverythingRecord {
  return {
    flag: false, tiny: 0, octet: 0, short: 0, word: 0, int: 0, count: 0, long: 0n, size: 0n, near: 0, age: 0, ratio: 0,
    price: 0, name, blob: new Uint8Array(),
  };
}

/** The values at the ends of every type, and those that are special. */
export const EXTREMES: { readonly [K in keyof EverythingRecord]: readonly EverythingRecord[K][] } = {
  flag: [true, false],
  tiny: [-128, -1, 0, 127], octet: [0, 255], short: [-32768, 32767], word: [0, 65535],
  int: [-2147483648, -1, 0, 2147483647], count: [0, 4294967295],
  long: [-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n], size: [0n, 2n ** 63n, 2n ** 64n - 1n],
  near: [Number.MIN_SAFE_INTEGER, -4294967297, -1, 0, Number.MAX_SAFE_INTEGER],
  age: [0, 4294967296, Number.MAX_SAFE_INTEGER],
  ratio: [-0, NaN, Infinity, -Infinity, 1.401298464324817e-45, 3.4028234663852886e38],
  price: [-0, NaN, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE, 0.1],
  name: ['', 'a', 'seven b', 'eight by', 'nine byte', 'x'.repeat(24), 'ÿ', '\0', 'é'.repeat(12), '€'.repeat(8), '🙂'.repeat(6)],
  blob: [new Uint8Array(), Uint8Array.of(0), Uint8Array.of(1, 2, 255), new Uint8Array(9).fill(200)],
};

/** A record whose every field is drawn from the extremes. */
export function randomRecord(random: Random): EverythingRecord {
  const entries = Object.entries(EXTREMES).map(([name, values]) => [name, random.pick<unknown>(values)]);
  return Object.fromEntries(entries) as EverythingRecord;
}

/** Stores in one directory. */
export class TypedStores {
  readonly directory = mkdtempSync(join(tmpdir(), 'varve-typed-'));
  private readonly opened: { closeSync(): void }[] = [];

  file(name = 'records.varve'): string {
    return join(this.directory, name);
  }

  open<F extends Fields>(schema: Schema<F>, options: TypedStoreOptions = {}, name?: string): TypedStore<F> {
    const store = TypedStore.openSync(this.file(name), schema, options);
    this.opened.push(store);
    return store;
  }

  close(): void {
    for (const store of this.opened.splice(0)) store.closeSync();
  }

  /** Closes and removes everything. */
  remove(): void {
    this.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
