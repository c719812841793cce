/**
 * The tokenizer of BERT (uncased), as MiniLM has it: text to places in a vocabulary. Lower case, no accents; words end
 * at spaces, and each punctuation mark and each CJK ideograph is a word; a word is cut greedily into the longest tokens
 * of the vocabulary, those after the first with "##" before them (Schuster and Nakajima 2012; Devlin et al. 2018).
 */

/** The place of a word that the vocabulary cannot spell: BERT's [UNK]. */
export const UNKNOWN = -1;

/** Code points; a longer word is unknown. */
const MAX_WORD = 100;

/** What BERT calls a control character: all of category C but those that separate words. */
const CONTROL = /[^\P{C}\t\n\r]|\uFFFD/gu;
const ACCENT = /\p{Mn}/gu;
/** BERT's table of ideographs, which has neither kana nor hangul. */
const IDEOGRAPH =
  "\\u4E00-\\u9FFF\\u3400-\\u4DBF\\u{20000}-\\u{2A6DF}\\u{2A700}-\\u{2B73F}\\u{2B740}-\\u{2B81F}\\u{2B820}-\\u{2CEAF}\\uF900-\\uFAFF\\u{2F800}-\\u{2FA1F}";
/** All of ASCII that is neither letter, digit nor space is punctuation: "$", "+" and "^" as well. */
const MARK = `\\p{P}$+<=>^\`|~${IDEOGRAPH}`;
const WORD = new RegExp(`[${MARK}]|[^\\s${MARK}]+`, "gu");

export class WordPiece {
  readonly #places: ReadonlyMap<string, number>;
  readonly #longest: number;

  /** `tokens`: without repetition. */
  constructor(tokens: readonly string[]) {
    this.#places = new Map(tokens.map((token, place) => [token, place]));
    this.#longest = tokens.reduce((longest, token) => Math.max(longest, token.length), 0);
  }

  /** A place for each token of the text, `UNKNOWN` for a word that cannot be spelt. No [CLS] and no [SEP]. */
  encode(text: string): number[] {
    const plain = text.replace(CONTROL, "").normalize("NFD").replace(ACCENT, "").toLowerCase();
    const places: number[] = [];
    for (const word of plain.match(WORD) ?? []) this.#spell(word, places);
    return places;
  }

  #spell(word: string, places: number[]): void {
    const before = places.length;
    // A code point has one or two units: most words need no counting.
    const isTooLong = word.length > MAX_WORD && Array.from(word).length > MAX_WORD;
    for (let from = 0; from < word.length; ) {
      let to = Math.min(word.length, from + this.#longest);
      let place: number | undefined;
      for (; to > from; to--) {
        place = this.#places.get(from === 0 ? word.slice(0, to) : `##${word.slice(from, to)}`);
        if (place !== undefined) break;
      }
      if (place === undefined || isTooLong) {
        places.length = before;
        places.push(UNKNOWN);
        return;
      }
      places.push(place);
      from = to;
    }
  }
}
