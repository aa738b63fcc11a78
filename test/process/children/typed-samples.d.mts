/** Types of typed-samples.mjs, for the tests. */
import type { Fields, RecordOf, Schema } from '../../../host/typed/schema.ts';

export const Sample: Schema<Fields>;
export const SAMPLE_STRIDE: number;
export const HOT: number;
export type SampleRecord = Record<'seq' | 'ratio' | 'a' | 'b' | 'check' | 'tail', number> & { text: string };
export function groupOf(index: number): 'whole' | 'part' | 'single' | 'counters';
export function sampleOf(seq: number): SampleRecord;
export function bornOf(index: number): SampleRecord;
export function wrongIn(index: number, record: RecordOf<Fields>): string | undefined;
export function now(): number;
