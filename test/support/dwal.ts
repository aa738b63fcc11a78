/**
 * DWAL directories for tests: the fixture, frames made by hand (not by the code under test, but for the checksum), and
 * temporary directories.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '../../host/core/crc32c.ts';

const FIXTURE = new URL('../fixtures/dwal-valid-log.hex', import.meta.url);

/** Three raw records: txid 1 "alpha", 2 "beta", 3 "gamma". */
export function fixtureBytes(): Buffer {
  return Buffer.from(readFileSync(FIXTURE, 'utf8').trim(), 'hex');
}

/** Where the fixture's frames begin, and where the last ends. */
export const FIXTURE_OFFSETS = [0, 33, 65, 98] as const;

export interface FrameFields {
  readonly magic?: string;
  readonly version?: number;
  readonly type?: number;
  readonly flags?: number;
  readonly txid?: number | bigint;
  readonly key?: Uint8Array | string;
  readonly payload?: Uint8Array | string;
  /** What the header says instead of the true lengths. */
  readonly keyBytes?: number;
  readonly payloadBytes?: number;
  /** Added to the true checksum. */
  readonly crcOff?: number;
}

/** One frame, as right or as wrong as it is asked for. */
export function frame(fields: FrameFields = {}): Buffer {
  const key = Buffer.from(fields.key ?? '');
  const payload = Buffer.from(fields.payload ?? '');
  const head = Buffer.alloc(24);
  head.write(fields.magic ?? 'DWAL', 0, 'latin1');
  head.writeUInt16LE(fields.version ?? 1, 4);
  head.writeUInt8(fields.type ?? 0, 6);
  head.writeUInt8(fields.flags ?? 0, 7);
  head.writeBigUInt64LE(BigInt(fields.txid ?? 1), 8);
  head.writeUInt32LE(fields.keyBytes ?? key.length, 16);
  head.writeUInt32LE(fields.payloadBytes ?? payload.length, 20);
  const body = Buffer.concat([head, key, payload]);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE((crc32c(body) + (fields.crcOff ?? 0)) >>> 0);
  return Buffer.concat([body, crc]);
}

/** Temporary directories of one test file. */
export class Scratch {
  readonly root: string;
  private made = 0;

  constructor(name: string) {
    this.root = mkdtempSync(join(tmpdir(), `varve-${name}-`));
  }

  /** A path where nothing is yet. */
  path(): string {
    this.made++;
    return join(this.root, String(this.made));
  }

  /** A new directory of files. */
  directory(files: Readonly<Record<string, Uint8Array | string>> = {}): string {
    const path = this.path();
    mkdirSync(path);
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(path, name), bytes);
    return path;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Every file of a directory with its bytes as hexadecimal text. */
export function contents(directory: string): Record<string, string> {
  return Object.fromEntries(readdirSync(directory).sort()
    .map((name) => [name, readFileSync(join(directory, name)).toString('hex')]));
}
