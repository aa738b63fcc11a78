/**
 * The numbers of the ABI as the compiler sees them: an entry in memory exports every offset, size and constant as a
 * wasm global, is compiled and instantiated, and the globals are read. So the host can never disagree with the core.
 */
import { compile } from './asc.mjs';

const ENTRY = 'abi-entry.ts';
// An empty configuration of its own: otherwise the compiler would add the entries of asconfig.json.
const CONFIG = 'abi-asconfig.json';

/** Returns the modules of `readModel` with numbers: offsets, bytes, member values, constants (64-bit ones: bigint). */
export async function evaluate(modules) {
  const args = [ENTRY, '--config', CONFIG, '--outFile', 'abi.wasm', '--runtime', 'stub', '--use', 'abort=', '--debug'];
  // The compiler sees the very texts that the model was read from, also while somebody edits the files.
  const sources = new Map(modules.map(({ file, text }) => [file, text]));
  const outputs = await compile(args, sources.set(ENTRY, entryOf(modules)).set(CONFIG, '{}'));
  const { instance } = await WebAssembly.instantiate(outputs.get('abi.wasm'));
  const read = (name) => instance.exports[name].value;
  return modules.map((module) => ({ ...module, items: module.items.map((item) => withNumbers(item, read)) }));
}

function withNumbers(item, read) {
  if (item.kind === 'class') {
    const fields = item.fields.map((field) => ({ ...field, offset: read(`${item.name}__${field.name}`) }));
    return { ...item, fields, bytes: read(`${item.name}__BYTES`) };
  }
  if (item.kind === 'enum') {
    return { ...item, members: item.members.map((one) => ({ ...one, value: read(`${item.name}__${one.name}`) })) };
  }
  return { ...item, value: unsigned(read(`${item.name}__VALUE`), item.type) };
}

/** A global of 32 bits reads as signed, whatever its type. */
function unsigned(value, type) {
  if (type === 'u64') return BigInt.asUintN(64, value);
  return type.startsWith('u') ? value >>> 0 : value;
}

function entryOf(modules) {
  const imports = modules.filter(({ items }) => items.length > 0).map(({ file, items }) =>
    `import { ${items.map(({ name }) => name).join(', ')} } from './${file.replace(/\.ts$/, '')}';`);
  const globals = modules.flatMap(({ items }) => items.flatMap(globalsOf));
  return `${[...imports, ...globals].join('\n')}\n`;
}

function globalsOf(item) {
  const global = (name, type, value) => `export const ${item.name}__${name}: ${type} = ${value};`;
  if (item.kind === 'constant') return [global('VALUE', item.type === 'bool' ? 'i32' : item.type, item.name)];
  if (item.kind === 'enum') return item.members.map(({ name }) => global(name, 'i32', `${item.name}.${name}`));
  return [
    ...item.fields.map(({ name }) => global(name, 'i32', `<i32>offsetof<${item.name}>('${name}')`)),
    global('BYTES', 'i32', `<i32>offsetof<${item.name}>()`),
  ];
}
