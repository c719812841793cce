/**
 * Products of float64 matrices in pieces, for learning a basis: the one hot loop of that work,
 * plain JS at about one multiply-add a nanosecond. Every product is rows by rows,
 * out[i][j] = Σ_t a[i][t]·b[j][t], so that both operands are read in order; callers transpose.
 */
import { LIMITS } from "./limits.ts";

/** A row-major matrix [rows × length]. */
export interface Rows {
  readonly data: Float64Array;
  readonly rows: number;
  readonly length: number;
}

export function zeroRows(rows: number, length: number): Rows {
  return { data: new Float64Array(rows * length), rows, length };
}

/** a·bᵀ as `product` makes it, perhaps by other means. */
export type Multiply = (a: Rows, b: Rows, symmetric?: boolean) => Generator<number, Rows>;

/** Columns of one pass: four rows of this many float64 stay in a 256 KiB L2 while the others stream by. */
const PASS = 2048;

/**
 * a·bᵀ, as [a.rows × b.rows]. `symmetric`: the result is known to be symmetric (a·bᵀ = b·aᵀ), so
 * half of it is computed and mirrored. Yields the multiply-adds done since the last yield.
 */
export function* product(a: Rows, b: Rows, symmetric = false): Generator<number, Rows> {
  const out = zeroRows(a.rows, b.rows);
  let done = 0;
  for (let from = 0; from < a.length; from += PASS) {
    const to = Math.min(a.length, from + PASS);
    for (let i = 0; i < a.rows; i += 4) {
      const columns = symmetric ? Math.min(b.rows, i + 4) : b.rows;
      for (let j = 0; j < columns; j += 2) {
        if (i + 4 <= a.rows && j + 2 <= b.rows) addTile(a, i, b, j, from, to, out);
        else addEdge(a, i, b, j, from, to, out);
        done += 8 * (to - from);
        if (done >= LIMITS.sliceElements - 8 * PASS) {
          yield done;
          done = 0;
        }
      }
    }
  }
  yield done;
  if (symmetric) yield* mirror(out);
  return out;
}

/** The transpose. Yields as `product` does; moving an element across rows costs about as much as four multiply-adds. */
export function* transposed(a: Rows): Generator<number, Rows> {
  const out = zeroRows(a.length, a.rows);
  const step = Math.max(1, Math.floor(LIMITS.sliceElements / 4 / Math.max(1, a.length)));
  for (let from = 0; from < a.rows; from += step) {
    const to = Math.min(a.rows, from + step);
    for (let j = 0; j < a.length; j++) {
      for (let i = from; i < to; i++) out.data[j * a.rows + i] = a.data[i * a.length + j] ?? 0;
    }
    yield 4 * (to - from) * a.length;
  }
  return out;
}

// Indices below are inside the arrays by construction; `?? 0` would cost a branch in the hot loop.
function addTile(a: Rows, i: number, b: Rows, j: number, from: number, to: number, out: Rows): void {
  const x = a.data;
  const y = b.data;
  const n = a.length;
  let x0 = i * n + from;
  let x1 = x0 + n;
  let x2 = x1 + n;
  let x3 = x2 + n;
  let y0 = j * n + from;
  let y1 = y0 + n;
  let s00 = 0;
  let s01 = 0;
  let s10 = 0;
  let s11 = 0;
  let s20 = 0;
  let s21 = 0;
  let s30 = 0;
  let s31 = 0;
  for (let t = from; t < to; t++) {
    const v0 = y[y0++]!;
    const v1 = y[y1++]!;
    const u0 = x[x0++]!;
    const u1 = x[x1++]!;
    const u2 = x[x2++]!;
    const u3 = x[x3++]!;
    s00 += u0 * v0;
    s01 += u0 * v1;
    s10 += u1 * v0;
    s11 += u1 * v1;
    s20 += u2 * v0;
    s21 += u2 * v1;
    s30 += u3 * v0;
    s31 += u3 * v1;
  }
  const o = out.data;
  const width = out.length;
  let at = i * width + j;
  o[at]! += s00;
  o[at + 1]! += s01;
  at += width;
  o[at]! += s10;
  o[at + 1]! += s11;
  at += width;
  o[at]! += s20;
  o[at + 1]! += s21;
  at += width;
  o[at]! += s30;
  o[at + 1]! += s31;
}

function addEdge(a: Rows, i: number, b: Rows, j: number, from: number, to: number, out: Rows): void {
  const n = a.length;
  for (let row = i; row < Math.min(i + 4, a.rows); row++) {
    for (let column = j; column < Math.min(j + 2, b.rows); column++) {
      let sum = 0;
      for (let t = from; t < to; t++) sum += a.data[row * n + t]! * b.data[column * n + t]!;
      out.data[row * out.length + column]! += sum;
    }
  }
}

/** Copies the lower triangle over the upper. */
export function* mirror(square: Rows): Generator<number, void> {
  const { data, rows } = square;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < i; j++) data[j * rows + i] = data[i * rows + j] ?? 0;
    yield i;
  }
}
