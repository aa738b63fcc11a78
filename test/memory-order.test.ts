/**
 * What the optimizer left of the memory order: in both release builds, the frame word and the watermark are published
 * by one atomic store each, in that order, with no plain store to the frame behind them; and readers load both
 * atomically, before anything that they publish. Of typed records, every access is as
 * docs/decisions/0006-which-stores-of-a-typed-record-are-atomic.md says. Shown on the instructions, because no run can
 * show it.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  CONTROL_COMMITTED_OFFSET, ControlCommitted, Frame, SegmentView, TypedView,
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

/** The fields of a view that decide which accesses are made; all others give addresses and bounds. */
const DECIDING: ReadonlyMap<number, string> = new Map([[TypedView.mode, 'mode'], [TypedView.strict, 'strict']]);
const OF_VIEW = /^(?:i32\.load|i64\.load32_u|i32\.store) offset=(\d+)$/;

/** All accesses to memory in their order: instructions, and names for what is asked of the view. */
function accessesIn(body: readonly string[]): string[] {
  const view = new Set<number>(Object.values(TypedView));
  return body.flatMap((line) => {
    const offset = line === 'i32.load' ? 0 : Number(OF_VIEW.exec(line)?.[1] ?? -1);
    // Records are reached without offsets.
    if (view.has(offset)) return DECIDING.get(offset) ?? [];
    return /\.(load|store|rmw)/.test(line) ? [line] : [];
  });
}

/** The instruction that gave an access its address; the getters of records compute each in one. */
function addressBefore(body: readonly string[], access: number): string {
  return body[access - 1]!.replace('local.tee', 'local.get');
}

function indicesOf(body: readonly string[], instruction: RegExp): number[] {
  return body.flatMap((line, at) => (instruction.test(line) ? [at] : []));
}

const TAKE = ['mode', 'i64.load', ATOMIC_STORE, ATOMIC_LOAD, 'i64.atomic.rmw.cmpxchg'];
const RELEASE = ['i64.load', 'strict', ATOMIC_STORE, 'i64.store'];
const NUMBERS = [
  ['getBool', 'i32.atomic.load8_u'], ['getI8', 'i32.atomic.load8_u'], ['getU8', 'i32.atomic.load8_u'],
  ['getI16', 'i32.atomic.load16_u'], ['getU16', 'i32.atomic.load16_u'], ['getI32', 'i32.atomic.load'],
  ['getU32', 'i32.atomic.load'], ['getF32', 'i32.atomic.load'], ['getF64', ATOMIC_LOAD], ['getI64', ATOMIC_LOAD],
  ['getI64Number', ATOMIC_LOAD], ['getU64Number', ATOMIC_LOAD],
] as const;
const COLUMNS = ['sumColumn', 'minColumn', 'maxColumn', 'selectColumn', 'gatherColumn'];

