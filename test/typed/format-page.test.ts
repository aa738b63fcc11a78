/**
 * The files that docs/format.md shows byte by byte: they are on the page as they are, what the page says of them is
 * what they hold, and a file that is made today is the same.
 */
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  TYPED_WAKE_OFFSET, TYPED_WRITER_OFFSET, TypedHeader, TypedWriter, WakeGroup,
} from '../../host/generated/abi.ts';
import { defineSchema, f64, str, u32 } from '../../host/typed/schema.ts';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { hexdump, shownIn } from '../support/hexdump.ts';
import { ROOT } from '../support/repository.ts';
import { FORMATS, NAME, priceAt, typed } from '../support/typed-fixture.ts';
import { EMPTY, FULL, Order } from '../support/typed-kinds.ts';
import { TypedStores } from '../support/typed-stores.ts';

const FORMAT_PAGE = join(ROOT, 'docs/format.md');
const FIXTURES = join(ROOT, 'test/fixtures');
const ORDERS = join(FIXTURES, 'format-1/orders.varve');
const FILES = { 'varve': 'format-1/ticks.varve', 'mmfg-1': 'mmfg-tick.mmf' } as const;

describe('docs/format.md', () => {
  it.each(['orders.varve', 'sealed.varve', 'ring.varve'])('shows %s byte by byte', (name) => {
    const { page, filled } = shownIn(FORMAT_PAGE, name, hexdump(readFileSync(join(FIXTURES, 'format-1', name))));
    if (process.env['UPDATE'] === '1') writeFileSync(FORMAT_PAGE, filled);
    expect(page).toBe(filled);
  });

  it.each(FORMATS)('shows a typed store byte by byte: %s', (format) => {
    const bytes = readFileSync(join(FIXTURES, FILES[format]));
    const { page, filled } = shownIn(FORMAT_PAGE, FILES[format].split('/').at(-1)!, hexdump(bytes));
    if (process.env['UPDATE'] === '1') writeFileSync(FORMAT_PAGE, filled);
    expect(page).toBe(filled);
  });

  it.each(FORMATS)('shows a file that opens and holds one record: %s', (format) => {
    const fixture = typed('real', 'simd');
    fixture.log.put(NAME, readFileSync(join(FIXTURES, FILES[format])));
    const file = fixture.open({ format, create: false });
    expect([file.count, file.capacity, priceAt(file, 0)]).toEqual([1, 64, 189.5]);
    expect(Buffer.from(file.metadata).toString()).toBe(format === 'varve' ? 'made for this page' : '');
  });

  it('shows a file that holds every kind of field, with values and without', () => {
    const fixture = typed('real', 'simd');
    fixture.log.put(NAME, readFileSync(ORDERS));
    const { core } = fixture.log;
    for (const readOnly of [true, false]) {
      const store = TypedStore.openSync(fixture.path(), Order, { core, create: false, readOnly });
      expect([...store]).toEqual([FULL, EMPTY]);
      expect(store.fields.limit.get(1)).toBe(null);
      expect(Buffer.from(store.metadata).toString()).toBe('made for this page');
      store.closeSync();
    }
  });

  it('shows what is written today, but for the id, the times, the process, their checksums and wakes', () => {
    const fixture = typed('simulated', 'simd');
    const { core, storage } = fixture.log;
    const store = TypedStore.openSync(fixture.path(), Order,
      { core, storage: storage!, metadata: Buffer.from('made for this page') });
    store.append(FULL);
    store.append(EMPTY);
    store.closeSync();
    const changing = [
      [TypedHeader.crc, 4], [TypedHeader.storeIdLow, 24], [TYPED_WRITER_OFFSET, TypedWriter.BYTES],
      [TYPED_WAKE_OFFSET, WakeGroup.BYTES],
    ] as const;
    const [made, shown] = [fixture.bytes(), readFileSync(ORDERS)].map((bytes) => {
      for (const [at, length] of changing) bytes.fill(0, at, at + length);
      return bytes;
    });
    expect(made!.equals(shown!)).toBe(true);
  });
});

describe('a file of format 1', () => {
  let stores: TypedStores;
  beforeEach(() => { stores = new TypedStores(); });
  afterEach(() => { stores.remove(); });

  it('with checksums opens, is whole, and is written to', () => {
    const Reading = defineSchema('Reading', { fields: { sensor: u32, value: f64, unit: str(3) } });
    copyFileSync(join(FIXTURES, 'format-1/sealed.varve'), stores.file());
    const before = readFileSync(stores.file());
    const store = stores.open(Reading);
    const records = [{ sensor: 7, value: 22, unit: 'C' }, { sensor: 0, value: 0, unit: '' }];
    expect([...store]).toEqual(records);
    expect(store.check()).toEqual({ records: 2, torn: [], damaged: [] });
    store.update(0, { value: 21.5 });
    store.update(0, { value: 22 });
    expect(store.append({ sensor: 8, value: 1, unit: 'K' })).toBe(2);
    store.closeSync();
    const after = readFileSync(stores.file());
    // The same contents have the same checksum.
    expect(after.subarray(4096 + 8, 4096 + 80)).toEqual(before.subarray(4096 + 8, 4096 + 80));
    expect([...stores.open(Reading, { checksums: true })]).toEqual([...records, { sensor: 8, value: 1, unit: 'K' }]);
  });

  it('that is a ring opens, and goes on', () => {
    const Beat = defineSchema('Beat', { fields: { at: f64 } });
    copyFileSync(join(FIXTURES, 'format-1/ring.varve'), stores.file());
    const store = stores.open(Beat);
    expect([store.first, store.length, store.capacity]).toEqual([2, 7, 5]);
    expect(Array.from(store, ({ at }) => at)).toEqual([1, 1.5, 2, 2.5, 3]);
    expect(store.append({ at: 9 })).toBe(7);
    expect(Array.from(store, ({ at }) => at)).toEqual([1.5, 2, 2.5, 3, 9]);
    store.closeSync();
    expect(statSync(stores.file()).size).toBe(4096 + 5 * 16);
  });
});
