/** The plane of a neighbourhood, against covariances that are known and against other planes. */
import { describe, expect, it } from "vitest";
import { principalPlane } from "../../demo/page/words/pca.ts";
import { uniform } from "../../src/core/random.ts";

/** At right angles to each other, of unit length, the largest element positive. */
const AXES = [
  [2, 3, 6],
  [-3, 6, -2],
  [6, 2, -3],
].map((axis) => axis.map((x) => x / 7));

/** Two points on each axis, at ± `reach` from `middle`: the covariance has these axes, with variances reach² / 3. */
function cross(reaches: readonly number[], middle = [0, 0, 0]): Float32Array {
  return Float32Array.from(
    reaches.flatMap((reach, i) => [reach, -reach].flatMap((by) => middle.map((m, d) => m + by * (AXES[i]?.[d] ?? 0)))),
  );
}

const closeTo = (values: readonly number[]): unknown[] => values.map((value) => expect.closeTo(value, 5));

describe("the principal plane", () => {
  it.each([
    ["the first two axes", [9, 5, 1], [0, 1]],
    ["whatever their order", [1, 5, 9], [2, 1]],
    ["the larger ones where all are near each other", [1.2, 1, 1.1], [0, 2]],
  ] as const)("is %s of a known covariance", (_, reaches, [i, j]) => {
    const { components, variances, total, coordinates } = principalPlane(cross(reaches, [10, -20, 30]), 3);
    expect([...components[0]]).toEqual(closeTo(AXES[i] ?? []));
    expect([...components[1]]).toEqual(closeTo(AXES[j] ?? []));
    expect(variances).toEqual(closeTo([reaches[i] ** 2 / 3, reaches[j] ** 2 / 3]));
    expect(total).toBeCloseTo(
      reaches.reduce((sum, reach) => sum + reach ** 2 / 3, 0),
      4,
    );
    // The two points of the first axis lie on it, the others at 0 of it.
    expect([...coordinates.subarray(4 * i, 4 * i + 4)]).toEqual(closeTo([reaches[i], 0, -reaches[i], 0]));
    expect([...coordinates.subarray(4 * j, 4 * j + 4)]).toEqual(closeTo([0, reaches[j], 0, -reaches[j]]));
  });

  it("is not led astray by one point far out beside many", () => {
    const many = Array.from({ length: 200 }, (_, i) => [i % 2 === 0 ? 5 : -5, 0]).flat();
    const { components } = principalPlane(Float32Array.from([...many, 0, 20]), 2);
    expect(components.map((component) => [...component])).toEqual([closeTo([1, 0]), closeTo([0, 1])]);
  });

  it("of points on a line is that line, of one point nothing", () => {
    const line = principalPlane(Float32Array.of(0, 0, 3, 4, 6, 8), 2);
    expect([...line.components[0]]).toEqual(closeTo([0.6, 0.8]));
    expect([...line.components[1]]).toEqual([0, 0]);
    expect([...line.coordinates]).toEqual(closeTo([-5, 0, 0, 0, 5, 0]));
    const point = principalPlane(Float32Array.of(3, 4, 3, 4), 2);
    expect([...point.coordinates, ...point.variances, point.total]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  it("keeps as much of the differences as any plane does", () => {
    const draw = uniform(11);
    const [count, dimensions] = [60, 12];
    const rows = Float32Array.from({ length: count * dimensions }, (_, i) => (draw() - 0.5) * (1 + (i % dimensions)));
    const { coordinates, components, variances, total } = principalPlane(rows, dimensions);
    const kept = variances[0] + variances[1];
    expect(variances[0]).toBeGreaterThanOrEqual(variances[1]);
    expect(kept).toBeLessThan(total);
    // The coordinates have these variances, and know nothing of each other.
    let [xx, yy, xy] = [0, 0, 0];
    for (let row = 0; row < count; row++) {
      const [x = 0, y = 0] = coordinates.subarray(2 * row, 2 * row + 2);
      xx += (x * x) / count;
      yy += (y * y) / count;
      xy += (x * y) / count;
    }
    expect([xx, yy, xy]).toEqual(closeTo([...variances, 0]));
    const length = (vector: Float64Array): number => Math.hypot(...vector);
    expect(components.map(length)).toEqual(closeTo([1, 1]));
    // No pair of dimensions, as they are or turned at random, keeps more.
    for (let trial = 0; trial < 200; trial++) {
      const [a, b] = orthonormal(dimensions, draw);
      expect(spread(rows, dimensions, a) + spread(rows, dimensions, b)).toBeLessThanOrEqual(kept + 1e-6);
    }
  });
});

function orthonormal(dimensions: number, draw: () => number): [number[], number[]] {
  const random = (): number[] => Array.from({ length: dimensions }, () => draw() - 0.5);
  const unit = (vector: number[]): number[] => vector.map((x) => x / Math.hypot(...vector));
  const dot = (x: number[], y: number[]): number => x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  const a = unit(random());
  const b = random();
  const along = dot(a, b);
  return [a, unit(b.map((x, i) => x - along * (a[i] ?? 0)))];
}

/** Variance of the rows along a direction. */
function spread(rows: Float32Array, dimensions: number, direction: readonly number[]): number {
  const values = Array.from({ length: rows.length / dimensions }, (_, row) =>
    direction.reduce((sum, x, d) => sum + x * (rows[row * dimensions + d] ?? 0), 0),
  );
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
}
