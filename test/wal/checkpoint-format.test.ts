/**
 * The bytes of a checkpoint: docs/format.md shows those of one, as they are written today.
 */
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkpointName, Checkpoints } from '../../host/wal/checkpoints.ts';
import { nameOf } from '../support/checkpoint-fixture.ts';
import { hexdump, shownIn } from '../support/hexdump.ts';
import { logFixture } from '../support/log-fixture.ts';

const FORMAT_PAGE = new URL('../../docs/format.md', import.meta.url).pathname;
const GROUP = { idLow: 0x1122334455667788n, idHigh: 0x99aabbccddeeff00n, cores: 2 };

describe('docs/format.md', () => {
  it.each(['baseline', 'simd'] as const)('shows the bytes of a checkpoint, which the %s core writes', async (variant) => {
    const { storage, core, directory, ...fixture } = logFixture('simulated', variant);
    storage!.createDirectory(directory);
    const made = await new Checkpoints({ storage: storage!, core, directory }, GROUP).write({
      epoch: 7,
      cores: [{ sequence: 9, position: 448 }, { sequence: 0, position: 0 }],
      offsets: { orders: 250 },
      watermark: 1_700_000_000_000,
      state: JSON.stringify({ 17: 250, 18: 75 }),
    });
    const bytes = fixture.disk!.read(`${directory}/${nameOf(1)}`)!;
    expect([made.id, made.bytes]).toEqual([1, bytes.length]);
    const { page, filled } = shownIn(FORMAT_PAGE, checkpointName(1), hexdump(bytes));
    if (process.env['UPDATE'] === '1') writeFileSync(FORMAT_PAGE, filled);
    expect(page).toBe(filled);
  });
});
