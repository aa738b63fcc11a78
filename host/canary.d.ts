/**
 * Bugs on purpose, for the tests of the tests: each statement labelled `CANARY` breaks one promise where
 * `globalThis.varveCanary` names it, and the simulation must find it (test/simulation/canaries.test.ts,
 * test/simulation/wal-canaries.test.ts and test/key-value/canaries.test.ts). The bundler drops these statements
 * (scripts/lib/bundles.mjs), so that nothing of them is in the package.
 */
declare var varveCanary: 'sync' | 'mark' | 'tail' | 'replay' | 'drop' | 'keydir' | 'undo' | 'rename' | 'cover'
  | 'complete' | 'barrier' | undefined;
