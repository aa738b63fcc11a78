/**
 * What readers of a typed store's file must know: the header says it, whoever opens the file learns it from there, and
 * mmapforge's format has no room for it.
 */
import { describe, expect, it } from 'vitest';
import { TYPED_FEATURE_CHECKSUMS, TYPED_FEATURE_RING, TypedHeader } from '../../host/generated/abi.ts';
import { failure } from '../support/log-fixture.ts';
import { typed } from '../support/typed-fixture.ts';

const CASES = [
  [{}, 0], [{ checksums: true }, TYPED_FEATURE_CHECKSUMS], [{ ring: true }, TYPED_FEATURE_RING],
  [{ checksums: true, ring: true }, TYPED_FEATURE_CHECKSUMS | TYPED_FEATURE_RING],
] as const;

describe('the features of a file', () => {
  it.each(CASES)('stand in its header: %o', (options, features) => {
    const fixture = typed('simulated', 'simd');
    expect(fixture.open({ ...options, capacity: 8 }).features).toBe(features);
    fixture.close();
    expect(fixture.bytes().readUInt32LE(TypedHeader.incompatible)).toBe(features);
    expect(fixture.open({ readOnly: true }).features).toBe(features);
    fixture.close();
    expect(fixture.open({ schema: undefined }).features).toBe(features);
  });

  it.each(CASES.slice(1))('are none of format mmfg-1: %o', (options) => {
    const fixture = typed('simulated', 'simd');
    const { details } = failure('ERR_VARVE_INVALID_ARGUMENT', () => fixture.open({
      ...options, capacity: 8, format: 'mmfg-1',
    }));
    expect(details).toMatchObject({ argument: 'format', actual: '\'mmfg-1\'' });
  });
});
