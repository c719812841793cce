/** What the adapter of a peer gets, and what most of them need. */
import type { CaseGroup, Contender } from "../cases/case.ts";
import type { OpenContender } from "../contender.ts";
import type { Vectors } from "../vectors.ts";
import type { PeerPackages } from "./packages.ts";

/** Resolves with the peer filled and ready. Throws where the peer cannot do what is asked: the table then has the reason. */
export type OpenPeer = (
  packages: PeerPackages,
  contender: Contender,
  metric: CaseGroup["metric"],
  vectors: Vectors,
) => OpenContender | Promise<OpenContender>;

export interface FloatVectors {
  readonly dimensions: number;
  readonly rowCount: number;
  /** [rowCount × dimensions] */
  readonly rows: Float32Array<ArrayBuffer>;
  /** Row `i`, a view. */
  readonly row: (i: number) => Float32Array<ArrayBuffer>;
}

/** The rows, where they are not packed bits. */
export function floatVectors({ engine }: Contender, { dimensions, rows }: Vectors): FloatVectors {
  if (rows instanceof Uint8Array) throw new Error(`the adapter of ${engine} takes no packed bits`);
  const row = (i: number): Float32Array<ArrayBuffer> => rows.subarray(i * dimensions, (i + 1) * dimensions);
  return { dimensions, rowCount: rows.length / dimensions, rows, row };
}

/** What the peer calls the case's metric. */
export function metricOf<Name>(
  { engine }: Contender,
  metric: CaseGroup["metric"],
  names: Readonly<Partial<Record<CaseGroup["metric"], Name>>>,
): Name {
  const name = names[metric];
  if (name === undefined)
    throw new Error(`the adapter of ${engine} knows ${Object.keys(names).join(" and ")}, not ${metric}`);
  return name;
}

/** ‖v‖² of each vector, in double precision. */
export function squaredLengths(values: Float32Array, dimensions: number): Float64Array {
  const squares = new Float64Array(values.length / dimensions);
  for (let i = 0; i < squares.length; i++) {
    let sum = 0;
    for (let at = i * dimensions; at < (i + 1) * dimensions; at++) sum += (values[at] ?? 0) ** 2;
    squares[i] = sum;
  }
  return squares;
}

/** Each vector divided by its length, for peers that know products or Euclidean distances only; zeros stay zeros. */
export function unitVectors(values: Float32Array, dimensions: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length);
  for (const [i, square] of squaredLengths(values, dimensions).entries()) {
    const length = Math.sqrt(square) || 1;
    for (let at = i * dimensions; at < (i + 1) * dimensions; at++) out[at] = (values[at] ?? 0) / length;
  }
  return out;
}
