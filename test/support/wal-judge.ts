/**
 * The judgement of a recovery: what the checkpoint and the replay make together is the model's fold of a beginning of
 * each core that holds all that was on disk. Nothing was made up, nothing is there twice, no core has a gap, the order
 * is (epoch, sequence, core); cut at an epoch, all cores end with it, and it is no earlier than one that was complete.
 */
import { Kind } from '../../host/generated/abi.ts';
import type { WalEntry } from '../../host/wal/entry.ts';
import type { WalRecovery } from '../../host/wal/recover.ts';
import { fail, isSame, lineOf, ownOf, stateOf, type Known, type Slot, type WalModel } from './wal-model.ts';

export interface Judgement {
  /** Entries that were compared, of the replay and of the state. */
  readonly entries: number;
  /** The highest epoch that was found, what was cut off included. */
  readonly epoch: number;
}

function isBefore(a: WalEntry, b: WalEntry): boolean {
  return a.epoch - b.epoch < 0 || (a.epoch === b.epoch && (a.sequence - b.sequence || a.core - b.core) < 0);
}

/** Notes what stands behind the model's end, and that what stands in it is right. */
function settle(model: WalModel, entry: WalEntry): void {
  const { core, sequence, epoch } = entry;
  const where = `entry ${sequence} of core ${core}`;
  const own = ownOf(entry);
  const each = model.cores[core]!;
  const { slots } = each;
  if (sequence > slots.length + 1) fail(`${where} was never appended`);
  const slot = slots[sequence - 1];
  if (slot?.own === undefined) {
    const isPending = model.possible(core, sequence).some((possible) => isSame(own, possible));
    if (entry.kind !== Kind.Barrier && !isPending) fail(`${where} was never appended: ${lineOf(core, sequence, own)}`);
    if (entry.kind === Kind.Barrier && entry.ended! < epoch - 1) fail(`${where} ends ${entry.ended} in epoch ${epoch}`);
    if (isPending && each.pending !== undefined && isSame(own, each.pending)) each.pending = undefined;
    if (sequence > slots.length) each.doubtful = each.doubtful.slice(1);
    slots[sequence - 1] = { own: isPending ? own : undefined, epoch };
    return;
  }
  if (!isSame(own, slot.own)) fail(`${where} is ${lineOf(core, sequence, own)}, not ${lineOf(core, sequence, slot.own)}`);
  if (epoch !== slot.epoch) fail(`${where} is of epoch ${epoch}, not of ${slot.epoch}`);
}

function compareOffsets(recovery: WalRecovery, { offsets, watermark }: Known): string | undefined {
  const text = (map: ReadonlyMap<string, unknown>): string => JSON.stringify([...map].sort());
  if (text(recovery.offsets) !== text(offsets)) return `offsets ${text(recovery.offsets)}, not ${text(offsets)}`;
  if (recovery.watermark !== watermark) return `watermark ${String(recovery.watermark)}, not ${watermark}`;
  return undefined;
}

/** The lines of a checkpoint's state. */
async function linesOf(recovery: WalRecovery): Promise<string[]> {
  const pieces: Buffer[] = [];
  if (recovery.checkpoint !== undefined) for await (const piece of recovery.checkpoint.state()) pieces.push(piece);
  return Buffer.concat(pieces).toString().split('\n').slice(0, -1);
}

/**
 * Judges a recovery and makes the model what was found.
 *
 * @param options.isBeside while others write: nothing is taken over
 * @param options.isFaulted calls may have failed
 */
