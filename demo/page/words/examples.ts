/** Analogies that these vectors solve, most of them not alike; test/demo/words.test.ts holds each to its answer. */

/** a, b and c of "a is to b as c is to ?", and the answer. */
export type Example = readonly [a: string, b: string, c: string, answer: string];

export const EXAMPLES: readonly [Example, ...Example[]] = [
  ["man", "king", "woman", "queen"],
  ["france", "paris", "italy", "rome"],
  ["walk", "walked", "swim", "swam"],
];
