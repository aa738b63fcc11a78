/**
 * Reader processes, started once and given one job after another, beside the process that runs the benchmark and
 * writes. `open` is a barrier: it resolves when every reader stands at the end of what is there and waits.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PAYLOAD_BYTES } from './live.mjs';
import { expectedSum, insist, payloadsOf } from './payloads.mjs';

const PROGRAM = fileURLToPath(new URL('reader-child.mjs', import.meta.url));
/** After the last reader has said that it is open: its message is out of the way, and all of them sleep. */
const SETTLE_MS = 30;

export class Readers {
  /** Starts `count` processes; what fails in one of them ends this one. */
  constructor(count) {
    this.children = Array.from({ length: count }, () => {
      const child = fork(PROGRAM, [], { serialization: 'advanced', execArgv: [] });
      child.once('exit', (code, signal) => {
        if (!this.stopped) throw new Error(`a reader ended with ${signal ?? `exit code ${code}`}`);
      });
      return child;
    });
    this.stopped = false;
  }

  /** Lets the first `count` readers do a job and waits until all are ready; resolves with the promise of their ends. */
  async open(count, job) {
    const chosen = this.children.slice(0, count);
    const told = chosen.map((child) => once(child, 'message'));
    for (const child of chosen) child.send(job);
    await Promise.all(told);
    const ended = Promise.all(chosen.map((child) => once(child, 'message').then(([message]) => message)));
    await setTimeout(SETTLE_MS);
    return { ended };
  }

  stop() {
    this.stopped = true;
    for (const child of this.children) child.disconnect();
  }
}

/** Throws unless each reader has seen all records, and the right ones. */
export function expectReaders(ends, records) {
  const expected = expectedSum(payloadsOf(PAYLOAD_BYTES), records);
  for (const { seen, sum } of ends) {
    insist('records', seen, records);
    insist('sum', sum, expected);
  }
}
