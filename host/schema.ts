/**
 * What schemas of typed records are written with: `import { defineSchema, f64, str } from 'varve/schema'`. Apart from
 * the package's main face, because it loads nothing of the engine.
 */
export {
  array, bool, bytes, defineSchema, enumOf, f32, f64, i16, i32, i64, i8, nullable, str, timestamp, u16, u32, u64, u8,
  type Bytes, type Field, type Fields, type FixedArray, type RecordOf, type Schema, type SchemaDefinition, type Str,
  type Timestamp, type TypeName,
} from './typed/schema.ts';
