/** Private views of files: what they show, how long they live, and both ways to make them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CoreMemory } from '../host/core/memory.ts';
import { realStorage } from '../host/io/real-storage.ts';
import { childKit, failure, LINUX, scratch } from './support/real-storage.ts';

const storage = realStorage();
const memory = new CoreMemory(16 << 20);
let place: ReturnType<typeof scratch>;

beforeEach(() => {
  place = scratch();
  writeFileSync(place.file('a'), Buffer.from('varve'.repeat(2000)));
});
afterEach(() => {
  delete process.env['VARVE_VIEWS'];
  place.remove();
});

describe.each(['koffi', 'mmap-io'])('views by %s', (way) => {
  let missing = false;

  beforeEach((context) => {
    process.env['VARVE_VIEWS'] = way;
    const file = storage.open(place.file('a'), 'read');
    try {
      file.view(1);
    } catch {
      missing = true;
    }
    file.close();
    if (missing && way === 'mmap-io') context.skip('the optional package is not installed');
    expect(missing).toBe(false);
  });

  it('show the bytes of the file at every length within it', () => {
    const file = storage.open(place.file('a'), 'read');
    for (const length of [0, 1, 4095, 4096, 4097, 10_000]) {
      const view = file.view(length);
      expect(view.constructor).toBe(Uint8Array);
      expect(Buffer.compare(view, readFileSync(place.file('a')).subarray(0, length))).toBe(0);
    }
    file.close();
  });

  it('refuse lengths beyond the end, where touching a byte would be fatal', () => {
    const file = storage.open(place.file('a'), 'read');
    for (const length of [10_001, -1, 0.5, Number.NaN]) failure('ERR_VARVE_INTERNAL', () => file.view(length));
    file.close();
    failure('ERR_VARVE_INTERNAL', () => file.view(1));
  });

  it('stay valid when the mapping, the descriptor and the file are gone', () => {
    const file = storage.open(place.file('a'), 'write');
    const address = memory.reserve(10_000);
    const mapping = file.map(memory, address, 10_000, 'write');
    const view = file.view(10_000);
    memory.bytes.set(Buffer.from('later'), address);
    expect(Buffer.from(view.subarray(0, 10)).toString()).toBe('latervarve');
    mapping.unmap();
    file.close();
    storage.remove(place.file('a'));
    expect(Buffer.from(view.subarray(0, 10)).toString()).toBe('latervarve');
    expect(Buffer.from(view.subarray(9_995)).toString()).toBe('varve');
    memory.release(address, 10_000);
  });

  it('take writes without changing the file or other views, even of a file opened for reading', () => {
    const file = storage.open(place.file('a'), 'read');
    const [view, other] = [file.view(10_000), file.view(10_000)];
    view.fill(0);
    expect(other[0]).toBe('v'.charCodeAt(0));
    expect(readFileSync(place.file('a'), 'latin1')).toBe('varve'.repeat(2000));
    file.close();
  });

  it('cannot be transferred to another thread, where nobody would unmap them in time', () => {
    const file = storage.open(place.file('a'), 'read');
    const view = file.view(10_000);
    try {
      structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
    } catch (error) {
      expect((error as Error).name).toBe('DataCloneError');
    }
    expect(view[0]).toBe('v'.charCodeAt(0));
    file.close();
  });

  it('live as long as a part of them is held, and are unmapped afterwards', async (context) => {
    if (!LINUX) return context.skip('needs /proc');
    const kit = await childKit(place.path);
    const child = kit.start(`
      import { readFileSync } from 'node:fs';
      const mapped = () => readFileSync('/proc/self/maps', 'utf8').includes(${JSON.stringify(place.file('a'))});
      const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
      const file = storage.open(${JSON.stringify(place.file('a'))}, 'read');
      let part = (() => file.view(10000).subarray(5, 10))();
      file.close();
      for (let i = 0; i < 20; i++) { gc(); await turn(); }
      tell([mapped(), Buffer.from(part).toString()]);
      part = undefined;
      while (mapped()) { gc(); await turn(); }
      tell('unmapped');
    `, { flags: ['--expose-gc'], env: { VARVE_VIEWS: way } });
    expect(await child.told()).toEqual([true, 'varve']);
    expect(await child.told()).toBe('unmapped');
    expect(await child.ended).toEqual([0, null]);
  });

  it('can be made in a worker thread and by a program with arguments of its own', async () => {
    const kit = await childKit(place.path);
    const child = kit.start(`
      import { isMainThread, Worker } from 'node:worker_threads';
      import { fileURLToPath } from 'node:url';
      const file = storage.open(${JSON.stringify(place.file('a'))}, 'read');
      const text = Buffer.from(file.view(5)).toString();
      if (isMainThread) {
        const worker = new Worker(fileURLToPath(import.meta.url));
        worker.on('exit', (code) => tell([text, code, process.argv.length]));
      } else if (text !== 'varve') throw new Error(text);
    `, { args: ['--dir=/nowhere', '--directory=/nowhere', '-C', '/nowhere'], env: { VARVE_VIEWS: way } });
    expect(await child.told()).toEqual(['varve', 0, 6]);
    expect(await child.ended).toEqual([0, null]);
  });
});

describe('optional and missing packages', () => {
  const viewing = (path: string): string => `
    const file = storage.open(${JSON.stringify(path)}, 'read');
    try { tell(Buffer.from(file.view(5)).toString()); } catch (error) {
      tell({ code: error.code, details: error.details, cause: typeof error.cause });
    }
  `;

  it('falls back to koffi where mmap-io is missing, unless it is demanded', async () => {
    const kit = await childKit(place.path, ['koffi', '@koromix']);
    const free = kit.start(viewing(place.file('a')), { env: { VARVE_VIEWS: '' } });
    expect(await free.told()).toBe('varve');
    const forced = kit.start(viewing(place.file('a')), { env: { VARVE_VIEWS: 'mmap-io' } });
    expect(await forced.told()).toMatchObject({ code: 'ERR_VARVE_UNSUPPORTED' });
  });

  it('hides the arguments of the program from a package that has to find its binary itself', async () => {
    const kit = await childKit(place.path, ['koffi', '@koromix']);
    const fake = join(kit.modules, '@riaskov', 'mmap-io');
    mkdirSync(fake, { recursive: true });
    writeFileSync(join(fake, 'package.json'), '{"main": "index.js"}');
    writeFileSync(join(fake, 'index.js'), `
      if (process.argv.length > 2) throw new Error('reads the arguments of the program');
      exports.map = () => { throw new Error('mmap failed, 12'); };
    `);
    const child = kit.start(viewing(place.file('a')), { args: ['--dir=/nowhere'], env: { VARVE_VIEWS: '' } });
    expect(await child.told()).toMatchObject({
      code: 'ERR_VARVE_IO', details: { path: place.file('a'), syscall: 'mmap', errno: 'ENOMEM' },
    });
  });

  it('says that the platform is not supported where koffi is missing, but only when it is needed', async () => {
    const kit = await childKit(place.path, ['@riaskov']);
    const child = kit.start(`
      tell(storage.list(${JSON.stringify(place.path)}).includes('a'));
      const file = storage.open(${JSON.stringify(place.file('a'))}, 'write');
      tell([codeOf(() => file.allocate(1)), codeOf(() => storage.lock(${JSON.stringify(place.file('LOCK'))}))]);
    `);
    expect(await child.told()).toBe(true);
    expect(await child.told()).toEqual(['ERR_VARVE_UNSUPPORTED', 'ERR_VARVE_UNSUPPORTED']);
  });
});
