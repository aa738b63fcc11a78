/**
 * Checking what a KeyValueStore is told. Everything wrong is found here, before anything is touched. Calls without
 * options come here for nothing: a put is checked by the codec (its value) and by keys.ts (its key).
 *
 * What is checked is read once: a property may be computed, and give something else the next time.
 */
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import {
  checkDirectory, checkLogOptions, flag, integer, LOG_OPTIONS, requireKnown, type CheckedLogOptions,
} from '../log/options.ts';
import { compileCodec, type CompiledCodec } from './codec.ts';
import { checkKey, checkPrefix } from './keys.ts';
import type {
  AutoCompactOptions, CompactionProgress, CompactOptions, DeleteOptions, ExpiryOptions, IterationOptions, Key,
  KeyValueCheckOptions, KeyValueOperation, KeyValueOptions, KeyValueWatchOptions, PutManyOptions, PutOptions,
  SortedPairsOptions, ValueCodec,
} from './types.ts';

/** Options of opening, with their defaults. */
export interface CheckedKeyValueOptions<V> extends CheckedLogOptions {
  readonly keys: 'utf8' | 'binary';
  readonly codec: CompiledCodec<V>;
  /** Absent where the store does not compact itself. */
  readonly autoCompact: Required<AutoCompactOptions> | undefined;
  /** Absent where the storage's clock decides. */
  readonly now: (() => number) | undefined;
}

/** What a put with options is to do. */
export interface CheckedPut {
  /** Milliseconds since 1970; 0 where it never expires. */
  readonly expiresAt: number;
  /** The version that the key must have, 0 where it must be absent; -1 where any will do. */
  readonly ifVersion: number;
  readonly durable: boolean;
}

/** One operation of a batch, read and checked; its value is encoded by the store. */
export interface CheckedOperation<V> {
  readonly isPut: boolean;
  readonly key: Key;
  readonly value: V | undefined;
  readonly expiresAt: number;
}

const ANY_VERSION = -1;
const NEVER = 0;
const OPEN: ReadonlySet<string> = new Set([...LOG_OPTIONS, 'keys', 'values', 'autoCompact', 'now']);
const AUTO_COMPACT: ReadonlySet<string> = new Set(['minDeadRatio', 'minBytes']);
const PUT: ReadonlySet<string> = new Set(['ttl', 'expiresAt', 'ifVersion', 'ifAbsent', 'durable']);
const PUT_MANY: ReadonlySet<string> = new Set(['ttl', 'expiresAt', 'durable']);
const DELETE: ReadonlySet<string> = new Set(['ifVersion', 'durable']);
const BATCH: ReadonlySet<string> = new Set(['durable']);
const ITERATION: ReadonlySet<string> = new Set(['prefix']);
const COMPACT: ReadonlySet<string> = new Set(['minDeadRatio', 'budgetMs', 'signal', 'onProgress']);
const COMPACT_TO: ReadonlySet<string> = new Set(['signal', 'onProgress']);
const SORTED_PAIRS: ReadonlySet<string> = new Set(['prefix', 'signal']);
const CHECK: ReadonlySet<string> = new Set(['onProgress']);
const WATCH: ReadonlySet<string> = new Set(['prefix', 'from', 'signal']);
const AUTO_DEAD_RATIO = 0.5;
const AUTO_BYTES = 64 << 20;
const BUDGET_MS = 2;
const BUDGET_MS_MAX = 1000;

function ratio(name: string, value: unknown): number {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  if (!(value >= 0 && value <= 1)) throw outOfRange(name, 'from 0 to 1', value);
  return value;
}

function signalOf(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw wrongType('options.signal', 'an AbortSignal', signal);
}

function callback<F>(name: string, value: F | undefined): F | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw wrongType(name, 'a function', value);
}

/** Checks what `KeyValueStore.open` was given, and compiles its codec. Errors: ERR_VARVE_INVALID_ARGUMENT */
export function checkOpen<V>(directory: string, options: KeyValueOptions<V>): CheckedKeyValueOptions<V> {
  checkDirectory(directory);
  requireKnown('options', options, OPEN);
  const { keys = 'utf8', values = 'binary' as ValueCodec<V>, autoCompact, now } = options;
  if (keys !== 'utf8' && keys !== 'binary') throw outOfRange('options.keys', "'utf8' or 'binary'", keys);
  return {
    ...checkLogOptions(directory, options),
    keys,
    codec: compileCodec(values),
    autoCompact: checkAutoCompact(autoCompact),
    now: callback('options.now', now),
  };
}

