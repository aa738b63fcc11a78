/**
 * Opening a key-value store of 1 M keys of 16 B with values of 100 B: milliseconds until the first value has been got,
 * in a fresh process, after a clean close and after the writer was killed.
 *
 * Measured is the opening and one get, in a process that has loaded the packages and nothing else; for varve that
 * includes compiling the core and binding the system's calls, which the second row leaves out. Each opening after a
 * kill gets a copy of what the killed writer has left. The result is the value.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { VALUE_BYTES } from './lib/kv-work.mjs';
import { present } from './lib/kv.mjs';
import { compare } from './lib/measure.mjs';
import { insist, payloadsOf, RING } from './lib/payloads.mjs';

export const title = 'key-value: first get after opening';

const NAMES = ['varve', 'lmdb', 'better-sqlite3', 'classic-level', 'bitcask by hand'];
const FILL = fileURLToPath(new URL('lib/kv-fill.mjs', import.meta.url));
const ONCE = fileURLToPath(new URL('lib/kv-open-once.mjs', import.meta.url));

export function parameters(smoke) {
  return { keys: smoke ? 300 : 1_000_000, valueBytes: VALUE_BYTES };
}

export async function run({ places, smoke, ...rest }) {
  const { keys } = parameters(smoke);
  const { names, notes } = present(NAMES);
  const rows = [];
  for (const [group, end, most] of [['closed', 'close', 5], ['writer killed', 'kill', 150]]) {
    const contenders = [];
    for (const who of names) {
      const path = places.fresh('filled');
      spawnSync(process.execPath, [FILL, who, path, String(keys), end], { stdio: ['ignore', 'ignore', 'inherit'] });
      contenders.push({ who, unit: 'ms', floors: who === 'varve' ? [{ atMost: most }] : [],
        run: () => opening(places, who, path, { keys, copied: end === 'kill', warm: false }) });
      if (who !== 'varve') continue;
      contenders.push({ who: 'varve, core compiled before', unit: 'ms',
        run: () => opening(places, who, path, { keys, copied: end === 'kill', warm: true }) });
    }
    rows.push(...await compare(rest, group, contenders));
  }
  return { rows, notes };
}

function opening(places, who, path, { keys, copied, warm }) {
  return places.with('opened', (copy) => places.with('other', (other) => {
    // `cp` leaves the holes of lmdb's file what they are.
    if (copied) execFileSync('cp', ['-R', path, copy]);
    const at = keys >> 1;
    const arguments_ = [ONCE, who, copied ? copy : path, String(at), ...warm ? [other] : []];
    const { milliseconds, value } = JSON.parse(execFileSync(process.execPath, arguments_, { encoding: 'utf8' }));
    insist(`${who}, value`, value, Buffer.from(payloadsOf(VALUE_BYTES)[at % RING]).toString('hex'));
    return { value: milliseconds, result: value };
  }));
}
