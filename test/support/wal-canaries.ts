/**
 * Promises of a write-ahead log group that are broken on purpose in tests alone, by the names of host/canary.d.ts.
 */
export const WAL_CANARIES = {
  rename: 'a checkpoint that has its name before the logs are synced',
  cover: 'logs that are dropped before the checkpoint that covers them is durable',
  complete: 'an epoch that is said to be complete without the barrier of every core',
  barrier: 'an epoch that is recovered as complete without the barrier of every core',
} as const;
