/**
 * The reporter of as-pect's runs: it counts the expectations of every test, which as-pect does not, and writes what it
 * saw as JSON to the file that VARVE_SPEC_RESULTS names. One instance sees all specs of a run.
 */
import { writeFileSync } from 'node:fs';

const TEST = 0;

class SpecReporter {
  stdout = null;
  stderr = null;
  #specs = [];
  #expectations = new Map();
  #context;

  /** Every matcher of as-pect clears the actual value when it is done, whatever came out. */
  countExpectations(imports) {
    const { clearActual } = imports.__aspect;
    imports.__aspect.clearActual = (...args) => {
      this.#count();
      return clearActual(...args);
    };
    return imports;
  }

  #count() {
    const node = this.#context?.targetNode;
    if (node !== undefined) this.#expectations.set(node, (this.#expectations.get(node) ?? 0) + 1);
  }

  /** as-pect calls this after the body of a test, and first of all for the root. */
  onEnter(context) {
    this.#context = context;
  }

  onExit() {}

  onFinish(context) {
    const tests = [];
    const collect = (node, names) => {
      if (node.type === TEST && node.ran) tests.push(this.#describe(node, names));
      for (const child of node.children) collect(child, [...names, child.name]);
    };
    collect(context.rootNode, []);
    const errors = [...context.errors, ...context.rootNode.errors].map(({ message, stackTrace }) =>
      `${message}\n${stackTrace}`);
    this.#specs.push({ file: context.fileName, pass: context.pass, errors, tests });
    if (process.env.VARVE_SPEC_RESULTS) writeFileSync(process.env.VARVE_SPEC_RESULTS, JSON.stringify(this.#specs));
  }

  #describe(node, names) {
    return {
      name: names.join(' > '),
      pass: node.pass,
      // A test that must throw expects that much.
      expectations: (this.#expectations.get(node) ?? 0) + (node.negated ? 1 : 0),
      message: node.pass ? undefined : node.message,
      actual: node.pass ? undefined : node.actual?.stringify({ indent: 6 }).trim(),
      expected: node.pass ? undefined : node.expected?.stringify({ indent: 6 }).trim(),
      negated: Boolean(node.expected?.negated),
      stack: node.pass ? undefined : node.stackTrace,
      logs: node.logs.map((log) => log.stringify({ indent: 6 }).trim()),
    };
  }
}

export default new SpecReporter();