describe.each(BUILDS)('typed records in the release build %s', (build) => {
  let core: Disassembly;
  beforeAll(async () => { core = await disassembleBuild(build); });

  /** The only function that a getter calls looks once more, in a loop. */
  const later = (name: string) => {
    const [index] = core.calls(name);
    return core.body(index!);
  };

  it.each(NUMBERS)('loads the field atomically between two atomic loads of one stamp in %s', (name, field) => {
    const body = core.instructions(name);
    const loads = indicesOf(body, /atomic/);
    expect(loads.map((at) => body[at])).toEqual([ATOMIC_LOAD, field, ATOMIC_LOAD]);
    const [first, , again] = loads as [number, number, number];
    expect(addressBefore(body, first)).toMatch(/^local\.get \d+$/);
    expect(addressBefore(body, again)).toBe(addressBefore(body, first));
    expect(accessesIn(body).filter((line) => !line.includes('atomic'))).toEqual([]);
    expect(new Set(core.calls(name)).size, 'functions that it calls').toBe(1);
  });

  it('does the same where it looks again', () => {
    expect(new Set(NUMBERS.map(([name]) => core.calls(name)[0])).size).toBe(1);
    const body = later('getF64');
    const loop = body.findIndex((line) => line.startsWith('loop'));
    const loads = indicesOf(body, /atomic/);
    expect(loads.map((at) => body[at])).toEqual([ATOMIC_LOAD, ATOMIC_LOAD, ATOMIC_LOAD]);
    expect(loads[0]).toBeGreaterThan(loop);
    expect(addressBefore(body, loads[2]!)).toBe(addressBefore(body, loads[0]!));
    expect(addressBefore(body, loads[1]!)).not.toBe(addressBefore(body, loads[0]!));
  });

  it.each(COLUMNS)('loads each value atomically between two atomic loads of its stamp in %s', (name) => {
    const body = core.instructions(name);
    const loop = body.findIndex((line) => line.startsWith('loop'));
    const loads = indicesOf(body, /atomic/);
    expect(loads.map((at) => body[at])).toEqual([ATOMIC_LOAD, ATOMIC_LOAD, ATOMIC_LOAD]);
    expect(loads[0]).toBeGreaterThan(loop);
    expect(addressBefore(body, loads[2]!)).toBe(addressBefore(body, loads[0]!));
    expect(addressBefore(body, loads[1]!)).not.toBe(addressBefore(body, loads[0]!));
    expect(accessesIn(body).filter((line) => /\.load/.test(line) && !line.includes('atomic'))).toEqual([]);
  });

  it.each(['foldNullable', 'selectNullable', 'gatherNullable'])(
    'loads value and presence atomically between two atomic loads of their stamp in %s', (name) => {
      const body = core.instructions(name);
      const loop = body.findIndex((line) => line.startsWith('loop'));
      const loads = indicesOf(body, /atomic/);
      expect(loads.map((at) => body[at])).toEqual([ATOMIC_LOAD, ATOMIC_LOAD, ATOMIC_LOAD, ATOMIC_LOAD]);
      expect(loads[0]).toBeGreaterThan(loop);
      expect(addressBefore(body, loads[3]!)).toBe(addressBefore(body, loads[0]!));
      for (const at of loads.slice(1, 3)) expect(addressBefore(body, at)).not.toBe(addressBefore(body, loads[0]!));
      expect(accessesIn(body).filter((line) => /\.load/.test(line) && !line.includes('atomic'))).toEqual([]);
    });

  it.each([
    ['set8', 'i32.atomic.store8', 'i32.store8'], ['set16', 'i32.atomic.store16', 'i32.store16'],
    ['set32', 'i32.atomic.store', 'i32.store'], ['setF32', 'i32.atomic.store', /^[if]32\.store$/],
    ['set64', ATOMIC_STORE, 'i64.store'], ['set64Number', ATOMIC_STORE, 'i64.store'],
    ['setF64', ATOMIC_STORE, /^[if]64\.store$/],
  ] as const)('takes, stores the field and gives back in %s', (name, strict, plain) => {
    const stored = typeof plain === 'string' ? plain : expect.stringMatching(plain);
    expect(accessesIn(core.instructions(name))).toEqual([...TAKE, 'strict', strict, stored, ...RELEASE]);
    expect(core.calls(name)).toEqual([]);
  });

  it('takes, stores all fields and gives back in writeRow and patchRow', () => {
    expect(accessesIn(core.instructions('writeRow')))
      .toEqual([...TAKE, 'strict', 'i64.load', ATOMIC_STORE, 'i64.load', 'i64.store', ...RELEASE]);
    expect(accessesIn(core.instructions('patchRow')))
      .toEqual([...TAKE, 'i64.load', 'i64.load', 'i64.load', 'strict', ATOMIC_STORE, 'i64.store', ...RELEASE]);
  });

  it('loads a whole record atomically between two atomic loads of its stamp', () => {
    expect(accessesIn(core.instructions('readRow'))).toEqual([ATOMIC_LOAD, ATOMIC_LOAD, 'i64.store', ATOMIC_LOAD]);
    expect(accessesIn(core.instructions('getBytes'))).toEqual([
      ATOMIC_LOAD, 'i32.atomic.load', 'i32.atomic.load', 'i32.store', ATOMIC_LOAD, 'i64.store', ATOMIC_LOAD,
    ]);
    expect(core.calls('getBytes')).toEqual([]);
  });

  it('verifies the copy of a record, never the record, and that after it was found stable', () => {
    for (const name of ['readRow', 'readRing']) {
      const body = core.instructions(name);
      const calls = indicesOf(body, /^call /);
      expect(calls).toHaveLength(1);
      const loop = body.findIndex((line) => line.startsWith('loop'));
      const stable = indicesOf(body, /^i64\.atomic\.load$/).filter((at) => at > loop)[2];
      expect(calls[0]).toBeGreaterThan(stable!);
      // The row is the last parameter.
      expect(body[calls[0]! - 1]).toBe('local.get 2');
    }
  });

  it('takes, stores length and bytes, each atomically where it must, and gives back in setBytes', () => {
    const accesses = accessesIn(core.instructions('setBytes'));
    expect(accesses.slice(0, TAKE.length)).toEqual(TAKE);
    expect(accesses.slice(-RELEASE.length)).toEqual(RELEASE);
    const stores = accesses.slice(TAKE.length, -RELEASE.length).filter((line) => !/^i\d+\.load/.test(line));
    const pairs = stores.flatMap((line, at) => (line === 'strict' ? [stores.slice(at + 1, at + 3)] : []));
    // Length; words, halves and single bytes; zeros behind them.
    expect(pairs.length).toBe(8);
    expect(stores.length).toBe(3 * pairs.length);
    for (const [strict, plain] of pairs) expect(strict).toBe(plain?.replace('.store', '.atomic.store'));
    expect(core.calls('setBytes')).toEqual([]);
  });

  it('stores the fields, then the count in appendRow', () => {
    const fill = ['strict', 'i64.load', ATOMIC_STORE, 'i64.load', 'i64.store'];
    const body = core.instructions('appendRow');
    const count = addressBefore(body, indicesOf(body, /^i64\.load$/)[0]!);
    expect(count).toBe(`i32.load offset=${TypedView.countAt}`);
    expect(accessesIn(body)).toEqual(['mode', 'mode', 'i64.load', ...fill, 'strict', ATOMIC_STORE, 'i64.store']);
    const [among] = core.calls('appendRow').map((index) => core.body(index));
    const accesses = accessesIn(among!);
    // Taken, and looked at again before anything is stored; counted, and only then given back.
    expect(accesses[0]).toBe(ATOMIC_LOAD);
    expect(accesses.slice(1, 1 + TAKE.length)).toEqual(TAKE);
    expect(accesses.slice(1 + TAKE.length)).toEqual([ATOMIC_LOAD, ...fill, ATOMIC_STORE, ...RELEASE, ...RELEASE]);
  });

  it('looks whether a record of a ring is there before its stamp and after all of it', () => {
    expect(accessesIn(core.instructions('readRing')))
      .toEqual([ATOMIC_LOAD, ATOMIC_LOAD, ATOMIC_LOAD, 'i64.store', ATOMIC_LOAD, ATOMIC_LOAD]);
    for (const name of ['writeRing', 'patchRing']) {
      const body = core.instructions(name);
      expect(accessesIn(body)[0]).toBe(ATOMIC_LOAD);
      expect(accessesIn(body).slice(-RELEASE.length)).toEqual(RELEASE);
      const taking = core.calls(name).map((index) => accessesIn(core.body(index)))
        .find((accesses) => accesses.includes('mode'));
      expect(taking).toEqual([...TAKE, ATOMIC_LOAD, ...RELEASE]);
    }
  });

  it('takes the slot, replaces the record, counts it and gives it back in appendRing', () => {
    const words = ['strict', 'i64.load', ATOMIC_STORE, 'i64.load', 'i64.store'];
    const put = ['strict', ATOMIC_STORE, 'i64.store'];
    // The words of a row or zeros, then the count.
    expect(accessesIn(core.instructions('appendRing')))
      .toEqual(['mode', 'mode', 'i64.load', ...TAKE, ...words, ...put, ...put, ...RELEASE]);
    const [among] = core.calls('appendRing').map((index) => accessesIn(core.body(index)))
      .filter((accesses) => accesses.includes('mode'));
    expect(among)
      .toEqual([ATOMIC_LOAD, ...TAKE, ATOMIC_LOAD, ...words, ...put, ATOMIC_STORE, ...RELEASE, ...RELEASE]);
  });
});
