/**
 * Typed files for the tests of the command line: records of one schema in a file that is closed, and mmapforge's file
 * with its schema.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TypedStoreOptions } from '../../host/typed/options.ts';
import { bool, bytes, defineSchema, f64, i64, str, u64, type RecordOf } from '../../host/typed/schema.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';
import { ROOT } from './repository.ts';
import type { TypedStores } from './typed-stores.ts';

export const Tick = defineSchema('Tick', { version: 2, fields: {
  symbol: str(12), price: f64, volume: u64, delta: i64, ok: bool, raw: bytes(4),
} });
/** Where records begin in a file, the bytes of one, and where `ok` stands in it. */
export const RECORDS_OFFSET = 4096;
export const STRIDE = 64;
export const OK = 48;
export const MMFG = join(ROOT, 'test/fixtures/mmfg-tick.mmf');

export function tick(at: number): RecordOf<typeof Tick.fields> {
  return {
    symbol: `S${at}`, price: at + 0.5, volume: BigInt(at), delta: -BigInt(at), ok: at % 2 === 0, raw: Uint8Array.of(at),
  };
}

export function openTicks(
  stores: TypedStores, name = 'ticks.varve', options: TypedStoreOptions = {},
): TypedStore<typeof Tick.fields> {
  return stores.open(Tick, options, name);
}

/** A closed file of some records. */
export function makeTicks(stores: TypedStores, count: number, name?: string, options?: TypedStoreOptions): string {
  const store = openTicks(stores, name, options);
  for (let at = 0; at < count; at++) store.append(tick(at));
  store.closeSync();
  return store.path;
}

/** The schema of mmapforge's file, as JSON in a file. */
export function mmfgSchema(stores: TypedStores): string {
  const path = stores.file('tick.json');
  writeFileSync(path, JSON.stringify({ name: 'Tick', version: 1, fields: [
    { name: 'symbol', type: 'string', max: 64 }, { name: 'price', type: 'float64' },
    { name: 'volume', type: 'float64' }, { name: 'timestamp', type: 'uint64' },
  ] }));
  return path;
}
