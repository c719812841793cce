/** What both entries export beside `createIndex` and `openCollection`. */
export { type ErrorCode, NearfieldError } from "./core/errors.ts";
export type { EngineEvent, EventCode } from "./core/events.ts";
export type { BackendInfo, CpuStats, GpuStats } from "./core/backend.ts";
export type { VectorInput } from "./core/matrix.ts";
export type { Metric, Precision } from "./core/metric.ts";
export { RowSet } from "./core/rowset.ts";
export type { SliceStats } from "./core/slices.ts";
export type { Hit, SearchReport, SearchResult } from "./engine/result.ts";
export type {
  AddOptions,
  AddResult,
  IndexOptions,
  IndexStats,
  Progress,
  SearchOptions,
  VectorIndex,
} from "./engine/contract.ts";
export type {
  Collection,
  CollectionOptions,
  CollectionStats,
  CompactOptions,
  CompactReport,
  DeleteResult,
  Match,
  ModelFingerprint,
  QueryOptions,
  Recovery,
  UpsertOptions,
  UpsertResult,
  VectorRecord,
  VerifyReport,
  VersionInfo,
} from "./collection/contract.ts";
export type { Filter, FilterOperators, FilterValue } from "./collection/filter.ts";
export type { Metadata } from "./collection/metadata.ts";
export type { Damage } from "./storage/damage.ts";
