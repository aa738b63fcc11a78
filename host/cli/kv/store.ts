/**
 * Opening key-value stores for the commands: keys and values are bytes, whatever the store's users see in them.
 */
import { KeyValueStore } from '../../index.ts';
import { STORE_KIND_KEY_VALUE } from '../../generated/abi.ts';
import { storeKindOf, type Context } from '../context.ts';
import { plural } from '../format.ts';

/** A store of bytes. */
export type ByteStore = KeyValueStore<Buffer>;

const BYTES = { keys: 'binary', values: 'binary' } as const;

/** Opens for reading: without a lock, and nothing is made. */
export function openForReading(directory: string): Promise<ByteStore> {
  return KeyValueStore.open<Buffer>(directory, { ...BYTES, readOnly: true });
}

/** How a store is opened for writing. */
interface WritingOptions {
  readonly create: boolean;
  readonly segmentSize?: number | undefined;
}

/** Whether a directory holds a key-value store, as far as its files can be read. */
export function isKeyValueStore(directory: string): boolean {
  return storeKindOf(directory) === STORE_KIND_KEY_VALUE;
}

/** Opens for writing; says what recovery has cut. */
export async function openForWriting(
  { note }: Context, directory: string, options: WritingOptions,
): Promise<ByteStore> {
  const { create, segmentSize } = options;
  const store = await KeyValueStore.open<Buffer>(directory, {
    ...BYTES, create, autoCompact: false, ...segmentSize === undefined ? {} : { segmentBytes: segmentSize },
  });
  for (const { path, bytes } of store.recovery.log.cutFiles) {
    note(`varve: cut a torn tail, ${plural(bytes, 'byte')} saved in ${path}`);
  }
  return store;
}
