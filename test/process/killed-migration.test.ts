/**
 * Migrations that are killed with SIGKILL at any moment, and on a disk that is full: the path leads to a whole file of
 * one version or the next, and what is left beside it is gone with the next one.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectTyped } from '../../host/typed/inspect.ts';
import { defineSchema, str, u32 } from '../../host/typed/schema.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { LAB, pause, start, startBehind, temporary } from '../support/processes.ts';
import { Random } from '../support/random.ts';
import { newTally } from '../support/tally.ts';

const First = defineSchema('Versions', { version: 1, fields: { at: u32, text: str(12) } });
const COUNT = 20_000;
const VERSIONS = 40;

const tally = newTally('migrations that were killed');
let place: ReturnType<typeof temporary>;
let path: string;

beforeEach(() => {
  place = temporary();
  path = place.file('versions');
  const store = TypedStore.openSync(path, First, { metadata: Buffer.from('kept') });
  for (let at = 0; at < COUNT; at++) store.append({ at, text: `text ${at}` });
  store.closeSync();
});
afterEach(() => { place.remove(); });
afterAll(() => { tally.report(); });

/** Reads the whole file and returns its version; fails where it is not whole. */
function versionFound(): number {
  const { schema } = inspectTyped(path, 'varve', undefined);
  const store = TypedStore.openSync(path, schema, { readOnly: true });
  try {
    expect(store.length).toBe(COUNT);
    expect(Buffer.from(store.metadata).toString()).toBe('kept');
    const names = Object.keys(schema.fields);
    expect(names.length).toBe(schema.version + 1);
    let at = 0;
    for (const record of store as Iterable<Record<string, unknown>>) {
      const wrong = record['at'] !== at || record['text'] !== `text ${at}`
        || names.slice(2).some((name) => record[name] !== Number(name.slice(1)));
      if (wrong) throw new Error(`record ${at} is ${JSON.stringify(record)} in version ${schema.version}`);
      at++;
    }
    return schema.version;
  } finally {
    store.closeSync();
  }
}

describe('a migration', () => {
  it('that is killed leaves the old file or the new one, whole', async () => {
    const random = new Random(1);
    let version = 1;
    let left = 0;
    for (let kills = 0; kills < 25 * LAB && version < VERSIONS; kills++) {
      const child = start('typed-migrator', [path, VERSIONS]);
      expect(await child.told()).toBe('begun');
      await pause(random.integer(150));
      child.process.kill('SIGKILL');
      await child.ended;
      const found = versionFound();
      expect(found).toBeGreaterThanOrEqual(version);
      version = found;
      if (existsSync(`${path}.new`)) left++;
      tally.count('kills');
    }
    tally.add('left another file', left);
    tally.add('versions', version);
    expect(left).toBeGreaterThan(0);
    expect(version).toBeGreaterThan(3);
    TypedStore.openSync(path, inspectTyped(path, 'varve', undefined).schema).closeSync();
    expect(readdirSync(place.path).sort()).toEqual(['versions', 'versions.lock']);
  }, 120_000 * LAB);

  it('that finds no room is refused, and leaves nothing', async () => {
    // Half of what it takes, in blocks of 512 bytes.
    const blocks = Math.floor(statSync(path).size / 1024);
    const child = startBehind(`ulimit -f ${blocks}; trap '' XFSZ`, 'typed-migrator', [path, 2]);
    expect(await child.told()).toBe('begun');
    expect(await child.told()).toMatch(/^ERR_VARVE_DISK_FULL /);
    expect(await child.ended).toEqual([0, null]);
    expect(versionFound()).toBe(1);
    expect(readdirSync(place.path).sort()).toEqual(['versions', 'versions.lock']);
  });
});
