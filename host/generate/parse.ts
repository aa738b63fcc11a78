/**
 * Reads a source: every interface with `@varve` in its doc comment becomes a model, and whatever cannot become one is a
 * mistake with its line and column. Nothing is passed over: each `@varve` belongs to a model or to a mistake.
 */
import type {
  InterfaceDeclaration, Node, PropertySignature, SourceFile, Statement, TypeElement,
} from 'typescript';
import { commentsOf, docRangeOf, isDoc, readDoc, tagsIn, type Tag } from './comments.ts';
import { Imports } from './imports.ts';
import { NO_DOC, type FieldModel, type Mistake, type RecordModel } from './model.ts';
import { accessorsOf, IDENTIFIER, INHERITED } from './names.ts';
import { oneLine, TypeParser } from './parse-type.ts';
import type { TypeScript } from './typescript.ts';

/** A file to read. */
export interface Source {
  /** Absolute path. */
  readonly path: string;
  /** The path for messages. */
  readonly file: string;
  readonly text: string;
}

export interface Parsed {
  /** Complete only where there is no mistake. */
  readonly records: readonly RecordModel[];
  /** In the order of their places. */
  readonly mistakes: readonly Mistake[];
}

const VERSION_MAX = 0xffffffff;
const EXAMPLE = 'write @varve version=1';

export function parseSource(ts: TypeScript, source: Source): Parsed {
  return new SourceParser(ts, source).parse();
}

class SourceParser {
  private readonly ts: TypeScript;
  private readonly source: Source;
  private readonly tree: SourceFile;
  private readonly imports: Imports;
  private readonly types: TypeParser;
  private readonly mistakes: Mistake[] = [];
  /** Offsets of the `@varve` that something was said about, or made of. */
  private readonly seen = new Set<number>();
  private readonly annotated = new Set<string>();

  constructor(ts: TypeScript, source: Source) {
    this.ts = ts;
    this.source = source;
    this.tree = ts.createSourceFile(source.path, source.text, ts.ScriptTarget.Latest, true);
    this.imports = new Imports(ts, this.tree);
    this.types = new TypeParser(ts, this.imports, (node, message) => this.report(node, message));
  }

  parse(): Parsed {
    this.reportSyntax();
    if (this.mistakes.length > 0) return { records: [], mistakes: this.mistakes };
    const records = this.tree.statements.flatMap((statement) => this.statement(statement) ?? []);
    this.reportTwins();
    this.reportOthers();
    if (records.length === 0 && this.mistakes.length === 0) {
      this.reportAt(0, `no interface is annotated; ${EXAMPLE} in the doc comment of an exported interface`);
    }
    for (const { node, message } of this.imports.wrong) this.report(node, message);
    this.mistakes.sort((a, b) => a.line - b.line || a.column - b.column);
    return { records, mistakes: this.mistakes };
  }

  private reportAt(offset: number, message: string): undefined {
    const { line, character } = this.tree.getLineAndCharacterOfPosition(offset);
    this.mistakes.push({ file: this.source.file, line: line + 1, column: character + 1, message });
  }

  private report(node: Node, message: string): undefined {
    return this.reportAt(node.getStart(this.tree), message);
  }

  /** What the compiler calls an error without knowing any type. */
  private reportSyntax(): void {
    const { ts, source, tree } = this;
    // As a source, also where it is a file of declarations: of these nothing would be compiled.
    const { diagnostics = [] } = ts.transpileModule(source.text, {
      fileName: source.path.endsWith('x') ? 'source.tsx' : 'source.ts', reportDiagnostics: true, compilerOptions: { target: ts.ScriptTarget.ESNext },
    });
    for (const { file, start, messageText, category } of diagnostics) {
      if (file === undefined || start === undefined || category !== ts.DiagnosticCategory.Error) continue;
      this.reportAt(Math.min(start, tree.end), ts.flattenDiagnosticMessageText(messageText, ' '));
    }
  }

