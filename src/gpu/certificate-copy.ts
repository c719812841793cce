/**
 * What the int8 codes of an index are made with: the projection, the slacks that float32 encoding
 * needs (core/encoding-f32.ts), and the device buffer that holds mean and projection. The codes
 * themselves lie in the shards (residency.ts).
 */
import type { RowSource } from "../core/backend.ts";
import type { ProductMetric } from "../core/basis.ts";
import { float32EncodingSlack } from "../core/encoding-f32.ts";
import { unitExponent } from "../core/comfort.ts";
import { floatBits } from "./commands.ts";
import { USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";

export interface Certificate {
  readonly metric: ProductMetric;
  /** Codes of a vector: m. */
  readonly directions: number;
  readonly isIdentity: boolean;
  /** The stored i8 rows are the codes: nothing is encoded but queries. */
  readonly isStored: boolean;
  /** 16-byte chunks of a row's codes. */
  readonly codeChunks: number;
  /** Words of a row's facts: scale, E and R as halves, and what the metric needs (shaders/parts/codes.wgsl). */
  readonly factWords: number;
  /** mean [stride] | Pᵀ [stride × directions], the mean scaled like the rows. */
  readonly basis: GPUBuffer;
  /** Unit of the halves E and R of rows: a power of two. */
  readonly unit: number;
  /** `unit, errorSlack … defect` of EncodeParams, as float bits. */
  readonly paramBits: readonly number[];
  /** Rows are scanned scaled by 2 to this power. */
  readonly exponent: number;
  /** The constant ROUNDING of shaders/parts/codes.wgsl: the sums of squares, P's defect, and the operations around them several times over. */
  readonly rounding: number;
}

/** Most directions of a projection: `projected` of encode_i8.wgsl holds as many. */
export const MOST_DIRECTIONS = 2048;
/** Lanes of encode_i8 that share the sums of a vector, and the depth of the tree that adds them up. */
const LANES = 64;
const TREE_DEPTH = 6;
/** A certificate made for rows of norm n serves rows up to this many times as long: halves reach 65,504. */
const UNIT_ROOM = 2 ** 14;

function factWords(metric: ProductMetric): number {
  return metric === "cosine" ? 2 : 3;
}

/** Bytes of a row's codes and facts. */
export function codeRowBytes(source: RowSource, metric: ProductMetric, directions: number): number {
  const codes = source.precision === "i8" ? 0 : Math.ceil(directions / 16) * 16;
  return codes + factWords(metric) * 4;
}

/** Whether rows of norms up to `maxNorm` (as scanned) can still be encoded in the certificate's units. */
export function holdsNorm(certificate: Certificate, maxNorm: number): boolean {
  return certificate.metric === "cosine" || maxNorm <= certificate.unit * UNIT_ROOM;
}

/** The leading principal directions that rows are projected on. */
export interface Projection {
  readonly directions: number;
  /** δ ≥ ‖P·Pᵀ − I‖_F. */
  readonly defect: number;
  /** Pᵀ [stride × directions]. */
  readonly transposed: Float32Array<ArrayBuffer>;
}

/**
 * `projection` undefined: the rows themselves are coded. `mean`: [dimensions], taken off euclidean
 * rows. `exponent`: rows are scanned scaled by 2 to this power.
 */
export function makeCertificate(
  memory: DeviceMemory,
  source: RowSource,
  metric: ProductMetric,
  exponent: number,
  projection: Projection | undefined,
  mean: Float32Array | undefined,
): Certificate {
  const { dimensions, stride } = source;
  const isStored = source.precision === "i8";
  const directions = projection?.directions ?? dimensions;
  const defect = projection?.defect ?? 0;
  const depth = Math.ceil(stride / LANES) + TREE_DEPTH + 2;
  const slack = float32EncodingSlack({
    dimensions: stride,
    length: directions,
    isIdentity: projection === undefined,
    inputRoundings: metric === "cosine" ? 2 : 1,
    defect,
    projectionDepth: stride / 4 + Math.ceil(stride / 512) + 4,
    residualDepth: directions + 2,
    normDepth: depth,
  });
  const unit = metric === "cosine" ? 1 : 2 ** -unitExponent(source.maxNorm * 2 ** exponent);
  return {
    metric,
    directions,
    isIdentity: projection === undefined,
    isStored,
    codeChunks: isStored ? source.rowBytes / 16 : Math.ceil(directions / 16),
    factWords: factWords(metric),
    basis: basisBuffer(memory, source, exponent, projection, metric === "euclidean" ? mean : undefined),
    unit,
    paramBits: [unit, ...[slack.error, slack.residual, slack.code, slack.norm, defect].map(roundUp)].map(floatBits),
    // A power of two: few variants of the kernels, which were probed with the same.
    rounding: 2 ** Math.ceil(Math.log2(2 ** -19 + 2 * (slack.norm2 + defect))),
    exponent,
  };
}

function basisBuffer(
  memory: DeviceMemory,
  { stride }: RowSource,
  exponent: number,
  projection: Projection | undefined,
  mean: Float32Array | undefined,
): GPUBuffer {
  const words = new Float32Array(stride + (projection?.transposed.length ?? 0));
  mean?.forEach((value, d) => (words[d] = value * 2 ** exponent));
  if (projection !== undefined) words.set(projection.transposed, stride);
  const buffer = memory.create("basis", words.byteLength, USAGE.storage | USAGE.copyDst | USAGE.copySrc);
  memory.write(buffer, 0, words);
  return buffer;
}

function roundUp(value: number): number {
  return value * (1 + 2 ** -22);
}
