import type { Field, Schema } from '../../../host/typed/schema.ts';

export interface BulkRecord {
  head: number;
  bulk: Uint8Array;
  tail: number;
}
export const Bulk: Schema<{ readonly [K in keyof BulkRecord]: Field<BulkRecord[K]> }>;
export const EVERY: number;
export function fillBulk(record: Partial<BulkRecord>, index: number): BulkRecord;
export function isBulk(record: BulkRecord, index: number): boolean;
