/**
 * What the tests of key-value stores beside other processes, and of what they promise, share: a directory, stores that
 * are closed when the test ends, and a core that must then have got everything back.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { Core } from '../../host/core/core.ts';
import type { ErrorCode } from '../../host/errors/codes.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import type { Key, KeyValueOptions } from '../../host/key-value/types.ts';
import { giveCore, takeCore } from './log-fixture.ts';

const MEMORY_BYTES = 512 << 20;
export const SEGMENT_BYTES = 65536;

export class StorePlace {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-kv-'));
  readonly directory = join(this.root, 'store');
  private readonly stores: KeyValueStore<Key, never>[] = [];
  private readonly cores: Core[] = [];
  readonly core = this.newCore();

  newCore(): Core {
    const core = takeCore('simd', MEMORY_BYTES);
    this.cores.push(core);
    return core;
  }

  /** Opens a store for writing; `dispose` closes it. */
  open<K extends Key = string, V = Buffer>(
    options: KeyValueOptions<V> = {}, directory = this.directory,
  ): KeyValueStore<K, V> {
    const store = KeyValueStore.openSync<K, V>(directory, {
      core: this.core, segmentBytes: SEGMENT_BYTES, autoCompact: false, ...options,
    });
    this.stores.push(store as unknown as KeyValueStore<Key, never>);
    return store;
  }

  /** The same with text as values. */
  openText(options: KeyValueOptions<string> = {}, directory = this.directory): KeyValueStore<string, string> {
    return this.open<string, string>({ values: 'utf8', ...options }, directory);
  }

  /** A reader with a core of its own, as another process has it. */
  openReader(options: KeyValueOptions<string> = {}, directory = this.directory): KeyValueStore<string, string> {
    return this.openText({ core: this.newCore(), readOnly: true, ...options }, directory);
  }

  /** Names of the segments, oldest first. */
  segments(directory = this.directory): string[] {
    return existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.seg')).sort() : [];
  }

  dispose(): void {
    for (const store of this.stores) store.closeSync();
    rmSync(this.root, { recursive: true, force: true });
    for (const core of this.cores) {
      const left = core.memory.bytes.length - STATIC_END - core.memory.largestFree();
      expect(left, 'bytes of the core\'s memory that no closed store gave back').toBe(0);
      giveCore(core);
    }
  }
}

/** A place for each test of a file. */
export function storePlaces(): () => StorePlace {
  let place: StorePlace;
  beforeEach(() => { place = new StorePlace(); });
  afterEach(() => { place.dispose(); });
  return () => place;
}

/** The error of a wrong argument: its class, its code, and what it was about. */
export function refusal(type: typeof TypeError | typeof RangeError, argument: string, call: () => unknown): void {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error, `${argument} should be refused`).toBeInstanceOf(type);
  expect(error).toMatchObject({ code: 'ERR_VARVE_INVALID_ARGUMENT', kind: 'invalid', details: { argument } });
}

/** What a store holds, in the order of the keys. */
export function contentsOf<V>(store: KeyValueStore<string, V>): [string, V][] {
  return [...store].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The code of a call's error, or what it gives. */
export function codeOrResult<T>(call: () => T): T | ErrorCode {
  try {
    return call();
  } catch (error) {
    return (error as { code: ErrorCode }).code;
  }
}