function checkAutoCompact(options: boolean | AutoCompactOptions = true): Required<AutoCompactOptions> | undefined {
  if (options === false) return undefined;
  if (options === true) return { minDeadRatio: AUTO_DEAD_RATIO, minBytes: AUTO_BYTES };
  if (typeof options !== 'object' || options === null) {
    throw wrongType('options.autoCompact', 'a boolean or {minDeadRatio, minBytes}', options);
  }
  requireKnown('options.autoCompact', options, AUTO_COMPACT);
  const { minDeadRatio = AUTO_DEAD_RATIO, minBytes = AUTO_BYTES } = options;
  return {
    minDeadRatio: ratio('options.autoCompact.minDeadRatio', minDeadRatio),
    minBytes: integer('options.autoCompact.minBytes', minBytes, 0, Number.MAX_SAFE_INTEGER),
  };
}

/** When something expires; 0 never. `place` is what the options are called, and is made for an error only. */
function expiryOf({ ttl, expiresAt }: ExpiryOptions, now: () => number, place: () => string): number {
  if (ttl === undefined) {
    return expiresAt === undefined ? NEVER : integer(`${place()}.expiresAt`, expiresAt, 1, Number.MAX_SAFE_INTEGER);
  }
  if (expiresAt !== undefined) throw outOfRange(`${place()}.expiresAt`, 'left out where ttl is given', expiresAt);
  if (typeof ttl !== 'number') throw wrongType(`${place()}.ttl`, 'a number', ttl);
  const at = Math.ceil(now() + ttl);
  if (ttl > 0 && Number.isSafeInteger(at)) return at;
  throw outOfRange(`${place()}.ttl`, 'milliseconds above 0 that end within 2^53 - 1 since 1970', ttl);
}

const inOptions = (): string => 'options';

function versionOf(ifVersion: unknown): number {
  return ifVersion === undefined ? ANY_VERSION : integer('options.ifVersion', ifVersion, 0, Number.MAX_SAFE_INTEGER);
}

/** Checks what `put` was given beside key and value. */
export function checkPut(options: PutOptions, now: () => number): CheckedPut {
  requireKnown('options', options, PUT);
  const { ttl, expiresAt, ifVersion, ifAbsent, durable = false } = options;
  if (ifAbsent !== undefined) {
    if (ifAbsent !== true) throw wrongType('options.ifAbsent', 'true or left out', ifAbsent);
    if (ifVersion !== undefined) throw outOfRange('options.ifVersion', 'left out where ifAbsent is given', ifVersion);
  }
  return {
    expiresAt: expiryOf({ ttl, expiresAt } as ExpiryOptions, now, inOptions),
    ifVersion: ifAbsent === true ? 0 : versionOf(ifVersion),
    durable: flag('options.durable', durable),
  };
}

/** Checks what `putMany` was given beside its entries. */
export function checkPutMany(options: PutManyOptions, now: () => number): CheckedPut {
  requireKnown('options', options, PUT_MANY);
  const { ttl, expiresAt, durable = false } = options;
  return {
    expiresAt: expiryOf({ ttl, expiresAt } as ExpiryOptions, now, inOptions),
    ifVersion: ANY_VERSION,
    durable: flag('options.durable', durable),
  };
}

/** Checks what `delete` was given beside its key. */
export function checkDelete(options: DeleteOptions): CheckedPut {
  requireKnown('options', options, DELETE);
  const { ifVersion, durable = false } = options;
  return { expiresAt: NEVER, ifVersion: versionOf(ifVersion), durable: flag('options.durable', durable) };
}

/** Checks what `batch` was given beside its operations; whether it is to be durable. */
export function checkBatchOptions(options: { readonly durable?: boolean }): boolean {
  requireKnown('options', options, BATCH);
  return flag('options.durable', options.durable ?? false);
}

/** Checks the operations of a batch, at least one. Errors: ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_RECORD_TOO_LARGE */
export function checkBatch<V>(operations: readonly KeyValueOperation<V>[], now: () => number): CheckedOperation<V>[] {
  if (!Array.isArray(operations)) throw wrongType('operations', 'an array', operations);
  if (operations.length === 0) throw wrongType('operations', 'an array of at least one operation', 'an empty array');
  const checked = new Array<CheckedOperation<V>>(operations.length);
  for (let i = 0; i < checked.length; i++) checked[i] = checkOperation(i, operations[i] as KeyValueOperation<V>, now);
  return checked;
}

function checkOperation<V>(index: number, operation: KeyValueOperation<V>, now: () => number): CheckedOperation<V> {
  const place = (): string => `operations[${index}]`;
  if (typeof operation !== 'object' || operation === null) {
    throw wrongType(place(), "{type: 'put', key, value, ttl?, expiresAt?} or {type: 'delete', key}", operation);
  }
  let hasValue = false;
  let expires = false;
  // An option that a batch does not have, such as ifVersion, would be passed over silently.
  for (const name in operation) {
    if (name === 'value') hasValue = true;
    else if (name === 'ttl' || name === 'expiresAt') expires = true;
    else if (name !== 'type' && name !== 'key') {
      throw outOfRange(place(), 'made of type, key, value, ttl, expiresAt', name);
    }
  }
  const { type, key } = operation;
  if (type === 'put') {
    // A getter of a class is not enumerable.
    if (!hasValue && !('value' in operation)) throw wrongType(`${place()}.value`, 'given', undefined);
    const { value, ttl, expiresAt } = operation;
    const expiry = ttl === undefined && expiresAt === undefined ? NEVER
      : expiryOf({ ttl, expiresAt } as ExpiryOptions, now, place);
    return { isPut: true, key: checkKeyOf(key, () => `${place()}.key`), value, expiresAt: expiry };
  }
  if (type !== 'delete') throw outOfRange(`${place()}.type`, "'put' or 'delete'", type);
  if (hasValue || expires) throw outOfRange(place(), 'made of type and key, being a delete', 'a value or an expiry');
  return { isPut: false, key: checkKeyOf(key, () => `${place()}.key`), value: undefined, expiresAt: NEVER };
}

