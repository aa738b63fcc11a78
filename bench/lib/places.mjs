/**
 * Where a benchmark keeps its data: fresh paths below the run's directory, removed when they are done with, so that
 * neither the disk nor the page cache fills up.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export class Places {
  constructor(directory) {
    this.directory = directory;
    this.count = 0;
    mkdirSync(directory, { recursive: true });
  }

  /** Returns a path that nothing has. */
  fresh(name) {
    return join(this.directory, `${name}-${++this.count}`);
  }

  /** Calls `use(path)` with a fresh path and removes what is there afterwards. */
  async with(name, use) {
    const path = this.fresh(name);
    try {
      return await use(path);
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

/** Calls `work` and returns what it returned and how long it took, in nanoseconds. */
export function timed(work) {
  const begun = process.hrtime.bigint();
  const result = work();
  return { result, ns: Number(process.hrtime.bigint() - begun) };
}

/** The same for work that is awaited. */
export async function timedLater(work) {
  const begun = process.hrtime.bigint();
  const result = await work();
  return { result, ns: Number(process.hrtime.bigint() - begun) };
}
