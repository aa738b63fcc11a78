/**
 * Groups of the tests that work in a fixture of log-fixture.ts: its directory, its core, its disk.
 */
import type { WalGroupOptions } from '../../host/wal/types.ts';
import { WalGroup } from '../../host/wal/wal-group.ts';
import type { LogFixture } from './log-fixture.ts';

/** What opening a group, or a core of it, needs to work there; segments are small. */
export function options(fixture: LogFixture, extra: WalGroupOptions = {}): WalGroupOptions {
  const { core, storage } = fixture.options();
  return { core: core!, segmentBytes: 65536, ...(storage === undefined ? {} : { storage }), ...extra };
}

export function create(fixture: LogFixture, cores: number, extra: WalGroupOptions = {}): WalGroup {
  return WalGroup.createSync(fixture.directory, { ...options(fixture, extra), cores });
}

export function reopen(fixture: LogFixture, extra: WalGroupOptions = {}): WalGroup {
  return WalGroup.openSync(fixture.directory, options(fixture, extra));
}

/** Bytes as the text that they are. */
export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
