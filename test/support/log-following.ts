/**
 * A follower under the simulation, and what it must do: deliver a prefix of the model, without a gap, from where it
 * began; and end with ERR_VARVE_TRUNCATED exactly when a delivered record was cut, or one was dropped before it was
 * delivered.
 *
 * A follower reads a run at a time, so it may deliver what has been cut since it read it: that counts as delivered
 * before the cut, and it must end with the error then. It is asked for records only where there are some, or where it
 * must fail: nothing here waits.
 */
import { VarveError } from '../../host/errors/varve-error.ts';
import type { Follower } from '../../host/log/follower.ts';
import type { LogRecord } from '../../host/log/record.ts';
import type { RecordLog } from '../../host/record-log/record-log.ts';
import { type Model, isRight, lastOf } from './log-model.ts';
import type { Random } from './random.ts';

export class Following {
  private readonly follower: Follower;
  private readonly durable: boolean;
  /** The models so far: what it has read ahead may be of any. */
  private readonly models: Model[];
  private isLost = false;

  constructor(log: RecordLog, model: Model, random: Random) {
    this.durable = random.chance(0.3);
    const from = random.pick([model.first, lastOf(model) + 1, random.between(model.first, lastOf(model) + 1)]);
    this.follower = log.follow({ from, durable: this.durable, view: random.chance(0.2) });
    this.models = [model];
  }

  /** Told that what was `before` is `after` now. */
  noteChange(before: Model, after: Model): void {
    if (lastOf(after) < lastOf(before) && lastOf(after) < this.follower.lsn) this.isLost = true;
    this.models.push(after);
  }

  /**
   * Takes some of what there is, or all that it has read ahead where it must end. Returns how many records were right,
   * or `undefined` where it has ended as it had to.
   *
   * @param durableLsn the last LSN that may be taken for durable
   */
  async look(model: Model, durableLsn: number, random: Random): Promise<number | undefined> {
    const { follower } = this;
    let taken = 0;
    try {
      for (let left = random.integer(60); this.isLost || (left > 0 && follower.lag > 0); left--) {
        const record = await this.take();
        if (record.lsn !== follower.lsn) throw new Error(`a follower got ${record.lsn} for ${follower.lsn}`);
        if (!isRight(record, model)) this.requireStale(record, model);
        else if (this.durable && record.lsn > durableLsn) throw new Error(`${record.lsn} is followed but not durable`);
        taken++;
      }
      return taken;
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_TRUNCATED')) throw error;
      // Records were dropped before they were delivered; or the last delivered one was dropped, and nothing tells
      // whether it had been cut before.
      if (!this.isLost && follower.lsn >= model.first) {
        throw new Error(`a follower at ${follower.lsn} has ended: ${error.message}`, { cause: error });
      }
      return undefined;
    }
  }

  /** The next record, which must be there without waiting. */
  private async take(): Promise<LogRecord> {
    const { follower } = this;
    const next = follower.next();
    const waits = new Promise<undefined>((resolve) => { setImmediate(() => resolve(undefined)); });
    const step = this.isLost ? await Promise.race([next, waits]) : await next;
    if (step?.value === undefined) {
      next.catch(() => undefined);
      throw new Error(`a follower at ${follower.lsn} goes on, although a record that it delivered was cut`);
    }
    return step.value;
  }

  /** A record that is not in the log must have been there; where it was cut, delivering it must end the follower. */
  private requireStale(record: LogRecord, now: Model): void {
    if (!this.models.some((model) => isRight(record, model))) throw new Error(`record ${record.lsn} is followed wrongly`);
    if (record.lsn >= now.first) this.isLost = true;
  }

  /** After its log was closed it is closed too. */
  async requireClosed(): Promise<void> {
    const error: unknown = await this.follower.next().then(() => undefined, (thrown: unknown) => thrown);
    if (!VarveError.is(error, 'ERR_VARVE_CLOSED')) throw new Error('a follower outlives its log', { cause: error });
  }
}
