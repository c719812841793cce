/** Analogies that these vectors solve, no two of a kind; test/demo/words.test.ts holds each to its answer. */

/** a, b and c of "a is to b as c is to ?", and the answer. */
export type Example = readonly [a: string, b: string, c: string, answer: string];

export const EXAMPLES: readonly [Example, ...Example[]] = [
  ["man", "king", "woman", "queen"],
  ["paris", "france", "rome", "italy"],
  ["walk", "walked", "swim", "swam"],
  ["germany", "beer", "france", "wine"],
  ["russia", "vodka", "mexico", "tequila"],
  ["einstein", "physicist", "picasso", "painter"],
  ["lawyer", "law", "doctor", "medicine"],
  ["good", "better", "bad", "worse"],
  ["uncle", "aunt", "nephew", "niece"],
];
