/** What vectors are projected on before they are coded (encoding.ts), as plain data. */

export interface Projection {
  readonly dimensions: number;
  /** m: rows of P, codes of a vector. */
  readonly length: number;
  /** [m × d] at least; undefined: the identity, m = d. */
  readonly vectors: Float32Array | undefined;
  /** [d]: what euclidean vectors are centred by; undefined: nothing. */
  readonly mean: Float32Array | undefined;
  /** δ ≥ ‖P·Pᵀ − I‖_F. */
  readonly defect: number;
}

export function identityProjection(dimensions: number, mean?: Float32Array): Projection {
  return { dimensions, length: dimensions, vectors: undefined, mean, defect: 0 };
}

/** Multiply-adds, about, that encoding one vector takes. */
export function encodingWork({ vectors, length, dimensions }: Projection): number {
  return vectors === undefined ? 8 * dimensions : 2 * length * dimensions;
}
