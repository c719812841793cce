/** Which words of a definition were asked for, literally or but for an ending. Pure. */

export interface Piece {
  readonly text: string;
  readonly isMatch: boolean;
}

/** Words too frequent to say anything. */
const STOP = new Set(
  "a an and are as at be by for from has have in into is it its not of on or so than that the their them they this to was were when where which who with you your".split(
    " ",
  ),
);
/** Letters that two words must share from the start, so that "tight" meets "tightly" and not "tie". */
const SHORTEST_STEM = 4;

/** The text in pieces; joined they are the text. */
export function highlight(text: string, asked: string): Piece[] {
  const wanted = wordsOf(asked).filter((word) => !STOP.has(word));
  if (wanted.length === 0) return text === "" ? [] : [{ text, isMatch: false }];
  const pieces: Piece[] = [];
  const put = (piece: string, isMatch: boolean): void => {
    const last = pieces.at(-1);
    if (last?.isMatch === isMatch) pieces[pieces.length - 1] = { text: last.text + piece, isMatch };
    else if (piece !== "") pieces.push({ text: piece, isMatch });
  };
  // Separators are kept by the group.
  for (const piece of text.split(/([\p{L}\p{N}]+)/u))
    put(
      piece,
      wanted.some((word) => meets(piece.toLowerCase(), word)),
    );
  return pieces;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** The same word, or one is the other with an ending of up to three letters. */
function meets(a: string, b: string): boolean {
  if (a === b) return true;
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.length >= SHORTEST_STEM && long.length - short.length <= 3 && long.startsWith(short);
}
