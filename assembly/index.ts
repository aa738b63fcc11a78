/**
 * The core's exports, the same in the baseline and in the SIMD build. Addresses are byte addresses in the shared linear
 * memory, 64-bit numbers cross as f64, and statuses are zero or negative (assembly/abi/status.ts).
 */
import { SCRATCH_OFFSET } from './abi/memory';
import { crcInit } from './crc/crc32c';

export { crc32c } from './crc/crc32c';
export { keydirApply, keydirApplyDamaged, keydirApplyHints, keydirExpire, keydirHints, keydirPurge } from './keydir/apply';
export { keydirGet, keydirHolds } from './keydir/find';
export { keydirOrder } from './keydir/order';
export { keydirHasHash, keydirReserve, keydirReset } from './keydir/table';
export { keydirCopy, keydirMoved, keydirWalk } from './keydir/walk';
export { endOfBytes } from './mem/bytes';
export { append, appendBatch, commit, publishBatch, sealBatch } from './record/append';
export { layoutFields } from './schema/layout';
export {
  getBool, getF32, getF64, getI16, getI32, getI64, getI64Number, getI8, getU16, getU32, getU64Number, getU8, set16,
  set32, set64, set64Number, set8, setF32, setF64,
} from './sync/fields';
export { checkTyped, checkTypedWriter, raiseWord, sealTyped, sealTypedWriter } from './sync/header';
export { clearWords, damagedNext, resetNext } from './sync/recover';
export { findChanges, noteStamps } from './sync/changes';
export { gatherColumn, maxColumn, minColumn, selectColumn, sumColumn } from './sync/columns';
export { gatherRows } from './sync/gather';
export { foldNullable, gatherNullable, selectNullable } from './sync/nullable';
export { patchRow } from './sync/patch';
export { appendRing, patchRing, readRing, writeRing } from './sync/ring';
export { appendRow, readRow, refreshLimit, writeRow } from './sync/rows';
export { getBytes, setBytes } from './sync/text';
export { advance, findKind, locate, read, readAt, scan } from './record/scan';
export {
  checkCheckpoint, checkCheckpointFooter, sealCheckpoint, sealCheckpointFooter,
} from './record/checkpoint';
export { fillLost, findLater, recover } from './record/recover';
export {
  bump, checkControl, checkCursor, checkFooter, checkGroup, checkHeader, checkWriter, loadWord, newestMarks,
  sealControl, sealCursor, sealFooter, sealGroup, sealHeader, sealWriter, storeWord, writeMarks,
} from './record/structures';

/**
 * Fills the tables; to be called once, before anything else.
 *
 * @returns whether the core's own data end below the scratch area, without which nothing may be called
 */
export function init(): bool {
  crcInit();
  return __data_end <= <usize>SCRATCH_OFFSET;
}