/** Checks the key of one of many; the common case without making its name, which is text of its own for each. */
function checkKeyOf(key: unknown, name: () => string): Key {
  if (typeof key === 'string' && key.length > 0 && key.length < 1024 && key.isWellFormed()) return key;
  return key instanceof Uint8Array && key.length > 0 && key.length < 1024 ? key : checkKey(key, name());
}

/** Checks that `putMany` or `getMany` was given something to iterate; text, being keys of one character, is not. */
export function checkIterable<T>(name: string, values: Iterable<T>): Iterable<T> {
  if (typeof values === 'object' && values !== null && typeof values[Symbol.iterator] === 'function') return values;
  throw wrongType(name, 'an iterable', values);
}

/** Checks the element at `index` of what `putMany` was given. */
export function checkEntry<K, V>(index: number, entry: readonly [K, V]): readonly [K, V] {
  if (!Array.isArray(entry) || entry.length !== 2) throw wrongType(`entries[${index}]`, '[key, value]', entry);
  return entry;
}

/** Checks the key of the entry at `index`. */
export function checkEntryKey(index: number, key: unknown): Key {
  return checkKeyOf(key, () => `entries[${index}][0]`);
}

/** Checks what `keys`, `values` or `entries` was given; the prefix, which may be empty, or nothing. */
export function checkIteration(options: IterationOptions): Key | undefined {
  requireKnown('options', options, ITERATION);
  const { prefix } = options;
  return prefix === undefined ? undefined : checkPrefix(prefix);
}

/** What `compact` or `compactTo` is to do, with its defaults. */
export interface CheckedCompact {
  readonly minDeadRatio: number;
  readonly budgetMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: CompactionProgress) => void) | undefined;
}

/** Checks what `compact` was given. */
export function checkCompact(options: CompactOptions): CheckedCompact {
  requireKnown('options', options, COMPACT);
  const { minDeadRatio = 0, budgetMs = BUDGET_MS, signal, onProgress } = options;
  if (typeof budgetMs !== 'number') throw wrongType('options.budgetMs', 'a number', budgetMs);
  if (!(budgetMs > 0 && budgetMs <= BUDGET_MS_MAX)) {
    throw outOfRange('options.budgetMs', `above 0 and at most ${BUDGET_MS_MAX}`, budgetMs);
  }
  return {
    minDeadRatio: ratio('options.minDeadRatio', minDeadRatio),
    budgetMs,
    signal: signalOf(signal),
    onProgress: callback('options.onProgress', onProgress),
  };
}

/** Checks what `compactTo` was given; the directory becomes an absolute path. */
export function checkCompactTo(directory: string, options: CompactOptions): CheckedCompact & { directory: string } {
  requireKnown('options', options, COMPACT_TO);
  return { directory: checkDirectory(directory), ...checkCompact(options) };
}

/** Checks what `sortedPairs` was given. */
export function checkSortedPairs(options: SortedPairsOptions) {
  requireKnown('options', options, SORTED_PAIRS);
  const { prefix, signal } = options;
  return { prefix: prefix === undefined ? undefined : checkPrefix(prefix), signal: signalOf(signal) };
}

/** Checks what `check` was given. */
export function checkCheck(options: KeyValueCheckOptions): KeyValueCheckOptions {
  requireKnown('options', options, CHECK);
  const onProgress = callback('options.onProgress', options.onProgress);
  return onProgress === undefined ? {} : { onProgress };
}

/** Checks what `watch` was given. */
export function checkWatch(options: KeyValueWatchOptions) {
  requireKnown('options', options, WATCH);
  const { prefix, from, signal } = options;
  return {
    prefix: prefix === undefined ? undefined : checkPrefix(prefix),
    from: from === undefined ? undefined : integer('options.from', from, 1, Number.MAX_SAFE_INTEGER),
    signal: signalOf(signal),
  };
}

/** Checks what `update` was given beside its key. */
export function checkChange<V>(change: (value: V | undefined) => V | undefined): typeof change {
  if (typeof change === 'function') return change;
  throw wrongType('fn', 'a function', change);
}
