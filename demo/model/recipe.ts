/**
 * From vectors of MiniLM to the table of a static embedder; pure, and without chance: the same vectors make the same
 * table.
 *
 * 1. Each token's vector less their mean, on the leading principal axes (Model2Vec, Minish Lab, 2024).
 * 2. Weights by rank, as words of Zipf's law get them by SIF (Arora, Liang, Ma 2017): a / (a + p).
 * 3. Passes over texts whose MiniLM vector is known: the weighted sum of a text's tokens is turned towards it, by
 *    gradient steps of the cosine. So tokens learn what they mean beside others, and how much they count: after it, the
 *    choice of a hardly matters (README.md).
 * 4. int8 with a scale for each row.
 */
import { symmetricEigen } from "../../src/core/eigen.ts";
import { product, zeroRows } from "../../src/core/product.ts";
import { runToEnd } from "../../src/core/slices.ts";
import type { TokenTable } from "./embedder-file.ts";
import { UNKNOWN, WordPiece } from "./wordpiece.ts";

export interface Recipe {
  readonly dimensions: number;
  /** SIF's a: the smaller, the less frequent words count. */
  readonly sif: number;
  /** Passes over the texts. */
  readonly passes: number;
  /** Step of the first pass; falls to 0 in equal parts. */
  readonly rate: number;
}

/** [count × dimensions]. */
export interface Vectors {
  readonly data: Float32Array;
  readonly dimensions: number;
}

export interface Teaching {
  readonly texts: readonly string[];
  readonly vectors: Vectors;
}

/** `tokens`: by rank, as BERT's vocabulary is. `onPass` gets the mean of 1 − cosine that the pass saw. */
export function distil(
  tokens: readonly string[],
  vectors: Vectors,
  teaching: Teaching,
  recipe: Recipe,
  onPass: (pass: number, loss: number) => void,
): TokenTable {
  const { dimensions } = recipe;
  const centred = lessMean(vectors);
  const axes = principalAxes(centred, dimensions);
  const rows = onAxes(centred, axes, dimensions);
  const targets = onAxes(lessMean(teaching.vectors), axes, dimensions);
  const weights = sifWeights(tokens, recipe.sif);
  const tokenizer = new WordPiece(tokens);
  const places = teaching.texts.map((text) => tokenizer.encode(text).filter((place) => place !== UNKNOWN));
  for (let pass = 0; pass < recipe.passes; pass++) {
    const rate = recipe.rate * (1 - pass / recipe.passes);
    onPass(pass, teach(rows, weights, places, targets, rate));
  }
  return quantise(tokens, rows, weights);
}

function lessMean({ data, dimensions }: Vectors): Vectors {
  const count = data.length / dimensions;
  const mean = new Float64Array(dimensions);
  for (const [i, value] of data.entries()) mean[i % dimensions]! += value / count; // inside
  return { data: data.map((value, i) => value - (mean[i % dimensions] ?? 0)), dimensions };
}

/** [count × dimensions], orthonormal, by descending variance. */
function principalAxes({ data, dimensions }: Vectors, count: number): Float64Array {
  const columns = zeroRows(dimensions, data.length / dimensions);
  for (const [i, value] of data.entries()) {
    columns.data[(i % dimensions) * columns.length + Math.floor(i / dimensions)] = value;
  }
  const { vectors } = runToEnd(symmetricEigen(runToEnd(product(columns, columns, true))));
  return vectors.data.subarray(0, count * dimensions);
}

function onAxes({ data, dimensions }: Vectors, axes: Float64Array, count: number): Vectors {
  const rows = { data: Float64Array.from(data), rows: data.length / dimensions, length: dimensions };
  const turned = runToEnd(product(rows, { data: axes, rows: count, length: dimensions }));
  return { data: new Float32Array(turned.data), dimensions: count };
}

/**
 * BERT's vocabulary begins with single characters, by code point, before it counts its words from "the" on: all of them
 * are taken for as frequent as "the".
 */
function sifWeights(tokens: readonly string[], a: number): Float64Array {
  const first = tokens.indexOf("the");
  let harmonic = 0;
  for (let rank = 1; rank <= tokens.length - first; rank++) harmonic += 1 / rank;
  return Float64Array.from(tokens, (_, i) => a / (a + 1 / (Math.max(1, i - first + 1) * harmonic)));
}

/** One pass over the texts, in an order that jumps; changes `rows`. Returns the mean of 1 − cosine. */
function teach(
  { data: rows, dimensions: d }: Vectors,
  weights: Float64Array,
  texts: readonly (readonly number[])[],
  { data: targets }: Vectors,
  rate: number,
): number {
  const sum = new Float64Array(d);
  let loss = 0;
  for (let turn = 0; turn < texts.length; turn++) {
    const text = (turn * STRIDE) % texts.length;
    const places = texts[text] ?? [];
    const target = unit(targets.subarray(text * d, (text + 1) * d));
    sum.fill(0);
    for (const place of places) {
      const weight = weights[place] ?? 0;
      for (let i = 0; i < d; i++) sum[i]! += weight * rows[place * d + i]!; // inside both
    }
    const at = unit(sum);
    let cosine = 0;
    for (let i = 0; i < d; i++) cosine += at[i]! * target[i]!; // inside both
    loss += 1 - cosine;
    for (const place of places) {
      const step = rate * (weights[place] ?? 0);
      for (let i = 0; i < d; i++) rows[place * d + i]! += step * (target[i]! - cosine * at[i]!); // inside all
    }
  }
  return loss / texts.length;
}

/** Prime, so that every text has its turn unless their number is a multiple. */
const STRIDE = 7919;

function unit(vector: Float32Array | Float64Array): Float64Array {
  let square = 0;
  for (const value of vector) square += value * value;
  const length = Math.sqrt(square) || 1; // a text of no known token
  return Float64Array.from(vector, (value) => value / length);
}

function quantise(tokens: readonly string[], rows: Vectors, weights: Float64Array): TokenTable {
  const { data, dimensions } = rows;
  const scales = new Float32Array(tokens.length);
  const codes = new Int8Array(data.length);
  for (let row = 0; row < tokens.length; row++) {
    const at = row * dimensions;
    let largest = 0;
    for (let i = at; i < at + dimensions; i++) largest = Math.max(largest, Math.abs(data[i] ?? 0));
    scales[row] = ((weights[row] ?? 0) * largest) / 127;
    for (let i = at; i < at + dimensions; i++) codes[i] = Math.round(((data[i] ?? 0) / (largest || 1)) * 127);
  }
  return { tokens, dimensions, scales, codes };
}
