/**
 * What a figure depends on and a reader of it has to know: engine, processor, kernel, file system, memory, load.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, cpus, freemem, loadavg, platform, release, totalmem } from 'node:os';

const GIB = 2 ** 30;

/** Returns the file system that holds `directory` as 'ext4 (/dev/vda, rw,…)', or its type's number. */
export function fileSystemOf(directory) {
  try {
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').map((line) => line.split(' '))
      .filter(([, point]) => point !== undefined && (directory === point || directory.startsWith(point.replace(/\/?$/, '/'))));
    const [device, , type, options] = mounts.sort((a, b) => a[1].length - b[1].length).at(-1);
    return `${type} on ${device} (${options})`;
  } catch {
    return `type 0x${statfsSync(directory).type.toString(16)}`;
  }
}

/** Returns the bytes that may still be written in `directory`. */
export function freeBytes(directory) {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

export function environmentOf(directory, variant) {
  const [cpu] = cpus();
  return {
    node: `${process.version} (V8 ${process.versions.v8})`,
    cpu: `${cpu?.model.trim() ?? 'unknown'}, ${availableParallelism()} of ${cpus().length} cores`,
    kernel: `${platform()} ${release()} ${arch()}`,
    memory: `${(totalmem() / GIB).toFixed(1)} GiB, ${(freemem() / GIB).toFixed(1)} free`,
    directory: fileSystemOf(directory),
    free: `${(freeBytes(directory) / GIB).toFixed(0)} GiB`,
    core: variant,
    load: loadavg().map((load) => load.toFixed(2)).join(' '),
  };
}
