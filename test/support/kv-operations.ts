/**
 * What can be done with a key-value store, as data that is drawn from seeded randomness: the same operations for the
 * property tests, which shrink lists of them, and for the simulation.
 */
import type { Key } from '../../host/key-value/types.ts';
import type { Random } from './random.ts';

/** The id of the stores in these tests, so that which keys meet in their hash is known beforehand. */
export const STORE_ID_BYTE = 7;
/** Pairs of keys that have the same hash where all bytes of the store's id are `STORE_ID_BYTE`. */
export const COLLIDING: readonly (readonly [string, string])[] = [
  ['c0000159', 'c0022174'], ['c0075237', 'c0084224'], ['c0112953', 'c0176628'], ['c0098240', 'c0199007'],
];

export const KEYS: readonly Key[] = [
  'a', 'b', Uint8Array.of(0), Uint8Array.of(255), Uint8Array.of(0, 0), Uint8Array.of(0xc3, 0x28), 'user', 'user:',
  ...Array.from({ length: 12 }, (_, at) => `user:${at}`), 'user:é', '日本語', '𝄞', 'x'.repeat(47), 'x'.repeat(48),
  'x'.repeat(49), 'x'.repeat(1000), 'k'.repeat(65536), new Uint8Array(65536).fill(200), new Uint8Array(65535).fill(200),
  ...COLLIDING.flat(),
];

/** A key as the model knows it. */
export function nameOf(key: Key): string {
  return Buffer.from(key as string).toString('latin1');
}

export const PREFIXES: readonly Key[] = ['', 'user', 'user:', 'user:1', 'x', 'c', Uint8Array.of(0), 'none'];

/** When a put expires: in so many milliseconds, told in one of both ways. */
export type Expiry = { readonly ttl: number } | { readonly expiresIn: number } | undefined;
export type Condition = 'none' | 'right' | 'wrong' | 'absent' | 'zero';

export type BatchItem =
  | { readonly type: 'put'; readonly key: number; readonly size: number; readonly expiry: Expiry }
  | { readonly type: 'delete'; readonly key: number };

export type Operation =
  | { readonly name: 'put'; readonly key: number; readonly size: number; readonly expiry: Expiry;
    readonly condition: Condition; readonly durable: boolean }
  | { readonly name: 'delete'; readonly key: number; readonly condition: Condition; readonly durable: boolean }
  | { readonly name: 'putMany'; readonly items: readonly (readonly [key: number, size: number])[];
    readonly expiry: Expiry; readonly durable: boolean }
  | { readonly name: 'batch'; readonly items: readonly BatchItem[]; readonly durable: boolean }
  | { readonly name: 'update'; readonly key: number; readonly to: number | 'nothing' | 'throws' | 'writes' }
  | { readonly name: 'look'; readonly keys: readonly number[] }
  | { readonly name: 'iterate'; readonly over: 'keys' | 'values' | 'entries'; readonly prefix: number }
  | { readonly name: 'consume'; readonly which: number; readonly count: number; readonly leave: boolean }
  | { readonly name: 'compact'; readonly minDeadRatio: number; readonly budgetMs: number; readonly abortAfter: number }
  | { readonly name: 'turn'; readonly count: number }
  | { readonly name: 'advance'; readonly milliseconds: number }
  | { readonly name: 'reopen'; readonly mappedBytesMax: number; readonly blocking: boolean }
  | { readonly name: 'clear' } | { readonly name: 'sync' } | { readonly name: 'syncNow' } | { readonly name: 'compareAll' };

function drawKey(random: Random): number {
  return random.chance(0.6) ? random.integer(20) : random.integer(KEYS.length);
}

function drawSize(random: Random): number {
  const most = random.pick([0, 1, 30, 30, 200, 200, 1000, 1000, 5000, 20_000]);
  if (random.chance(0.004)) return random.between(1, 3 << 20);
  if (random.chance(0.01)) return random.between(50_000, 150_000);
  return random.integer(most + 1);
}

function drawExpiry(random: Random): Expiry {
  if (random.chance(0.75)) return undefined;
  const milliseconds = random.pick([1, 50, 300, 2000, 1e9]);
  return random.chance(0.5) ? { ttl: milliseconds } : { expiresIn: random.pick([-5, 0, milliseconds]) };
}

function drawCondition(random: Random): Condition {
  return random.chance(0.7) ? 'none' : random.pick(['right', 'wrong', 'absent', 'zero']);
}

const DRAWN: readonly { readonly weight: number; readonly draw: (random: Random) => Operation }[] = [
  { weight: 40, draw: (random) => ({ name: 'put', key: drawKey(random), size: drawSize(random),
    expiry: drawExpiry(random), condition: drawCondition(random), durable: random.chance(0.1) }) },
  { weight: 12, draw: (random) => ({ name: 'delete', key: drawKey(random), condition: drawCondition(random),
    durable: random.chance(0.1) }) },
  { weight: 6, draw: (random) => ({ name: 'putMany', expiry: drawExpiry(random), durable: random.chance(0.1),
    items: Array.from({ length: random.pick([0, 1, 5, 20, 20, 2100]) }, (_, __, most = random.pick([20, 400])) =>
      [drawKey(random), random.integer(most)] as const) }) },
  { weight: 8, draw: (random) => ({ name: 'batch', durable: random.chance(0.1),
    items: Array.from({ length: random.pick([1, 2, 5, 12, 40]) }, (): BatchItem => (random.chance(0.3)
      ? { type: 'delete', key: drawKey(random) }
      : { type: 'put', key: drawKey(random), size: drawSize(random), expiry: drawExpiry(random) })) }) },
  { weight: 7, draw: (random) => ({ name: 'update', key: drawKey(random),
    to: random.pick([drawSize(random), drawSize(random), drawSize(random), 'nothing', 'throws', 'writes']) }) },
  { weight: 12, draw: (random) => ({ name: 'look', keys: Array.from({ length: 4 }, () => drawKey(random)) }) },
  { weight: 5, draw: (random) => ({ name: 'iterate', over: random.pick(['keys', 'values', 'entries', 'entries']),
    prefix: random.chance(0.5) ? 0 : random.integer(PREFIXES.length) }) },
  { weight: 12, draw: (random) => ({ name: 'consume', which: random.integer(8), leave: random.chance(0.1),
    count: random.pick([1, 3, 10, 10_000]) }) },
  { weight: 5, draw: (random) => ({ name: 'compact', minDeadRatio: random.pick([0, 0, 0, 0.5, 1]),
    budgetMs: random.pick([1, 1000]), abortAfter: random.chance(0.15) ? random.integer(4) : -1 }) },
  { weight: 10, draw: (random) => ({ name: 'turn', count: random.pick([1, 1, 2, 5, 30]) }) },
  { weight: 5, draw: (random) => ({ name: 'advance', milliseconds: random.pick([1, 60, 400, 3000]) }) },
  { weight: 4, draw: () => ({ name: 'sync' }) },
  { weight: 3, draw: () => ({ name: 'syncNow' }) },
  { weight: 3, draw: (random) => ({ name: 'reopen', mappedBytesMax: random.pick([0, 65536, 1 << 20, 1 << 26]),
    blocking: random.chance(0.5) }) },
  { weight: 2, draw: () => ({ name: 'compareAll' }) },
  { weight: 1, draw: () => ({ name: 'clear' }) },
];
const TOTAL = DRAWN.reduce((sum, { weight }) => sum + weight, 0);

/** One operation, by the weights. */
export function drawOperation(random: Random): Operation {
  let left = random.integer(TOTAL);
  return DRAWN.find(({ weight }) => (left -= weight) < 0)!.draw(random);
}
