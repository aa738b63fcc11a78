/**
 * The type of a member: a type of 'varve/schema', a union of strings, or one of these and null. Everything else is a
 * mistake, which says what to write instead.
 */
import type {
  LiteralTypeNode, Node, NumericLiteral, StringLiteral, TypeNode, TypeReferenceNode,
} from 'typescript';
import { TYPED_STRIDE_MAX } from '../generated/abi.ts';
import { type Imports, SCHEMA_MODULE } from './imports.ts';
import { NUMBER_KINDS, type NumberKind, type ValueModel } from './model.ts';
import type { TypeScript } from './typescript.ts';

/** What a member holds. */
export interface MemberType {
  readonly value: ValueModel;
  readonly nullable: boolean;
}

/** Takes note of a mistake. */
export type Report = (node: Node, message: string) => undefined;

const COUNT_MAX = TYPED_STRIDE_MAX;
const FROM = `of '${SCHEMA_MODULE}'`;
/** Types of the language and what to write instead of them. */
const INSTEAD: Readonly<Record<string, string>> = {
  number: `number has no width; write f64, f32, i8, i16, i32, u8, u16, u32, i64<number> or u64<number> ${FROM}`,
  string: `string has no bound; write Str<64> ${FROM}, 64 being the most bytes, or a union of the strings that there are`,
  boolean: `boolean is not stored as such; write bool ${FROM}`,
  bigint: `bigint has no width; write i64 or u64 ${FROM}`,
  Date: `Date is not stored as such; write Timestamp ${FROM}, which is a number of milliseconds`,
  Uint8Array: `Uint8Array has no bound; write Bytes<32> ${FROM}, 32 being the most bytes`,
  Buffer: `Buffer has no bound; write Bytes<32> ${FROM}, 32 being the most bytes`,
  Array: `an array has no length; write FixedArray<f64, 3> ${FROM}`,
  Record: 'an object cannot be nested; give its fields to the interface itself',
};
const UNKNOWN = 'write bool, f64, u32, Str<64>, Bytes<32>, Timestamp, FixedArray<f64, 3> or the like, or a union of strings';
const MIXED = 'a union is made of strings, or of one type and null';
const BOUNDED = { Str: 'str', Bytes: 'bytes' } as const;

export class TypeParser {
  private readonly ts: TypeScript;
  private readonly imports: Imports;
  private readonly report: Report;

  constructor(ts: TypeScript, imports: Imports, report: Report) {
    this.ts = ts;
    this.imports = imports;
    this.report = report;
  }

  /** Reads the type of a member; undefined where there was a mistake. */
  member(node: TypeNode): MemberType | undefined {
    const { ts } = this;
    const parts = this.partsOf(node);
    const values = parts.filter((part) => !this.isNull(part));
    const nullable = values.length < parts.length;
    const [first] = values;
    if (first === undefined) return this.report(node, `null alone is no type; ${UNKNOWN}`);
    const absent = values.find(({ kind }) => kind === ts.SyntaxKind.UndefinedKeyword);
    if (absent !== undefined && values.length > 1) {
      return this.report(absent, 'a field is always there; write null where it may have no value');
    }
    if (values.some((part) => this.isText(part))) return this.enumeration(values, nullable);
    if (values.length > 1) return this.report(values[1]!, this.asKeyword(first, values) ?? MIXED);
    const value = this.value(first);
    return value === undefined ? undefined : { value, nullable };
  }

  /** The parts of a union, without parentheses. */
  private partsOf(node: TypeNode): TypeNode[] {
    const { ts } = this;
    if (ts.isParenthesizedTypeNode(node)) return this.partsOf(node.type);
    return ts.isUnionTypeNode(node) ? node.types.flatMap((part) => this.partsOf(part)) : [node];
  }

  private isNull(node: TypeNode): boolean {
    return this.ts.isLiteralTypeNode(node) && node.literal.kind === this.ts.SyntaxKind.NullKeyword;
  }

  private isText(node: TypeNode): node is LiteralTypeNode {
    return this.ts.isLiteralTypeNode(node) && this.ts.isStringLiteral(node.literal);
  }

  /** What to say about `true | false`. */
  private asKeyword(first: TypeNode, values: readonly TypeNode[]): string | undefined {
    const { ts } = this;
    const isBoolean = (node: TypeNode): boolean => ts.isLiteralTypeNode(node)
      && (node.literal.kind === ts.SyntaxKind.TrueKeyword || node.literal.kind === ts.SyntaxKind.FalseKeyword);
    return isBoolean(first) && values.every(isBoolean) ? INSTEAD['boolean']! : undefined;
  }

  private enumeration(parts: readonly TypeNode[], nullable: boolean): MemberType | undefined {
    const values: string[] = [];
    for (const part of parts) {
      if (!this.isText(part)) return this.report(part, MIXED);
      const { text } = part.literal as StringLiteral;
      if (values.includes(text)) return this.report(part, `'${text}' stands twice in one union`);
      values.push(text);
    }
    return { value: { kind: 'enum', values }, nullable };
  }

