// Text as a search compares it, much as the server does: without case and accents. For marking what
// was found; what is found is the server's to say.

/** Marks that change a letter into another for its readers (kana) stay. */
const MARKS = /(?![\u3099\u309a])\p{M}/gu;

// Upper case first: it makes two letters of “ß”.
const fold = (text: string): string => text.normalize('NFKD').replace(MARKS, '').toUpperCase().toLowerCase().normalize('NFC');

const wordsOf = (query: string): readonly string[] => [...new Set(fold(query).split(/\s+/).filter((word) => word !== ''))];

/** All words are in it, each also as a part of a longer one. */
export const matches = (text: string, query: string): boolean => {
  const folded = fold(text);
  return wordsOf(query).every((word) => folded.includes(word));
};

export interface Marked {
  readonly text: string;
  readonly found: boolean;
}

/** The text in pieces: what was sought, and what is between. */
export function marked(text: string, query: string): readonly Marked[] {
  const letters = [...new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text)].map((one) => one.segment);
  const folded = letters.map(fold);
  const whole = folded.join('');
  const isFound = new Array<boolean>(whole.length).fill(false);
  for (const word of wordsOf(query)) {
    for (let at = whole.indexOf(word); at >= 0; at = whole.indexOf(word, at + word.length)) isFound.fill(true, at, at + word.length);
  }
  const pieces: { text: string; found: boolean }[] = [];
  let place = 0;
  letters.forEach((letter, index) => {
    const end = place + (folded[index]?.length ?? 0);
    const found = isFound.slice(place, end).includes(true);
    const last = pieces.at(-1);
    if (last?.found === found) last.text += letter;
    else pieces.push({ text: letter, found });
    place = end;
  });
  return pieces;
}
