/**
 * The shape of the sources: which way imports go, what no file may contain, and how each begins. Every failure names
 * the file and what is wrong with it. The directions are in support/directions.ts.
 */
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { ASSEMBLY, FACES, GUARDED, HOST, PARTIAL } from './support/directions.ts';
import {
  filesBelow, modulesOf, parse, placeOf, readSource, ROOT, sourcesBelow, type SourceFile, visit,
} from './support/repository.ts';

const LINES_MAX = 400;

const assembly = sourcesBelow('assembly');
const host = sourcesBelow('host');
const tests = sourcesBelow('test', 'test-as');
const everything = [...assembly, ...host, ...tests, ...sourcesBelow('scripts', 'bench')];

/** Returns the unit of a path below assembly/ or host/: 'log' for host/log/pool.ts, 'index' for host/index.ts. */
function unitOf(path: string): string {
  const [, first = '', second = ''] = path.replace(/\.ts$/, '').split('/');
  return first === 'faces' ? `faces/${second}` : first;
}

function isFace(unit: string): boolean {
  return FACES.includes(unit) || unit.startsWith('faces/');
}

/** Returns the path below the root that a relative import means, with the ending that the file has. */
function resolveImport(from: string, name: string): string {
  const path = posix.join(posix.dirname(from), name);
  return existsSync(join(ROOT, path)) || /\.(ts|wasm)$/.test(path) ? path : `${path}.ts`;
}

/** Says what is wrong with the relative imports of a file. */
function wrongDirections(file: SourceFile, root: string, allowed: (unit: string) => readonly string[] | undefined) {
  const unit = unitOf(file.path);
  const targets = allowed(unit);
  if (targets === undefined) return [`${file.path}: ${root}/${unit} is not in test/support/directions.ts`];
  return modulesOf(file).filter((name) => name.startsWith('.')).flatMap((name) => {
    const target = resolveImport(file.path, name);
    if (/^build\/core[\w.]*\.wasm$/.test(target)) return [];
    if (!existsSync(join(ROOT, target))) return [`${file.path} imports '${name}', which does not exist`];
    if (!target.startsWith(`${root}/`)) return [`${file.path} imports '${name}' from outside ${root}/`];
    const to = unitOf(target);
    const partial = PARTIAL.find((rule) => rule.from === unit && rule.to === to);
    const fine = (to === unit || targets.includes(to) || (isFace(to) && targets.includes('faces')))
      && (partial === undefined || partial.files.includes(posix.basename(target)));
    return fine ? [] : [`${file.path} imports '${name}': ${root}/${unit} may not import ${root}/${to}`];
  });
}

/** Returns the places of nodes that match. */
function placesOf(files: readonly SourceFile[], matches: (node: ts.Node) => boolean): string[] {
  const places: string[] = [];
  for (const file of files) {
    visit(parse(file), (node) => {
      if (matches(node)) places.push(`${placeOf(node)}: ${node.getText().split('\n')[0]}`);
    });
  }
  return places;
}

/** Whether a node reads `object.name` for one of the objects and names. */
function isProperty(node: ts.Node, objects: RegExp, names: RegExp): boolean {
  return ts.isPropertyAccessExpression(node) && objects.test(node.expression.getText()) && names.test(node.name.text);
}

describe('imports', () => {
  it('go only downward in assembly/', () => {
    expect(assembly.flatMap((file) => wrongDirections(file, 'assembly', (unit) => ASSEMBLY[unit]))).toEqual([]);
  });

  it('go only downward in host/, and no face imports another one', () => {
    const allowed = (unit: string) => HOST[isFace(unit) ? 'faces' : unit];
    expect(host.flatMap((file) => wrongDirections(file, 'host', allowed))).toEqual([]);
  });

  it('reach the operating system, native packages and the wasm modules from their own units only', () => {
    const wrong = host.flatMap((file) => modulesOf(file).filter((name) => GUARDED.some(({ modules, units, files }) =>
      modules.test(name) && !units.includes(unitOf(file.path)) && !(file.path in files)))
      .map((name) => `${file.path} imports '${name}'`));
    expect(wrong).toEqual([]);
  });

  it('of native packages hide behind no other string', () => {
    const outside = host.filter((file) => unitOf(file.path) !== 'io');
    const native = /^(koffi|@riaskov\/mmap-io)(\/|$)/;
    expect(placesOf(outside, (node) => ts.isStringLiteralLike(node) && native.test(node.text))).toEqual([]);
  });
});

describe('the core', () => {
  it('is called by host/core alone', () => {
    const outside = host.filter((file) => unitOf(file.path) !== 'core');
    expect(placesOf(outside, (node) => isProperty(node, /./, /^exports$/)
      || isProperty(node, /^WebAssembly$/, /^(Instance|Module|instantiate|compile)/))).toEqual([]);
  });

  it('has no atomic.fence, which the optimizer deletes', () => {
    expect(placesOf(assembly, (node) => isProperty(node, /^atomic$/, /^fence$/))).toEqual([]);
  });
});

describe('every file', () => {
  it('evaluates no text', () => {
    expect(placesOf(everything, (node) => {
      if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return false;
      return /^((globalThis|global|vm)\.)?(eval|Function)$/.test(node.expression.getText());
    })).toEqual([]);
  });

  it('runs all of its tests', () => {
    const suites = /^(it|test|describe|suite|bench)\b/;
    expect(placesOf(tests, (node) => isProperty(node, suites, /^(skip|only|todo|fails)$/)
      || (ts.isCallExpression(node) && /^(xit|xtest|xdescribe|fit|fdescribe)$/.test(node.expression.getText())),
    )).toEqual([]);
  });

  it('of assembly/ and host/ begins with a comment that says what it owns', () => {
    expect([...assembly, ...host].filter((file) => !beginsWithComment(file)).map(({ path }) => path)).toEqual([]);
  });

  it(`has at most ${LINES_MAX} lines`, () => {
    const long = everything.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(long.map(({ path, lines }) => `${path}: ${lines} lines`)).toEqual([]);
  });

  it('names no path of the machine it was written on', () => {
    const machine = new RegExp(['/wo' + 'rk/', '/ro' + 'ot/', '/tmp/ba' + 'sh_', '/ho' + 'me/\\w', '/Us' + 'ers/\\w'].join('|'));
    const wrong = filesBelow('.').filter((path) => /\.(ts|mts|mjs|js|json|md|ya?ml|sh|txt)$|^\.ci\//.test(path))
      .flatMap((path) => readSource(path).text.split('\n')
        .map((line, at) => ({ line, place: `${path}:${at + 1}` }))
        .filter(({ line }) => machine.test(line)));
    expect(wrong.map(({ place, line }) => `${place}: ${line.trim()}`)).toEqual([]);
  });
});

/** Before the comment there may be imports, so that a picture can stand right over the structure that it shows. */
function beginsWithComment(file: SourceFile): boolean {
  if (/^(#!.*\n)?\s*\/\*/.test(file.text)) return true;
  const first = parse(file).statements.find((statement) => !ts.isImportDeclaration(statement));
  return first !== undefined && /^\s*\/\*/.test(file.text.slice(first.getFullStart()));
}
