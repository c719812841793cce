/** A set of words with one meaning: what the reverse dictionary finds, and the lines in which it travels to the page. */

export const PARTS_OF_SPEECH = ["noun", "verb", "adjective", "adverb"] as const;

export type PartOfSpeech = (typeof PARTS_OF_SPEECH)[number];

/** A set of words with one meaning, and that meaning in words. */
export interface Synset {
  readonly part: PartOfSpeech;
  /** At least one, the most usual first; "rocking chair", not "rocking_chair". */
  readonly words: readonly string[];
  /** The definition without its examples. */
  readonly gloss: string;
}

/** What of a synset is embedded: words and gloss together are found more often than the gloss alone (model/README.md). */
export function embeddedText({ words, gloss }: Synset): string {
  return `${words.join(", ")}: ${gloss}`;
}

/** One line each: place of the part of speech, words, gloss, with tabs between; words with bars between. */
export function synsetLines(synsets: readonly Synset[]): string {
  return synsets
    .map(({ part, words, gloss }) => {
      const line = `${PARTS_OF_SPEECH.indexOf(part)}\t${words.join("|")}\t${gloss}`;
      if (line.split("\t").length !== 3 || line.includes("\n") || words.some((word) => word.includes("|")))
        throw new Error(`a synset that cannot be a line: ${line}`);
      return line;
    })
    .join("\n");
}

/** The reverse of `synsetLines`. Throws an Error for lines that are none. */
export function parseSynsetLines(text: string): Synset[] {
  return text.split("\n").map((line) => {
    const [place = "", words = "", gloss] = line.split("\t");
    const part = PARTS_OF_SPEECH[Number(place)];
    if (part === undefined || words === "" || gloss === undefined)
      throw new Error(
        `got "${line.slice(0, 60)}"; expected a part of speech, words and a gloss; load the glosses again`,
      );
    return { part, words: words.split("|"), gloss };
  });
}
