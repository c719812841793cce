/** The sets of vectors that more than one suite measures on. */
import { type DataShape, QUERIES } from "./case.ts";

export const GAUSSIAN: DataShape = { source: "gaussian", rows: 100_000, dimensions: 384 };
export const CLUSTERED: DataShape = { source: "clustered", rows: 1_000_000, dimensions: 128 };
/** All of GloVe, and of the glosses, but for the held-out queries. */
export const GLOVE: DataShape = { source: "glove", rows: 341_479 - QUERIES, dimensions: 100 };
export const WORDNET: DataShape = { source: "wordnet", rows: 20_000 - QUERIES, dimensions: 384 };
