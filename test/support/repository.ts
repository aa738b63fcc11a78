/**
 * The repository as the tests of its own shape see it: which files there are, and their syntax. It reads only.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** The root of the repository, without a slash at the end. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** What no commit contains. */
const UNTRACKED = new Set(['.git', 'node_modules', 'build', 'dist', 'coverage']);

export interface SourceFile {
  /** Path below the root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Returns all files below `directory`, a path below the root, sorted by path; build products are left out. */
export function filesBelow(directory: string): string[] {
  const absolute = join(ROOT, directory);
  const found: string[] = [];
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    if (UNTRACKED.has(entry.name)) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path));
    else if (entry.isFile()) found.push(relative('.', path));
  }
  return found.sort();
}

/** Reads one file. */
export function readSource(path: string): SourceFile {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

/** Reads the source files below some directories; generated ones and fixtures are left out. */
export function sourcesBelow(...directories: string[]): SourceFile[] {
  return directories.flatMap(filesBelow)
    .filter((path) => /\.(ts|mts|mjs|js)$/.test(path) && !/^(host\/generated|test\/fixtures)\//.test(path))
    .map(readSource);
}

const parsed = new Map<string, ts.SourceFile>();

/** Returns the syntax tree; AssemblyScript parses as TypeScript. */
export function parse({ path, text }: SourceFile): ts.SourceFile {
  let tree = parsed.get(path);
  if (tree === undefined || tree.text !== text) {
    tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
    parsed.set(path, tree);
  }
  return tree;
}

/** Calls `see` with every node of a tree. */
export function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

/** Returns the modules that a file names: imports, exports from, import(), require() and import types. */
export function modulesOf(file: SourceFile): string[] {
  const names: string[] = [];
  const add = (node: ts.Node | undefined): void => {
    if (node !== undefined && ts.isStringLiteralLike(node)) names.push(node.text);
  };
  visit(parse(file), (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    else if (ts.isCallExpression(node) && loadsModule(node)) add(node.arguments[0]);
  });
  return names;
}

/** Whether a call is import(…), or a call of something whose name says that it is a require. */
function loadsModule({ expression }: ts.CallExpression): boolean {
  return expression.kind === ts.SyntaxKind.ImportKeyword || /(^|\.)require(\.resolve)?$/i.test(expression.getText());
}

/** Returns `path:line` of a node, for messages. */
export function placeOf(node: ts.Node): string {
  const source = node.getSourceFile();
  return `${source.fileName}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
