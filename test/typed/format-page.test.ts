/**
 * The files that docs/format.md shows byte by byte: they are on the page as they are, and what the page says of them is
 * what they hold.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hexdump, shownIn } from '../support/hexdump.ts';
import { ROOT } from '../support/repository.ts';
import { FORMATS, NAME, priceAt, typed } from '../support/typed-fixture.ts';

const FORMAT_PAGE = join(ROOT, 'docs/format.md');
const FILES = { 'varve': 'format-1/ticks.varve', 'mmfg-1': 'mmfg-tick.mmf' } as const;

describe('docs/format.md', () => {
  it.each(FORMATS)('shows a typed store byte by byte: %s', (format) => {
    const bytes = readFileSync(join(ROOT, 'test/fixtures', FILES[format]));
    const { page, filled } = shownIn(FORMAT_PAGE, FILES[format].split('/').at(-1)!, hexdump(bytes));
    if (process.env['UPDATE'] === '1') writeFileSync(FORMAT_PAGE, filled);
    expect(page).toBe(filled);
  });

  it.each(FORMATS)('shows a file that opens and holds one record: %s', (format) => {
    const fixture = typed('real', 'simd');
    fixture.log.put(NAME, readFileSync(join(ROOT, 'test/fixtures', FILES[format])));
    const file = fixture.open({ format, create: false });
    expect([file.count, file.capacity, priceAt(file, 0)]).toEqual([1, 64, 189.5]);
    expect(Buffer.from(file.metadata).toString()).toBe(format === 'varve' ? 'made for this page' : '');
  });
});
