/**
 * Asking every core of a group for something, wherever its writer is: in this thread, in another one, in another
 * process, or nowhere. What is asked stands in GROUP; each writer answers in its line (host/wal/writer.ts). Cores that
 * nobody has, because they were never attached, or because their process died, are attached by the one who asks, for as
 * long as the answer takes.
 */
import { CORE_STATE } from '../core/group-page.ts';
import { VarveError } from '../errors/varve-error.ts';
import type { GroupFile } from './group-file.ts';
import type { WalWriter } from './writer.ts';

/** Who can attach cores for the one who asks. */
export interface Attacher {
  /** The writer of a core that this thread has attached. */
  own(core: number): WalWriter | undefined;
  /** Attaches a core that nobody has; `undefined` where somebody does. */
  tryAttach(core: number): WalWriter | undefined;
}

/** Without an answer for so long, it is looked at whether a core has been left by its process. */
const LOOK_MS = 50;

/**
 * Resolves when every core has answered.
 *
 * @param answered whether a core has
 * @param until when it is over, by `performance.now()`
 * @throws (rejects with) ERR_VARVE_CONTENTION (some did not answer in time), ERR_VARVE_POISONED, what attaching throws
 */
export async function askAll(
  group: GroupFile, attacher: Attacher, answered: (core: number) => boolean, until: number,
): Promise<void> {
  let waiting = Array.from({ length: group.facts.cores }, (_, core) => core);
  let lookAt = 0;
  for (;;) {
    const seen = group.answered;
    for (const core of waiting) attacher.own(core)?.serve();
    waiting = waiting.filter((core) => !answered(core));
    if (waiting.length === 0) return;
    const now = performance.now();
    const isTimeToLook = now >= lookAt;
    // Once more for those who have attached their core since.
    if (isTimeToLook) group.ring();
    for (const core of waiting) {
      // Whoever had it may have died.
      if (isTimeToLook || group.page.coreState(core) !== CORE_STATE.attached) {
        await answerFor(attacher, core, answered);
      }
    }
    requireSound(group, waiting);
    if (isTimeToLook) lookAt = now + LOOK_MS;
    if (now >= until) throw outOfTime(group, waiting.filter((core) => !answered(core)));
    await group.waitAnswered(seen, Math.min(LOOK_MS, until - now));
  }
}

/** Attaches a core that nobody has for as long as it takes to answer. */
async function answerFor(
  attacher: Attacher, core: number, answered: (core: number) => boolean,
): Promise<void> {
  if (attacher.own(core) !== undefined) return;
  const writer = attacher.tryAttach(core);
  if (writer === undefined) return;
  try {
    writer.serve();
    if (!answered(core)) await writer.sync();
  } finally {
    await writer.close();
  }
}

function requireSound({ page, context: { directory } }: GroupFile, cores: readonly number[]): void {
  const core = cores.find((each) => page.coreState(each) === CORE_STATE.poisoned);
  if (core === undefined) return;
  throw new VarveError('ERR_VARVE_POISONED',
    `the writer of core ${core} of ${directory} (process ${page.pid(core)}) cannot write any more; close it and attach `
    + 'the core again', { path: directory, core, pid: page.pid(core) });
}

function outOfTime({ page, context: { directory } }: GroupFile, cores: readonly number[]): VarveError {
  const who = cores.map((core) => `core ${core} (process ${page.pid(core)})`).join(', ');
  return new VarveError('ERR_VARVE_CONTENTION',
    `${directory}: no answer in time from ${who}; its thread has not come to its event loop, and appends nothing`,
    { path: directory, cores });
}
