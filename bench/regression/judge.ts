/**
 * Two runs of one benchmark, case by case: how much faster or slower the second is, and whether that
 * is more than noise. A run's noise is half the way from its least time to its 95th percentile, over
 * its median; those of the two runs add up as independent errors do. Pure.
 */
import { type Comparison, machineOf, type Measured, measuredOf, newest } from "../report/results.ts";
import type { Spread } from "../statistics.ts";

export interface Change {
  readonly key: string;
  readonly contender: string;
  /** Time of A over time of B: above 1, B is faster. Of the CPU's time where both have it: a busy machine disturbs it less. */
  readonly ratio: number;
  readonly noise: number;
  readonly verdict: "faster" | "slower" | "same";
}

/** Throws where the runs are of different machines, runtimes or backends, or have no case in common. */
export function judge(a: readonly Comparison[], b: readonly Comparison[], tolerance: number): Change[] {
  const setting = settingOf(a, "A");
  const other = settingOf(b, "B");
  if (setting !== other)
    throw new Error(`A was measured on ${setting}, B on ${other}: their times say nothing of each other`);
  const before = newest(a, ({ key }) => key);
  const after = new Map(newest(b, ({ key }) => key).map((comparison) => [comparison.key, comparison]));
  const changes = before.flatMap((comparison) => {
    const same = after.get(comparison.key);
    if (same === undefined) return [];
    return measuredOf(comparison).flatMap((old) => {
      const now = measuredOf(same).find(({ contender }) => sameContender(contender, old.contender));
      return now === undefined ? [] : [changeOf(comparison.key, old, now, tolerance)];
    });
  });
  if (changes.length === 0) throw new Error("A and B have no case and contender in common");
  return changes;
}

function sameContender(a: Measured["contender"], b: Measured["contender"]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Machine, runtime and backend, which must be one in all records of a run. */
function settingOf(records: readonly Comparison[], name: string): string {
  const backends = (record: Comparison): string =>
    [...new Set(record.contenders.map(({ contender }) => contender.backend ?? "cpu"))].join(" and ");
  const settings = new Set(records.map((record) => `${machineOf(record)}, ${backends(record)}`));
  const [only] = settings;
  if (only === undefined) throw new Error(`${name} holds no comparison`);
  if (settings.size > 1) throw new Error(`${name} mixes ${[...settings].join(" with ")}`);
  return only;
}

function changeOf(key: string, a: Measured, b: Measured, tolerance: number): Change {
  const [old, now] = a.cpuMs !== null && b.cpuMs !== null ? [a.cpuMs, b.cpuMs] : [a.wallMs, b.wallMs];
  const ratio = old.median / now.median;
  const noise = Math.hypot(noiseOf(old), noiseOf(now));
  const bound = 1 + Math.max(noise, tolerance);
  const verdict = ratio > bound ? "faster" : ratio < 1 / bound ? "slower" : "same";
  return { key, contender: a.contender.name, ratio, noise, verdict };
}

function noiseOf({ least, p95, median }: Spread): number {
  return (p95 - least) / 2 / median;
}