  /** The model of a statement that is an annotated interface. */
  private statement(statement: Statement): RecordModel | undefined {
    const { ts, tree } = this;
    const range = docRangeOf(ts, tree, statement);
    const doc = range === undefined ? undefined : readDoc(tree, range);
    const [tag] = doc?.tagged ?? [];
    if (doc === undefined || tag === undefined) return undefined;
    if (!ts.isInterfaceDeclaration(statement)) {
      this.seen.add(tag.at);
      return this.reportAt(tag.at, `@varve annotates ${this.kindOf(statement)}; annotate an exported interface`);
    }
    this.annotated.add(statement.name.text);
    const version = this.version(doc.tagged);
    this.checkInterface(statement);
    const fields = this.fields(statement);
    if (version === undefined) return undefined;
    return {
      name: statement.name.text, version, doc, fields, place: this.placeOf(statement.name), source: this.source.path,
      file: this.source.file,
    };
  }

  private placeOf(node: Node) {
    const { line, character } = this.tree.getLineAndCharacterOfPosition(node.getStart(this.tree));
    return { line: line + 1, column: character + 1 };
  }

  /** `a class`, `a type alias` */
  private kindOf(statement: Statement): string {
    const { ts } = this;
    if (ts.isTypeAliasDeclaration(statement)) return 'a type alias';
    if (ts.isClassDeclaration(statement)) return 'a class';
    if (ts.isEnumDeclaration(statement)) return 'an enum';
    if (ts.isFunctionDeclaration(statement)) return 'a function';
    if (ts.isVariableStatement(statement)) return 'a variable';
    if (ts.isModuleDeclaration(statement)) return 'a namespace';
    return 'a statement';
  }

  /** Reads what stands behind `@varve`. */
  private version([tag, ...more]: readonly Tag[]): number | undefined {
    for (const { at } of more) {
      this.seen.add(at);
      this.reportAt(at, '@varve stands twice in one doc comment');
    }
    if (tag === undefined) return undefined;
    this.seen.add(tag.at);
    let version: number | undefined;
    for (const word of tag.text.split(/\s+/).filter((one) => one !== '')) {
      const match = /^version=(.*)$/.exec(word);
      if (match === null) return this.reportAt(tag.at, `@varve knows no ${oneLine(word)}; ${EXAMPLE}`);
      if (version !== undefined) return this.reportAt(tag.at, 'version stands twice behind @varve');
      version = Number(match[1]);
      if (!/^\d+$/.test(match[1]!) || version < 1 || version > VERSION_MAX) {
        return this.reportAt(tag.at, `version must be an integer from 1 to ${VERSION_MAX}, not ${oneLine(match[1]!) || 'nothing'}`);
      }
    }
    return version ?? this.reportAt(tag.at, `@varve lacks its version; ${EXAMPLE}`);
  }

  private checkInterface(node: InterfaceDeclaration): void {
    const { name, typeParameters, heritageClauses } = node;
    if (!this.isExported(node)) this.report(name, `${name.text} is not exported; write export interface ${name.text}`);
    if (!IDENTIFIER.test(name.text)) {
      this.report(name, `${name.text} must be made of the letters A to Z and a to z, digits, _ and $`);
    }
    if (typeParameters?.[0] !== undefined) {
      this.report(typeParameters[0], `${name.text} must not be generic: a file holds records of one type`);
    }
    if (heritageClauses?.[0] !== undefined) {
      this.report(heritageClauses[0], `${name.text} must not extend anything; write all fields into it, in their order`);
    }
  }

  /** Interfaces of one name are one to the compiler, so that a part of the fields would stand somewhere else. */
  private reportTwins(): void {
    const met = new Set<string>();
    for (const statement of this.tree.statements) {
      if (!this.ts.isInterfaceDeclaration(statement)) continue;
      const { name } = statement;
      if (this.annotated.has(name.text) && met.has(name.text)) {
        this.report(name, `${name.text} is declared twice; write all of its fields into one interface`);
      }
      met.add(name.text);
    }
  }

  private isExported(node: InterfaceDeclaration): boolean {
    const { ts, tree } = this;
    if (node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true) return true;
    return tree.statements.some((statement) => ts.isExportDeclaration(statement)
      && statement.moduleSpecifier === undefined && statement.exportClause !== undefined
      && ts.isNamedExports(statement.exportClause)
      && statement.exportClause.elements.some(({ name, propertyName = name }) => propertyName.text === node.name.text));
  }

