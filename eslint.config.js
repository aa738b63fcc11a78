/**
 * Lint rules: a little style, and the mistakes that types do not catch. No rule needs type information, so that the
 * whole tree takes seconds. AssemblyScript parses as TypeScript but for decorators in places TypeScript forbids.
 */
import stylistic from '@stylistic/eslint-plugin';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const style = {
  '@stylistic/array-bracket-spacing': ['error', 'never'],
  '@stylistic/arrow-parens': ['error', 'always'],
  '@stylistic/comma-dangle': ['error', 'only-multiline'],
  '@stylistic/comma-spacing': 'error',
  '@stylistic/eol-last': 'error',
  '@stylistic/indent': ['error', 2, {
    SwitchCase: 1,
    // Continuation lines are aligned by hand where that reads better: only statements and blocks are checked.
    ArrayExpression: 'off',
    CallExpression: { arguments: 'off' },
    FunctionDeclaration: { parameters: 'off' },
    FunctionExpression: { parameters: 'off' },
    ImportDeclaration: 'off',
    MemberExpression: 'off',
    ObjectExpression: 'off',
    VariableDeclarator: 'off',
    assignmentOperator: 'off',
    ignoredNodes: [
      'ConditionalExpression', 'LogicalExpression', 'BinaryExpression', 'TemplateLiteral *', 'TSUnionType',
      'TSIntersectionType', 'TSTypeParameterInstantiation *',
    ],
  }],
  '@stylistic/keyword-spacing': 'error',
  '@stylistic/max-len': ['error', { code: 120, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true,
    ignoreRegExpLiterals: true }],
  '@stylistic/no-multiple-empty-lines': ['error', { max: 1, maxBOF: 0, maxEOF: 0 }],
  '@stylistic/no-tabs': 'error',
  '@stylistic/no-trailing-spaces': 'error',
  '@stylistic/object-curly-spacing': ['error', 'always'],
  '@stylistic/quotes': ['error', 'single', { avoidEscape: true, allowTemplateLiterals: 'always' }],
  '@stylistic/semi': ['error', 'always'],
  '@stylistic/space-before-blocks': 'error',
  '@stylistic/space-infix-ops': 'error',
};

/** ESLint's own rules against plain mistakes; all but those that the compiler already reports in TypeScript. */
const mistakes = Object.fromEntries([
  'constructor-super', 'for-direction', 'getter-return', 'no-async-promise-executor', 'no-case-declarations',
  'no-class-assign', 'no-compare-neg-zero', 'no-cond-assign', 'no-const-assign', 'no-constant-binary-expression',
  'no-control-regex', 'no-debugger', 'no-delete-var', 'no-dupe-args', 'no-dupe-class-members', 'no-dupe-else-if',
  'no-dupe-keys', 'no-duplicate-case', 'no-empty-character-class', 'no-empty-pattern', 'no-ex-assign',
  'no-extra-boolean-cast', 'no-fallthrough', 'no-func-assign', 'no-global-assign', 'no-import-assign',
  'no-invalid-regexp', 'no-irregular-whitespace', 'no-loss-of-precision', 'no-misleading-character-class',
  'no-new-native-nonconstructor', 'no-obj-calls', 'no-prototype-builtins', 'no-regex-spaces', 'no-self-assign',
  'no-self-compare', 'no-setter-return', 'no-shadow-restricted-names', 'no-sparse-arrays', 'no-template-curly-in-string',
  'no-this-before-super', 'no-unexpected-multiline', 'no-unmodified-loop-condition', 'no-unreachable',
  'no-unreachable-loop', 'no-unsafe-finally', 'no-unsafe-negation', 'no-unsafe-optional-chaining', 'no-unused-labels',
  'no-useless-backreference', 'no-useless-catch', 'no-useless-escape', 'no-useless-rename', 'no-with', 'use-isnan',
  'valid-typeof',
].map((rule) => [rule, 'error']));

const unused = ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' }];

const common = {
  ...style,
  '@typescript-eslint/no-unused-vars': unused,
  'no-unused-vars': 'off',
  'no-constant-condition': ['error', { checkLoops: 'none' }],
  'no-eval': 'error',
  'no-implied-eval': 'error',
  'no-new-func': 'error',
  'no-var': 'error',
  'prefer-const': ['error', { destructuring: 'all' }],
};

export default defineConfig(
  { ignores: ['**/node_modules/', 'build/', 'dist/', 'coverage/', 'host/generated/', 'test/fixtures/'] },
  { plugins: { '@stylistic': stylistic, '@typescript-eslint': tseslint.plugin } },
  {
    files: ['**/*.{js,mjs,cjs,ts}'],
    ignores: ['assembly/**', 'test-as/**'],
    extends: [tseslint.configs.recommended],
    rules: {
      ...common,
      ...mistakes,
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports',
        disallowTypeAnnotations: false }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-expressions': ['error', { allowShortCircuit: false, allowTernary: false }],
      'eqeqeq': ['error', 'always'],
      'no-throw-literal': 'error',
      'object-shorthand': 'error',
      'prefer-arrow-callback': 'error',
    },
  },
  {
    // The label by which the bundler finds bugs on purpose (host/canary.d.ts); a test knows all labels.
    files: ['host/**'],
    rules: { 'no-unused-labels': 'off' },
  },
  {
    files: ['host/canary.d.ts'],
    rules: { 'no-var': 'off' },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['assembly/**/*.ts', 'test-as/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { allowInvalidAST: true },
    },
    rules: common,
  },
);
