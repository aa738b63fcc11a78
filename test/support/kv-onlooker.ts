/**
 * A reader of a key-value store in another simulated process: it must hold what the journal says up to where it has
 * seen.
 */
import type { Core } from '../../host/core/core.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import { compareKey, compareWhole } from './kv-judge.ts';
import type { KeyValueModel } from './kv-model.ts';
import { KEYS } from './kv-operations.ts';
import type { Store } from './kv-session.ts';
import { wipeCore } from './log-fixture.ts';
import type { Random } from './random.ts';
import { type SimulatedDisk, SimulatedPowerCut } from './simulated-disk.ts';
import type { Tally } from './tally.ts';

/** The store's directory on the simulated disk. */
export const DIRECTORY = '/store';

/** Its process is dead, or its disk is: errors are of no interest, but what is wrong with varve itself is. */
export function closeWhateverFails(store: Pick<Store, 'closeSync'>): void {
  try {
    store.closeSync();
  } catch (error) {
    if (!(error instanceof SimulatedPowerCut) && !VarveError.is(error)) throw error;
  }
}

export class KeyValueOnlooker {
  private readonly disk: SimulatedDisk;
  private readonly core: Core;
  private readonly random: Random;
  private readonly tally: Tally;
  private reader: Store | undefined;
  private now = 0;

  constructor(disk: SimulatedDisk, core: Core, random: Random, tally: Tally) {
    this.disk = disk;
    this.core = core;
    this.random = random;
    this.tally = tally;
  }

  private open(): Store {
    return KeyValueStore.openSync<Buffer>(DIRECTORY, {
      core: this.core, storage: this.disk.storage(), readOnly: true, keys: 'binary', now: () => this.now,
      mappedBytesMax: this.random.pick([0, 65536, 1 << 22]),
    });
  }

  /** Compares it with the model; a writer that is alive says where it must be. */
  judge(model: KeyValueModel, now: number, expectedLsn: number | undefined): void {
    const { random, disk } = this;
    this.now = now;
    disk.refresh();
    try {
      this.reader ??= this.open();
    } catch (error) {
      const isGone = VarveError.is(error, 'ERR_VARVE_NOT_FOUND') || VarveError.is(error, 'ERR_VARVE_TRUNCATED');
      if (expectedLsn !== undefined || !isGone) throw error;
      return;
    }
    const { reader } = this;
    const { lastLsn } = reader;
    if (expectedLsn !== undefined && lastLsn !== expectedLsn) {
      throw new Error(`the reader is at ${lastLsn}, its writer at ${expectedLsn}`);
    }
    const state = model.at(lastLsn);
    this.tally.count('states seen by the reader');
    if (random.chance(0.3)) compareWhole(reader, state, now);
    else compareKey(reader, random.pick(KEYS), state, now);
    if (random.chance(0.1)) this.close();
  }

  close(): void {
    this.reader?.closeSync();
    this.reader = undefined;
  }

  /** Its process is dead. */
  bury(): void {
    if (this.reader !== undefined) closeWhateverFails(this.reader);
    this.reader = undefined;
    wipeCore(this.core);
  }
}
