/**
 * Those who follow an open log, so that they end when it is closed.
 */
import { VarveError } from '../errors/varve-error.ts';
import { Follower, type Followable, type FollowBounds } from './follower.ts';

export class Followers {
  private readonly all = new Set<Follower>();

  /**
   * Follows a log from `bounds.from` on, which is a record that it has, or the next one.
   *
   * Errors: ERR_VARVE_OUT_OF_RANGE
   */
  start(log: Followable, bounds: Omit<FollowBounds, 'ended'>): Follower {
    const { firstLsn, lastLsn } = log;
    const { from } = bounds;
    if (from < firstLsn || from > lastLsn + 1) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `there is nothing to follow from ${from} on: the log holds ${firstLsn} to ${lastLsn}`,
        { lsn: from, firstLsn, lastLsn });
    }
    const follower = new Follower(log, { ...bounds, ended: (it) => { this.all.delete(it); } });
    this.all.add(follower);
    return follower;
  }

  /** Ends all of them. */
  stop(error: VarveError): void {
    for (const follower of [...this.all]) follower.stop(error);
  }
}
