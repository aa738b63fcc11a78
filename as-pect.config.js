/**
 * as-pect runs the specs of the core alone. It is started by scripts/test-core.mjs, which checks what as-pect does not:
 * that there are specs, that tests ran and that each of them expected something.
 */
import reporter from './scripts/lib/aspect-reporter.mjs';

export default {
  entries: ['test-as/**/*.spec.ts'],
  include: ['test-as/**/*.include.ts'],
  disclude: [/node_modules/],
  reporter: 'scripts/lib/aspect-reporter.mjs',
  async instantiate(memory, createImports, instantiate, binary) {
    return instantiate(binary, reporter.countExpectations(createImports({ env: { memory } })));
  },
  outputBinary: false,
};
