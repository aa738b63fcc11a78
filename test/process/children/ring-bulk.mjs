/**
 * Large records of a ring, of which child and test agree on without talking: every tenth carries its sequence number at
 * both ends and in each byte between them, all others are zeros.
 */
import { bytes, defineSchema, u64 } from '../../../dist/esm/schema.js';

const BULK_BYTES = 16000;
export const Bulk = defineSchema('Bulk', { fields: { head: u64.number, bulk: bytes(BULK_BYTES), tail: u64.number } });
export const EVERY = 10;

/** Fills the record of a sequence number that is a multiple of ten. */
export function fillBulk(record, index) {
  record.head = index;
  record.tail = index;
  record.bulk ??= new Uint8Array(BULK_BYTES);
  record.bulk.fill(index / EVERY & 255);
  return record;
}

/** Whether a record is the one of a sequence number, whole. */
export function isBulk({ head, bulk, tail }, index) {
  if (index % EVERY !== 0) return head === 0 && tail === 0 && bulk.length === 0;
  const byte = index / EVERY & 255;
  return head === index && tail === index && bulk.length === BULK_BYTES && bulk.every((each) => each === byte);
}
