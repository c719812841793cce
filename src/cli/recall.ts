/** Recall over many queries. Pure. */

export interface Recall {
  readonly queries: number;
  readonly mean: number;
  /** The 95 % confidence interval of the mean, by the normal approximation, within 0 … 1. */
  readonly low: number;
  readonly high: number;
  /** Of the worst query. */
  readonly least: number;
}

/** `recalls`: of each query, 0 … 1; of none of them 0. */
export function recallOf(recalls: readonly number[]): Recall {
  const queries = recalls.length;
  if (queries === 0) return { queries, mean: 0, low: 0, high: 1, least: 0 };
  const mean = recalls.reduce((sum, recall) => sum + recall, 0) / queries;
  const squares = recalls.reduce((sum, recall) => sum + (recall - mean) ** 2, 0);
  const error = queries < 2 ? 1 : Math.sqrt(squares / (queries - 1) / queries);
  const least = recalls.reduce((a, b) => Math.min(a, b), 1);
  return { queries, mean, low: Math.max(0, mean - 1.96 * error), high: Math.min(1, mean + 1.96 * error), least };
}
