/**
 * Codes of rows where they lie, block by block. A block's seal says by which basis its codes are,
 * of which version of the block, and of how many rows; it is broken while codes are written, so
 * that a crash leaves nothing that looks whole.
 */
import { type CodeBasis, type Encoder } from "./encoder.ts";
import { codesAt, codeStride, FACTS, factsAt, rowsAt, scalesAt, sealAt, type StoreShape } from "./layout.ts";
import type { Chunk, StoreView } from "./store-view.ts";
import type { EncodeTask } from "./tasks.ts";

/** Rows of a block that have no codes. */
interface Piece {
  readonly block: number;
  readonly version: number;
  readonly first: number;
  readonly count: number;
}

/** Rows of the block whose codes are by this basis and of this version of the block. */
export function sealedRows(shape: StoreShape, chunk: Chunk, index: number, basis: CodeBasis, version: number): number {
  const [id, sealed, rows] = new Uint32Array(chunk.memory.buffer, sealAt(shape, index), 3);
  return id === basis.id && sealed === version ? (rows ?? 0) : 0;
}

function encodeRows(
  shape: StoreShape,
  { memory }: Chunk,
  index: number,
  encoder: Encoder,
  basis: CodeBasis,
  first: number,
  count: number,
): void {
  const { buffer } = memory;
  const { blockRows, codeRoom, precision } = shape;
  const stride = codeStride(basis.length);
  const fact = (at: number): number => factsAt(shape, index, first + at * blockRows);
  const rows = new Uint8Array(buffer, rowsAt(shape, index, first), count * shape.rowBytes);
  const scales = new Float32Array(buffer, scalesAt(shape, index, first), precision === "i8" ? count : 0);
  encoder.encodeRows(basis, rows, scales, count, {
    codes: new Int8Array(buffer, codesAt(shape, index, first, stride), codeRoom === 0 ? 0 : count * stride),
    scales: new Float32Array(buffer, fact(0), count),
    errors: new Float32Array(buffer, fact(1), count),
    residuals: new Float32Array(buffer, fact(2), count),
    norms: new Float32Array(buffer, fact(3), count),
    codeSums: new Int32Array(buffer, fact(FACTS - 1), count),
  });
}

/** What is to be coded, at most `most` rows at a time. */
export function* missingCodes(
  view: StoreView,
  basis: CodeBasis,
  blocks: EncodeTask["blocks"],
  most: number,
): Generator<Piece> {
  for (const { block, version, rowCount } of blocks) {
    const { chunk, index } = view.locate(block);
    const known = sealedRows(view.shape, chunk, index, basis, version);
    for (let first = known; first < rowCount; first += most) {
      yield { block, version, first, count: Math.min(most, rowCount - first) };
    }
  }
}

export function encodePiece(
  view: StoreView,
  encoder: Encoder,
  basis: CodeBasis,
  { block, version, first, count }: Piece,
): void {
  const { chunk, index } = view.locate(block);
  const seal = new Uint32Array(chunk.memory.buffer, sealAt(view.shape, index), 3);
  seal[2] = 0;
  encodeRows(view.shape, chunk, index, encoder, basis, first, count);
  seal.set([basis.id, version, first + count]);
}
