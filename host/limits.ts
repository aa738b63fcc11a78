/**
 * Limits that several parts of varve share and that are no field's of the format.
 */
import { PAYLOAD_BYTES_MAX, PUT_META_BYTES } from './generated/abi.ts';

/** Most bytes of a key-value store's value: 64 MiB less 16, so that compaction can add version and expiry to any. */
export const VALUE_BYTES_MAX = PAYLOAD_BYTES_MAX - PUT_META_BYTES;