  private fields(node: InterfaceDeclaration): FieldModel[] {
    const fields: FieldModel[] = [];
    const taken = new Map<string, string>();
    for (const member of node.members) {
      const field = this.field(member, taken);
      if (field !== undefined) fields.push(field);
    }
    if (node.members.length > 0) return fields;
    this.report(node.name, `${node.name.text} has no members; a record has one field at least`);
    return fields;
  }

  private field(member: TypeElement, taken: Map<string, string>): FieldModel | undefined {
    const { ts, tree } = this;
    if (!ts.isPropertySignature(member)) return this.report(member, this.notAField(member));
    const name = this.nameOf(member);
    const readOnly = member.modifiers?.find(({ kind }) => kind === ts.SyntaxKind.ReadonlyKeyword);
    const shown = name ?? oneLine(member.name.getText(tree));
    if (readOnly !== undefined) this.report(readOnly, `${shown} must not be readonly: fields are set by everybody who writes`);
    if (member.questionToken !== undefined) {
      this.report(member.questionToken, `${shown} must not be optional; write | null where it may have no value`);
    }
    if (member.type === undefined) return this.report(member.name, `${shown} has no type`);
    if (name !== undefined && !this.isFree(member, name, taken)) return undefined;
    const type = this.types.member(member.type);
    if (name === undefined || type === undefined) return undefined;
    const range = docRangeOf(ts, tree, member);
    const doc = range === undefined ? NO_DOC : readDoc(tree, range);
    return { name, ...type, doc, place: this.placeOf(member.name) };
  }

  private notAField(member: TypeElement): string {
    const { ts } = this;
    if (ts.isMethodSignature(member)) return 'a record has no methods; only fields';
    if (ts.isIndexSignatureDeclaration(member)) return 'a record has no index signature; name each field';
    if (ts.isGetAccessor(member) || ts.isSetAccessor(member)) return 'a record has no accessors; only fields';
    return 'a record has no call signatures; only fields';
  }

  private nameOf({ name }: PropertySignature): string | undefined {
    const { ts, tree } = this;
    if (ts.isComputedPropertyName(name)) {
      return this.report(name, 'the name of a field must be written out, not computed');
    }
    const text = ts.isIdentifier(name) || ts.isStringLiteral(name) ? name.text : name.getText(tree);
    if (IDENTIFIER.test(text)) return text;
    return this.report(name, `${oneLine(name.getText(tree))} is no name for a field; use letters A to Z and a to z, `
      + 'digits, _ and $, no digit first');
  }

  /** Whether a field may have its name, and its accessors theirs. */
  private isFree({ name: node }: PropertySignature, name: string, taken: Map<string, string>): boolean {
    const { get, set } = accessorsOf(name);
    const other = taken.get(get);
    if (other === name) this.report(node, `${name} stands twice in one interface`);
    else if (other !== undefined) this.report(node, `${name} and ${other} would both have ${get} and ${set}; rename one of them`);
    if (INHERITED.has(name)) this.report(node, `${name} is what every object has; rename the field`);
    taken.set(get, other ?? name);
    return other === undefined && !INHERITED.has(name);
  }

  /** Reports each `@varve` that annotates nothing. */
  private reportOthers(): void {
    const { ts, tree } = this;
    for (const range of commentsOf(ts, tree)) {
      for (const at of tagsIn(tree, range)) {
        if (this.seen.has(at)) continue;
        const begins = /(^\/\*\*|\n)[^\S\n]*\*?[^\S\n]*$/.test(tree.text.slice(range.pos, at));
        if (!isDoc(tree, range)) this.reportAt(at, '@varve stands in a comment that is no doc comment; begin it with /**');
        else if (!begins) this.reportAt(at, '@varve must begin a line of the doc comment');
        else this.reportAt(at, '@varve stands before no interface at the top of the file; annotate an exported interface');
      }
    }
  }
}
