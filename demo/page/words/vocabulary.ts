/** The words that are known: by name, by their first letters, and those spelt nearly like one that is not known. Pure. */

export class Vocabulary {
  /** Most frequent first; a word's place is its row. */
  readonly words: readonly string[];
  readonly #rowOf: ReadonlyMap<string, number>;

  constructor(words: readonly string[]) {
    this.words = words;
    this.#rowOf = new Map(words.map((word, row) => [word, row]));
  }

  /** Of what somebody typed: case and outer spaces do not matter. */
  rowOf(text: string): number | undefined {
    return this.#rowOf.get(plain(text));
  }

  /** At most `most` words, the most frequent first; none for an empty prefix. */
  startingWith(prefix: string, most: number): string[] {
    const start = plain(prefix);
    const found: string[] = [];
    if (start === "") return found;
    for (const word of this.words) {
      if (found.length === most) break;
      if (word.startsWith(start)) found.push(word);
    }
    return found;
  }

  /** Words that share as many first letters with the text as any word does. */
  closest(text: string, most: number): string[] {
    for (let letters = Array.from(plain(text)); letters.length > 0; letters = letters.slice(0, -1)) {
      const found = this.startingWith(letters.join(""), most);
      if (found.length > 0) return found;
    }
    return [];
  }
}

function plain(text: string): string {
  return text.trim().toLowerCase();
}
