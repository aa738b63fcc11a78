/**
 * Records for tests of rings: each follows from its number.
 */
import { defineSchema, f64, str, u64, type RecordOf } from '../../host/typed/schema.ts';
import type { TypedStore } from '../../host/typed/typed-store.ts';

export const Sample = defineSchema('Sample', { fields: { number: u64.number, label: str(10), value: f64 } });
export type Sample = RecordOf<typeof Sample.fields>;
export type Samples = TypedStore<typeof Sample.fields>;

export const sample = (number: number): Sample => ({ number, label: `#${number % 1e6}`, value: number / 2 });
/** What is appended without a record. */
export const ZERO: Sample = { number: 0, label: '', value: 0 };
