/**
 * Records that say themselves whether they are whole: a serial number and the noise that belongs to it. They can be
 * told from each other although a soak cuts the log and gives an LSN twice.
 */
import { racePayload } from '../process/children/race-records.mjs';

/** The payload of 4 to 404 bytes, or of eight times as many. */
export function soakPayload(serial) {
  const noise = racePayload(serial);
  const copies = serial % 16 === 0 ? 8 : 1;
  const bytes = new Uint8Array(4 + noise.length * copies);
  new DataView(bytes.buffer).setUint32(0, serial);
  for (let copy = 0; copy < copies; copy++) bytes.set(noise, 4 + copy * noise.length);
  return bytes;
}

/** Returns the serial number; throws where the bytes are not those that were appended. */
export function serialOf({ lsn, payload }) {
  const serial = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  if (Buffer.compare(payload, soakPayload(serial)) !== 0) throw new Error(`record ${lsn} holds other bytes`);
  return serial;
}

/** Tells the parent, once it asks, what `take` gives; without garbage, which is no growth. */
export function answerSamples(take) {
  process.on('disconnect', () => process.exit());
  process.on('message', (message) => {
    if (message !== 'sample') return;
    globalThis.gc?.();
    process.send({ sample: take() });
  });
}
