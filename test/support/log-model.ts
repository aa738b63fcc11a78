/**
 * What a log must hold, as a plain array: the model that the simulation compares every log with. A model is never
 * changed; each operation makes the next one.
 */
import type { LogRecord } from '../../host/log/record.ts';

export interface ModelRecord {
  readonly payload: string;
  readonly kind: number;
  readonly key: string;
}

export interface Model {
  /** LSN of the first record. */
  readonly first: number;
  /** What it may be at most while the oldest records are being dropped. */
  readonly firstMax: number;
  readonly records: readonly ModelRecord[];
  /** The LSNs of all records of batches but the last of each: none of these may be the last of the log. */
  readonly unfinished: ReadonlySet<number>;
}

export const EMPTY_MODEL: Model = { first: 1, firstMax: 1, records: [], unfinished: new Set() };

export function lastOf(model: Model): number {
  return model.first + model.records.length - 1;
}

/** With a batch behind the last record; one record is a batch of one. */
export function appended(model: Model, batch: readonly ModelRecord[]): Model {
  const first = lastOf(model) + 1;
  const unfinished = batch.length === 1
    ? model.unfinished : new Set([...model.unfinished, ...batch.slice(1).map((_, at) => first + at)]);
  return { ...model, records: [...model.records, ...batch], unfinished };
}

/** While the records below `lsn` are being dropped: nobody knows yet how many go. */
export function dropping(model: Model, lsn: number): Model {
  return { ...model, firstMax: Math.max(model.first, lsn) };
}

/** Without the records below `first`. */
export function beginningAt(model: Model, first: number): Model {
  return { ...model, first, firstMax: first, records: model.records.slice(first - model.first) };
}

/** Without the records above `lsn`. Whoever cuts inside a batch makes what is left of it a batch. */
export function endingAt(model: Model, lsn: number): Model {
  const unfinished = new Set([...model.unfinished].filter((each) => each < lsn));
  return { ...model, records: model.records.slice(0, lsn - model.first + 1), unfinished };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** The record as the model has it. */
export function modelled({ payload, kind, key }: LogRecord): ModelRecord {
  return { payload: textOf(payload), kind, key: textOf(key) };
}

/** Whether a log's record is the one that the model has at its LSN. */
export function isRight(record: LogRecord, model: Model): boolean {
  const expected = model.records[record.lsn - model.first];
  return expected !== undefined && record.kind === expected.kind && textOf(record.payload) === expected.payload
    && textOf(record.key) === expected.key;
}
