/**
 * The steps of a simulated writer, each one call of the log with what it makes of the model, and how often each is
 * taken. Random sizes are such that records cross pages, fill segments and take the way of large batches.
 */
import type { RecordLog } from '../../host/record-log/record-log.ts';
import {
  type Model, type ModelRecord, appended, beginningAt, dropping, endingAt, lastOf,
} from './log-model.ts';
import type { Random } from './random.ts';

/** What a step works on. */
export interface Stage {
  readonly random: Random;
  readonly log: RecordLog;
  readonly model: Model;
  /** Takes `next` for what the log must hold from now on, and runs what makes it so. */
  change(next: Model, run: () => void): void;
  /** Waits for a sync as the disk's mode demands: until it is done, or not at all. */
  sync(): Promise<void>;
  /** Takes a sync that has returned into account. */
  durable(lsn: number): void;
  /** Lowers what must be there: records above `lsn` are being cut. */
  cutTo(lsn: number): void;
  closeAndOpen(): Promise<void>;
  /** Drops as `truncateBefore` does, off the event loop; `between` is called while that is under way. */
  dropBefore(lsn: number, between: () => void): Promise<void>;
  /** A number that no record had before. */
  nextNumber(): number;
}

function textFor(stage: Stage): string {
  const length = stage.random.pick([0, 5, 30, 200, 1000, 5000, 20_000]);
  return `${stage.nextNumber()} `.padEnd(stage.random.integer(length + 1), 'x');
}

function recordFor(stage: Stage): ModelRecord {
  const { random } = stage;
  const plain = random.chance(0.7);
  return {
    payload: textFor(stage), kind: plain ? 0 : random.integer(128),
    key: plain ? '' : 'k'.repeat(random.pick([0, 1, 7, 8, 300])),
  };
}

function append(stage: Stage): void {
  const record = recordFor(stage);
  const { payload, kind, key } = record;
  const data = stage.random.chance(0.5) ? payload : Buffer.from(payload);
  stage.change(appended(stage.model, [record]), () => {
    const lsn = kind === 0 && key === '' ? stage.log.append(data) : stage.log.append(data, { kind, key });
    if (lsn !== lastOf(stage.model)) throw new Error(`append gave ${lsn} instead of ${lastOf(stage.model)}`);
  });
}

function appendBatch(stage: Stage): void {
  const { random } = stage;
  // Some are large enough for the stage, a few for more than that.
  const length = random.chance(0.2) ? random.pick([40, 80, 700]) : random.between(1, 8);
  const batch = Array.from({ length }, () => recordFor(stage));
  const plain = random.chance(0.3);
  const records = plain ? batch.map(({ payload }) => ({ payload, kind: 0, key: '' })) : batch;
  const input = plain ? batch.map(({ payload }) => Buffer.from(payload)) : batch;
  stage.change(appended(stage.model, records), () => { stage.log.appendBatch(input); });
}

function truncateBefore(stage: Stage): void {
  const { model, log } = stage;
  const lsn = stage.random.between(model.first, lastOf(model) + 1);
  let first = model.first;
  stage.change(dropping(model, lsn), () => { first = log.truncateBefore(lsn); });
  stage.change(beginningAt(model, first), () => stage.durable(first - 1));
}

async function dropBefore(stage: Stage): Promise<void> {
  const lsn = stage.random.between(stage.model.first, lastOf(stage.model) + 1);
  stage.change(dropping(stage.model, lsn), () => undefined);
  await stage.dropBefore(lsn, () => append(stage));
  const first = stage.log.firstLsn;
  stage.change(beginningAt(stage.model, first), () => stage.durable(first - 1));
}

function retain(stage: Stage): void {
  const { model, log } = stage;
  let first = model.first;
  stage.change(dropping(model, lastOf(model) + 1), () => {
    first = log.retain({ maxBytes: stage.random.between(1, 400_000) });
  });
  stage.change(beginningAt(model, first), () => stage.durable(first - 1));
}

function truncateAfter(stage: Stage): void {
  const { model, log } = stage;
  const lsn = stage.random.between(model.first - 1, lastOf(model));
  stage.cutTo(lsn);
  stage.change(endingAt(model, lsn), () => log.truncateAfter(lsn));
}

function reset(stage: Stage): void {
  const { model, log } = stage;
  const first = lastOf(model) + 1;
  stage.change(dropping(model, first), () => log.reset());
  stage.change(beginningAt(model, first), () => stage.durable(first - 1));
}

interface Step {
  readonly name: string;
  readonly weight: number;
  readonly run: (stage: Stage) => void | Promise<void>;
}

const STEPS: readonly Step[] = [
  { name: 'append', weight: 40, run: (stage) => {
    for (let count = stage.random.between(1, 6); count > 0; count--) append(stage);
  } },
  { name: 'batch', weight: 15, run: appendBatch },
  { name: 'sync', weight: 13, run: (stage) => stage.sync() },
  { name: 'syncNow', weight: 6, run: (stage) => stage.durable(stage.log.syncNow()) },
  { name: 'rotate', weight: 6, run: (stage) => stage.log.rotate() },
  { name: 'truncateBefore', weight: 5, run: truncateBefore },
  { name: 'dropBefore', weight: 5, run: dropBefore },
  { name: 'retain', weight: 3, run: retain },
  { name: 'truncateAfter', weight: 5, run: truncateAfter },
  { name: 'reset', weight: 2, run: reset },
  { name: 'close', weight: 8, run: (stage) => stage.closeAndOpen() },
];

const TOTAL = STEPS.reduce((sum, { weight }) => sum + weight, 0);

/** One of the steps, by their weights. */
export function drawStep(random: Random): Step {
  let left = random.integer(TOTAL);
  return STEPS.find(({ weight }) => (left -= weight) < 0)!;
}
