/**
 * The one table of cases that every backend runs: a pairwise covering array over the parameters,
 * so that any two values meet in some case, and the boundary cases one by one.
 */
import { type Metric, metricFits, METRICS, type Precision, PRECISIONS } from "../../src/core/metric.ts";
import { DATA_KINDS, type DataKind } from "./data.ts";
import { uniform } from "./random.ts";

const FILTERS = ["none", "half", "per-query", "one-row", "empty", "removed"] as const;
type FilterKind = (typeof FILTERS)[number];

/** Every precision with every metric that goes with it. */
const KINDS = PRECISIONS.flatMap((precision) =>
  METRICS.filter((metric) => metricFits(metric, precision)).map((metric) => ({ precision, metric })),
);

export interface ContractCase {
  readonly name: string;
  readonly rows: number;
  readonly dimensions: number;
  readonly queries: number;
  readonly k: number;
  readonly precision: Precision;
  readonly metric: Metric;
  readonly data: DataKind;
  readonly filter: FilterKind;
  /** Cut at the true distance of the 5th neighbour of the first query, inclusive. */
  readonly hasLimit: boolean;
  readonly seed: number;
}

const PARAMETERS = {
  rows: [1, 31, 32, 33, 63, 64, 65, 1000, 2179, 5003],
  dimensions: [1, 3, 4, 5, 15, 16, 17, 127, 128, 130],
  queries: [1, 2, 7, 8, 9, 33],
  k: [1, 2, 10, 16, 17, 100, 256, 257, 1000, "all", "all + 5"],
  kind: KINDS,
  data: DATA_KINDS,
  filter: FILTERS,
  hasLimit: [false, true],
} as const;

type ParameterName = keyof typeof PARAMETERS;
type Row = { [P in ParameterName]: (typeof PARAMETERS)[P][number] };

/** Greedy pairwise covering (AETG's idea): each case takes, parameter by parameter, the value that covers most new pairs. */
function coveringArray(seed: number): Row[] {
  const next = uniform(seed);
  const names = Object.keys(PARAMETERS) as ParameterName[];
  const open = new Set<string>();
  const pair = (a: ParameterName, i: number, b: ParameterName, j: number): string =>
    a < b ? `${a}${i}|${b}${j}` : `${b}${j}|${a}${i}`;
  for (const a of names) {
    for (const b of names) {
      if (a >= b) continue;
      PARAMETERS[a].forEach((_, i) => PARAMETERS[b].forEach((__, j) => open.add(pair(a, i, b, j))));
    }
  }
  const cases: Row[] = [];
  while (open.size > 0) {
    let best: Map<ParameterName, number> | undefined;
    let bestNew = -1;
    for (let attempt = 0; attempt < 20; attempt++) {
      const chosen = new Map<ParameterName, number>();
      let covered = 0;
      const order = shuffled(names, next);
      for (const name of order) {
        let choice = 0;
        let most = -1;
        const offset = Math.floor(next() * PARAMETERS[name].length);
        for (let v = 0; v < PARAMETERS[name].length; v++) {
          const value = (v + offset) % PARAMETERS[name].length;
          let gain = 0;
          for (const [other, j] of chosen) if (open.has(pair(name, value, other, j))) gain++;
          if (gain > most) {
            most = gain;
            choice = value;
          }
        }
        chosen.set(name, choice);
        covered += most;
      }
      if (covered > bestNew) {
        bestNew = covered;
        best = chosen;
      }
    }
    if (best === undefined) throw new Error("unreachable: there are attempts");
    for (const [a, i] of best) for (const [b, j] of best) if (a < b) open.delete(pair(a, i, b, j));
    // Built name by name from the same table, so each value has its parameter's type.
    cases.push(Object.fromEntries([...best].map(([name, i]) => [name, PARAMETERS[name][i]])) as Row);
  }
  return cases;
}

/** Fisher and Yates: sorting by a random comparator gives another order in every engine. */
function shuffled<T>(list: readonly T[], next: () => number): T[] {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j] as T, out[i] as T]; // both within the list
  }
  return out;
}

