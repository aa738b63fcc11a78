/**
 * Brings the file of a typed store from one version of its schema to the next, again and again, until it is killed.
 * Each version has a field more than the one before, which holds the version's number in every record.
 *
 * Arguments: path, how many versions there are.
 */
import { TypedStore } from '../../../dist/esm/index.js';
import { defineSchema, str, u32 } from '../../../dist/esm/schema.js';

const [path, versions] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
process.send('begun');
for (let version = 2; version <= Number(versions); version++) {
  const more = Array.from({ length: version - 1 }, (_, at) => [`v${at + 2}`, u32]);
  const schema = defineSchema('Versions', { version, fields: { at: u32, text: str(12), ...Object.fromEntries(more) } });
  try {
    await TypedStore.migrate(path, schema, { defaults: { [`v${version}`]: version } });
    process.send(version);
  } catch (error) {
    // A killed one before had come further.
    if (error.code !== 'ERR_VARVE_SCHEMA_MISMATCH') process.send(`${error.code} ${error.message}`);
  }
}
process.disconnect();
