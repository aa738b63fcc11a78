/**
 * What assembly/abi and assembly/layout declare, read from their syntax: unmanaged classes with their fields, exported
 * constants and enums, each with its doc comment. The sources parse as TypeScript; their numbers come from the compiler
 * (abi-values.mjs), never from here.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import ts from 'typescript';
import { abiSources, toRoot } from './files.mjs';

/** Bytes of the number types; in a 32-bit core an address has four. */
const SIZES = {
  i8: 1, u8: 1, bool: 1, i16: 2, u16: 2, i32: 4, u32: 4, f32: 4, isize: 4, usize: 4, i64: 8, u64: 8, f64: 8,
};

/** Reads all ABI sources; returns one module per file: {file, name, text, items}. */
export function readModel(files = abiSources()) {
  const modules = files.map((file) => readModule(toRoot(file), readFileSync(file, 'utf8')));
  rejectDuplicates(modules);
  return modules;
}

function readModule(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const items = source.statements.flatMap((statement) => readStatement(source, statement));
  return { file, name: basename(file, '.ts'), text, items };
}

function readStatement(source, node) {
  if (!isExported(node)) return [];
  if (ts.isClassDeclaration(node) && hasDecorator(node, 'unmanaged')) return [readClass(source, node)];
  if (ts.isEnumDeclaration(node)) return [readEnum(source, node)];
  if (ts.isVariableStatement(node) && node.declarationList.flags & ts.NodeFlags.Const) {
    return readConstants(source, node);
  }
  return [];
}

function readClass(source, node) {
  if (node.heritageClauses) throw at(source, node, 'a layout class has no base class');
  const fields = node.members
    .filter((member) => ts.isPropertyDeclaration(member) && !hasModifier(member, ts.SyntaxKind.StaticKeyword))
    .map((member) => {
      const type = member.type?.getText(source) ?? '';
      if (!(type in SIZES)) throw at(source, member, `field type "${type}" is not a plain number`);
      return { name: member.name.getText(source), type, size: SIZES[type], doc: docOf(source, member) };
    });
  return { kind: 'class', name: node.name.text, doc: docOf(source, node), fields };
}

function readEnum(source, node) {
  const members = node.members.map((member) => ({ name: member.name.getText(source), doc: docOf(source, member) }));
  return { kind: 'enum', name: node.name.text, doc: docOf(source, node), members };
}

function readConstants(source, node) {
  return node.declarationList.declarations.map((declaration) => {
    const name = declaration.name.getText(source);
    const type = declaration.type?.getText(source) ?? '';
    if (!(type in SIZES)) throw at(source, declaration, `constant ${name} needs a number type, it has "${type}"`);
    const hex = /^0x/i.test(declaration.initializer?.getText(source) ?? '');
    return { kind: 'constant', name, type, hex, doc: docOf(source, node) };
  });
}

function isExported(node) {
  return hasModifier(node, ts.SyntaxKind.ExportKeyword);
}

function hasModifier(node, kind) {
  return (node.modifiers ?? []).some((modifier) => modifier.kind === kind);
}

function hasDecorator(node, name) {
  return (node.modifiers ?? []).some((item) => ts.isDecorator(item) && item.expression.getText() === name);
}

/**
 * Returns the first paragraph of the comment block right before a node, on one line. In a plain block, a picture ends
 * the paragraph too, so that the drawings before the layout classes stay where they are.
 */
function docOf(source, node) {
  const text = source.text;
  const ranges = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
  const last = ranges.at(-1);
  if (last === undefined || !text.startsWith('/*', last.pos)) return '';
  const lines = text.slice(last.pos, last.end).replace(/^\/\*+/, '').replace(/\*+\/$/, '').split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trimEnd());
  while (lines.length > 0 && lines[0] === '') lines.shift();
  const picture = text.startsWith('/**', last.pos) ? /^$/ : /^\s*([+|[]|\d+\s|$)/;
  const end = lines.findIndex((line) => picture.test(line));
  return lines.slice(0, end < 0 ? lines.length : end).map((line) => line.trim()).join(' ').trim();
}

function rejectDuplicates(modules) {
  const seen = new Map();
  for (const { file, items } of modules) {
    for (const { name } of items) {
      if (seen.has(name)) throw new Error(`${file}: ${name} is already exported by ${seen.get(name)}`);
      seen.set(name, file);
    }
  }
}

function at(source, node, message) {
  const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
  return new Error(`${source.fileName}:${line + 1}: ${message}`);
}