function named(c: Omit<ContractCase, "name">): ContractCase {
  const limit = c.hasLimit ? " limited" : "";
  return {
    ...c,
    name: `${c.precision} ${c.metric} ${c.rows}×${c.dimensions} ${c.data}, ${c.queries} queries, k ${c.k}, filter ${c.filter}${limit}`,
  };
}

/** Of f32, unless said otherwise. */
const BOUNDARY: readonly (Omit<ContractCase, "name" | "seed" | "precision"> & { readonly precision?: Precision })[] = [
  { rows: 0, dimensions: 3, queries: 2, k: 5, metric: "cosine", data: "gaussian", filter: "none", hasLimit: false },
  { rows: 100, dimensions: 3, queries: 0, k: 5, metric: "dot", data: "gaussian", filter: "none", hasLimit: false },
  {
    rows: 5003,
    dimensions: 1,
    queries: 1,
    k: 5003,
    metric: "euclidean",
    data: "gaussian",
    filter: "none",
    hasLimit: false,
  },
  { rows: 5003, dimensions: 16, queries: 1, k: 17, metric: "dot", data: "equal", filter: "none", hasLimit: false },
  { rows: 5003, dimensions: 16, queries: 9, k: 3, metric: "dot", data: "zero", filter: "half", hasLimit: false },
  {
    rows: 5003,
    dimensions: 16,
    queries: 2,
    k: 10,
    metric: "euclidean",
    data: "sorted",
    filter: "none",
    hasLimit: false,
  },
  {
    rows: 1000,
    dimensions: 128,
    queries: 4,
    k: 7,
    metric: "cosine",
    data: "half-ulp",
    filter: "none",
    hasLimit: false,
  },
  {
    rows: 1000,
    dimensions: 128,
    queries: 4,
    k: 7,
    metric: "manhattan",
    data: "half-ulp",
    filter: "none",
    hasLimit: false,
  },
  {
    rows: 64,
    dimensions: 1537,
    queries: 3,
    k: 5,
    metric: "euclidean",
    data: "gaussian",
    filter: "none",
    hasLimit: false,
  },
  {
    rows: 40,
    dimensions: 9000,
    queries: 2,
    k: 3,
    metric: "cosine",
    data: "clustered",
    filter: "per-query",
    hasLimit: false,
  },
  // Products of 1e60 clamp: half of the rows tie at −3.4e38, the others at +3.4e38, in the order of rows.
  { rows: 1000, dimensions: 33, queries: 3, k: 5, metric: "dot", data: "huge", filter: "none", hasLimit: false },
  { rows: 1000, dimensions: 33, queries: 3, k: 700, metric: "dot", data: "huge", filter: "none", hasLimit: false },
  { rows: 300, dimensions: 33, queries: 3, k: 300, metric: "dot", data: "huge", filter: "none", hasLimit: true },
  ...(["f16", "i8", "b1"] as const).map((precision) => ({
    rows: 40,
    dimensions: 9001,
    queries: 3,
    k: 40,
    precision,
    metric: precision === "b1" ? ("jaccard" as const) : ("cosine" as const),
    data: "clustered" as const,
    filter: "per-query" as const,
    hasLimit: false,
  })),
  // One row more than a block holds, of each precision: 1024 rows.
  ...KINDS.map((kind) => ({
    rows: 1025,
    dimensions: 7,
    queries: 3,
    k: 1025,
    ...kind,
    data: "gaussian" as const,
    filter: "none" as const,
    hasLimit: false,
  })),
];

export const CONTRACT_SEED = 20261123;

export const CONTRACT_CASES: readonly ContractCase[] = [
  ...coveringArray(CONTRACT_SEED).map(({ kind, ...row }, i) => {
    const k = row.k === "all" ? row.rows : row.k === "all + 5" ? row.rows + 5 : row.k;
    return named({ ...row, ...kind, k, seed: i + 1 });
  }),
  ...BOUNDARY.map((c, i) => named({ precision: "f32", ...c, seed: 1000 + i })),
];
