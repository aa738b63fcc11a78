/**
 * Contents of records that child and test agree on without talking: a record follows from the serial number of the
 * operation that appended it and its index in the operation.
 */

function mix(serial, index) {
  let h = Math.imul(serial + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

/** The payload, of 0 to 700 bytes and now and then of up to 40,000. */
export function payloadOf(serial, index) {
  const hash = mix(serial, index);
  const bytes = new Uint8Array(hash % 23 === 0 ? 10000 + hash % 30000 : hash % 700);
  for (let i = 0; i < bytes.length; i++) bytes[i] = hash + Math.imul(i, 13) + (i >> 8);
  const stamp = Buffer.from(`${serial}/${index};`);
  bytes.set(stamp.subarray(0, bytes.length));
  return bytes;
}

/** The key; most records have none. */
export function keyOf(serial, index) {
  return mix(index, serial) % 3 === 0 ? `key-${serial}-${index}` : '';
}

/** The kind. */
export function kindOf(serial, index) {
  return (serial + index) % 128;
}

/** What is appended. */
export function recordOf(serial, index) {
  const key = keyOf(serial, index);
  const record = { payload: payloadOf(serial, index), kind: kindOf(serial, index) };
  return key === '' ? record : { ...record, key };
}

/** A seeded generator of integers from 0 to `count` - 1. */
export function integers(seed) {
  let state = (seed | 0) || 1;
  return (count) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % count;
  };
}
