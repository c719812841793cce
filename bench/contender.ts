/** What a comparison sees of an engine. */
import type { SearchResult } from "nearfield";
import type { Contender } from "./cases/case.ts";
import type { ScanCodes } from "./scan-copies.ts";
import type { Vectors } from "./vectors.ts";

export interface OpenContender {
  readonly contender: Contender;
  /** Copies the queries into the form that the engine wants, so that this is not timed. */
  prepare(queries: Vectors["queries"], k: number): PreparedSearch;
  close(): Promise<void>;
}

export interface PreparedSearch {
  run(): Promise<Found>;
}

export interface Found {
  /** [queries × k] */
  rows(): ArrayLike<number>;
  /** Of nearfield: its whole answer, which must be the oracle's. */
  readonly exact?: SearchResult;
  /** Of nearfield: the codes that a scan reads; null where it scans in full. */
  readonly codes?: ScanCodes | null;
}
