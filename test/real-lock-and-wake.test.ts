/** The writer's lock and the wake word, within a process and across processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CoreMemory } from '../host/core/memory.ts';
import type { Mapping, StoredFile } from '../host/io/storage.ts';
import { realStorage } from '../host/io/real-storage.ts';
import { type Child, childKit, failure, kernel, LINUX, scratch, until } from './support/real-storage.ts';

const storage = realStorage();
const place = scratch();
let kit: Awaited<ReturnType<typeof childKit>>;

beforeAll(async () => { kit = await childKit(place.path); });
afterAll(() => place.remove());

describe('the lock', () => {
  const path = place.file('LOCK');

  it('is refused within the process that has it, and can be taken again after its release', () => {
    const lock = storage.lock(path);
    const error = failure('ERR_VARVE_LOCKED', () => storage.lock(path));
    expect(error.details).toEqual({ path, pid: process.pid });
    expect(error.message).toContain(path);
    expect(readFileSync(path, 'latin1')).toBe(`${process.pid}\n`);
    lock.release();
    lock.release();
    storage.lock(path).release();
    expect(storage.exists(path)).toBe(true);
  });

  it('names the process that has it, and dies with that process however it dies', async () => {
    const child = kit.start(`
      storage.lock(${JSON.stringify(path)});
      tell('locked');
      setInterval(() => undefined, 1000);
    `);
    expect(await child.told()).toBe('locked');
    const error = failure('ERR_VARVE_LOCKED', () => storage.lock(path));
    expect(error.details).toEqual({ path, pid: child.process.pid });
    expect(error.message).toContain(String(child.process.pid));
    child.process.kill('SIGKILL');
    expect(await child.ended).toEqual([null, 'SIGKILL']);
    storage.lock(path).release();
  });

  it('can be shared, once the first who shares it says so, and excludes whoever wants it alone', () => {
    const first = storage.lockShared(path);
    expect(first.alone).toBe(true);
    expect(readFileSync(path, 'latin1')).toBe('shared\n');
    failure('ERR_VARVE_LOCKED', () => storage.lock(path));
    first.share();
    const second = storage.lockShared(path);
    expect(second.alone).toBe(false);
    expect(failure('ERR_VARVE_LOCKED', () => storage.lock(path)).details).toEqual({ path, pid: undefined });
    first.release();
    failure('ERR_VARVE_LOCKED', () => storage.lock(path));
    second.release();
    second.release();
    expect(readFileSync(path, 'latin1')).toBe('');
    const lock = storage.lock(path);
    expect(failure('ERR_VARVE_LOCKED', () => storage.lockShared(path)).details).toEqual({ path, pid: process.pid });
    lock.release();
  });

  it('is never two\'s, where each owner removes the file before it lets it go', async () => {
    const [fleeting, sign] = [place.file('fleeting'), place.file('sign')];
    const contend = () => kit.start(`
      import { closeSync, openSync, unlinkSync } from 'node:fs';
      let [owned, wrong] = [0, 0];
      while (owned < 3000) {
        let lock;
        try { lock = storage.lock(${JSON.stringify(fleeting)}); } catch { continue; }
        owned++;
        // There while an owner is at work: a second one cannot make it.
        try { closeSync(openSync(${JSON.stringify(sign)}, 'wx')); } catch { wrong++; }
        try { unlinkSync(${JSON.stringify(sign)}); } catch { wrong++; }
        storage.remove(${JSON.stringify(fleeting)});
        lock.release();
      }
      tell([owned, wrong]);
    `);
    const children = [contend(), contend(), contend()];
    for (const child of children) expect(await child.told()).toEqual([3000, 0]);
    await Promise.all(children.map((child) => child.ended));
  });

  it('keeps the owner\'s process id behind what the file holds', () => {
    const held = place.file('held');
    writeFileSync(held, 'position');
    const lock = storage.lock(held, 8);
    expect(failure('ERR_VARVE_LOCKED', () => storage.lock(held, 8)).details).toEqual({ path: held, pid: process.pid });
    expect(readFileSync(held, 'latin1')).toBe(`position${process.pid}\n`);
    lock.release();
    expect(readFileSync(held, 'latin1')).toBe('position');
  });

  it('excludes another process', async () => {
    const lock = storage.lock(path);
    const attempt = `
      try { storage.lock(${JSON.stringify(path)}); tell('locked'); } catch (error) {
        tell([error.code, error.details.pid]);
      }
    `;
    const refused = kit.start(attempt);
    expect(await refused.told()).toEqual(['ERR_VARVE_LOCKED', process.pid]);
    lock.release();
    const accepted = kit.start(attempt);
    expect(await accepted.told()).toBe('locked');
    await Promise.all([refused.ended, accepted.ended]);
  });

  it('is not inherited by children', async () => {
    const lock = storage.lock(path);
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    lock.release();
    storage.lock(path).release();
    child.kill();
    await once(child, 'close');
  });

  it('does not believe what another program has written into the file', () => {
    writeFileSync(path, 'nonsense');
    const lock = storage.lock(path);
    writeFileSync(path, 'nonsense');
    const error = failure('ERR_VARVE_LOCKED', () => storage.lock(path));
    expect(error.details['pid']).toBeUndefined();
    lock.release();
    failure('ERR_VARVE_NOT_FOUND', () => storage.lock(place.file('no/LOCK')));
  });
});

describe('waking', () => {
  const memory = new CoreMemory(16 << 20);
  const system = kernel();
  const bytes = 65_536;
  let address: number;
  let file: StoredFile;
  let mapping: Mapping;

  const word = (index = 0): number => (address >>> 2) + index;
  const absolute = (index = 0): number => system.address(memory.bytes) + address + index * 4;

  beforeAll(() => {
    address = memory.reserve(bytes);
    file = storage.create(place.file('word'));
    file.allocate(bytes);
    mapping = file.map(memory, address, bytes, 'write');
  });
  afterAll(() => {
    mapping.unmap();
    file.close();
  });

  it('returns at once when the word has changed already, and when there is no time to wait', async () => {
    await storage.wait(memory, address, 1, 1e9);
    await storage.wait(memory, address, 0, 0);
    await storage.wait(memory, address, 0, -1);
    await storage.wait(memory, address, 0, Number.NaN);
  });

  it('ends when the time is over, with the word as it was', async () => {
    await storage.wait(memory, address, 0, 20);
    await storage.wait(memory, address, 0, 1e9);
    expect(memory.words[word()]).toBe(0);
  });

  it('wakes whoever waits in the kernel on the same word', async (context) => {
    if (!LINUX) return context.skip('no futex here');
    const waiting = system.futexWait(absolute(1), 0);
    let result: number | undefined;
    void waiting.then((value) => { result = value; });
    await until(() => {
      storage.wake(memory, address + 4);
      return result !== undefined;
    });
    expect(result).toBe(0);
  });

  it('shares one kernel call between all waits on a word, and ends them all', async (context) => {
    if (!LINUX) return context.skip('no futex here');
    let ended = 0;
    const waits = Array.from({ length: 5 }, () => storage.wait(memory, address + 8, 0, 1000).then(() => { ended++; }));
    let woken = 0;
    await until(() => {
      woken ||= system.futexWake(absolute(2));
      return woken > 0 || ended > 0;
    });
    expect(woken).toBe(1);
    await Promise.all(waits);
  });

  it('never holds more than two threads of the pool, and the others see a change as well', async (context) => {
    if (!LINUX) return context.skip('no futex here');
    const indexes = [8, 9, 10, 11, 12];
    const waits = indexes.map((index) => storage.wait(memory, address + index * 4, 0, 1000));
    const woken = new Set<number>();
    let over = false;
    const all = Promise.all(waits).then(() => { over = true; });
    const wake = (): void => {
      for (const index of indexes) if (system.futexWake(absolute(index)) > 0) woken.add(index);
    };
    await until(() => {
      wake();
      return woken.size >= 2 || over;
    });
    for (let turn = 0; turn < 20; turn++) {
      wake();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (const index of indexes) memory.words[word(index)] = 1;
    await all;
    expect(woken.size).toBe(2);
  });

  it('ends the waits when the file is taken out of the memory', async () => {
    const other = memory.reserve(bytes);
    const second = file.map(memory, other, bytes, 'read');
    const waits = [storage.wait(memory, other, 0, 1000), storage.wait(memory, other + 256, 0, 1000)];
    second.unmap();
    await Promise.all(waits);
    memory.release(other, bytes);
  });

  it('wakes another process, which needs no more than a read-only mapping', async () => {
    const child: Child = kit.start(`
      const memory = new CoreMemory(16 << 20);
      const file = storage.open(${JSON.stringify(place.file('word'))}, 'read');
      const address = memory.reserve(${bytes});
      file.map(memory, address, ${bytes}, 'read');
      const word = (address + 64) >>> 2;
      tell('ready');
      for (let seen = 0; seen < 5;) {
        await storage.wait(memory, address + 64, seen, 1000);
        const now = Atomics.load(memory.words, word);
        if (now !== seen) tell(seen = now);
      }
    `);
    expect(await child.told()).toBe('ready');
    for (let value = 1; value <= 5; value++) {
      // Proves that the child waits in the kernel on the word of the file, not on one of its own.
      if (LINUX) await until(() => system.futexWake(absolute(16)) > 0);
      Atomics.store(memory.words, word(16), value);
      storage.wake(memory, address + 64);
      expect(await child.told()).toBe(value);
    }
    expect(await child.ended).toEqual([0, null]);
  });

  it('wakes by notices, without a thread of the pool, whoever gives one', async (context) => {
    if (!LINUX) return context.skip('no futex here');
    const notice = { file, position: 4096 };
    const at = address + 1024;
    await storage.wait(memory, at, 1, 1e9, notice);
    await storage.wait(memory, at, 0, 0, notice);
    let ended = 0;
    const waits = Array.from({ length: 5 }, () => storage.wait(memory, at, 0, 1000, notice).then(() => { ended++; }));
    // Nobody is in the kernel's queue for the word.
    for (let turn = 0; turn < 20; turn++) {
      expect(system.futexWake(absolute(256))).toBe(0);
      await new Promise((resolve) => { setTimeout(resolve, 1); });
    }
    expect(ended).toBe(0);
    storage.wake(memory, at, notice);
    await Promise.all(waits);
    // Notices that nobody waits for are not kept for later, and end the watch; the next wait begins another one.
    for (let turn = 0; turn < 50; turn++) {
      storage.wake(memory, at, notice);
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    const again = storage.wait(memory, at, 0, 1000, notice);
    storage.wake(memory, at, notice);
    await again;
  });

  it('ends waits for notices when the file is closed', async () => {
    const other = storage.open(place.file('word'), 'read');
    const wait = storage.wait(memory, address + 1024, 0, 1000, { file: other, position: 4096 });
    other.close();
    await wait;
  });

  it('wakes another process by notices as well as by the word, which may be in either way', async () => {
    const child = (way: string): Child => kit.start(`
      process.env.VARVE_WAIT = '${way}';
      const memory = new CoreMemory(16 << 20);
      const file = storage.open(${JSON.stringify(place.file('word'))}, 'read');
      const address = memory.reserve(${bytes});
      file.map(memory, address, ${bytes}, 'read');
      const word = (address + 2048) >>> 2;
      tell('ready');
      for (let seen = 0; seen < 50;) {
        await storage.wait(memory, address + 2048, seen, 1000, { file, position: 4096 });
        seen = Atomics.load(memory.words, word);
        tell(seen);
      }
      file.close();
    `);
    const children = [child('watch'), child('futex')];
    for (const each of children) expect(await each.told()).toBe('ready');
    for (let value = 1; value <= 50; value++) {
      Atomics.store(memory.words, word(512), value);
      storage.wake(memory, address + 2048, { file, position: 4096 });
      for (const each of children) while (await each.told() !== value);
    }
    for (const each of children) expect(await each.ended).toEqual([0, null]);
  });

  it('lets a process exit that still waits', async () => {
    const child = kit.start(`
      const memory = new CoreMemory(16 << 20);
      void storage.wait(memory, 1 << 20, 0, 1000);
      setTimeout(() => process.exit(3), 20);
    `);
    expect(await child.ended).toEqual([3, null]);
  });

  it('counts the waiting calls of worker threads together with those of the main thread', async (context) => {
    if (!LINUX) return context.skip('no futex here');
    const child = kit.start(`
      import { isMainThread, Worker, parentPort } from 'node:worker_threads';
      import { fileURLToPath } from 'node:url';
      import { readdirSync, readFileSync } from 'node:fs';
      const memory = new CoreMemory(16 << 20);
      const wait = (at) => storage.wait(memory, (1 << 20) + at * 4, 0, 1000);
      const inFutex = () => readdirSync('/proc/self/task').filter((task) => {
        // A waiting thread of the pool is in the futex call with exactly this operation: 0, shared and not private.
        try {
          return /^(202|98) 0x[0-9a-f]+ 0x0 /.test(readFileSync('/proc/self/task/' + task + '/syscall', 'latin1'));
        } catch { return false; }
      }).length;
      if (!isMainThread) {
        parentPort.once('message', async () => { await Promise.all([wait(0), wait(1)]); process.exit(); });
        parentPort.postMessage('ready');
      } else {
        await storage.wait(memory, 1 << 20, 0, 1);
        const workers = [0, 1, 2].map(() => new Worker(fileURLToPath(import.meta.url)));
        await Promise.all(workers.map((worker) => new Promise((done) => worker.once('message', done))));
        let most = 0, left = workers.length;
        for (const worker of workers) { worker.on('exit', () => left--); worker.postMessage('go'); }
        while (left > 0) { most = Math.max(most, inFutex()); await new Promise((done) => setTimeout(done, 5)); }
        tell(most);
      }
    `);
    expect(await child.told()).toBeLessThanOrEqual(2);
    expect(await child.ended).toEqual([0, null]);
  });
});
