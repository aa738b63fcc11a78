/**
 * A reader that is in the middle of a log: scans that have begun, views and references that are held, followers. What
 * it gets when it goes on, after the writer has taken the segments away, is compared byte by byte.
 *
 * The test calls it in its own process; as a program, or as a worker thread, it takes turns with the test by messages:
 * `{directory}` holds, `{resume: true}` goes on and tells.
 */
import { isMainThread, parentPort } from 'node:worker_threads';
import { payloadOf } from './records.mjs';

/** Records that each scan and each follower has read before the writer comes. */
const STEPS = 20;
/** Cuts after which a record may have been appended: before the writer comes, none. */
const CUTS = [0, 1];

export class Holder {
  wrong = [];
  /** Errors by code, and records that were right, since the writer came. */
  codes = {};
  right = 0;

  constructor(RecordLog, directory, mappedBytesMax) {
    const log = RecordLog.openSync(directory, { readOnly: true, mappedBytesMax });
    this.log = log;
    this.scans = [{}, { view: true }, { reverse: true }, { reverse: true, view: true }].map((options) => {
      const scan = log.scan(options);
      for (let i = 0; i < STEPS; i++) this.check(scan.next().value, 1);
      return scan;
    });
    const lsns = [log.firstLsn, Math.floor((log.firstLsn + log.lastLsn) / 2), log.lastLsn];
    this.views = lsns.map((lsn) => log.read(lsn, { view: true }));
    this.copies = lsns.map((lsn) => log.read(lsn));
    this.refs = lsns.map((lsn) => log.refOf(lsn));
    this.lsns = lsns;
  }

  /** Followers that have read a little, and one that has read all. */
  async follow() {
    this.followers = [];
    for (const count of [STEPS, this.log.length]) {
      const follower = this.log.follow({ from: this.log.firstLsn });
      for (let i = 0; i < count; i++) this.check((await follower.next()).value, 1);
      this.followers.push(follower);
    }
  }

  /** Compares a record with what was appended under its LSN, before the cut or after it. */
  check({ lsn, payload }, lives) {
    const fits = CUTS.slice(0, lives).some((cut) => Buffer.compare(payload, payloadOf(lsn, cut)) === 0);
    if (!fits) this.wrong.push(`record ${lsn} holds other bytes`);
    else this.right++;
  }

  async try(read) {
    try {
      await read();
    } catch ({ code, stack }) {
      this.codes[code ?? stack] = (this.codes[code ?? stack] ?? 0) + 1;
    }
  }

  /** Goes on with all that it holds. */
  async resume() {
    const { log } = this;
    this.right = 0;
    for (const held of [...this.views, ...this.copies]) this.check(held, 1);
    // What was appended after the scan began is not part of it, even under LSNs that it would have come to.
    for (const scan of this.scans) {
      await this.try(() => { for (const record of scan) this.check(record, 1); });
    }
    for (const ref of this.refs) await this.try(() => this.check(log.readRef(ref), 1));
    for (const lsn of [...this.lsns, ...this.lsns]) {
      const view = this.right % 2 === 0;
      await this.try(() => this.check(log.read(lsn, { view }), 2));
    }
    for (const follower of this.followers) {
      await this.try(async () => { while (follower.lag > 0) this.check((await follower.next()).value, 2); });
      await follower.return();
    }
    for (const held of this.views) this.check(held, 1);
    log.closeSync();
    for (const held of this.views) this.check(held, 1);
    return { wrong: this.wrong, codes: this.codes, right: this.right };
  }
}

/** Holds with nothing mapped but what is being read, and with everything mapped. */
export async function hold(RecordLog, directory) {
  const holders = [0, 1 << 30].map((mappedBytesMax) => new Holder(RecordLog, directory, mappedBytesMax));
  for (const holder of holders) await holder.follow();
  return holders;
}

async function serve(tell, listen) {
  const { RecordLog } = await import('../../../dist/esm/index.js');
  let holders;
  listen(async ({ directory }) => {
    if (directory === undefined) return tell(await Promise.all(holders.map((holder) => holder.resume())));
    holders = await hold(RecordLog, directory);
    tell('held');
  });
  tell('ready');
}

// In the test's own process it is neither of the two.
if (!isMainThread) {
  await serve((message) => parentPort.postMessage(message), (listener) => parentPort.on('message', listener));
} else if (process.argv[1]?.endsWith('holder.mjs')) {
  process.on('disconnect', () => process.exit());
  await serve((message) => process.send(message), (listener) => process.on('message', listener));
}
