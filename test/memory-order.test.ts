/**
 * What the optimizer left of the memory order: in both release builds, the frame word and the watermark are published
 * by one atomic store each, in that order, with no plain store to the frame behind them; and readers load both
 * atomically, before anything that they publish. Shown on the instructions, because no run can show it.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  CONTROL_COMMITTED_OFFSET, ControlCommitted, Frame, SegmentView,
} from '../host/generated/abi.ts';
import { type BuildName, disassembleBuild, type Disassembly } from './support/disassemble.ts';

const BUILDS: readonly BuildName[] = ['baseline', 'simd'];
const ATOMIC_STORE = 'i64.atomic.store';
const ATOMIC_LOAD = 'i64.atomic.load';

/** How many operands instructions take, and how many results they leave; the core needs no others for addresses. */
function arityOf(line: string, core: Disassembly): readonly [takes: number, leaves: number] {
  const [name = ''] = line.split(' ');
  if (/^(local\.get|i32\.const|i64\.const|f64\.const)$/.test(name)) return [0, 1];
  if (name === 'local.set') return [1, 0];
  if (name === 'local.tee' || /\.(load|wrap|extend|convert|eqz|atomic\.load)/.test(name)) return [1, 1];
  if (/\.store/.test(name)) return [2, 0];
  if (name === 'call') return [parametersOf(Number(line.split(' ')[1]), core), 1];
  if (/^[if](32|64)\.[a-z_]+$/.test(name)) return [2, 1];
  throw new Error(`unknown instruction '${line}': teach arityOf what it takes`);
}

/** Only the checksum is called while an operand is computed: seed, address, size. */
function parametersOf(index: number, core: Disassembly): number {
  expect(core.calls('append'), 'what append calls').toEqual([index]);
  return 3;
}

/** Returns the instructions that computed the address of the store at `at`. */
function addressOf(body: readonly string[], at: number, core: Disassembly): string[] {
  let end = at;
  let start = at;
  for (let operand = 0; operand < 2; operand++) {
    end = start;
    for (let missing = 1; missing > 0;) {
      start--;
      const [takes, leaves] = arityOf(body[start]!, core);
      missing += takes - leaves;
    }
  }
  return body.slice(start, end);
}

function opcode(line: string): string {
  return line.split(' ')[0]!;
}

/** Indices of the stores among instructions, atomic or not. */
function storesIn(body: readonly string[]): number[] {
  return body.flatMap((line, at) => (/\.store\d*( |$)/.test(line) ? [at] : []));
}

/** The field of a view whose value an address was computed from. */
function fieldsIn(address: readonly string[]): string[] {
  const names = new Map<number, string>(
    Object.entries(SegmentView).filter(([name]) => name !== 'BYTES').map(([name, offset]) => [offset as number, name]));
  return address.filter((line) => /^i32\.load/.test(line))
    .map((line) => names.get(Number(/offset=(\d+)/.exec(line)?.[1] ?? 0)) ?? line);
}

