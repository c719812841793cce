/**
 * The plane in which points differ most: their first two principal components, by power iteration on the covariance,
 * with the first one taken out before the second. 150 points of 100 dimensions take some milliseconds; a library for
 * eigenvalues would be larger than the page. Where two variances are nearly equal the iteration stops early with a
 * direction between them, which shows as much. Pure, and the same points give the same picture.
 */

export interface Plane {
  /** [points × 2], centred. */
  readonly coordinates: Float64Array;
  /** The two directions: unit length, at right angles; zero where the points differ in fewer directions. */
  readonly components: readonly [Float64Array, Float64Array];
  /** Along each; their sum is at most `total`. */
  readonly variances: readonly [number, number];
  /** The sum over all dimensions. */
  readonly total: number;
}

const STEPS = 500;
/** A step that turns the direction by less than this much (1 − cosine) is the last. */
const STILL = 1e-14;
/** A share of the total variance below which a direction is rounding. */
const NOTHING = 1e-12;

/** `rows`: [points × dimensions]. */
export function principalPlane(rows: Float32Array, dimensions: number): Plane {
  const count = rows.length / dimensions;
  const centred = centre(rows, count, dimensions);
  const covariance = covarianceOf(centred, count, dimensions);
  let total = 0;
  for (let d = 0; d < dimensions; d++) total += covariance[d * dimensions + d] ?? 0;
  const first = leadingDirection(covariance, dimensions, total * NOTHING);
  takeOut(covariance, first.direction, first.variance);
  const second = leadingDirection(covariance, dimensions, total * NOTHING);
  const coordinates = new Float64Array(count * 2);
  for (let row = 0; row < count; row++) {
    const point = centred.subarray(row * dimensions, (row + 1) * dimensions);
    coordinates[2 * row] = product(point, first.direction);
    coordinates[2 * row + 1] = product(point, second.direction);
  }
  return {
    coordinates,
    components: [first.direction, second.direction],
    variances: [first.variance, second.variance],
    total,
  };
}

function centre(rows: Float32Array, count: number, dimensions: number): Float64Array {
  const means = new Float64Array(dimensions);
  for (const [i, x] of rows.entries()) means[i % dimensions] = (means[i % dimensions] ?? 0) + x / count;
  return Float64Array.from(rows, (x, i) => x - (means[i % dimensions] ?? 0));
}

/** [dimensions × dimensions], divided by the number of points. */
function covarianceOf(centred: Float64Array, count: number, dimensions: number): Float64Array {
  const covariance = new Float64Array(dimensions * dimensions);
  for (let row = 0; row < count; row++) {
    const point = centred.subarray(row * dimensions, (row + 1) * dimensions);
    for (const [d, x] of point.entries()) {
      for (const [e, y] of point.entries()) {
        covariance[d * dimensions + e] = (covariance[d * dimensions + e] ?? 0) + (x * y) / count;
      }
    }
  }
  return covariance;
}

function leadingDirection(
  matrix: Float64Array,
  dimensions: number,
  least: number,
): { direction: Float64Array; variance: number } {
  // Where it starts must not be at right angles to what it looks for; no data are made to be so to this.
  let direction = Float64Array.from({ length: dimensions }, (_, d) => Math.sin(d + 1));
  let variance = 0;
  normalise(direction);
  for (let step = 0; step < STEPS; step++) {
    const next = direction.map((_, d) => product(matrix.subarray(d * dimensions, (d + 1) * dimensions), direction));
    variance = normalise(next);
    if (variance <= least) return { direction: new Float64Array(dimensions), variance: 0 };
    const turn = 1 - product(next, direction);
    direction = next;
    if (turn < STILL) break;
  }
  return { direction: pointed(direction), variance };
}

/** Removes a direction's variance. */
function takeOut(matrix: Float64Array, direction: Float64Array, variance: number): void {
  const dimensions = direction.length;
  for (const [d, x] of direction.entries()) {
    for (const [e, y] of direction.entries()) {
      matrix[d * dimensions + e] = (matrix[d * dimensions + e] ?? 0) - variance * x * y;
    }
  }
}

/** A direction and its opposite are the same component: the one whose largest element is positive. */
function pointed(direction: Float64Array): Float64Array {
  const largest = direction.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0);
  return largest < 0 ? direction.map((x) => -x) : direction;
}

function product(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (const [i, x] of a.entries()) sum += x * (b[i] ?? 0);
  return sum;
}

/** In place; returns the length before. */
function normalise(vector: Float64Array): number {
  const length = Math.sqrt(product(vector, vector));
  if (length > 0) for (const [i, x] of vector.entries()) vector[i] = x / length;
  return length;
}
