/**
 * Defects of the per-core log that groups succeed, by their numbers, where no other test has them: 1 is in
 * group.test.ts, 4 to 7 are in recovery.test.ts, 8 for threads and processes is in test/process/wal-writers.test.ts; 1,
 * 3, 4 and 8 of a single log are in test/model-defects.test.ts.
 */
import { expect, it } from 'vitest';
import { WalGroup } from '../../host/wal/wal-group.ts';
import type { WalGroupOptions } from '../../host/wal/types.ts';
import { failure, onEach, rejection, type LogFixture } from '../support/log-fixture.ts';

function options(fixture: LogFixture, extra: WalGroupOptions = {}): WalGroupOptions {
  const { core, storage } = fixture.options();
  return { core: core!, segmentBytes: 65536, ...(storage === undefined ? {} : { storage }), ...extra };
}

async function valuesOf(group: WalGroup): Promise<string[]> {
  const { entries } = await group.recover();
  return [...entries()].filter(({ type }) => type === 'put').map(({ value }) => Buffer.from(value).toString());
}

/** The segment of the first core, and where a text stands in it. */
function placeOf(fixture: LogFixture, text: string): { readonly name: string; readonly offset: number } {
  const name = fixture.allNames().find((each) => /^core-0000\/.*\.seg$/.test(each))!;
  return { name, offset: Buffer.from(fixture.bytes(name)).indexOf(text) };
}

onEach('a group does not share', (make) => {
  it('B2: a clock that steps back reorders nothing', async () => {
    const fixture = make();
    let time = 2e12;
    const now = () => time -= 3_600_000;
    const group = WalGroup.createSync(fixture.directory, { ...options(fixture, { now }), cores: 2 });
    const expected: string[] = [];
    for (let epoch = 1; epoch <= 4; epoch++) {
      for (let i = 0; i < 200; i++) group.writer(0).put('k', `${epoch}.${i}`);
      for (let i = 0; i < 200; i++) expected.push(`${epoch}.${i}`);
      await group.barrierAll();
    }
    await group.close();
    const again = WalGroup.openSync(fixture.directory, options(fixture));
    expect(await valuesOf(again)).toEqual(expected);
    const times = [...(await again.recover()).entries()].map(({ timestamp }) => timestamp);
    expect(times.at(-1)).toBeLessThan(times[0]!);
    await again.close();
  });

  it('B3: a wrong length, or a flipped bit, is an error with its place, and costs no later entry', async () => {
    for (const at of [-4, 0]) {
      const fixture = make();
      const group = WalGroup.createSync(fixture.directory, { ...options(fixture), cores: 1 });
      for (let i = 0; i < 30; i++) group.writer(0).put('key', `value ${String(i).padStart(4, '0')}`);
      await group.close();
      const { name, offset } = placeOf(fixture, 'value 0007');
      // Of the frame before the text: its payload's time, its key, and its header of 24 bytes, which holds the length.
      const where = at < 0 ? offset - 8 - 3 - 24 + 4 : offset;
      const before = fixture.bytes(name)[where]!;
      fixture.tamper(name, where, Uint8Array.of(before ^ 8));
      const again = WalGroup.openSync(fixture.directory, options(fixture));
      const error = await rejection('ERR_VARVE_CORRUPT', valuesOf(again));
      expect(error.details['path']).toContain('core-0000');
      await again.close();
      fixture.tamper(name, where, Uint8Array.of(before));
      const mended = WalGroup.openSync(fixture.directory, options(fixture));
      expect((await valuesOf(mended)).length).toBe(30);
      await mended.close();
    }
  });

  it('B3: zeros are no entry, and what is appended behind a torn tail stays', async () => {
    const fixture = make();
    const group = WalGroup.createSync(fixture.directory, { ...options(fixture), cores: 1 });
    const writer = group.writer(0);
    writer.put('k', 'first');
    fixture.refresh();
    const crashed = fixture.afterCrash();
    await group.close();
    const { name, offset } = placeOf(crashed, 'first');
    // 64 bytes of zeros, and what is left of a write that was under way.
    crashed.tamper(name, offset + 8 + 64, Uint8Array.of(0xff, 0xff, 0xff));
    const again = WalGroup.openSync(crashed.directory, options(crashed));
    expect(again.writer(0).recovery).toMatchObject({ outcome: 'cut', lastLsn: 1 });
    again.writer(0).put('k', 'second');
    await again.close();
    const third = WalGroup.openSync(crashed.directory, options(crashed));
    expect(await valuesOf(third)).toEqual(['first', 'second']);
    await third.close();
  });

  it('B8: a core above the number of cores does not wrap, and there are no two writers of one', async () => {
    const fixture = make();
    const group = WalGroup.createSync(fixture.directory, { ...options(fixture), cores: 3 });
    for (const wrong of [3, 65_536, 65_537, -1, 0.5, Number.NaN]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => group.writer(wrong));
      failure('ERR_VARVE_INVALID_ARGUMENT', () => WalGroup.attachSync(fixture.directory, wrong, options(fixture)));
    }
    for (const cores of [0, 1025, 65_536]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => (
        WalGroup.createSync(`${fixture.directory}-other`, { ...options(fixture), cores })));
    }
    const writer = WalGroup.attachSync(fixture.directory, 2, options(fixture));
    failure('ERR_VARVE_LOCKED', () => group.writer(2));
    failure('ERR_VARVE_LOCKED', () => WalGroup.attachSync(fixture.directory, 2, options(fixture)));
    writer.closeSync();
    await group.close();
  });
});
