/**
 * What the suites of the log share: a fresh directory on the real or on the simulated disk, for each build of the core,
 * and the few things that a test does to a store from outside: look at its files, change their bytes, leave it as a
 * dead process does, open it again as another process would.
 *
 * Every log that was opened through a fixture is closed by `dispose`, which then checks that the simulated disk saw
 * nothing that would have killed a real process, and that the core's memory was given back to the last byte. A core
 * whose simulated process died is wiped instead, because the dead give nothing back.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, describe, expect } from 'vitest';
import { Core, type CoreVariant } from '../../host/core/core.ts';
import type { ErrorCode } from '../../host/errors/codes.ts';
import { SLOTS_OFFSET, STATIC_END } from '../../host/generated/abi.ts';
import type { LogRecord } from '../../host/log/record.ts';
import type { RecordLogOptions } from '../../host/record-log/options.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { SimulatedDisk, type SimulatedStorage } from './simulated-disk.ts';
import type { DiskOptions } from './simulated-medium.ts';

export type DiskKind = 'real' | 'simulated';

const SIMULATED_DIRECTORY = '/store';
const MEMORY_BYTES = { real: 256 << 20, simulated: 64 << 20 } as const;

const idle = new Map<string, Core[]>();

/** A private core, one that a test before has left clean where there is one. */
export function takeCore(variant: CoreVariant, memoryBytes: number): Core {
  return idle.get(`${variant} ${memoryBytes}`)?.pop() ?? new Core({ variant, memoryBytes });
}

/** Gives a core back for the next test. */
export function giveCore(core: Core): void {
  const key = `${core.variant} ${core.memory.bytes.length}`;
  idle.set(key, [...idle.get(key) ?? [], core]);
}

/** Makes a core as new: what a dead process held of it is free again, and zeros. */
export function wipeCore(core: Core): void {
  const memory = core.memory as unknown as { bytes: Uint8Array; free: { address: number; length: number }[] };
  const end = memory.bytes.length;
  const used = memory.free.at(-1);
  memory.bytes.fill(0, STATIC_END, used === undefined || used.address + used.length < end ? end : used.address);
  memory.free.splice(0, Infinity, { address: STATIC_END, length: end - STATIC_END });
  const slots = core as unknown as { freeSlots: number[]; nextSlot: number };
  slots.freeSlots.length = 0;
  slots.nextSlot = SLOTS_OFFSET;
}

/** Closes a log whose process is dead, so that nothing of it is still waiting for the next turn of the event loop. */
function buried(log: RecordLog): void {
  try {
    log.closeSync();
  } catch {
    return;
  }
}

/** A store's directory, and who works in it. */
export class LogFixture {
  readonly kind: DiskKind;
  readonly variant: CoreVariant;
  readonly directory: string;
  /** The simulated disk; absent on the real one. */
  readonly disk: SimulatedDisk | undefined;
  /** The process that `open` works in. */
  storage: SimulatedStorage | undefined;
  readonly core: Core;
  private readonly logs: RecordLog[] = [];
  private readonly cores: Core[] = [];
  private readonly memoryBytes: number;

  constructor(kind: DiskKind, variant: CoreVariant, from?: { directory: string; disk?: SimulatedDisk | undefined },
    diskOptions: DiskOptions = {}, memoryBytes: number = MEMORY_BYTES[kind]) {
    this.kind = kind;
    this.variant = variant;
    this.memoryBytes = memoryBytes;
    this.core = this.newCore();
    if (kind === 'simulated') {
      this.disk = from?.disk ?? new SimulatedDisk(diskOptions);
      this.storage = this.disk.storage();
      this.directory = from?.directory ?? SIMULATED_DIRECTORY;
    } else {
      const root = mkdtempSync(join(tmpdir(), 'varve-log-'));
      this.directory = join(root, 'store');
      if (from !== undefined) cpSync(from.directory, this.directory, { recursive: true });
    }
  }

  /** A core that `dispose` gives back: another process's, where there are two. */
  newCore(): Core {
    const core = takeCore(this.variant, this.memoryBytes);
    this.cores.push(core);
    return core;
  }

  /** What `RecordLog.open` needs to work here. */
  options(extra: RecordLogOptions = {}): RecordLogOptions {
    const storage = this.storage === undefined ? {} : { storage: this.storage };
    return { core: this.core, segmentBytes: 1 << 20, ...storage, ...extra };
  }

  /** Opens the log; `dispose` closes it. */
  async open(extra: RecordLogOptions = {}): Promise<RecordLog> {
    return this.track(await RecordLog.open(this.directory, this.options(extra)));
  }

  /** The same, without a promise. */
  openSync(extra: RecordLogOptions = {}): RecordLog {
    return this.track(RecordLog.openSync(this.directory, this.options(extra)));
  }

  /** Opens read-only with a core of its own, and on the simulated disk in a process of its own. */
  openReader(extra: RecordLogOptions = {}): RecordLog {
    const storage = this.disk === undefined ? {} : { storage: this.disk.storage() };
    return this.track(RecordLog.openSync(this.directory, {
      core: this.newCore(), readOnly: true, segmentBytes: 1 << 20, ...storage, ...extra,
    }));
  }

  private track(log: RecordLog): RecordLog {
    this.logs.push(log);
    return log;
  }

  /** Shows every mapping what the others stored; the real disk does that by itself. */
  refresh(): void {
    this.disk?.refresh();
  }

