/**
 * The records of a batch: its operations, checked, their values encoded. Nothing has been touched when it throws.
 */
import { Kind } from '../generated/abi.ts';
import type { BatchRecord } from '../log/batches.ts';
import { compileCodec } from './codec.ts';
import { checkBatch } from './options.ts';
import type { KeyValueOperation } from './types.ts';

/** Values that are bytes already, for a store of any codec. */
export const encodeBytes = compileCodec<Uint8Array>('binary').encode;

/** Makes them; `encode` gives bytes that stay what they are. Errors: those of `checkBatch` and of `encode` */
export function batchRecords<V>(
  operations: readonly KeyValueOperation<V>[], now: () => number, encode: (value: V) => Uint8Array | string,
): BatchRecord[] {
  return checkBatch(operations, now).map(({ isPut, key, value, expiresAt }): BatchRecord => {
    if (!isPut) return { kind: Kind.Delete, key, payload: '' };
    const payload = encode(value as V);
    if (expiresAt === 0) return { kind: Kind.Put, key, payload };
    return { kind: Kind.PutMeta, key, payload, version: 0, expiresAt };
  });
}
