/**
 * A codec that closes the store in the midst of a write: a typed error, nothing written, and whatever has the memory
 * and the directory by then is left alone.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { STATIC_END } from '../../host/generated/abi.ts';
import { KeyValueStore } from '../../host/index.ts';
import { failure, giveCore, takeCore, wipeCore } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const core = takeCore('simd', 64 << 20);
afterAll(() => { giveCore(core); });
beforeEach(() => { wipeCore(core); });

type Texts = KeyValueStore<string, string>;

const WRITES: Readonly<Record<string, (store: Texts, value: string) => unknown>> = {
  'put': (store, value) => store.put('key', value),
  'put with an expiry': (store, value) => store.put('key', value, { ttl: 1000 }),
  'put on a condition': (store, value) => store.put('new', value, { ifAbsent: true }),
  'durable put': (store, value) => store.put('key', value, { durable: true }),
  'putMany': (store, value) => store.putMany([['key', value], ['other', value]]),
  'putMany of an iterable': (store, value) => store.putMany((function* () { yield ['key', value] as const; })()),
  'batch': (store, value) => store.batch([{ type: 'delete', key: 'key' }, { type: 'put', key: 'new', value }]),
  'update': (store, value) => store.update('key', () => value),
};

for (const kind of ['encode', 'encodeInto'] as const) {
  describe(`a codec with ${kind} that closes the store`, () => {
    it.for(Object.keys(WRITES))('(%s) writes nothing', async (name) => {
      for (const again of [false, true]) {
        wipeCore(core);
        const disk = new SimulatedDisk();
        const open = (values: object | 'utf8' = 'utf8'): Texts => KeyValueStore.openSync<string, string>('/store', {
          core, storage: disk.storage(), segmentBytes: 65536, autoCompact: false, now: () => 1, values: values as 'utf8',
        });
        let closing = false;
        let next: Texts | undefined;
        const leave = (): void => {
          if (!closing) return;
          closing = false;
          store.closeSync();
          if (again) next = open();
        };
        const decode = (bytes: Buffer): string => bytes.toString();
        const store = open(kind === 'encode' ? { decode, encode: (value: string) => { leave(); return value; } }
          : { decode, encodeInto: (value: string, target: Buffer) => { leave(); return target.write(value); } });
        store.put('key', 'before');
        closing = true;
        failure('ERR_VARVE_CLOSED', () => WRITES[name]!(store, 'after'));
        expect(store.closed).toBe(true);
        next ??= open();
        expect([...next]).toEqual([['key', 'before']]);
        expect(next.check()).toMatchObject({ outcome: 'ok', keydir: [] });
        next.put('key', 'later');
        next.closeSync();
        expect(core.memory.largestFree()).toBe(core.memory.bytes.length - STATIC_END);
        const last = open();
        expect([...last]).toEqual([['key', 'later']]);
        last.closeSync();
        disk.check();
      }
    });
  });
}