describe.each(BUILDS)('the release build %s', (build) => {
  let core: Disassembly;
  beforeAll(async () => { core = await disassembleBuild(build); });

  it.each(['append', 'appendBatch'])('publishes frame word and watermark by one atomic store each in %s', (name) => {
    const body = core.instructions(name);
    expect(core.count(name, ATOMIC_STORE)).toBe(2);
    const [word, watermark] = storesIn(body).filter((at) => opcode(body[at]!) === ATOMIC_STORE) as [number, number];
    // The frame begins where the view's file does, at the offset of its end; its word is the first of it.
    expect(body[word]).toBe(ATOMIC_STORE);
    if (name === 'appendBatch') expect(fieldsIn(addressOf(body, word, core))).toEqual(['base', 'dataEnd']);
    expect(body[watermark]).toBe(ATOMIC_STORE);
    expect(ControlCommitted.lsn).toBe(0);
    expect(storesIn(body).at(-1), 'the watermark is stored last').toBe(watermark);
  });

  it.each(['append', 'appendBatch'])('stores nothing to the frame behind its word in %s', (name) => {
    const body = core.instructions(name);
    const stores = storesIn(body);
    const word = stores.findIndex((at) => opcode(body[at]!) === ATOMIC_STORE);
    expect(body.filter((line) => /^local\.(set|tee) 0$/.test(line)), 'the view\'s parameter stays the view').toEqual([]);
    const behind = stores.slice(word + 1, -1).map((at) => {
      const address = addressOf(body, at, core);
      const offset = Number(/offset=(\d+)/.exec(body[at]!)?.[1] ?? 0);
      if (address.length === 1 && address[0] === 'local.get 0') return { what: 'view', offset };
      return { what: fieldsIn(address).join(), offset };
    });
    expect(behind).toEqual([
      // A batch enters its frames into the index before the word of its first one is stored.
      ...(name === 'append' ? [{ what: 'index', offset: 0 }] : []),
      { what: 'view', offset: SegmentView.records },
      { what: 'view', offset: SegmentView.dataEnd },
      { what: 'view', offset: SegmentView.epoch },
      { what: 'control', offset: ControlCommitted.position },
    ]);
  });

  it('stores the header of a frame, plainly, before its word', () => {
    const body = core.instructions('append');
    const stores = storesIn(body);
    const word = stores.findIndex((at) => opcode(body[at]!) === ATOMIC_STORE);
    const header = stores.slice(0, word).map((at) => body[at]!);
    for (const offset of [Frame.size, Frame.lsn, Frame.durable, Frame.epoch, Frame.info]) {
      expect(header.filter((line) => line === `i32.store offset=${offset}`)).toHaveLength(1);
    }
    // Besides, only the padding is cleared.
    expect(header.filter((line) => !line.startsWith('i32.store offset='))).toEqual(['i64.store']);
  });

  it('computes the checksum before the word that carries it', () => {
    const body = core.instructions('append');
    const call = body.findIndex((line) => line.startsWith('call '));
    expect(call).toBeGreaterThan(0);
    expect(call).toBeLessThan(body.indexOf(ATOMIC_STORE));
    expect(body.slice(call + 1, body.indexOf(ATOMIC_STORE)).filter((line) => /\.store/.test(line))).toEqual([]);
  });

  it('moves the watermark behind the position in commit', () => {
    const body = core.instructions('commit');
    expect(storesIn(body).map((at) => body[at])).toEqual([`i64.store offset=${ControlCommitted.position}`, ATOMIC_STORE]);
    expect(body.some((line) => line === `i32.const ${CONTROL_COMMITTED_OFFSET}`)).toBe(true);
  });

  it.each(['scan', 'recover', 'readAt', 'findLater'])('loads the frame word atomically in %s', (name) => {
    // checkFrame is inlined or called: in either case there is one atomic load, before everything else of the frame.
    const check = core.count(name, ATOMIC_LOAD) > 0 ? core.instructions(name)
      : core.calls(name).map((index) => core.body(index)).find((body) => body.includes(ATOMIC_LOAD));
    expect(check, 'checkFrame').toBeDefined();
    expect(check!.filter((line) => line.startsWith(ATOMIC_LOAD))).toEqual([ATOMIC_LOAD]);
    const before = check!.slice(0, check!.indexOf(ATOMIC_LOAD)).filter((line) => /\.load/.test(line));
    // A place too short for a header is looked at without it: nothing there can be a frame.
    expect(before).toEqual(['i64.load']);
  });

  it('checks a record that is read by its number as one that is read by its place', () => {
    const readAt = core.calls('read').map((index) => core.body(index));
    expect(readAt).toContainEqual(core.instructions('readAt'));
  });

  it('loads the frame word atomically, and nothing else of the frame, in advance', () => {
    const body = core.instructions('advance');
    expect(core.count('advance', ATOMIC_LOAD)).toBe(1);
    expect(core.calls('advance')).toEqual([]);
    const offsets = body.filter((line) => /\.load\d*/.test(line) && !line.startsWith(ATOMIC_LOAD))
      .map((line) => Number(/offset=(\d+)/.exec(line)?.[1] ?? 0));
    const known = [SegmentView.base, SegmentView.dataEnd, SegmentView.records, SegmentView.index, SegmentView.mapped];
    expect(offsets.filter((offset) => !known.includes(offset as never))).toEqual([]);
    expect(body[body.indexOf(ATOMIC_LOAD) + 1]).toBe('i64.const 32');
  });

  it('loads and stores words of CONTROL by one atomic instruction each', () => {
    expect(core.instructions('loadWord').filter((line) => !line.startsWith('local.get')))
      .toEqual([ATOMIC_LOAD, expect.stringMatching(/^f64\.convert_i64_[su]$/)]);
    expect(core.count('storeWord', ATOMIC_STORE)).toBe(1);
    expect(storesIn(core.instructions('storeWord'))).toHaveLength(1);
    expect(core.count('bump', 'i32.atomic.rmw.add')).toBe(1);
  });

  it('tells readers of new marks by atomic stores, behind the checksum of the marks', () => {
    const body = core.instructions('writeMarks');
    const stores = storesIn(body).map((at) => opcode(body[at]!));
    expect(stores.slice(-2)).toEqual([ATOMIC_STORE, ATOMIC_STORE]);
    expect(stores.slice(0, -2)).not.toContain(ATOMIC_STORE);
  });
});
