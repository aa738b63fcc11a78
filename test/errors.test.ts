/**
 * One set of codes and statuses in four places: the tables of the host, its code, the core, and the documents. Each is
 * compared with the others both ways, so that none can gain or lose one alone.
 */
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode, type ErrorKind } from '../host/errors/codes.ts';
import { outOfRange, VarveError, wrongType } from '../host/errors/varve-error.ts';
import { Status } from '../host/generated/abi.ts';
import { statusName } from '../host/log/segments.ts';
import { filesBelow, parse, placeOf, readSource, sourcesBelow, visit } from './support/repository.ts';

const CODE = /ERR_VARVE_[A-Z_]*[A-Z]/g;
/** Codes that nothing throws yet, and why they are in the table all the same. */
const NOT_USED_YET: Partial<Record<ErrorCode, string>> = {};

const host = sourcesBelow('host').filter(({ path }) => path !== 'host/errors/codes.ts');
const document = readSource('docs/errors.md').text;

/** The rows of the tables of a document that begin with a name in backticks: name, then the other cells. */
function rowsOf(text: string): [name: string, ...cells: string[]][] {
  return [...text.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, name, rest]) => [name!, ...rest!.split(' | ')]);
}

/** Every code that a file's code names in a string, with its place. */
function codesIn(file: (typeof host)[number]): { code: string; place: string }[] {
  const found: { code: string; place: string }[] = [];
  visit(parse(file), (node) => {
    if (!ts.isStringLiteralLike(node)) return;
    for (const [code] of node.text.matchAll(CODE)) found.push({ code, place: placeOf(node) });
  });
  return found;
}