export async function judgeRecovery(
  model: WalModel, recovery: WalRecovery, upTo: 'end' | 'epoch',
  { isBeside = false, isFaulted = false } = {},
): Promise<Judgement> {
  const { checkpoint, cores, completeEpoch } = recovery;
  // What cannot be read now is passed over; nothing else may be.
  const passedOver = recovery.skipped.filter(({ reason }) => !isFaulted || reason !== 'unreadable');
  if (passedOver.length > 0) fail(`unusable: ${passedOver.map(({ because }) => because).join()}`);
  if (recovery.skipped.length === 0 && (checkpoint?.id ?? 0) < model.checkpoint) fail(`checkpoint ${checkpoint?.id}, but ${model.checkpoint} was durable`);
  if (completeEpoch < model.complete) {
    const ended = cores.map(({ core, endedEpoch, to, cut }) => (
      `core ${core} has ended ${endedEpoch} and holds ${to + cut}, ${model.cores[core]!.floor} on disk`));
    fail(`epoch ${completeEpoch} is complete, but ${model.complete} was: ${ended.join('; ')}`);
  }
  const lines = await linesOf(recovery);
  const from = cores.map(({ core }) => checkpoint?.cores[core]!.sequence ?? 0);
  // What a checkpoint covers was known when it was made, but for barriers.
  for (const [core, sequence] of from.entries()) model.grow(core, sequence);
  const next = [...from];
  let last: WalEntry | undefined;
  const ends: (WalEntry | undefined)[] = cores.map(() => undefined);
  for (const entry of recovery.entries()) {
    const { core, sequence } = entry;
    if (sequence !== ++next[core]!) fail(`entry ${sequence} of core ${core} follows ${next[core]! - 1}`);
    if (last !== undefined && !isBefore(last, entry)) fail(`entry ${sequence} of core ${core} is out of order`);
    settle(model, entry);
    if (entry.kind !== Kind.Barrier) lines.push(lineOf(core, sequence, ownOf(entry)));
    last = ends[core] = entry;
  }
  for (const { core, from: first, to, cut } of cores) {
    const { slots, floor } = model.cores[core]!;
    if (next[core] !== to || first !== from[core]! + 1) fail(`core ${core} replays ${from[core]} to ${next[core]} of ${to}`);
    const demanded = upTo === 'epoch' ? Math.min(floor, lastUpTo(slots, completeEpoch, floor)) : floor;
    if (to < demanded) fail(`core ${core} ends at ${to}, but ${demanded} was on disk`);
    if (!isBeside && to + cut < floor) fail(`core ${core} held ${to + cut}, ${floor} on disk`);
  }
  const folded = model.fold(next);
  if (!stateOf(lines).equals(folded)) {
    const expected = folded.toString().split('\n');
    const at = expected.findIndex((line, index) => line !== lines[index]);
    fail(`checkpoint ${checkpoint?.id} (up to ${from.join()}) and its replay differ from the fold: line ${at} of `
      + `${lines.length} is '${lines[at]}', not '${expected[at]}'`);
  }
  const said = checkpoint === undefined ? [undefined]
    : (model.given.get(checkpoint.id) ?? []).map((given) => model.recordedBy(given, from));
  const wrong = said.map((each) => compareOffsets(recovery, model.committed(each, from, next)));
  if (!wrong.includes(undefined)) fail(wrong[0] ?? `checkpoint ${checkpoint?.id} was never made`);
  if (upTo === 'epoch') requireCutAt(completeEpoch, recovery, ends, Math.max(model.complete, checkpoint?.epoch ?? 0));
  const epoch = Math.max(checkpoint?.epoch ?? 0, ...cores.map(({ core, to, cut }) => (
    Math.max(0, ...model.cores[core]!.slots.slice(0, to + cut).map((slot) => slot.epoch)))));
  if (!isBeside) takeOver(model, next, checkpoint);
  return { entries: lines.length, epoch };
}

/** The last of the first `count` slots that belongs to an epoch or one before, as far as it is known. */
function lastUpTo(slots: readonly Slot[], epoch: number, count: number): number {
  const beyond = slots.slice(0, count).findIndex((slot) => slot.epoch > epoch);
  let last = beyond < 0 ? count : beyond;
  // Barriers of unknown epochs in front of it may be beyond it too.
  while (last > 0 && slots[last - 1]!.epoch === 0) last--;
  return last;
}

/** Nothing is beyond the epoch; and each core has ended it: by a barrier, or by an entry behind, which is cut. */
function requireCutAt(
  epoch: number, { cores }: WalRecovery, ends: readonly (WalEntry | undefined)[], known: number,
): void {
  for (const [core, end] of ends.entries()) {
    // A barrier may stand behind the epoch that it ends.
    if (end !== undefined && end.epoch > epoch && !(end.ended! <= epoch)) fail(`core ${core} goes beyond epoch ${epoch}`);
    const isBarrier = end?.kind === Kind.Barrier && end.ended! >= epoch;
    if (!isBarrier && cores[core]!.cut === 0 && epoch > known) fail(`core ${core} has not ended epoch ${epoch}`);
  }
}

function takeOver(model: WalModel, to: readonly number[], checkpoint: WalRecovery['checkpoint']): void {
  for (const [core, each] of model.cores.entries()) {
    // What checkpoints cover stays as it was, and what is behind the end is gone.
    model.grow(core, to[core]!);
    each.slots.length = to[core]!;
    each.floor = to[core]!;
    each.pending = undefined;
    each.doubtful = [];
  }
  model.checkpoint = checkpoint?.id ?? 0;
  model.recorded = checkpoint === undefined ? undefined : {
    offsets: checkpoint.offsets as Known['offsets'], watermark: checkpoint.watermark as number | undefined,
    cut: checkpoint.cores.map(({ sequence }) => sequence),
  };
  model.checkpointEpoch = checkpoint?.epoch ?? 0;
  model.covered = to.map((_, core) => checkpoint?.cores[core]!.sequence ?? 0);
}
