/**
 * Private views of a file for users: copy-on-write mappings outside of the core's memory that live as long as anyone
 * holds their bytes. It owns the choice between the two ways to make one and the unmapping of its own; it must never
 * share writable pages with a file, and never unmap while an ArrayBuffer is reachable.
 *
 * - The optional package @riaskov/mmap-io makes views that its native code unmaps at garbage collection, also in a
 *   worker thread that is terminated. Its sizes are 32-bit: views of 2 GiB and more go the other way.
 * - Where it is missing, koffi maps, and a FinalizationRegistry unmaps. The registry watches the ArrayBuffer, not the
 *   typed array: users keep subarrays, which hold only the buffer.
 * - The environment variable VARVE_VIEWS, `koffi` or `mmap-io`, forces one way; a forced package that is missing is an
 *   ERR_VARVE_UNSUPPORTED.
 */
import { dirname, join } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import { errnoName, misuse, refused } from './errors.ts';
import type { MappedFile } from './mapping.ts';
import { MAP_NORESERVE, MAP_PRIVATE, posix, PROT_READ, PROT_WRITE, requireLater } from './posix.ts';

const PACKAGE = '@riaskov/mmap-io';
const PACKAGE_BYTES_MAX = 0x7fffffff;
const PROTECTION = PROT_READ | PROT_WRITE;
// Without NORESERVE, every view would count as memory that may be written in full.
const FLAGS = MAP_PRIVATE | MAP_NORESERVE;

/** What is used of the package. */
interface MmapIo {
  map(size: number, protection: number, flags: number, fd: number, offset: number): Uint8Array;
}

interface Range { readonly address: number; readonly length: number }

/** The package, `null` where it cannot be loaded, `undefined` before the first view. */
let loaded: MmapIo | null | undefined;
const unmapper = new FinalizationRegistry<Range>(({ address, length }) => { posix().munmap(address, length); });

/** A private view of [0, length) of a file. Errors: ERR_VARVE_IO, ERR_VARVE_INTERNAL where the file is shorter. */
export function viewFile(file: MappedFile, length: number): Uint8Array {
  if (!Number.isSafeInteger(length) || length < 0 || length > file.size) {
    throw misuse(`${length} bytes cannot be viewed of ${file.path}, which has ${file.size}`,
      { path: file.path, length, size: file.size });
  }
  if (length === 0) return new Uint8Array(0);
  const native = length <= PACKAGE_BYTES_MAX ? chosenPackage() : undefined;
  return native === undefined ? viewByKoffi(file, length) : viewByPackage(native, file, length);
}

function viewByPackage(native: MmapIo, file: MappedFile, length: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = native.map(length, PROTECTION, FLAGS, file.fd, 0);
  } catch (cause) {
    // The package tells the errno only in its text: "mmap failed, 12".
    const errno = Number(/\d+$/.exec((cause as Error).message)?.[0] ?? 0);
    throw refused('mmap', file.path, errnoName(errno), undefined, cause);
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
}

function viewByKoffi(file: MappedFile, length: number): Uint8Array {
  const system = posix();
  const address = system.mmap(0, length, PROTECTION, FLAGS, file.fd);
  if (address < 0) throw refused('mmap', file.path, errnoName(-address));
  try {
    const buffer = system.external(address, length);
    unmapper.register(buffer, { address, length });
    return new Uint8Array(buffer);
  } catch (cause) {
    system.munmap(address, length);
    throw new VarveError('ERR_VARVE_UNSUPPORTED', 'this build of Node.js does not allow views of mapped files',
      { path: file.path }, cause);
  }
}

function chosenPackage(): MmapIo | undefined {
  const forced = process.env['VARVE_VIEWS'];
  if (forced === 'koffi') return undefined;
  if (loaded === undefined) loaded = load();
  if (loaded === null && forced === 'mmap-io') {
    throw new VarveError('ERR_VARVE_UNSUPPORTED', `VARVE_VIEWS asks for ${PACKAGE}, which cannot be loaded`,
      { package: PACKAGE });
  }
  return loaded ?? undefined;
}

function load(): MmapIo | null {
  return loadBinary() ?? loadPackage();
}

/** Loads the compiled part alone, which takes 1 ms instead of the 60 that the package's own search takes. */
function loadBinary(): MmapIo | null {
  try {
    const root = dirname(requireLater.resolve(`${PACKAGE}/package.json`));
    const build = `node-v${process.versions.modules}-${process.platform}-${process.arch}`;
    return requireLater(join(root, 'build', 'binding', 'Release', build, 'mmap_io.node')) as MmapIo;
  } catch {
    return null;
  }
}

/** Loads the whole package. Its loader reads the program's own arguments as if they were meant for it: hide them. */
function loadPackage(): MmapIo | null {
  const { argv } = process;
  try {
    process.argv = argv.slice(0, 2);
    return requireLater(PACKAGE) as MmapIo;
  } catch {
    return null;
  } finally {
    process.argv = argv;
  }
}