describe('docs/errors.md', () => {
  it('has a row for every code, with the kind, the meaning and the advice of the source, in its order', () => {
    const expected = Object.entries(ERROR_CODES).map(([code, { kind, means, next }]) => [code, kind, means, next]);
    expect(rowsOf(document)).toEqual(expected);
  });

  it('has a section for every kind', () => {
    const kinds = new Set<ErrorKind>(Object.values(ERROR_CODES).map(({ kind }) => kind));
    const sections = [...document.matchAll(/^### (\w+)$/gm)].map(([, kind]) => kind);
    expect(sections.sort()).toEqual([...kinds].sort());
  });

  it('shows in each section errors of that kind, as they come', () => {
    for (const section of document.split(/^### /m).slice(1)) {
      const kind = /^\w+/.exec(section)![0];
      const examples = [...section.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => JSON.parse(text!) as Example);
      expect(examples.length, kind).toBeGreaterThan(0);
      for (const { code, message, details } of examples) {
        expect([code, ERROR_CODES[code].kind]).toEqual([code, kind]);
        expect(message).not.toBe('');
        // The path stands in the message as well as in the details.
        if (typeof details['path'] === 'string') expect(message).toContain(details['path']);
      }
    }
  });
});

interface Example { code: ErrorCode; message: string; details: Record<string, unknown> }

describe('the codes', () => {
  it('that the host names are all in the table', () => {
    const unknown = host.flatMap(codesIn).filter(({ code }) => !(code in ERROR_CODES));
    expect(unknown.map(({ code, place }) => `${place}: ${code}`)).toEqual([]);
  });

  it('of the table are all thrown somewhere, but for those that are listed with a reason', () => {
    const used = new Set(host.flatMap(codesIn).map(({ code }) => code));
    const unused = Object.keys(ERROR_CODES).filter((code) => !used.has(code));
    expect(unused).toEqual(Object.keys(NOT_USED_YET));
  });

  it('are given to VarveError as strings or as values of the type, never made up', () => {
    const wrong: string[] = [];
    for (const file of host) {
      visit(parse(file), (node) => {
        if (!ts.isNewExpression(node) || node.expression.getText() !== 'VarveError') return;
        const [code] = node.arguments ?? [];
        const fine = code !== undefined
          && (ts.isStringLiteral(code) ? code.text in ERROR_CODES : ts.isIdentifier(code));
        if (!fine) wrong.push(`${placeOf(node)}: ${node.getText().split('\n')[0]}`);
      });
    }
    expect(wrong).toEqual([]);
  });

  it('that comments and documents promise exist', () => {
    const documents = ['README.md', 'CHANGELOG.md', ...filesBelow('docs')].filter((path) => path.endsWith('.md'))
      .flatMap((path) => { try { return [readSource(path)]; } catch { return []; } });
    const wrong = [...host, ...documents].flatMap(({ path, text }) => [...text.matchAll(CODE)]
      .filter(([code]) => !(code in ERROR_CODES)).map(([code]) => `${path}: ${code}`));
    expect(wrong).toEqual([]);
  });

  it('say what they mean and what to do in whole sentences', () => {
    for (const [code, { means, next }] of Object.entries(ERROR_CODES)) {
      expect(means, code).toMatch(/^[A-Za-z].*\.$/);
      expect(next, code).toMatch(/^[A-Z].*\.$/);
      expect(`${means}${next}`, `${code} would break the table`).not.toMatch(/[|\n]/);
    }
  });
});

describe('a VarveError', () => {
  it.each(Object.entries(ERROR_CODES))('of code %s has its kind', (code, { kind }) => {
    const cause = new Error('first');
    const error = new VarveError(code as ErrorCode, 'what happened', { path: '/x' }, cause);
    expect(error).toMatchObject({ name: 'VarveError', code, kind, message: 'what happened', details: { path: '/x' }, cause });
    expect(VarveError.is(error, code as ErrorCode)).toBe(true);
  });

  it('has no cause where there was none', () => {
    expect('cause' in new VarveError('ERR_VARVE_CLOSED', 'x')).toBe(false);
  });

  it('for wrong arguments is a TypeError or a RangeError with the code and kind of the table', () => {
    const { kind } = ERROR_CODES.ERR_VARVE_INVALID_ARGUMENT;
    const code = 'ERR_VARVE_INVALID_ARGUMENT';
    const values: [value: unknown, text: string][] = [
      [null, 'null'], [7, '7'], ['text', '\'text\''], [undefined, 'undefined'], [new Map(), 'an instance of Map'],
      [() => 1, 'a function'], [Object.create(null), 'an instance of Object'], [10n, '10'],
      ['x'.repeat(100), `'${'x'.repeat(40)}…'`],
    ];
    for (const [value, actual] of values) {
      const details = { argument: 'lsn', expected: 'a number', actual };
      const [type, range] = [wrongType('lsn', 'a number', value), outOfRange('lsn', 'a number', value)];
      for (const error of [type, range]) expect(error).toMatchObject({ code, kind, details });
      expect(type).toBeInstanceOf(TypeError);
      expect(range).toBeInstanceOf(RangeError);
      expect(VarveError.is(type)).toBe(false);
    }
  });
});

describe('the statuses of the core', () => {
  /** Names, values and comments, as the core's source has them. */
  function inTheCore(): { name: string; value: number; text: string }[] {
    const found: { name: string; value: number; text: string }[] = [];
    const source = parse(readSource('assembly/abi/status.ts'));
    visit(source, (node) => {
      if (!ts.isEnumMember(node)) return;
      const text = /\/\*\* (.*) \*\//.exec(source.text.slice(node.getFullStart(), node.getStart()))?.[1] ?? '';
      found.push({ name: node.name.getText(), value: Number(node.initializer!.getText()), text });
    });
    return found;
  }

  it('are those of the host, each with a name for people', () => {
    expect(Object.fromEntries(inTheCore().map(({ name, value }) => [name, value]))).toEqual(Status);
    for (const { name, value } of inTheCore()) expect(statusName(value)).toBe(name);
    expect(statusName(-99)).toBe('status -99');
  });

  it('are zero or negative, dense, and none twice', () => {
    expect(inTheCore().map(({ value }) => value)).toEqual(inTheCore().map((_, at) => -at).map((value) => value + 0));
  });

  it('have a text each, the same in docs/format.md', () => {
    const table = readSource('docs/format.md').text.split('<!-- table: Status -->')[1]!;
    const rows = [...table.matchAll(/^\| (-?\d+) \| `(\w+)` \| (.*) \|$/gm)]
      .map(([, value, name, text]) => ({ name, value: Number(value), text }));
    expect(rows).toEqual(inTheCore());
    expect(inTheCore().filter(({ text }) => text === '')).toEqual([]);
  });
});
