/**
 * Loads the package twice in one process, as an ES module and as CommonJS, and says how the copies see each other.
 *
 * Arguments: a directory that does not exist.
 */
import { createRequire } from 'node:module';
import * as esm from '../../../dist/esm/index.js';

const cjs = createRequire(import.meta.url)('../../../dist/cjs/index.js');
const [directory] = process.argv.slice(2);

function failureOf(copy) {
  try {
    copy.RecordLog.openSync(directory, { create: false });
  } catch (error) {
    return error;
  }
  return undefined;
}

class Special extends esm.VarveError {}

const errors = { esm: failureOf(esm), cjs: failureOf(cjs) };
const agree = (judge) => Object.values(errors).flatMap((error) => [judge(esm, error), judge(cjs, error)]);
const forged = Object.assign(new Error('not ours'), { name: 'VarveError', code: 'ERR_VARVE_NOT_FOUND' });

// A store that one copy has made is the other one's too, but not at the same time.
const made = esm.RecordLog.openSync(directory);
made.append('from the ES module');
let locked;
try {
  cjs.RecordLog.openSync(directory);
} catch (error) {
  locked = error;
}
const reader = cjs.RecordLog.openSync(directory, { readOnly: true });
const read = Buffer.from(reader.read(1).payload).toString();
reader.closeSync();
made.closeSync();

process.send({
  distinct: esm.VarveError !== cjs.VarveError,
  exports: [Object.keys(esm).sort(), Object.keys(cjs).filter((name) => name !== '__esModule').sort()],
  instance: agree((copy, error) => error instanceof copy.VarveError && error instanceof Error),
  is: agree((copy, error) => copy.VarveError.is(error) && copy.VarveError.is(error, 'ERR_VARVE_NOT_FOUND')),
  otherCode: agree((copy, error) => copy.VarveError.is(error, 'ERR_VARVE_CLOSED')),
  strangers: [forged, new Error('x'), null, undefined, 'ERR_VARVE_NOT_FOUND', {}]
    .flatMap((value) => [esm, cjs].map((copy) => value instanceof copy.VarveError || copy.VarveError.is(value))),
  subclass: [errors.esm instanceof Special, errors.cjs instanceof Special, new Special('ERR_VARVE_CLOSED', 'x') instanceof cjs.VarveError],
  crc: [esm.crc32c('123456789'), cjs.crc32c('123456789')],
  locked: [cjs.VarveError.is(locked, 'ERR_VARVE_LOCKED'), esm.VarveError.is(locked, 'ERR_VARVE_LOCKED')],
  read,
});
process.disconnect();