  /** Names of the files, sorted. */
  names(): string[] {
    if (this.disk === undefined) return readdirSync(this.directory).sort();
    const prefix = `${this.directory}/`;
    return this.disk.paths().filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length)).sort();
  }

  /** Paths of the files in it and in the directories below, sorted. */
  allNames(): string[] {
    if (this.disk !== undefined) return this.names();
    return readdirSync(this.directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .map((entry) => relative(this.directory, join(entry.parentPath, entry.name))).sort();
  }

  /** Names of the segments, oldest first. */
  segmentNames(): string[] {
    return this.names().filter((name) => name.endsWith('.seg'));
  }

  /** Bytes of a file. */
  bytes(name: string): Uint8Array {
    const path = join(this.directory, name);
    if (this.disk === undefined) return new Uint8Array(readFileSync(path));
    const bytes = this.disk.read(path);
    if (bytes === undefined) throw new Error(`there is no ${path}`);
    return bytes;
  }

  /** Replaces a file, or makes it, on the medium. */
  put(name: string, bytes: Uint8Array): void {
    const path = join(this.directory, name);
    if (this.disk === undefined) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
      return;
    }
    const storage = this.disk.storage();
    for (const made of storage.createDirectory(dirname(path))) storage.syncDirectoryNow(dirname(made));
    storage.remove(path);
    const file = storage.create(path);
    file.allocate(bytes.length);
    file.write(bytes, 0);
    file.syncNow();
    storage.syncDirectoryNow(dirname(path));
    this.disk.processCrash(storage);
  }

  /** Removes a file from the medium. */
  remove(name: string): void {
    const path = join(this.directory, name);
    if (this.disk === undefined) {
      rmSync(path);
      return;
    }
    const storage = this.disk.storage();
    storage.remove(path);
    storage.syncDirectoryNow(this.directory);
    this.disk.processCrash(storage);
  }

  /** Changes some bytes of a file. */
  tamper(name: string, offset: number, bytes: Uint8Array): void {
    if (this.disk !== undefined) {
      this.disk.tamper(join(this.directory, name), offset, bytes);
      return;
    }
    const all = this.bytes(name);
    all.set(bytes, offset);
    this.put(name, all);
  }

  /** A copy of the directory as it would be found if every process died now. */
  afterCrash(): LogFixture {
    this.refresh();
    const copy = new LogFixture(this.kind, this.variant, { directory: this.directory, disk: this.disk?.clone() },
      {}, this.memoryBytes);
    fixtures.push(copy);
    return copy;
  }

  /** Ends every simulated process as SIGKILL does, and starts the next one. */
  kill(): void {
    this.disk!.processCrash();
    this.startAgain();
  }

  /** Starts a process after all were ended, by a power cut or by SIGKILL. */
  startAgain(): void {
    for (const log of this.logs.splice(0)) buried(log);
    for (const core of this.cores) wipeCore(core);
    this.storage = this.disk!.storage();
  }

  /** Closes all logs and checks what they leave. */
  dispose(): void {
    for (const log of this.logs) log.closeSync();
    if (this.disk === undefined) rmSync(join(this.directory, '..'), { recursive: true, force: true });
    else this.disk.check();
    for (const core of this.cores) {
      const left = core.memory.bytes.length - STATIC_END - core.memory.largestFree();
      expect(left, 'bytes of the core\'s memory that no closed log gave back').toBe(0);
      giveCore(core);
    }
  }
}

const fixtures: LogFixture[] = [];

/** A fixture that is disposed of after the test. */
export function logFixture(kind: DiskKind, variant: CoreVariant, diskOptions: DiskOptions = {}): LogFixture {
  const fixture = new LogFixture(kind, variant, undefined, diskOptions);
  fixtures.push(fixture);
  return fixture;
}

/** Disposes of a fixture before its test ends; for tests that make thousands. */
export function disposeNow(fixture: LogFixture): void {
  fixtures.splice(fixtures.indexOf(fixture), 1);
  fixture.dispose();
}

afterEach(() => {
  const errors: unknown[] = [];
  for (const fixture of fixtures.splice(0)) {
    try {
      fixture.dispose();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
});

/** Runs a suite on {real disk, simulated disk} × {baseline, simd}; `make` gives a fresh directory. */
export function onEach(
  name: string, suite: (make: (disk?: DiskOptions) => LogFixture, kind: DiskKind) => void,
): void {
  for (const kind of ['real', 'simulated'] as const) {
    for (const variant of ['baseline', 'simd'] as const) {
      describe(`${name} (${kind} disk, ${variant} core)`, () => suite((disk) => logFixture(kind, variant, disk), kind));
    }
  }
}

/** The error of a call, which must carry this code. */
export function failure(code: ErrorCode, call: () => unknown): Error & { details: Record<string, unknown> } {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error, `the call should fail with ${code}`).toMatchObject({ code });
  return error as Error & { details: Record<string, unknown> };
}

/** The error of a promise, which must carry this code. */
export async function rejection(
  code: ErrorCode, promise: Promise<unknown>,
): Promise<Error & { details: Record<string, unknown> }> {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown);
  expect(error, `the promise should be rejected with ${code}`).toMatchObject({ code });
  return error as Error & { details: Record<string, unknown> };
}

/** The text of a record. */
export function textOf(record: LogRecord): string {
  return Buffer.from(record.payload).toString();
}

/** The texts of all records, by a scan. */
export function textsOf(log: RecordLog): string[] {
  return [...log.scan()].map(textOf);
}

/** `count` texts that differ, of about `bytes` bytes. */
export function texts(count: number, bytes = 20, from = 1): string[] {
  return Array.from({ length: count }, (_, at) => `record ${from + at} `.padEnd(bytes, '-'));
}

/** Appends texts one by one. */
export function appendAll(log: RecordLog, list: readonly string[]): void {
  for (const text of list) log.append(text);
}
