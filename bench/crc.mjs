/**
 * CRC-32C by `crc32c()`: nanoseconds a call for short inputs, gigabytes a second for long ones.
 *
 * Measured is a loop of calls over 16 inputs in turn, or one long one, each kind of call in a loop of its own,
 * so that the engine can do to each what it would do in a program. Varve is measured over bytes in the core's
 * memory, where mapped files are, and over ordinary buffers, which it has to copy first. Beside it: `@node-rs/crc32`,
 * native code with the processor's instruction; the package crc-32, JavaScript; and node:zlib's crc32, native code
 * for another polynomial. The result is the sum of all checksums.
 */
import zlib from 'node:zlib';
import { Core, crc32c } from '../dist/esm/index.js';
import { compare } from './lib/measure.mjs';
import { payloadsOf } from './lib/payloads.mjs';
import { peer } from './lib/peers.mjs';
import { timed } from './lib/places.mjs';

export const title = 'crc32c';

const FLOORS = new Map([
  [64, { atMost: 30 }], [256, { atMost: 110 }], [1024, { atMost: 350 }], [65536, { atLeast: 10 }],
  [1 << 20, { atLeast: 12 }],
]);

export function parameters(smoke) {
  return { sizes: [...FLOORS.keys()], bytesEach: smoke ? 1 << 16 : 1 << 29, callsMax: smoke ? 100 : 2_000_000 };
}

export async function run({ smoke, ...rest }) {
  const { sizes, bytesEach, callsMax } = parameters(smoke);
  const { memory } = Core.shared();
  const address = memory.reserve(1 << 20);
  const rows = [];
  for (const size of sizes) {
    const count = size <= 1024 ? 16 : 1;
    const calls = Math.max(count, Math.min(callsMax, Math.ceil(bytesEach / size)));
    const buffers = payloadsOf(size, count).map((bytes) => Buffer.from(bytes.buffer));
    const mapped = buffers.map((bytes, at) => {
      memory.bytes.set(bytes, address + at * size);
      return memory.bytes.subarray(address + at * size, address + (at + 1) * size);
    });
    rows.push(...await compare(rest, nameOf(size), contenders(size, calls, mapped, buffers)));
  }
  memory.release(address, 1 << 20);
  return { rows };
}

function nameOf(size) {
  return size < 1024 ? `${size} B` : size < 1 << 20 ? `${size / 1024} KiB` : `${size >> 20} MiB`;
}

function contenders(size, calls, mapped, buffers) {
  const unit = size <= 1024 ? 'ns' : 'GB/s';
  const one = (who, loop, floors = []) => ({ who, unit, floors, run() {
    const { result, ns } = timed(() => loop(calls));
    return { value: unit === 'ns' ? ns / calls : size * calls / ns, result };
  } });
  const native = peer('@node-rs/crc32');
  const scripted = peer('crc-32/crc32c');
  return [
    one('varve, mapped', (count) => overMapped(mapped, count), [FLOORS.get(size)]),
    one('varve, buffers', (count) => overBuffers(buffers, count)),
    ...native === undefined ? [] : [one('@node-rs/crc32', (count) => overNative(native, buffers, count))],
    ...zlib.crc32 === undefined ? [] : [one('zlib.crc32', (count) => overZlib(buffers, count))],
    ...scripted === undefined ? [] : [one('crc-32', (count) => overScripted(scripted, buffers, count))],
  ];
}

function overMapped(inputs, count) {
  const mask = inputs.length - 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum = (sum + crc32c(inputs[i & mask])) | 0;
  return sum;
}

function overBuffers(inputs, count) {
  const mask = inputs.length - 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum = (sum + crc32c(inputs[i & mask])) | 0;
  return sum;
}

function overNative(native, inputs, count) {
  const mask = inputs.length - 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum = (sum + native.crc32c(inputs[i & mask])) | 0;
  return sum;
}

function overZlib(inputs, count) {
  const mask = inputs.length - 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum = (sum + zlib.crc32(inputs[i & mask])) | 0;
  return sum;
}

function overScripted(scripted, inputs, count) {
  const mask = inputs.length - 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum = (sum + scripted.buf(inputs[i & mask])) | 0;
  return sum;
}
