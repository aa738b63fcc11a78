/**
 * A copy of a directory that is open for writing is what the death of its writer leaves. Here it is made at chosen
 * moments, for cases that killing at random meets too seldom.
 */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { temporary } from '../support/processes.ts';

const OPTIONS = { segmentBytes: 65536 };
let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

/** What the log in `directory` would be if its writer died now. */
function imageOf(directory: string, name = 'image'): string {
  const image = place.file(name);
  cpSync(directory, image, { recursive: true });
  return image;
}

function textsOf(log: RecordLog): string[] {
  return [...log].map(({ payload }) => Buffer.from(payload).toString());
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => `record ${from + i}`);
}

/** Makes a log whose first segment has records of three epochs, five of each; leaves it open. */
function threeEpochs(directory: string): RecordLog {
  for (let epoch = 0; epoch < 2; epoch++) {
    const log = RecordLog.openSync(directory, OPTIONS);
    for (const text of numbered(epoch * 5 + 1, epoch * 5 + 5)) log.append(text);
    log.closeSync();
  }
  const log = RecordLog.openSync(directory, OPTIONS);
  for (const text of numbered(11, 15)) log.append(text);
  return log;
}

describe('a segment with records of several epochs', () => {
  it('is whole where it was sealed and no sync had covered it', () => {
    const log = threeEpochs(place.file('log'));
    log.rotate();
    log.append('record 16');
    const image = imageOf(place.file('log'));
    log.closeSync();
    for (const readOnly of [true, false]) {
      const recovered = RecordLog.openSync(image, { ...OPTIONS, readOnly });
      expect(textsOf(recovered)).toEqual(numbered(1, 16));
      expect(recovered.recovery).toMatchObject({ outcome: 'whole', cutFiles: [] });
      recovered.closeSync();
    }
  });

  it('loses nothing but the damaged record in a repair', async () => {
    const log = threeEpochs(place.file('log'));
    const { offset } = log.refOf(13);
    log.closeSync();
    const path = place.file('log', '00000000000000000001.seg');
    const bytes = readFileSync(path);
    bytes[offset + 24]! ^= 1;
    writeFileSync(path, bytes);
    const report = await RecordLog.repair(place.file('log'));
    expect(report.lost).toMatchObject([{ firstLsn: 13, lastLsn: 13 }]);
    const repaired = RecordLog.openSync(place.file('log'));
    expect(textsOf(repaired)).toEqual(numbered(1, 15).filter((text) => text !== 'record 13'));
    expect(repaired.lastLsn).toBe(15);
    repaired.closeSync();
  });
});

describe('a truncation through a batch', () => {
  it.each([1, 4, 9])('keeps the first %i records of the batch, whatever happens next', (keep) => {
    const log = RecordLog.openSync(place.file('log'), OPTIONS);
    log.append('record 1');
    log.appendBatch(numbered(2, 11));
    log.truncateAfter(1 + keep);
    const cut = imageOf(place.file('log'), 'cut');
    log.append('another');
    const grown = imageOf(place.file('log'), 'grown');
    log.appendBatch(['and', 'more']);
    log.rotate();
    const rotated = imageOf(place.file('log'), 'rotated');
    log.closeSync();
    const kept = numbered(1, 1 + keep);
    for (const [image, texts] of [
      [cut, kept], [grown, [...kept, 'another']], [rotated, [...kept, 'another', 'and', 'more']],
      [place.file('log'), [...kept, 'another', 'and', 'more']],
    ] as const) {
      for (const readOnly of [true, false]) {
        const recovered = RecordLog.openSync(image, { ...OPTIONS, readOnly });
        expect(textsOf(recovered)).toEqual(texts);
        expect(recovered.check().outcome).toBe('ok');
        recovered.closeSync();
      }
    }
  });
});

describe('a reader of what a dead writer has left', () => {
  it('does not wait for records that the watermark promised and a cut has taken', () => {
    const log = RecordLog.openSync(place.file('log'), OPTIONS);
    for (const text of numbered(1, 20)) log.append(text);
    const { offset } = log.refOf(18);
    const image = imageOf(place.file('log'));
    log.closeSync();
    // The machine stopped before this page was written back, but CONTROL was.
    const path = `${image}/00000000000000000001.seg`;
    const bytes = readFileSync(path);
    bytes.fill(0, offset);
    writeFileSync(path, bytes);
    const reader = RecordLog.openSync(image, { readOnly: true });
    expect(reader.lastLsn).toBe(17);
    expect(textsOf(reader)).toEqual(numbered(1, 17));
    const writer = RecordLog.openSync(image, OPTIONS);
    expect(writer.lastLsn).toBe(17);
    for (const text of numbered(18, 20)) writer.append(text);
    expect(reader.lastLsn).toBe(20);
    expect(textsOf(reader)).toEqual(numbered(1, 20));
    writer.closeSync();
    reader.closeSync();
  });
});
