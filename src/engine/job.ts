/** One `search()` call on its way: its queries and snapshot, the answer being filled in, and what it took. */
import type { Eligibility, QueryVectors, Rows } from "../core/backend.ts";
import { describe, NearfieldError } from "../core/errors.ts";
import type { SearchOptions } from "./contract.ts";
import { checkSignal, invalidOption } from "./options.ts";
import { LIMITS } from "../core/limits.ts";
import { heldBits, RowSet } from "../core/rowset.ts";
import type { TopK } from "../core/topk.ts";
import type { Job } from "./scheduler.ts";

/** A search as checked at the call. */
export interface CheckedSearch {
  readonly width: number;
  /** Bitmaps of the filters as they were at the call; empty when there is no filter. */
  readonly filters: readonly Uint32Array[];
  readonly maxDistance: number;
}

/** Throws INVALID_K, INVALID_FILTER, INVALID_FILTER_SIZE, INVALID_OPTION, TOO_LARGE. */
export function checkSearch(options: SearchOptions, queries: number, rowCount: number): CheckedSearch {
  if (typeof options !== "object" || options === null) {
    throw invalidOption("search options", options, "an object such as { k: 10 }", "see search");
  }
  checkSignal(options.signal);
  const { k, maxDistance } = options;
  if (typeof k !== "number" || !Number.isInteger(k) || k < 1) {
    throw new NearfieldError("INVALID_K", {
      got: `k ${describe(k)}`,
      expected: "an integer of at least 1",
      remedy: "ask for the number of neighbours you want; more than there are is fine",
    });
  }
  if (maxDistance !== undefined && (typeof maxDistance !== "number" || Number.isNaN(maxDistance))) {
    throw invalidOption("maxDistance", maxDistance, "a number", "leave it out for no limit");
  }
  const width = Math.min(k, rowCount);
  if (queries * width > LIMITS.maxResults) {
    throw new NearfieldError("TOO_LARGE", {
      got: `${queries} queries × ${width} results`,
      expected: `at most ${LIMITS.maxResults} results in one call`,
      remedy: "search in several calls, or for a smaller k",
      details: { queries, k: width },
    });
  }
  return {
    width,
    filters: checkFilter(options.filter, queries, rowCount),
    maxDistance: maxDistance === undefined ? Infinity : Math.fround(maxDistance),
  };
}

function checkFilter(filter: unknown, queries: number, rowCount: number): Uint32Array[] {
  if (filter === undefined) return [];
  if (filter instanceof RowSet) return [checkedBits(filter, rowCount)];
  if (!Array.isArray(filter)) throw invalidFilter(describe(filter));
  if (filter.length !== queries) {
    throw new NearfieldError("INVALID_FILTER_SIZE", {
      got: `${filter.length} filters for ${queries} queries`,
      expected: "one filter for all queries, or exactly one for each",
      remedy: "give as many row sets as queries",
    });
  }
  return filter.map((set: unknown, q) => {
    if (!(set instanceof RowSet)) throw invalidFilter(`${describe(set)} for query ${q}`);
    return checkedBits(set, rowCount);
  });
}

function checkedBits(set: RowSet, rowCount: number): Uint32Array {
  if (set.size === rowCount) return heldBits(set);
  throw new NearfieldError("INVALID_FILTER_SIZE", {
    got: `a filter of ${set.size} rows`,
    expected: `${rowCount} rows, the index's rowCount at this call`,
    remedy: "build the row set after the last add() resolved, with size index.rowCount",
  });
}

function invalidFilter(got: string): NearfieldError {
  return new NearfieldError("INVALID_FILTER", {
    got,
    expected: "a RowSet, or an array of one RowSet for each query",
    remedy: "make one with RowSet.of(rows, index.rowCount)",
  });
}

export interface SearchJob extends Job {
  readonly group: Rows;
  /** [queries × stride] words, zero padded. */
  readonly vectors: QueryVectors;
  readonly norms: Float64Array;
  /** One for all queries, or one for each. */
  readonly eligibilities: readonly Eligibility[];
  readonly maxDistance: number;
  readonly answer: TopK;
  readonly tally: Tally;
}

/** What the report will say. */
export interface Tally {
  readonly calledAt: number;
  startedAt: number;
  finishedAt: number;
  answeredByGpu: number;
  answeredByCpu: number;
  /** Eligible rows of the queries answered. */
  scanned: number;
  readonly degraded: Set<string>;
  survivors: number;
  rescans: number;
  /** Queries whose rows were all ruled out by a scan of codes, those of which some were, and the directions the codes had. */
  certified: number;
  partlyCertified: number;
  directions: number;
  batch: number;
}

export function newTally(now: number): Tally {
  return {
    calledAt: now,
    startedAt: Infinity,
    finishedAt: now,
    answeredByGpu: 0,
    answeredByCpu: 0,
    scanned: 0,
    degraded: new Set(),
    survivors: 0,
    rescans: 0,
    certified: 0,
    partlyCertified: 0,
    directions: 0,
    batch: 0,
  };
}

export function eligibilityOf(job: SearchJob, query: number): Eligibility {
  const eligibility = job.eligibilities.length === 1 ? job.eligibilities[0] : job.eligibilities[query];
  if (eligibility === undefined) throw new Error(`query ${query} has no eligibility`);
  return eligibility;
}
