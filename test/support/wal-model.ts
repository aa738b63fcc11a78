/**
 * What a simulated group should hold: of each core the entries in their order, of which those up to a floor are known
 * to be on disk. The fold of entries is the list of what they are, in the order of a merge, so that an entry that is
 * missing, there twice, or out of order changes it.
 *
 * Barriers are appended by whoever is asked for one, at any time: where the model does not know what stands somewhere,
 * a barrier may; and the one entry, at most, whose append was cut short.
 */
import { Kind } from '../../host/generated/abi.ts';
import type { WalEntry } from '../../host/wal/entry.ts';

export type Offsets = ReadonlyMap<string, number>;

/** An entry that the workload has appended. */
export interface Own {
  readonly kind: number;
  readonly key: string;
  readonly value: string;
  readonly id: number | undefined;
  readonly offsets: Offsets | undefined;
  readonly watermark: number | undefined;
}

/** What stands at a sequence: an entry of the workload, or a barrier. */
export interface Slot {
  readonly own: Own | undefined;
  /** The epoch; 0 where it is not known. */
  readonly epoch: number;
}

/** What is known of the sources. */
export interface Known {
  readonly offsets: Offsets;
  readonly watermark: number | undefined;
}

/** What a checkpoint says of them, and how many entries of each core it covers. */
export interface Recorded extends Known {
  readonly cut: readonly number[];
}

/** What was given to a checkpoint, and the one before it. */
export interface Given extends Known {
  readonly before: Recorded | undefined;
}

export interface CoreModel {
  /** By sequence - 1. */
  slots: Slot[];
  /** How many are known to be on disk. */
  floor: number;
  /** What may stand behind them, because its append was cut short. */
  pending: Own | undefined;
  /** What may stand behind them, because a cut was interrupted, or may be gone. */
  doubtful: readonly Slot[];
}

export function fail(message: string): never {
  throw new Error(message);
}

/** A short text of an entry, that no other one has. */
export function textOf({ kind, key, value, id, offsets, watermark }: Own): string {
  const commit = offsets === undefined ? '' : `${[...offsets].sort().join(';')}/${watermark}`;
  return `${kind}|${key}|${value.length}:${value.slice(0, 12)}|${id ?? ''}|${commit}`;
}

export function ownOf(entry: WalEntry): Own {
  const { kind, key, value, id, offsets, watermark } = entry;
  const isPlain = kind !== Kind.Checkpoint && kind !== Kind.Commit;
  return {
    kind, key: Buffer.from(key).toString(), value: isPlain ? Buffer.from(value).toString() : '',
    id: id as number | undefined, offsets: offsets as Offsets | undefined, watermark: watermark as number | undefined,
  };
}

/** Whether two entries are the same, to the last byte. */
export function isSame(a: Own, b: Own): boolean {
  return a.value === b.value && textOf(a) === textOf(b);
}

interface Placed { readonly core: number; readonly sequence: number; readonly slot: Slot }

export class WalModel {
  readonly cores: CoreModel[];
  /** The last epoch that was said to be complete. */
  complete = 0;
  /** What was given to each checkpoint, by its id; an id is used again where the first one came to nothing. */
  readonly given = new Map<number, Given[]>();
  /** What the newest checkpoint says. */
  recorded: Recorded | undefined;
  /** The last checkpoint that is known to be durable, and its epoch; those before may have gone. */
  checkpoint = 0;
  checkpointEpoch = 0;
  /** Of each core, how many entries it covers. */
  covered: number[];
  private count = 0;

  constructor(cores: number) {
    this.covered = new Array<number>(cores).fill(0);
    this.cores = Array.from({ length: cores }, () => ({ slots: [], floor: 0, pending: undefined, doubtful: [] }));
  }

  /** A number that nothing had before. */
  next(): number {
    return ++this.count;
  }

  /** Of a core: the highest epoch of its entries, as far as it is known. */
  epochOf(core: number): number {
    return this.cores[core]!.slots.reduce((most, { epoch }) => Math.max(most, epoch), 0);
  }

  /** Notes that there are so many entries on a core; what is not known yet is a barrier. */
  grow(core: number, sequence: number): void {
    const model = this.cores[core]!;
    while (model.slots.length < sequence) {
      const [slot = { own: undefined, epoch: 0 }] = model.doubtful;
      model.doubtful = model.doubtful.slice(1);
      model.slots.push(slot);
    }
  }

  /** Notes that everything up to there is on disk. */
  durable(core: number, sequence: number): void {
    const model = this.cores[core]!;
    model.floor = Math.max(model.floor, Math.min(sequence, model.slots.length));
  }

  /** Notes that a core was cut behind a sequence. */
  cut(core: number, sequence: number): void {
    const model = this.cores[core]!;
    model.slots.length = sequence;
    model.floor = Math.min(model.floor, sequence);
  }

  /** Notes that the cut of a core behind a sequence has come to no end. */
  doubt(core: number, sequence: number): void {
    const model = this.cores[core]!;
    model.doubtful = [...model.slots.splice(sequence), ...model.doubtful];
    model.floor = Math.min(model.floor, sequence);
  }

  /** What may stand somewhere behind the end of a core's model, besides a barrier. */
  possible(core: number, sequence: number): Own[] {
    const { slots, pending, doubtful } = this.cores[core]!;
    const doubt = doubtful[sequence - 1 - slots.length]?.own;
    return [pending, doubt].filter((own) => own !== undefined);
  }

  /** The entries of all cores up to a sequence each, in order. Barriers of unknown epochs are left out. */
  merged(upTo: readonly number[], from: readonly number[] = upTo.map(() => 0)): Placed[] {
    const placed = this.cores.flatMap(({ slots }, core) => slots.slice(from[core], upTo[core])
      .map((slot, at) => ({ core, sequence: from[core]! + at + 1, slot }))
      .filter(({ slot }) => slot.own !== undefined));
    return placed.sort((a, b) => a.slot.epoch - b.slot.epoch || a.sequence - b.sequence || a.core - b.core);
  }

  /** The state that entries up to there have made, as bytes. */
  fold(upTo: readonly number[]): Buffer {
    return stateOf(this.merged(upTo).map(({ core, sequence, slot }) => lineOf(core, sequence, slot.own!)));
  }

  /** What a checkpoint must say that was given this and covers so much. */
  recordedBy({ offsets, watermark, before }: Given, cut: readonly number[]): Recorded {
    const said = this.committed(before, before?.cut ?? cut.map(() => 0), cut);
    const marks = [said.watermark, watermark].filter((mark) => mark !== undefined);
    return {
      offsets: new Map([...said.offsets, ...offsets]), cut,
      watermark: marks.length === 0 ? undefined : Math.max(...marks),
    };
  }

  /** What recovery must say of the sources: what a checkpoint says, and the commits behind it. */
  committed(checkpoint: Known | undefined, from: readonly number[], upTo: readonly number[]): Known {
    const offsets = new Map(checkpoint?.offsets);
    let watermark = checkpoint?.watermark;
    for (const { slot } of this.merged(upTo, from)) {
      for (const [name, offset] of slot.own!.offsets ?? []) offsets.set(name, offset);
      const mark = slot.own!.watermark;
      if (mark !== undefined) watermark = Math.max(watermark ?? -Infinity, mark);
    }
    return { offsets, watermark };
  }
}

/** What an entry adds to the state. */
export function lineOf(core: number, sequence: number, own: Own): string {
  return `${core}.${sequence}|${textOf(own)}`;
}

export function stateOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''));
}
