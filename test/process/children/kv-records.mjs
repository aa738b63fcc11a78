/** Keys and values that child and test agree on without talking. */

/** How many keys there are: `key 0` and so on. */
export const KEYS = 300;

/** The value that an operation gives a key. */
export function valueOf(serial, key) {
  return `${serial}:${key}:${'.'.repeat((serial * 31) % 400)}`;
}
