/**
 * Promises of the key-value store that are broken on purpose in tests alone, by the names of host/canary.d.ts.
 */
export const KEY_VALUE_CANARIES = {
  replay: 'a last segment that is not replayed',
  drop: 'a compaction that drops segments before their copies are on disk',
  keydir: 'a key directory of another state of the log',
  undo: 'an iteration that is not told what was replaced',
} as const;
