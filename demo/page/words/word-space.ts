/** Words as points: which are near a word, and which answer an analogy. Knows the engine, and nothing of the page. */
import { dequantise, type WordTable } from "../../data/word-file.ts";
import { Engine, type Found } from "../engine/engine.ts";
import { type IndexQuestion, openIndexSide } from "../engine/index-side.ts";
import { analogyVector } from "./analogy.ts";
import { Vocabulary } from "./vocabulary.ts";

/** A word beside the one asked for, or an answer. */
export interface Neighbour {
  readonly word: string;
  readonly row: number;
  /** Cosine distance: 0 for the same direction, 2 for the opposite. */
  readonly distance: number;
}

export class WordSpace {
  readonly vocabulary: Vocabulary;
  readonly engine: Engine<IndexQuestion, Found & { readonly row: number }>;
  readonly #table: WordTable;

  private constructor(table: WordTable, engine: WordSpace["engine"]) {
    this.#table = table;
    this.engine = engine;
    this.vocabulary = new Vocabulary(table.words);
  }

  /** The engine is open for as long as the page lives, or until its sides are closed. */
  static async open(table: WordTable): Promise<WordSpace> {
    const options = { dimensions: table.dimensions, metric: "cosine", precision: "i8" } as const;
    const engine = await Engine.open<IndexQuestion, Found & { readonly row: number }>((backend, onEvent) =>
      // As floats only while they are added: 40 MB that nobody needs afterwards.
      openIndexSide(options, dequantise(table), backend, onEvent),
    );
    return new WordSpace(table, engine);
  }

  /** [dimensions]. */
  vectorOf(row: number): Float32Array {
    const { dimensions, scales, codes } = this.#table;
    return dequantise({
      dimensions,
      scales: scales.subarray(row, row + 1),
      codes: codes.subarray(row * dimensions, (row + 1) * dimensions),
    });
  }

  /** At most `count`, nearest first, without the word itself. */
  nearest(row: number, count: number): Promise<Neighbour[]> {
    return this.#search(this.vectorOf(row), count, [row]);
  }

  /** What is to `c` as `b` is to `a`: best first, none of the three. */
  solve(a: number, b: number, c: number, count: number): Promise<Neighbour[]> {
    const vector = analogyVector(this.vectorOf(a), this.vectorOf(b), this.vectorOf(c));
    return this.#search(vector, count, [a, b, c]);
  }

  async #search(vector: Float32Array, count: number, without: readonly number[]): Promise<Neighbour[]> {
    const { found } = await this.engine.ask({ vector, k: count + without.length });
    return found
      .filter(({ row }) => !without.includes(row))
      .slice(0, count)
      .map(({ row, distance }) => ({ word: this.vocabulary.words[row] ?? "", row, distance }));
  }
}
