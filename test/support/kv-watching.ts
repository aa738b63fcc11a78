/**
 * A watcher of a key-value store under a workload: it must be told of every put, delete and clear in their order, with
 * the values of then, and of nothing else. Of each store that is opened, also after a crash, a new one watches from any
 * LSN that the log still has.
 */
import { VarveError } from '../../host/errors/varve-error.ts';
import type { LogSource } from '../../host/key-value/source.ts';
import type { KeyValueChange } from '../../host/key-value/types.ts';
import type { KeyValueWatcher } from '../../host/key-value/watch.ts';
import { nameOf } from './kv-operations.ts';
import type { KeyValueModel } from './kv-model.ts';
import { type Store, turns } from './kv-session.ts';
import type { Random } from './random.ts';
import type { Tally } from './tally.ts';

/** Turns in which a watcher may find nothing although something is there. */
const TURNS_MAX = 200;

type Step = IteratorResult<KeyValueChange<Buffer>, undefined>;

export class KeyValueWatching {
  private readonly random: Random;
  private readonly tally: Tally;
  private store: Store | undefined;
  private watcher: KeyValueWatcher<Buffer, Buffer> | undefined;
  /** What is being waited for. */
  private next: Promise<Step> | undefined;
  /** LSN up to which all changes were seen. */
  private seen = 0;

  constructor(random: Random, tally: Tally) {
    this.random = random;
    this.tally = tally;
  }

  private begin(store: Store): void {
    const { firstLsn, lastLsn } = (store as unknown as { source: LogSource }).source;
    const from = this.random.between(firstLsn, lastLsn + 1);
    this.store = store;
    this.watcher = store.watch({ from });
    this.next = undefined;
    this.seen = from - 1;
    this.tally.count('watchers');
  }

  /** Takes what has come, and compares it with what the model has written. */
  async look(store: Store, model: KeyValueModel): Promise<void> {
    if (this.store !== store || this.watcher === undefined) this.begin(store);
    const watcher = this.watcher!;
    const { lastLsn } = store;
    const expected = model.changesBetween(this.seen + 1, lastLsn);
    for (let idle = 0; watcher.lsn < lastLsn || expected.length > 0; idle++) {
      if (idle > TURNS_MAX) {
        throw new Error(`a watcher stands at ${watcher.lsn} of ${lastLsn}, and lacks ${expected.length} changes`);
      }
      this.next ??= watcher.next();
      this.next.catch(() => undefined);
      let step: Step | undefined;
      try {
        step = await Promise.race([this.next, turns(1).then(() => undefined)]);
      } catch (error) {
        this.watcher = undefined;
        const { firstLsn } = (store as unknown as { source: LogSource }).source;
        if (!VarveError.is(error, 'ERR_VARVE_TRUNCATED') || watcher.lsn + 1 >= firstLsn) throw error;
        this.tally.count('watchers that came too late');
        return;
      }
      if (step === undefined) continue;
      idle = 0;
      this.next = undefined;
      if (step.done === true) throw new Error('a watcher has ended');
      this.compare(step.value, expected.shift());
    }
    this.seen = lastLsn;
  }

  private compare(change: KeyValueChange<Buffer>, expected: ReturnType<KeyValueModel['changesBetween']>[0] | undefined) {
    this.tally.count('changes watched');
    const key = change.type === 'clear' ? undefined : nameOf(change.key);
    const isRight = expected !== undefined && change.lsn === expected.lsn && change.type === expected.type
      && key === expected.key && (change.type !== 'put' || change.value.equals(expected.value!));
    if (isRight) return;
    throw new Error(`a watcher is told of ${change.type} ${change.lsn}, not of ${expected?.type} ${expected?.lsn}`);
  }
}
