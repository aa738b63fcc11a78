/** Any history of the logs of a group's cores, for property tests: what is done to which, and what it leaves. */
import fc from 'fast-check';
import { Kind } from '../../host/generated/abi.ts';
import type { LogWriter } from '../../host/log/writer.ts';
import { appendEntry, type Cores, type Draft, type Noted } from './wal-cores.ts';

export type Step =
  | { readonly type: 'append'; readonly core: number; readonly draft: Draft }
  | { readonly type: 'barrier' | 'raise' | 'rotate' | 'reopen' | 'lost'; readonly core: number };

const numbers = fc.oneof(fc.nat(50), fc.bigInt(0n, (1n << 64n) - 1n).map((value) => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}));
const watermark = fc.option(
  fc.oneof(fc.integer({ min: -9, max: 60 }), fc.constantFrom(-(2n ** 63n), 2n ** 62n)), { nil: undefined });
/** Sources are few, so that several cores commit the same ones. */
const offsets = fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'ü/1', 'topic'), numbers),
  { selector: ([name]) => name, maxLength: 4 }).map((list) => new Map(list));
/** A clock may say anything. */
const timestamp = fc.bigInt(0n, (1n << 64n) - 1n);
const key = fc.string({ maxLength: 9 }).map((text) => text.replace(/[\ud800-\udfff]/g, ''));
const value = fc.oneof(
  { weight: 20, arbitrary: fc.string({ maxLength: 40, unit: 'grapheme-ascii' }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 90_000 }).map((length) => 'v'.repeat(length)) },
);

const draft: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant(Kind.Put as number), key, value, timestamp }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant(Kind.Delete as number), key, timestamp }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom(0, 3, 127), key, value, timestamp }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant(Kind.Checkpoint as number), id: numbers, timestamp }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant(Kind.Commit as number), offsets, watermark, timestamp }) },
);

/** Steps on so many cores; some may be left without any. */
export function stepsOn(cores: number, maxLength = 60): fc.Arbitrary<Step[]> {
  const core = fc.nat(cores - 1);
  return fc.array(fc.oneof(
    { weight: 12, arbitrary: fc.record({ type: fc.constant('append' as const), core, draft }) },
    { weight: 6, arbitrary: fc.record({
      type: fc.constantFrom('barrier' as const, 'raise' as const, 'rotate' as const, 'reopen' as const, 'lost' as const),
      core,
    }) },
  ), { maxLength, size: 'max' });
}

/** What the steps leave: of each core all that was appended, in order, placeholders too. */
export function play(cores: Cores, count: number, steps: readonly Step[]): Noted[][] {
  const writers: (LogWriter | undefined)[] = new Array<undefined>(count).fill(undefined);
  const noted: Noted[][] = Array.from({ length: count }, () => []);
  for (const step of steps) {
    const { core } = step;
    const writer = writers[core] ??= cores.writer(core);
    const { epoch } = writer;
    if (step.type === 'append') noted[core]!.push(appendEntry(writer, core, step.draft));
    else if (step.type === 'lost') noted[core]!.push(appendEntry(writer, core, { kind: Kind.Lost, value: 'gone' }));
    else if (step.type === 'raise') writer.raiseEpoch(epoch + 1);
    else if (step.type === 'rotate') writer.rotate();
    else if (step.type === 'reopen') {
      writer.closeNow();
      writers[core] = cores.writer(core);
    } else {
      noted[core]!.push(appendEntry(writer, core, { kind: Kind.Barrier, ended: epoch }));
      writer.raiseEpoch(epoch + 1);
    }
  }
  for (const writer of writers) writer?.closeNow();
  return noted;
}
