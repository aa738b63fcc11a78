/**
 * The examples of the guide to key-value stores.
 */
import { describeGuide } from '../support/guide.ts';

describeGuide('docs/key-value-store.md', 9);
