/**
 * What the suites of typed stores' files share: a path on the real or on the simulated disk for each build of the
 * core, and records of one schema, the one of the file that mmapforge wrote. It stands on the fixture of the log, which
 * checks that nothing is left behind; every file that was opened is closed before that.
 */
import { join } from 'node:path';
import { afterEach, describe } from 'vitest';
import type { Core, CoreVariant } from '../../host/core/core.ts';
import { SCRATCH_OFFSET, Status } from '../../host/generated/abi.ts';
import type { Storage } from '../../host/io/storage.ts';
import { realStorage } from '../../host/io/real-storage.ts';
import { layoutOf, type Layout } from '../../host/typed/layout.ts';
import { defineSchema, f64, str, u64, type Schema } from '../../host/typed/schema.ts';
import { openTypedFile } from '../../host/typed/open.ts';
import type { TypedFile, TypedFileOptions } from '../../host/typed/typed-file.ts';
import { logFixture, type DiskKind, type LogFixture } from './log-fixture.ts';
import type { DiskOptions } from './simulated-medium.ts';

export const Tick = defineSchema('Tick', {
  version: 1, fields: { symbol: str(64), price: f64, volume: f64, timestamp: u64 },
});
export const STRIDE = 104;
export const FORMATS = ['varve', 'mmfg-1'] as const;
export const NAME = 'ticks';

const DEFAULTS: TypedFileOptions = { format: 'varve', create: true, writers: 'one' };

export interface Opening extends Partial<TypedFileOptions> {
  readonly schema?: Schema | undefined;
  readonly readOnly?: boolean;
  /** Whether another process opens it: with a core and, on the simulated disk, a process of its own. */
  readonly elsewhere?: boolean;
  readonly name?: string;
}

export class TypedFixture {
  readonly log: LogFixture;
  private readonly files: TypedFile[] = [];

  constructor(kind: DiskKind, variant: CoreVariant, disk: DiskOptions) {
    this.log = logFixture(kind, variant, disk);
  }

  path(name = NAME): string {
    return join(this.log.directory, name);
  }

  layout(schema: Schema = Tick): Layout {
    return layoutOf(this.log.core, schema);
  }

  /** Opens the file; it is closed after the test. */
  open(opening: Opening = {}): TypedFile {
    const { schema = Tick, readOnly = false, elsewhere = false, name, ...options } = opening;
    const layout = 'schema' in opening && opening.schema === undefined ? undefined : this.layout(schema);
    const core = elsewhere ? this.log.newCore() : this.log.core;
    const file = openTypedFile({ core, storage: this.storage(elsewhere), path: this.path(name), readOnly }, layout,
      { ...DEFAULTS, ...options });
    this.files.push(file);
    cores.set(file, core);
    return file;
  }

  private storage(elsewhere: boolean): Storage {
    const { disk, storage } = this.log;
    return disk === undefined ? realStorage() : elsewhere ? disk.storage() : storage!;
  }

  /** The file's bytes, as every process sees them. */
  bytes(name = NAME): Buffer {
    this.log.refresh();
    return Buffer.from(this.log.bytes(name));
  }

  /** Ends every simulated process as SIGKILL does; the next opening is another one's. */
  kill(): void {
    this.files.length = 0;
    this.log.kill();
  }

  /** The same after a power cut, which the caller makes. */
  startAgain(): void {
    this.files.length = 0;
    this.log.startAgain();
  }

  close(): void {
    for (const file of this.files.splice(0)) file.close();
  }
}

const cores = new WeakMap<TypedFile, Core>();
let fixtures: TypedFixture[] = [];

// Runs before the fixture of the log is disposed of, which was registered earlier.
afterEach(() => {
  const all = fixtures;
  fixtures = [];
  for (const fixture of all) fixture.close();
});

/** Runs a suite on {real disk, simulated disk} × {baseline, simd}. */
export function onEachTyped(
  name: string, suite: (make: (disk?: DiskOptions) => TypedFixture, kind: DiskKind) => void,
): void {
  for (const kind of ['real', 'simulated'] as const) {
    for (const variant of ['baseline', 'simd'] as const) {
      describe(`${name} (${kind} disk, ${variant} core)`, () => suite((disk = {}) => typed(kind, variant, disk), kind));
    }
  }
}

/** A fixture that is disposed of after the test. */
export function typed(kind: DiskKind, variant: CoreVariant, disk: DiskOptions = {}): TypedFixture {
  const fixture = new TypedFixture(kind, variant, disk);
  fixtures.push(fixture);
  return fixture;
}

/** The row that the core copies from and to. */
function row(file: TypedFile): DataView {
  return new DataView(cores.get(file)!.memory.buffer, SCRATCH_OFFSET, file.layout.stride);
}

function offsetOf(file: TypedFile, field: string): number {
  return file.layout.fields.find(({ name }) => name === field)!.offset;
}

/** Writes the row of record `number`: every field is a function of the number. */
function fillRow(file: TypedFile, number: number): void {
  const view = row(file);
  for (let at = 0; at < view.byteLength; at++) view.setUint8(at, 0);
  view.setFloat64(offsetOf(file, 'price'), number + 0.5, true);
  view.setFloat64(offsetOf(file, 'volume'), number * 2, true);
  view.setBigUint64(offsetOf(file, 'timestamp'), BigInt(number) * 1000n, true);
}

/** Appends records `from` to `from + count - 1`, making room where there is none; returns how often it was made. */
export function append(file: TypedFile, count: number, from = file.count): number {
  let grown = 0;
  for (let number = from; number < from + count; number++) {
    fillRow(file, number);
    for (let index = file.view.appendRow(true); index < 0; index = file.view.appendRow(true)) {
      if (index === Status.Cold) {
        file.makeReady();
      } else {
        file.makeRoom();
        grown++;
      }
      fillRow(file, number);
    }
  }
  return grown;
}

/** Replaces a record by that of another number. */
export function rewrite(file: TypedFile, index: number, number: number): void {
  fillRow(file, number);
  const status = file.view.writeRow(index);
  if (status !== 0) throw new Error(`replacing record ${index} answered ${status}`);
}

/** The price of a record, or the negative status of reading it. */
export function priceAt(file: TypedFile, index: number): number {
  const status = file.view.readRow(index);
  return status < 0 ? status : row(file).getFloat64(offsetOf(file, 'price'), true);
}

/** The numbers of all records; fails where the fields of one contradict each other. */
export function numbers(file: TypedFile, count = file.count): number[] {
  return Array.from({ length: count }, (_, index) => {
    if (index < file.view.first || index >= file.view.first + file.view.limit) file.moveTo(index);
    const status = file.view.readRow(index);
    if (status < 0) throw new Error(`reading record ${index} answered ${status}`);
    const view = row(file);
    const number = view.getFloat64(offsetOf(file, 'price'), true) - 0.5;
    const others = [view.getFloat64(offsetOf(file, 'volume'), true) / 2,
      Number(view.getBigUint64(offsetOf(file, 'timestamp'), true)) / 1000];
    if (others.some((each) => each !== number)) throw new Error(`record ${index} is torn: ${[number, ...others].join()}`);
    return number;
  });
}

/** 0, 1, 2 … */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
