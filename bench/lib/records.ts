/** The records of the benchmarks, for `varve generate`. */
import type { f64, Str, u64 } from 'varve/schema';

/**
 * Seven numbers: 64 bytes with the stamp.
 * @varve version=1
 */
export interface Seven { a: f64; b: f64; c: f64; d: f64; e: f64; f: f64; g: f64 }

/**
 * The record of mmapforge's own benchmarks: 104 bytes with the stamp.
 * @varve version=1
 */
export interface Tick { symbol: Str<64>; price: f64; volume: f64; timestamp: u64<number> }

/**
 * As far from one to the next as 11 numbers: 88 bytes.
 * @varve version=1
 */
export interface Wide { symbol: Str<44>; price: f64; volume: f64; bid: f64; ask: f64 }
