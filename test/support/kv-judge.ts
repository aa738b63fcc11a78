/**
 * The judgement: whether a key-value store is what the model says, in every way in which it can be asked. What differs
 * is thrown.
 */
import { FRAME_HEADER_BYTES, PUT_META_BYTES } from '../../host/generated/abi.ts';
import type { ReadableStore } from '../../host/key-value/readable-store.ts';
import type { Key } from '../../host/key-value/types.ts';
import { type Entry, type State, isLive } from './kv-model.ts';
import { KEYS, nameOf } from './kv-operations.ts';

type Store = ReadableStore<Buffer, Buffer>;

export function shown(name: string): string {
  return name.length > 20 ? `${JSON.stringify(name.slice(0, 12))}… of ${name.length} bytes` : JSON.stringify(name);
}

function fail(name: string, what: string): never {
  throw new Error(`key ${shown(name)}: ${what}`);
}

/** Asks for one key in every way that there is. */
export function compareKey(store: Store, key: Key, state: State, now: number): void {
  const name = nameOf(key);
  const known = state.get(name);
  const entry: Entry | undefined = isLive(known, now) ? known : undefined;
  // Text and its bytes are the same key.
  const other = typeof key === 'string' ? Buffer.from(key) : key;
  const value = store.get(key);
  const view = store.getView(other);
  const version = store.versionOf(other);
  const ref = store.refOf(key);
  if (store.has(other) !== (entry !== undefined)) fail(name, `has gives ${entry === undefined}`);
  if (entry === undefined) {
    for (const found of [value, view, version, ref]) if (found !== undefined) fail(name, 'is there, and should not be');
    return;
  }
  if (value === undefined) fail(name, `is gone; it had version ${entry.version}`);
  if (!entry.value.equals(value)) {
    fail(name, `has ${shown(value.toString('latin1'))} (version ${version}) and should have `
      + `${shown(entry.value.toString('latin1'))} (version ${entry.version})`);
  }
  if (view === undefined || !entry.value.equals(view)) fail(name, 'getView gives something else than get');
  if (version !== entry.version) fail(name, `has version ${version}, not ${entry.version}`);
  if (ref === undefined || ref.lsn < version || ref.lsn > store.lastLsn) fail(name, `refOf gives LSN ${ref?.lsn}`);
  const least = FRAME_HEADER_BYTES + name.length + entry.value.length;
  if (ref.size !== least && ref.size !== least + PUT_META_BYTES) fail(name, `refOf gives ${ref.size} bytes instead of ${least}`);
}

/** Compares every key, those that are not there among them, the size, and what an iteration gives. */
export function compareWhole(store: Store, state: State, now: number): number {
  const live = [...state].filter(([, entry]) => isLive(entry, now));
  if (store.size !== live.length) throw new Error(`the store has ${store.size} keys, not ${live.length}`);
  for (const key of KEYS) compareKey(store, key, state, now);
  const left = new Map(live);
  let lastBytes = 0;
  for (const [key, value] of store.entries()) {
    const name = nameOf(key);
    const entry = left.get(name);
    if (entry === undefined) fail(name, state.has(name) ? 'is delivered twice' : 'is delivered, and not there');
    if (!entry.value.equals(value)) fail(name, 'is delivered with another value');
    left.delete(name);
    lastBytes += (store.refOf(key)!.size + 7) & ~7;
  }
  for (const [name] of left) fail(name, 'is not delivered');
  const { keys, bytes, liveBytes } = store.stats();
  if (keys !== live.length || liveBytes !== lastBytes || liveBytes > bytes) {
    throw new Error(`stats: ${keys} keys, ${liveBytes} bytes of ${bytes}, instead of ${live.length} and ${lastBytes}`);
  }
  return live.length;
}
