/**
 * The examples of the guide to write-ahead log groups.
 */
import { describeGuide } from '../support/guide.ts';

describeGuide('docs/wal.md', 11);
