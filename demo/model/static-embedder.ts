/**
 * Texts to vectors without a network: the weighted sum of the vectors of a text's tokens, made unit length. What a
 * token's vector is was worked out beforehand (README.md); at run time there is a table and this. For pages, workers
 * and Node; a text takes some hundredths of a millisecond.
 */
import { decodeTable, type TokenTable } from "./embedder-file.ts";
import { UNKNOWN, WordPiece } from "./wordpiece.ts";

export class StaticEmbedder {
  readonly #table: TokenTable;
  readonly #tokenizer: WordPiece;
  readonly #sum: Float64Array;

  private constructor(table: TokenTable) {
    this.#table = table;
    this.#tokenizer = new WordPiece(table.tokens);
    this.#sum = new Float64Array(table.dimensions);
  }

  /** `bytes`: of embedder.bin; kept, not copied. Throws an Error where they are damaged. */
  static open(bytes: Uint8Array): StaticEmbedder {
    return new StaticEmbedder(decodeTable(bytes));
  }

  get dimensions(): number {
    return this.#table.dimensions;
  }

  /**
   * [dimensions], of unit length. A text without any known token (and one whose tokens cancel out) gets the last axis,
   * in whose direction texts differ least: it is about equally far from all of them.
   */
  embed(text: string): Float32Array {
    const vector = new Float32Array(this.dimensions);
    this.embedInto([text], vector);
    return vector;
  }

  /** As `embed`, for many: `target` is [texts × dimensions]. Throws a RangeError where it is not. */
  embedInto(texts: readonly string[], target: Float32Array): void {
    const { dimensions } = this;
    if (target.length !== texts.length * dimensions) {
      throw new RangeError(
        `got a target of ${target.length}; expected ${texts.length} texts × ${dimensions} dimensions; make it that long`,
      );
    }
    for (const [i, text] of texts.entries()) this.#embed(text, target.subarray(i * dimensions, (i + 1) * dimensions));
  }

  #embed(text: string, target: Float32Array): void {
    const sum = this.#sum.fill(0);
    for (const place of this.#tokenizer.encode(text)) if (place !== UNKNOWN) this.#add(place, sum);
    const length = Math.sqrt(sum.reduce((total, x) => total + x * x, 0));
    if (length === 0) target.fill(0).fill(1, -1);
    else for (let d = 0; d < target.length; d++) target[d] = (sum[d] ?? 0) / length;
  }

  #add(place: number, sum: Float64Array): void {
    const { codes, scales, dimensions } = this.#table;
    const scale = scales[place] ?? 0;
    const at = place * dimensions;
    for (let d = 0; d < dimensions; d++) sum[d]! += scale * codes[at + d]!; // inside both arrays
  }
}
