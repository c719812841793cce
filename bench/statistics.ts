/** What is said of repeated times. */

export interface Spread {
  readonly median: number;
  readonly p95: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (fraction: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
  return {
    median: round(at(0.5)),
    p95: round(at(0.95)),
    least: round(sorted[0] ?? Number.NaN),
    most: round(sorted.at(-1) ?? Number.NaN),
    count: sorted.length,
  };
}

/** Five significant digits: more would be noise. */
export function round(value: number): number {
  return Number(value.toPrecision(5));
}
