/** The vocabulary of distances and of how rows are stored, and which go together. */

/** How far apart two vectors are; ascending everywhere, smaller is nearer. See DESIGN: the canonical distance. */
export type Metric = "cosine" | "dot" | "euclidean" | "manhattan" | "hamming" | "jaccard";

/** How rows are stored. `b1` is packed bits, least significant first. */
export type Precision = "f32" | "f16" | "i8" | "b1";

export const METRICS: readonly Metric[] = ["cosine", "dot", "euclidean", "manhattan", "hamming", "jaccard"];
export const PRECISIONS: readonly Precision[] = ["f32", "f16", "i8", "b1"];

/** The metrics of rows of numbers (f32, f16, i8). */
export type FloatMetric = "cosine" | "dot" | "euclidean" | "manhattan";
export const FLOAT_METRICS: readonly FloatMetric[] = ["cosine", "dot", "euclidean", "manhattan"];

/** The metrics of packed bits (b1). */
export type BitMetric = "hamming" | "jaccard";

/** Numbers shared with shaders and WASM, which cannot see the names. Held by a test. */
export const METRIC_CODE: Readonly<Record<Metric, number>> = {
  cosine: 0,
  dot: 1,
  euclidean: 2,
  manhattan: 3,
  hamming: 4,
  jaccard: 5,
};

export function isBitMetric(metric: Metric): metric is BitMetric {
  return metric === "hamming" || metric === "jaccard";
}

/** `metric` where it is known to be one of numbers: what serves floats never meets bits. */
export function floatMetric(metric: Metric): FloatMetric {
  if (isBitMetric(metric)) throw new Error(`${metric} is a metric of bits`);
  return metric;
}

/** Hamming and jaccard go with b1, and only they do. */
export function metricFits(metric: Metric, precision: Precision): boolean {
  return isBitMetric(metric) === (precision === "b1");
}

/** The largest finite float32: canonical distances are clamped to ± this. */
export const F32_MAX = 3.4028234663852886e38;
