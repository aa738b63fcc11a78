/**
 * The examples of the README.
 */
import { describeGuide } from './support/guide.ts';

describeGuide('README.md', 4);
