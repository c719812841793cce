/** The vocabulary of distances and of how rows are stored, and which go together. */

/** How far apart two vectors are; ascending everywhere, smaller is nearer. See DESIGN: the canonical distance. */
export type Metric = "cosine" | "dot" | "euclidean" | "manhattan" | "hamming" | "jaccard";

/** How rows are stored. `b1` is packed bits, least significant first. */
export type Precision = "f32" | "f16" | "i8" | "b1";

export const METRICS: readonly Metric[] = ["cosine", "dot", "euclidean", "manhattan", "hamming", "jaccard"];
export const PRECISIONS: readonly Precision[] = ["f32", "f16", "i8", "b1"];

/** The metrics of float rows: the ones that this version computes. */
export type FloatMetric = "cosine" | "dot" | "euclidean" | "manhattan";
export const FLOAT_METRICS: readonly FloatMetric[] = ["cosine", "dot", "euclidean", "manhattan"];

/** Numbers shared with shaders and WASM, which cannot see the names. Held by a test. */
export const METRIC_CODE: Readonly<Record<Metric, number>> = {
  cosine: 0,
  dot: 1,
  euclidean: 2,
  manhattan: 3,
  hamming: 4,
  jaccard: 5,
};

function isBitMetric(metric: Metric): metric is "hamming" | "jaccard" {
  return metric === "hamming" || metric === "jaccard";
}

/** Hamming and jaccard go with b1, and only they do. */
export function metricFits(metric: Metric, precision: Precision): boolean {
  return isBitMetric(metric) === (precision === "b1");
}

/** The largest finite float32: canonical distances are clamped to ± this. */
export const F32_MAX = 3.4028234663852886e38;
