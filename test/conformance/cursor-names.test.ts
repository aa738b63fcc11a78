/**
 * The names of cursors: any text is one, two of them never meet in a file, and none is ever a path.
 */
import { describe, expect, it } from 'vitest';
import { cursorFileName, cursorNameOf } from '../../host/log/names.ts';
import { appendAll, failure, onEach, texts } from '../support/log-fixture.ts';

onEach('the name of a cursor', (make) => {
  const names = ['a', 'A', 'aa', '.', '..', '../../CONTROL', '/etc/passwd', 'CON', 'a\0b', '%41', 'é', 'e\u0301', '日本語', '🦄',
    ' ', '\n', 'x'.repeat(64), '\u{10ffff}'.repeat(16), '-_09', 'mailer.cursor', '__proto__', 'LOCK'];

  it('is any text, and two of them never meet', async () => {
    const fixture = make();
    const log = await fixture.open();
    appendAll(log, texts(names.length));
    for (const [at, name] of names.entries()) log.cursor(name).saveNow(at + 1);
    await log.close();
    const again = await fixture.open();
    expect(again.cursors().map(({ name }) => name)).toEqual([...names].sort());
    for (const [at, name] of names.entries()) {
      const cursor = again.cursor(name);
      expect([cursor.name, cursor.lsn]).toEqual([name, at + 1]);
    }
  });

  it('is refused where it is empty, too long or no Unicode', async () => {
    const fixture = make();
    const log = await fixture.open();
    for (const name of ['', 'x'.repeat(65), 'é'.repeat(33), '\ud800', 'a\udc00', 7, undefined, null, {}, Symbol('x')]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.cursor(name as string));
    }
    expect(fixture.names().filter((name) => name.startsWith('cursors'))).toEqual([]);
  });
});

describe('the names of cursor files', () => {
  it('are escaped in one way only', () => {
    expect(cursorFileName('Aé/.')).toBe('%41%C3%A9%2F%2E.cursor');
    expect(cursorNameOf('%41%C3%A9%2F%2E.cursor')).toBe('Aé/.');
    for (const name of ['A.cursor', '%c3%A9.cursor', '%61.cursor', '%C3.cursor', '.cursor', 'a', 'a.cursor.new', '%4.cursor']) {
      expect(cursorNameOf(name), name).toBeUndefined();
    }
  });
});
