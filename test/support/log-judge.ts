/**
 * The judgement: whether a log is what the model says, wholly or where it was looked at; and, after a restart, whether
 * what is left is a prefix of one of the models that it may be.
 *
 * What is demanded after a restart: every record up to a floor is there, no record that was never appended, in order,
 * nothing behind a hole, batches whole, and a beginning that the log had before or after the step that was cut short.
 */
import { VarveError } from '../../host/errors/varve-error.ts';
import type { RecordRef } from '../../host/log/record.ts';
import type { RecordLog } from '../../host/record-log/record-log.ts';
import { type Model, isRight, lastOf, modelled } from './log-model.ts';
import type { Random } from './random.ts';

function fail(message: string): never {
  throw new Error(message);
}

/** Throws where the log does not hold exactly what the model says; returns how many records were compared. */
export function compareAll(log: RecordLog, model: Model): number {
  compareEnds(log, model);
  let lsn = model.first;
  for (const record of log.scan()) {
    if (record.lsn !== lsn || !isRight(record, model)) fail(`record ${lsn} is wrong, or ${record.lsn} stands there`);
    lsn++;
  }
  if (lsn !== lastOf(model) + 1) fail(`the scan ends at ${lsn - 1}, not at ${lastOf(model)}`);
  return model.records.length;
}

function compareEnds(log: RecordLog, model: Model): void {
  const [first, last] = [log.firstLsn, log.lastLsn];
  if (first !== model.first || last !== lastOf(model)) {
    fail(`the log holds ${first} to ${last} instead of ${model.first} to ${lastOf(model)}`);
  }
  if (log.durableLsn > last) fail(`${log.durableLsn} is durable, but ${last} is the last`);
}

/**
 * Looks at a few records in every way there is: by LSN, by reference, by a scan in either direction; asks for what is
 * not there; and follows references that were given before, some of them to records that have gone. Returns how many
 * records were compared.
 */
export function compareSome(log: RecordLog, model: Model, random: Random, refs: RecordRef[]): number {
  compareEnds(log, model);
  const last = lastOf(model);
  let compared = 0;
  const right = (record: ReturnType<RecordLog['read']>, how: string) => {
    if (!isRight(record, model)) fail(`record ${record.lsn} is wrong, ${how}`);
    compared++;
  };
  for (let count = Math.min(3, model.records.length); count > 0; count--) {
    const lsn = random.between(model.first, last);
    right(log.read(lsn, { view: random.chance(0.3) }), 'read by its LSN');
    const ref = log.refOf(lsn);
    right(log.readRef(ref, { view: random.chance(0.3) }), 'read by its reference');
    if (random.chance(0.3)) refs.push(ref);
  }
  const old = refs.length === 0 ? undefined : random.pick(refs);
  if (old !== undefined) compared += readOld(log, model, old);
  if (refs.length > 20) refs.splice(0, 10);
  outOfRange(() => log.read(last + random.between(1, 3)), 'above the last record');
  if (model.first > 1) outOfRange(() => log.read(random.integer(model.first)), 'below the first record');
  return compared + compareScan(log, model, random);
}

/** A reference to a record that was cut may find nothing, or what stands at that LSN now; nothing else. */
function readOld(log: RecordLog, model: Model, ref: RecordRef): number {
  try {
    if (!isRight(log.readRef(ref), model)) fail(`record ${ref.lsn} is wrong, read by an old reference`);
    return 1;
  } catch (error) {
    if (!VarveError.is(error, 'ERR_VARVE_OUT_OF_RANGE')) throw error;
    return 0;
  }
}

function outOfRange(read: () => unknown, what: string): void {
  try {
    read();
  } catch (error) {
    if (VarveError.is(error, 'ERR_VARVE_OUT_OF_RANGE')) return;
    throw error;
  }
  fail(`something was read ${what}`);
}

function compareScan(log: RecordLog, model: Model, random: Random): number {
  const from = random.between(model.first, lastOf(model) + 1);
  const to = Math.min(lastOf(model), from + random.integer(40));
  const reverse = random.chance(0.5);
  const found = [...log.scan({ from, to, reverse, view: random.chance(0.2) })];
  if (reverse) found.reverse();
  if (found.length !== Math.max(0, to - from + 1)) fail(`a scan from ${from} to ${to} gives ${found.length} records`);
  for (const [at, record] of found.entries()) {
    if (record.lsn !== from + at || !isRight(record, model)) fail(`record ${from + at} of a scan is wrong`);
  }
  return found.length;
}

/** What a log may hold after a restart, and up to where it must. */
export interface Expectation {
  readonly candidates: readonly Model[];
  /** The last record that must be there. */
  readonly floor: number;
}

/**
 * Finds which of the models the log is a prefix of; an error says why it is none. Returns the model that it has become,
 * which is all that was found.
 */
export function judge(log: RecordLog, { candidates, floor }: Expectation): Model {
  const found = [...log.scan()];
  const last = log.lastLsn;
  const reasons = candidates.map((model) => {
    if (log.firstLsn < model.first || log.firstLsn > model.firstMax) return `begins at ${log.firstLsn}`;
    if (last > lastOf(model)) return `ends at ${last}, beyond ${lastOf(model)}`;
    if (last < floor) return `ends at ${last}, but ${floor} was there for good`;
    if (model.unfinished.has(last)) return `ends at ${last}, inside a batch`;
    let next = log.firstLsn;
    for (const record of found) {
      if (record.lsn !== next++) return `record ${record.lsn} stands where ${next - 1} belongs`;
      if (!isRight(record, model)) return `record ${record.lsn} is wrong`;
    }
    return next === last + 1 ? '' : `the scan ends at ${next - 1} of ${last}`;
  });
  const at = reasons.indexOf('');
  if (at < 0) fail(`after ${log.recovery.outcome} (${log.recovery.because}): ${reasons.join(' / ')}`);
  const unfinished = new Set([...candidates[at]!.unfinished].filter((lsn) => lsn < last));
  return { first: log.firstLsn, firstMax: log.firstLsn, records: found.map(modelled), unfinished };
}
