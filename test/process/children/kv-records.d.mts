/** Types of kv-records.mjs, for the tests. */
export const KEYS: number;
export function valueOf(serial: number, key: string): string;
