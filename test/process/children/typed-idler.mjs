/**
 * Watches a typed store in which nothing happens, and tells what share of a processor that takes.
 *
 * Arguments: path, format, milliseconds.
 */
import { setTimeout } from 'node:timers/promises';
import { TypedStore } from '../../../dist/esm/index.js';
import { defineSchema, f64 } from '../../../dist/esm/schema.js';

const Twin = defineSchema('Twin', { fields: { one: f64, two: f64 } });
const [path, format, milliseconds] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
const store = TypedStore.openSync(path, Twin, { format, readOnly: true });
const watcher = store.watch();
const waiting = watcher.next();
// The first looks, and what the compiler does about them, are no idling.
await setTimeout(500);
const before = process.cpuUsage();
const begun = performance.now();
await setTimeout(Number(milliseconds));
const { user, system } = process.cpuUsage(before);
const share = (user + system) / 1e3 / (performance.now() - begun);
process.send({ share, looked: 'idle' });
// It is asleep, not deaf.
process.send((await waiting).value);
await store.close();
process.disconnect();
