/**
 * Memory for 10 M keys of 16 B with values of 100 B: MiB by which a process grows from before it opens the store until
 * all keys are stored, and until a store that has them is opened and 100,000 of them are got.
 *
 * Counted are all resident pages but those of mapped data files (lib/kv-memory-child.mjs), from /proc/self/smaps, which
 * Linux has; each in a fresh process, once, for the figure does not move. Beside it the bitcask by hand, whose table is
 * a JavaScript Map; the other peers keep their index in their data file, and how much of that is in memory is
 * for their caches to say.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { VALUE_BYTES } from './lib/kv-work.mjs';
import { present } from './lib/kv.mjs';
import { compareFigures } from './lib/measure.mjs';

export const title = 'key-value: memory of the keys';

const CHILD = fileURLToPath(new URL('lib/kv-memory-child.mjs', import.meta.url));
const PAGE_BYTES = 4096;
const MIB = 2 ** 20;
const FLOORS = [{ atMost: 400 }];

export function parameters(smoke) {
  return { keys: smoke ? 1000 : 10_000_000, valueBytes: VALUE_BYTES };
}

export async function run({ places, smoke }) {
  const { keys } = parameters(smoke);
  if (process.platform !== 'linux') return { rows: [], notes: ['only Linux tells what is resident of what'] };
  const { names, notes } = present(['varve', 'bitcask by hand']);
  const rows = await compareFigures({ rounds: 1, warmups: 0 }, [
    { group: 'stored', unit: 'MiB', floors: FLOORS }, { group: 'stored, anonymous', unit: 'MiB' },
    { group: 'opened', unit: 'MiB', floors: FLOORS }, { group: 'opened, anonymous', unit: 'MiB' },
  ], names.map((who) => ({ who, run: () => places.with('memory', (path) => grown(who, path, keys)) })));
  return { rows, notes };
}

function grown(who, path, keys) {
  const values = [];
  const results = [];
  for (const phase of ['fill', 'reopen']) {
    const arguments_ = ['--expose-gc', '--max-old-space-size=8192', CHILD, who, path, String(keys), phase];
    const { before, after, result } = JSON.parse(execFileSync(process.execPath, arguments_, { encoding: 'utf8' }));
    // A few keys may fit into pages that were there before: no less than a page is shown.
    const growth = (name) => Math.max(after[name] - before[name], PAGE_BYTES) / MIB;
    values.push(growth('beyond'), growth('anonymous'));
    results.push(result);
  }
  return { values, result: results.join(' ') };
}
