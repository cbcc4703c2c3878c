import { describe, expect, it } from 'vitest';

import { marked, matches } from './fold';

/** [what was found] in brackets. */
const shown = (text: string, query: string): string =>
  marked(text, query)
    .map((piece) => (piece.found ? `[${piece.text}]` : piece.text))
    .join('');

describe('what was sought', () => {
  it.each([
    ['Is the desk still there?', 'desk', 'Is the [desk] still there?'],
    ['Is the desk still there?', 'THERE des', 'Is the [des]k still [there]?'],
    ['Schöne Grüße', 'grusse', 'Schöne [Grüße]'],
    ['Schöne Grüße', 'schon', '[Schön]e Grüße'],
    ['ＤＥＳＫ', 'desk', '[ＤＥＳＫ]'],
    ['naïve naive', 'naive', '[naïve] [naive]'],
    ['東京タワー', '東京', '[東京]タワー'],
    ['がか', 'か', 'が[か]'],
    ['👩‍👩‍👧 desk', 'desk', '👩‍👩‍👧 [desk]'],
    ['aaaa', 'aa', '[aaaa]'],
    ['nothing', 'desk', 'nothing'],
    ['nothing', '  ', 'nothing'],
    ['', 'desk', ''],
  ])('is marked in %s: %s', (text, query, expected) => expect(shown(text, query)).toBe(expected));

  it('is in a text if all of its words are', () => {
    expect(matches('Tomás Wood', 'tomas')).toBe(true);
    expect(matches('Tomás Wood', 'wo TO')).toBe(true);
    expect(matches('Tomás Wood', 'tomas oak')).toBe(false);
  });
});
