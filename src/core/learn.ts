/**
 * Which projection an index gets for its scan copies: of a sample of its rows (sample.ts) the principal
 * directions (basis.ts), and how many of those to use, if any (choose-prefix.ts). Workers do it, for
 * both backends: pages without workers search by the codes of the rows themselves.
 *
 * Generators yield the multiply-adds (or elements moved) since the last yield, each time at most
 * about `LIMITS.sliceElements`; `learningWork` tells what they come to.
 */
import { basisWork, learnBasis, learntDirections, prefixDefects, type ProductMetric } from "./basis.ts";
import { choosePrefix, choosingWork } from "./choose-prefix.ts";
import type { Multiply } from "./product.ts";
import type { Projection } from "./projection.ts";

export interface LearnProjectionOptions {
  readonly metric: ProductMetric;
  readonly dimensions: number;
  /** [count × dimensions]. */
  readonly sample: Float32Array;
  readonly count: number;
  /** Rows of the index. */
  readonly rowCount: number;
  /** Bytes of a stored row: what a survivor of a scan costs. */
  readonly rowBytes: number;
  /** What gathering a byte of a survivor costs, in bytes streamed (choose-prefix.ts). */
  readonly gatherCost?: number;
  /** The length of the prefix where it is not to be chosen, as in tests: any is correct. */
  readonly prefix?: number | undefined;
  /** How matrices are multiplied, nine tenths of the work; default: in plain JS. */
  readonly multiply?: Multiply;
}

/** Posted to a worker, which has its own way to multiply. */
export type LearnRequest = Omit<LearnProjectionOptions, "multiply">;

export interface LearntProjection {
  /** On the leading directions, its vectors [m × dimensions]; undefined: none is worth it, m = d. */
  readonly projection: Projection | undefined;
  /** [dimensions]: what euclidean rows are best centred by; zeros for the others. */
  readonly mean: Float32Array;
  /** Bytes that a query touches, per row of the index; and without a certificate: rowBytes. */
  readonly expectedBytesPerRow: number;
  readonly fullBytesPerRow: number;
}

export function* learnProjection(o: LearnProjectionOptions): Generator<number, LearntProjection> {
  const { dimensions } = o;
  const basis = yield* learnBasis(o);
  const choice = yield* choosePrefix({ ...o, basis, rowBytesFull: o.rowBytes });
  const { expectedBytesPerRow, fullBytesPerRow } = choice;
  const m = o.prefix === undefined ? choice.m : Math.min(o.prefix, basis.directions);
  const { mean } = basis;
  if (m === dimensions) return { projection: undefined, mean, expectedBytesPerRow, fullBytesPerRow };
  const defect = (yield* prefixDefects(basis, m))[m] ?? 0;
  const vectors = basis.vectors.slice(0, m * dimensions);
  const projection = { dimensions, length: m, vectors, mean, defect };
  return { projection, mean, expectedBytesPerRow, fullBytesPerRow };
}

/** The work of `sampleRows` and `learnProjection`, about, and never much less: progress is what was yielded, divided by it. */
export function learningWork(dimensions: number, count: number): number {
  const directions = learntDirections(dimensions, count);
  return 2 * count * dimensions + basisWork(dimensions, count) + choosingWork(dimensions, directions, count);
}
