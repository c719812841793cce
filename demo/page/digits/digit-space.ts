/** Handwritten digits as points: which are nearest to a drawing, and what most of them say. Knows nothing of the page. */
import { type DigitTable, PIXELS } from "../../data/digit-file.ts";
import { Engine, type Found } from "../engine/engine.ts";
import { type IndexQuestion, openIndexSide } from "../engine/index-side.ts";

/** An image of the set, near a drawing. */
export interface Likeness {
  readonly row: number;
  /** The digit it shows. */
  readonly label: number;
  /** Euclidean, of grey values 0 … 255. */
  readonly distance: number;
}

export interface Majority {
  readonly label: number;
  readonly votes: number;
}

export class DigitSpace {
  readonly engine: Engine<IndexQuestion, Found & { readonly row: number }>;
  readonly #table: DigitTable;

  private constructor(table: DigitTable, engine: DigitSpace["engine"]) {
    this.#table = table;
    this.engine = engine;
  }

  /** The engine is open for as long as the page lives, or until its sides are closed. */
  static async open(table: DigitTable): Promise<DigitSpace> {
    const options = { dimensions: PIXELS, metric: "euclidean", precision: "i8" } as const;
    const engine = await Engine.open<IndexQuestion, Found & { readonly row: number }>((backend, onEvent) =>
      // As floats only while they are added: 188 MB that nobody needs afterwards.
      openIndexSide(options, Float32Array.from(table.images), backend, onEvent),
    );
    return new DigitSpace(table, engine);
  }

  /** [PIXELS] grey values of an image. */
  image(row: number): Uint8Array {
    return this.#table.images.subarray(row * PIXELS, (row + 1) * PIXELS);
  }

  /** A row that shows the digit; undefined where none does. `random`: 0 … 1, below 1. */
  example(label: number, random: number): number | undefined {
    const rows = [...this.#table.labels.keys()].filter((row) => this.#table.labels[row] === label);
    return rows[Math.floor(random * rows.length)];
  }

  /** At most `count`, nearest first, without the row `without`. `drawing`: [PIXELS] grey values. */
  async nearest(drawing: Float32Array, count: number, without?: number): Promise<Likeness[]> {
    const k = without === undefined ? count : count + 1;
    const { found } = await this.engine.ask({ vector: drawing, k });
    return found
      .filter(({ row }) => row !== without)
      .slice(0, count)
      .map(({ row, distance }) => ({ row, distance, label: this.#table.labels[row] ?? 0 }));
  }
}

/** The label that most of them have; of equals that of the nearest one. Undefined where there are none. */
export function majorityOf(likenesses: readonly { readonly label: number }[]): Majority | undefined {
  const votes = new Map<number, number>();
  for (const { label } of likenesses) votes.set(label, (votes.get(label) ?? 0) + 1);
  let most: Majority | undefined;
  // In the order in which labels first came: the nearest one's first.
  for (const [label, count] of votes) if (most === undefined || count > most.votes) most = { label, votes: count };
  return most;
}
