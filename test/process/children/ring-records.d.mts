import type { Field, Schema } from '../../../host/typed/schema.ts';

export interface LapRecord {
  serial: number;
  writer: number;
  a: number;
  b: number;
  c: number;
  d: number;
  e: number;
  f: number;
  text: string;
  g: number;
  sum: number;
}
export const Lap: Schema<{ readonly [K in keyof LapRecord]: Field<LapRecord[K]> }>;
export function isWhole(record: LapRecord): boolean;
