/**
 * What the names of types in a source stand for. Syntax is enough: a type of varve is one that an import from
 * 'varve/schema' gives, by its own name, under another one, or as a member of a namespace.
 */
import type { EntityName, ImportDeclaration, Node, SourceFile } from 'typescript';
import type { TypeScript } from './typescript.ts';

export const SCHEMA_MODULE = 'varve/schema';

/** What a name stands for. */
export type Meaning =
  /** A type of varve/schema, by its name there. */
  | { readonly from: 'varve'; readonly name: string }
  /** Something of another module. */
  | { readonly from: 'module'; readonly module: string }
  /** A declaration of the source itself. */
  | { readonly from: 'source' }
  /** Nothing that the source names: a global, or a mistake. */
  | { readonly from: 'nowhere' };

export class Imports {
  private readonly ts: TypeScript;
  private readonly names = new Map<string, Meaning>();
  private readonly namespaces = new Set<string>();
  /** Imports from varve/schema that give nothing. */
  readonly wrong: { readonly node: Node; readonly message: string }[] = [];

  constructor(ts: TypeScript, source: SourceFile) {
    this.ts = ts;
    for (const statement of source.statements) {
      if (ts.isImportDeclaration(statement)) {
        this.addImport(statement);
      } else if (ts.isImportEqualsDeclaration(statement)) {
        const { moduleReference } = statement;
        const module = ts.isExternalModuleReference(moduleReference) && ts.isStringLiteral(moduleReference.expression)
          ? moduleReference.expression.text : '';
        if (module === SCHEMA_MODULE) this.namespaces.add(statement.name.text);
        else this.names.set(statement.name.text, { from: 'module', module });
      } else {
        this.addDeclared(statement);
      }
    }
  }

  /** What a name stands for; a name with a dot is a namespace's member. */
  meaningOf(name: EntityName): Meaning {
    const { ts } = this;
    if (ts.isIdentifier(name)) return this.names.get(name.text) ?? { from: 'nowhere' };
    if (!ts.isIdentifier(name.left)) return { from: 'nowhere' };
    if (this.namespaces.has(name.left.text)) return { from: 'varve', name: name.right.text };
    return this.names.get(name.left.text) ?? { from: 'nowhere' };
  }

  private addImport({ moduleSpecifier, importClause }: ImportDeclaration): void {
    const { ts } = this;
    if (!ts.isStringLiteral(moduleSpecifier) || importClause === undefined) return;
    const module = moduleSpecifier.text;
    const isVarve = module === SCHEMA_MODULE;
    const { name, namedBindings } = importClause;
    if (name !== undefined) {
      this.names.set(name.text, { from: 'module', module });
      if (isVarve) {
        this.wrong.push({ node: name, message: `'${module}' has no default export; import the types by their names` });
      }
    }
    if (namedBindings === undefined) return;
    if (ts.isNamespaceImport(namedBindings)) {
      if (isVarve) this.namespaces.add(namedBindings.name.text);
      else this.names.set(namedBindings.name.text, { from: 'module', module });
      return;
    }
    for (const { name: local, propertyName } of namedBindings.elements) {
      this.names.set(local.text, isVarve ? { from: 'varve', name: (propertyName ?? local).text } : { from: 'module', module });
    }
  }

  private addDeclared(statement: Node): void {
    const { ts } = this;
    const isDeclaration = ts.isTypeAliasDeclaration(statement) || ts.isInterfaceDeclaration(statement)
      || ts.isClassDeclaration(statement) || ts.isEnumDeclaration(statement) || ts.isModuleDeclaration(statement);
    if (isDeclaration && statement.name !== undefined && !this.names.has(statement.name.text)) {
      this.names.set(statement.name.text, { from: 'source' });
    }
  }
}
