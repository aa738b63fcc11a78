/**
 * Looking at a store's files: what host/log/inspect.ts and frames.ts say is held against the log itself and against the
 * core, whose checks frames.ts repeats.
 */
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Core, RecordLog } from '../host/index.ts';
import { FRAMES_OFFSET, Status } from '../host/generated/abi.ts';
import { realStorage } from '../host/io/real-storage.ts';
import { framesOf, type FramePiece } from '../host/log/frames.ts';
import { StoreInspector } from '../host/log/inspect.ts';
import { Scratch } from './support/dwal.ts';
import { Random } from './support/random.ts';

const scratch = new Scratch('inspect');
afterAll(() => { scratch.remove(); });

const inspectorOf = (directory: string) => new StoreInspector(directory, realStorage(), Core.shared());

/** A closed log of records of many sizes in several segments. */
async function makeLog(): Promise<string> {
  const directory = scratch.path();
  await using log = await RecordLog.open(directory, { segmentBytes: 65536 });
  for (let at = 0; at < 300; at++) log.append('x'.repeat(at * 3), { kind: at % 3, key: 'k'.repeat(at % 5) });
  log.appendBatch(['one', 'two', 'three']);
  return directory;
}

/** What stands in the segments of a store. */
function piecesOf(directory: string): FramePiece[][] {
  const inspector = inspectorOf(directory);
  return inspector.segments().map((segment) => inspector.read(segment.path, (file) => [...framesOf(file, segment)]));
}

function copyOf(directory: string): string {
  const copy = scratch.path();
  mkdirSync(copy);
  for (const name of readdirSync(directory)) copyFileSync(join(directory, name), join(copy, name));
  return copy;
}

describe('the frames of a store', () => {
  it('are the records of the log, one by one', async () => {
    const directory = await makeLog();
    const pieces = piecesOf(directory);
    expect(pieces.length).toBeGreaterThan(1);
    await using log = await RecordLog.open(directory, { readOnly: true });
    const records = [...log.scan()].map(({ lsn, kind, key, payload }) =>
      ({ type: 'frame', lsn, kind, body: Buffer.concat([key, payload]).toString() }));
    expect(pieces.flat().map((piece) => ({
      type: piece.type, lsn: piece.lsn, kind: piece.type === 'frame' ? piece.kind : -1,
      body: Buffer.from(piece.bytes.subarray(24)).toString(),
    }))).toEqual(records);
    expect(pieces.flat().map((piece) => ({ lsn: piece.lsn, offset: piece.offset })))
      .toEqual(records.map(({ lsn }) => ({ lsn, offset: log.refOf(lsn).offset })));
    expect(pieces.flat().slice(-4).map((piece) => piece.type === 'frame' && piece.flags)).toEqual([0, 1, 1, 0]);
  });

  it('are damaged exactly where the core finds them damaged, whatever was changed', async () => {
    const directory = await makeLog();
    const [name] = readdirSync(directory).filter((each) => each.endsWith('.seg'));
    const whole = readFileSync(join(directory, name!));
    const copy = copyOf(directory);
    const random = new Random(7);
    const dataEnd = inspectorOf(directory).segments()[0]!.footer!.dataEnd;
    let found = 0;
    for (let round = 0; round < 150; round++) {
      const bytes = Buffer.from(whole);
      // One to three places: a bit, a word of zeros, or a stretch of noise.
      for (let places = random.between(1, 3); places > 0; places--) {
        const at = random.between(FRAMES_OFFSET, dataEnd - 1);
        const length = random.chance(0.5) ? 1 : random.between(1, 600);
        for (let i = at; i < Math.min(at + length, dataEnd); i++) {
          bytes[i] = length === 1 ? bytes[i]! ^ (1 << random.integer(8)) : random.chance(0.1) ? random.integer(256) : 0;
        }
      }
      writeFileSync(join(copy, name!), bytes);
      const pieces = piecesOf(copy)[0]!;
      using log = RecordLog.openSync(copy, { readOnly: true });
      const { damaged } = log.check();
      const core = damaged.filter(({ segment }) => segment === 1)
        .map(({ lsn, offset, status }) => ({ lsn, offset, status }));
      const seen = pieces.filter((piece) => piece.type === 'damage').map(({ lsn, offset, status }) =>
        ({ lsn, offset, status: Object.entries(Status).find(([, value]) => value === status)![0] }));
      expect({ round, seen }).toEqual({ round, seen: core });
      found += seen.length;
    }
    expect(found).toBeGreaterThan(150);
  });

  it('end with what an interrupted write has left', async () => {
    const directory = await makeLog();
    const path = inspectorOf(directory).segments().at(-1)!.path;
    const before = piecesOf(directory).at(-1)!.length;
    appendFileSync(path, 'noise');
    const pieces = piecesOf(directory).at(-1)!;
    expect(pieces.length).toBe(before + 1);
    expect(pieces.at(-1)).toMatchObject({ type: 'damage', lsn: 304, nextLsn: undefined });
  });

  it('behind the committed watermark of a living writer are not looked at', async () => {
    const directory = scratch.path();
    await using log = await RecordLog.open(directory);
    log.append('a');
    log.append('b');
    const inspector = inspectorOf(directory);
    const [segment] = inspector.segments();
    expect(inspector.control()).toMatchObject({ committedLsn: 2, writer: { live: true, pid: process.pid } });
    inspector.read(segment!.path, (file) => {
      expect([...framesOf(file, segment!, 1)].map(({ lsn }) => lsn)).toEqual([1]);
      expect([...framesOf(file, segment!, 2)].map(({ lsn }) => lsn)).toEqual([1, 2]);
    });
  });
});

