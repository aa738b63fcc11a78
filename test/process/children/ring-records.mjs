/**
 * Records of rings that children and tests agree on without talking: every field follows from who appended the record
 * and its serial number, which alone in a ring is its sequence number; the sum is over all of the others.
 */
import { defineSchema, f64, str, u32, u64 } from '../../../dist/esm/schema.js';

export const Lap = defineSchema('Lap', { fields: {
  serial: u64.number, writer: u32, a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, text: str(40), g: f64, sum: u32,
} });

const WORDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** What the sum must be; text of the length of `text` takes part. */
function sumOf(record) {
  let sum = (record.serial ^ Math.imul(record.writer, 0x9e3779b1)) >>> 0;
  for (const word of WORDS) sum = (Math.imul(sum, 31) + (record[word] | 0)) >>> 0;
  for (let at = 0; at < record.text.length; at++) sum = (Math.imul(sum, 31) + record.text.charCodeAt(at)) >>> 0;
  return sum;
}

/** Fills a record. */
export function fill(record, writer, serial) {
  record.serial = serial;
  record.writer = writer;
  for (let at = 0; at < WORDS.length; at++) record[WORDS[at]] = (serial % 1e6) * 8 + at;
  record.text = `${serial}`.repeat(2);
  record.sum = sumOf(record);
  return record;
}

/** Whether all fields of a record belong to one. */
export function isWhole(record) {
  return record.sum === sumOf(record) && record.a === (record.serial % 1e6) * 8
    && record.text === `${record.serial}`.repeat(2);
}
