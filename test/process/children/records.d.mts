/** Types of records.mjs, for the tests. */
export function payloadOf(serial: number, index: number): Uint8Array;
export function keyOf(serial: number, index: number): string;
export function kindOf(serial: number, index: number): number;
export function recordOf(serial: number, index: number): { payload: Uint8Array; kind: number; key?: string };
export function integers(seed: number): (count: number) => number;