describe('the facts of a store', () => {
  it('are those of the log', async () => {
    const directory = await makeLog();
    const inspector = inspectorOf(directory);
    const control = inspector.control()!;
    expect(control).toMatchObject({
      valid: true, storeKind: 1, durableLsn: 303, firstLsn: 1, committedLsn: 303,
      writer: { pid: process.pid, epoch: 1, open: false, live: false, segmentBytes: 65536 },
    });
    expect(control.storeId).toMatch(/^[0-9a-f]{32}$/);
    expect(control.structures.map(({ name, state }) => [name, state])).toEqual([
      ['identity', 'valid'], ['writer', 'valid'], ['marks 0', 'valid'], ['marks 1', 'valid'],
      ['committed', 'unchecked'], ['wake', 'unchecked'],
    ]);
    const segments = inspector.segments();
    expect(segments.map(({ headerStatus, footerStatus, footer }) => [headerStatus, footerStatus, footer?.synced]))
      .toEqual(segments.map(() => [Status.Ok, Status.Ok, true]));
    expect(segments.reduce((sum, { footer }) => sum + footer!.records, 0)).toBe(303);
  });

  it('say which structure is damaged', async () => {
    const directory = await makeLog();
    const flip = (path: string, at: number) => {
      const bytes = readFileSync(path);
      bytes[at] = bytes[at]! ^ 4;
      writeFileSync(path, bytes);
    };
    flip(join(directory, 'CONTROL'), 140);
    const segments = inspectorOf(directory).segments();
    flip(segments[0]!.path, 70);
    flip(segments[1]!.path, segments[1]!.fileBytes - 30);
    const inspector = inspectorOf(directory);
    expect(inspector.control()!.structures.map(({ state }) => state))
      .toEqual(['valid', 'damaged', 'valid', 'valid', 'unchecked', 'unchecked']);
    expect(inspector.control()!.writer).toBeUndefined();
    expect(inspector.segments().slice(0, 2).map(({ path, headerStatus, footerStatus }) =>
      [basename(path), headerStatus, footerStatus])).toEqual([
      [basename(segments[0]!.path), Status.BadHeader, Status.BadMagic],
      [basename(segments[1]!.path), Status.Ok, Status.BadFooter],
    ]);
  });

  it('are not sought where there is no store, and nothing is made', () => {
    const missing = scratch.path();
    expect(() => inspectorOf(missing)).toThrowError(expect.objectContaining({ code: 'ERR_VARVE_NOT_FOUND' }));
    const foreign = scratch.directory({ mine: 'x' });
    expect(() => inspectorOf(foreign)).toThrowError(expect.objectContaining({ code: 'ERR_VARVE_FOREIGN_DIRECTORY' }));
    expect(readdirSync(foreign)).toEqual(['mine']);
  });
});
