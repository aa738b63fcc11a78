/**
 * Loads what varve is compared with. The peers are a package of their own, because nobody who installs or tests varve
 * needs them; where they are missing the benchmarks go on without.
 */
import { createRequire } from 'node:module';

const require = createRequire(new URL('../peers/package.json', import.meta.url));

/** The peers, by the names under which they are required. */
export const PEERS = ['crc-32/crc32c', '@node-rs/crc32', 'better-sqlite3', 'classic-level', 'lmdb'];

/** Returns the peer, or `undefined` where it cannot be loaded. */
export function peer(name) {
  try {
    return require(name);
  } catch {
    return undefined;
  }
}

/** Returns the peers that cannot be found; does not load them. */
export function missingPeers() {
  return PEERS.filter((name) => {
    try {
      require.resolve(name);
      return false;
    } catch {
      return true;
    }
  });
}