  private value(node: TypeNode): ValueModel | undefined {
    const { ts } = this;
    if (ts.isTypeReferenceNode(node)) return this.reference(node);
    const keyword = ts.tokenToString(node.kind);
    const instead = keyword === undefined ? undefined : INSTEAD[keyword];
    if (instead !== undefined) return this.report(node, instead);
    if (ts.isArrayTypeNode(node) || ts.isTupleTypeNode(node) || ts.isTypeOperatorNode(node)) {
      return this.report(node, INSTEAD['Array']!);
    }
    if (ts.isTypeLiteralNode(node) || ts.isMappedTypeNode(node)) {
      return this.report(node, INSTEAD['Record']!);
    }
    return this.report(node, `${oneLine(node.getText())} cannot be stored; ${UNKNOWN}`);
  }

  private reference(node: TypeReferenceNode): ValueModel | undefined {
    const { typeName } = node;
    const shown = typeName.getText();
    const meaning = this.imports.meaningOf(typeName);
    if (meaning.from === 'varve') return this.varveType(node, meaning.name);
    if (meaning.from === 'source') {
      return this.report(typeName, `${shown} is declared in this file, and types are not looked up; write it out: ${UNKNOWN}`);
    }
    if (isVarveName(shown)) {
      const where = meaning.from === 'module' ? `is from '${meaning.module}'` : 'is not imported';
      return this.report(typeName, `${shown} ${where}; write import type { ${shown} } from '${SCHEMA_MODULE}'`);
    }
    const instead = meaning.from === 'nowhere' ? INSTEAD[shown] : undefined;
    return this.report(typeName, instead ?? `unknown type ${shown}; ${UNKNOWN}`);
  }

  private varveType(node: TypeReferenceNode, name: string): ValueModel | undefined {
    const given = node.typeArguments ?? [];
    if (name === 'Str' || name === 'Bytes') {
      const max = this.bound(node, name, `${name}<64>`, 'bound');
      return max === undefined ? undefined : { kind: BOUNDED[name], max };
    }
    if (name === 'i64' || name === 'u64') return this.wide(node, name);
    if (name === 'FixedArray') return this.array(node);
    if (!isVarveName(name)) {
      return this.report(node.typeName, `'${SCHEMA_MODULE}' has no type ${name} for fields; ${UNKNOWN}`);
    }
    if (given.length > 0) return this.report(given[0]!, `${name} takes nothing in angle brackets`);
    if (name === 'Timestamp') return { kind: 'timestamp' };
    return name === 'bool' ? { kind: 'bool' } : { kind: name as NumberKind, as: 'number' };
  }

  private wide(node: TypeReferenceNode, kind: 'i64' | 'u64'): (ValueModel & { readonly kind: NumberKind }) | undefined {
    const { SyntaxKind } = this.ts;
    const [as, more] = node.typeArguments ?? [];
    if (more !== undefined) return this.report(more, `${kind} takes number or bigint, and nothing else`);
    if (as === undefined || as.kind === SyntaxKind.BigIntKeyword) return { kind, as: 'bigint' };
    if (as.kind === SyntaxKind.NumberKeyword) return { kind, as: 'number' };
    return this.report(as, `${kind} takes number or bigint, not ${oneLine(as.getText())}`);
  }

  private array(node: TypeReferenceNode): ValueModel | undefined {
    const [type] = node.typeArguments ?? [];
    const count = this.bound(node, 'FixedArray', 'FixedArray<f64, 3>', 'length', 1);
    if (count === undefined || type === undefined) return undefined;
    const element = this.value(type);
    if (element === undefined) return undefined;
    if (!isNumber(element)) return this.report(type, `an array holds numbers: ${NUMBER_KINDS.join(', ')}`);
    return { kind: 'array', element, count };
  }

  /** The integer that a type is given, as its last argument. */
  private bound(node: TypeReferenceNode, name: string, example: string, what: string, at = 0): number | undefined {
    const given = node.typeArguments ?? [];
    const bound = given[at];
    if (bound === undefined) return this.report(node, `${name} lacks its ${what}; write ${example}`);
    if (given.length > at + 1) return this.report(given[at + 1]!, `${name} takes no more than that: ${example}`);
    const value = this.numberOf(bound);
    if (value === undefined) {
      return this.report(bound, `the ${what} of ${name} must be a number, written out, not ${oneLine(bound.getText())}`);
    }
    if (!Number.isInteger(value) || value < 1 || value > COUNT_MAX) {
      return this.report(bound, `the ${what} of ${name} must be an integer from 1 to ${COUNT_MAX}, not ${bound.getText()}`);
    }
    return value;
  }

  private numberOf(node: TypeNode): number | undefined {
    const { ts } = this;
    if (!ts.isLiteralTypeNode(node)) return undefined;
    const { literal } = node;
    if (ts.isNumericLiteral(literal)) return Number(literal.text);
    const isNegative = ts.isPrefixUnaryExpression(literal) && literal.operator === ts.SyntaxKind.MinusToken
      && ts.isNumericLiteral(literal.operand);
    return isNegative ? -Number((literal.operand as NumericLiteral).text) : undefined;
  }
}

const VARVE_NAMES: ReadonlySet<string> = new Set([
  ...NUMBER_KINDS, 'bool', 'Str', 'Bytes', 'Timestamp', 'FixedArray',
]);

function isVarveName(name: string): boolean {
  return VARVE_NAMES.has(name);
}

function isNumber(value: ValueModel): value is ValueModel & { readonly kind: NumberKind } {
  return (NUMBER_KINDS as readonly string[]).includes(value.kind);
}

/** The beginning of a piece of source, for a message. */
export function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 40 ? `${line.slice(0, 39)}…` : line;
}
