/**
 * Eigenvalues and eigenvectors of a small symmetric matrix, in pieces: Householder reduction to
 * tridiagonal form, then implicit QL with Wilkinson's shifts (EISPACK tred2 and tql2; Golub and
 * Van Loan, Matrix Computations, 8.3). Jacobi's method is shorter but takes ten times as long at
 * 512 × 512. Eigenvectors are rows, so that every loop reads memory in order.
 */
import { LIMITS } from "./limits.ts";
import { type Rows, zeroRows } from "./product.ts";

export interface Eigen {
  /** Descending. */
  readonly values: Float64Array;
  /** Row i belongs to value i; orthonormal up to rounding, whatever the matrix. */
  readonly vectors: Rows;
}

/** QL steps for one eigenvalue: two or three are usual; then the entry is taken for 0 (see below). */
const MAX_STEPS = 60;

/** `matrix` is overwritten. Yields the multiply-adds done since the last yield. */
export function* symmetricEigen(matrix: Rows): Generator<number, Eigen> {
  const n = matrix.rows;
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n); // [i] couples i and i + 1
  const factors = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    factors[k] = yield* reflect(matrix, k, beside);
    diagonal[k] = matrix.data[k * n + k] ?? 0;
  }
  const vectors = zeroRows(n, n);
  for (let i = 0; i < n; i++) vectors.data[i * n + i] = 1;
  yield* diagonalise(diagonal, beside, vectors);
  for (let i = 0; i < n; i++) {
    for (let k = n - 1; k >= 0; k--) applyReflection(matrix, k, factors[k] ?? 0, vectors, i);
    yield n * n;
  }
  return sorted(diagonal, vectors);
}

/**
 * Step k of the reduction: the reflection I − factor·v·vᵀ that clears row k beyond k + 1 acts on
 * the rows and columns after k. v takes the place of row k beyond k. Returns the factor.
 */
function* reflect(matrix: Rows, k: number, beside: Float64Array): Generator<number, number> {
  const { data, rows: n } = matrix;
  const head = k * n;
  let largest = 0;
  for (let i = k + 1; i < n; i++) largest = Math.max(largest, Math.abs(data[head + i] ?? 0));
  if (largest === 0) return 0;
  let square = 0;
  for (let i = k + 1; i < n; i++) {
    const v = (data[head + i] ?? 0) / largest; // squares of tiny entries would underflow
    data[head + i] = v;
    square += v * v;
  }
  const first = data[head + k + 1] ?? 0;
  const alpha = first > 0 ? -Math.sqrt(square) : Math.sqrt(square);
  beside[k] = alpha * largest;
  data[head + k + 1] = first - alpha;
  const factor = 1 / (square - first * alpha);
  // w = factor·H·v − (factor/2)(v·w)·v, then H −= v·wᵀ + w·vᵀ.
  const w = new Float64Array(n);
  let inner = 0;
  for (let i = k + 1; i < n; i++) {
    w[i] = factor * dotBeyond(data, i * n, data, head, k, n);
    inner += (w[i] ?? 0) * (data[head + i] ?? 0);
  }
  yield (n - k) * (n - k);
  for (let i = k + 1; i < n; i++) w[i] = (w[i] ?? 0) - 0.5 * factor * inner * (data[head + i] ?? 0);
  for (let i = k + 1; i < n; i++) {
    const vi = data[head + i] ?? 0;
    const wi = w[i] ?? 0;
    for (let j = k + 1; j < n; j++) data[i * n + j]! -= vi * w[j]! + wi * data[head + j]!;
  }
  yield (n - k) * (n - k);
  return factor;
}

/** Σ over j of k + 1 … n − 1. */
function dotBeyond(a: Float64Array, aAt: number, b: Float64Array, bAt: number, k: number, n: number): number {
  let sum = 0;
  for (let j = k + 1; j < n; j++) sum += a[aAt + j]! * b[bAt + j]!;
  return sum;
}

function applyReflection(matrix: Rows, k: number, factor: number, vectors: Rows, row: number): void {
  if (factor === 0) return;
  const { data, rows: n } = matrix;
  const z = vectors.data;
  const sum = factor * dotBeyond(data, k * n, z, row * n, k, n);
  for (let j = k + 1; j < n; j++) z[row * n + j]! -= sum * data[k * n + j]!;
}

/** Implicit QL on a tridiagonal matrix; rotates the rows of `vectors` along. */
function* diagonalise(d: Float64Array, e: Float64Array, vectors: Rows): Generator<number, void> {
  const n = vectors.rows;
  for (let l = 0; l < n; l++) {
    for (let step = 0; ; step++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]!) > Number.EPSILON * (Math.abs(d[m]!) + Math.abs(d[m + 1]!))) m++;
      if (m === l) break;
      if (step === MAX_STEPS) {
        // Never seen; the directions stay orthonormal, which is all that correctness needs.
        e[l] = 0;
        break;
      }
      yield* qlStep(d, e, l, m, vectors);
    }
  }
}

function* qlStep(d: Float64Array, e: Float64Array, l: number, m: number, vectors: Rows): Generator<number, void> {
  const slope = (d[l + 1]! - d[l]!) / (2 * e[l]!);
  const length = Math.hypot(slope, 1);
  let g = d[m]! - d[l]! + e[l]! / (slope + (slope < 0 ? -length : length));
  let sine = 1;
  let cosine = 1;
  let shift = 0;
  let done = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = sine * e[i]!;
    const b = cosine * e[i]!;
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1]! -= shift;
      e[m] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1]! - shift;
    const t = (d[i]! - g) * sine + 2 * cosine * b;
    shift = sine * t;
    d[i + 1] = g + shift;
    g = cosine * t - b;
    rotate(vectors, i, sine, cosine);
    done += 4 * vectors.length;
    if (done >= LIMITS.sliceElements - 4 * vectors.length) {
      yield done;
      done = 0;
    }
  }
  yield done;
  d[l]! -= shift;
  e[l] = g;
  e[m] = 0;
}

function rotate(vectors: Rows, i: number, sine: number, cosine: number): void {
  const { data, length } = vectors;
  const upper = i * length;
  const lower = upper + length;
  for (let k = 0; k < length; k++) {
    const f = data[lower + k]!;
    const g = data[upper + k]!;
    data[lower + k] = sine * g + cosine * f;
    data[upper + k] = cosine * g - sine * f;
  }
}

function sorted(values: Float64Array, vectors: Rows): Eigen {
  const n = vectors.rows;
  const order = Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
  const out = zeroRows(n, n);
  for (const [to, from] of order.entries()) out.data.set(vectors.data.subarray(from * n, (from + 1) * n), to * n);
  return { values: Float64Array.from(order, (from) => values[from] ?? 0), vectors: out };
}
