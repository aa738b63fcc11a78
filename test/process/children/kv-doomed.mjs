/**
 * Compacts a key-value store and kills itself at the n-th file call that changes something: before it, or right after.
 *
 * Arguments: directory, n, 'before' or 'after'. Ends with 0 where it was done before n calls. The store
 * holds, before and after: of 400 keys, every third deleted, every other put again.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [directory, n, when] = process.argv.slice(2);
let left = Number(n);
let armed = false;

function die() {
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way; nothing else may happen until it is here.
  for (;;);
}

const NAMES = ['open', 'write', 'ftruncate', 'fdatasync', 'fsync', 'rename', 'unlink', 'mkdir'];
for (const name of NAMES.flatMap((each) => [each, `${each}Sync`])) {
  const original = fs[name];
  fs[name] = (...args) => {
    const counts = armed && !(name.startsWith('open') && args[1] === 'r');
    if (counts && --left === 0 && when === 'before') die();
    try {
      return original(...args);
    } finally {
      // Of a call off the event loop: while it is under way.
      if (counts && left === 0) die();
    }
  };
}
syncBuiltinESMExports();

const { KeyValueStore } = await import('../../../dist/esm/index.js');
const store = KeyValueStore.openSync(directory, { segmentBytes: 65536, values: 'utf8', autoCompact: false });
const filler = '.'.repeat(300);
for (let i = 0; i < 400; i++) store.put(`key ${i}`, `old ${filler}`);
for (let i = 0; i < 400; i++) {
  if (i % 3 === 0) store.delete(`key ${i}`);
  else if (i % 2 === 0) store.put(`key ${i}`, `new ${filler}`);
}
store.syncNow();
armed = true;
await store.compact();
armed = false;
process.exit(0);
