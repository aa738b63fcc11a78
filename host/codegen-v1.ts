/**
 * What the classes that `varve generate` writes import: version 1 of their runtime. A later version of varve that needs
 * another one gives it beside this, so that what was generated before goes on to work.
 */
export { GeneratedStore, isTarget, type CreateOptions, type OpenOptions, type StoreOptions } from './typed/generated.ts';
export {
  array, bool, bytes, defineSchema, enumOf, f32, f64, i16, i32, i64, i8, nullable, str, timestamp, u16, u32, u64, u8,
} from './typed/schema.ts';
export {
  isF32, isF64, isI16, isI32, isI64, isI64Number, isI8, isTimestamp, isU16, isU32, isU64, isU64Number, isU8,
} from './typed/values.ts';
