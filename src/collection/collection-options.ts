/** Options of a collection's calls: their check, before anything is done. Throws INVALID_OPTION, INVALID_FILTER, INVALID_K. */
import { describe, NearfieldError } from "../core/errors.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import { checkSignal, invalidOption } from "../engine/options.ts";
import type { CompactOptions, QueryOptions, UpsertOptions } from "./contract.ts";
import { compileFilter, type CompiledFilter } from "./filter.ts";
import { idProblem } from "./id-table.ts";
import type { CheckedQuery } from "./reading.ts";

const MODES = ["upsert", "insert", "update"] as const;
const ON_INVALID = ["reject", "skip"] as const;
const INCLUDE = ["metadata", "vector"] as const;
const DEFAULT_K = 10;

export function checkObject(name: string, options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw invalidOption(name, options, "an object", "leave it out for the defaults");
}

function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[], fallback: T): T {
  if (value === undefined) return fallback;
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw invalidOption(name, value, allowed.map((a) => `"${a}"`).join(", "), "choose one of these");
}

export function flag(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === "boolean") return value;
  throw invalidOption(name, value, "true or false", "leave it out for the default");
}

export function checkCallback(name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw invalidOption(name, value, "a function", "leave it out to hear nothing");
}

export function checkedUpsert(records: unknown, options: UpsertOptions): Pick<CheckedUpsert, "mode" | "skipsInvalid"> {
  checkObject("upsert options", options);
  checkSignal(options.signal);
  checkCallback("onProgress", options.onProgress);
  checkCallback("onReject", options.onReject);
  const isIterable =
    typeof records === "object" && records !== null && (Symbol.iterator in records || Symbol.asyncIterator in records);
  if (!isIterable) {
    throw invalidOption(
      "records",
      records,
      "an array or other iterable of records, async ones included",
      "give [record] for one",
    );
  }
  return {
    mode: oneOf("mode", options.mode, MODES, "upsert"),
    skipsInvalid: oneOf("onInvalid", options.onInvalid, ON_INVALID, "reject") === "skip",
  };
}

interface CheckedUpsert {
  readonly mode: (typeof MODES)[number];
  readonly skipsInvalid: boolean;
}

/** What index.search checks itself (k, maxDistance) is left to it. */
export function checkedQuery(options: QueryOptions): CheckedQuery {
  checkSignal(options.signal);
  const include: unknown = options.include ?? ["metadata"];
  if (!Array.isArray(include)) {
    throw invalidOption("include", include, 'a list of "metadata" and "vector"', "leave it out for metadata alone");
  }
  const parts = new Set(include.map((part: unknown) => oneOf("include", part, INCLUDE, "metadata")));
  return {
    k: options.k ?? DEFAULT_K,
    filter: options.filter === undefined ? undefined : compileFilter(options.filter),
    maxDistance: options.maxDistance,
    withMetadata: parts.has("metadata"),
    withVector: parts.has("vector"),
    signal: options.signal,
  };
}

export function checkedIds(ids: unknown): readonly string[] {
  if (!Array.isArray(ids)) throw invalidOption("ids", ids, "an array of ids", "give [id] for one");
  for (const [i, id] of ids.entries()) {
    const problem = idProblem(id);
    if (problem === undefined) continue;
    throw new NearfieldError("INVALID_OPTION", {
      got: `an id at position ${i} that ${problem}`,
      expected: "strings of 1 to 512 bytes of UTF-8",
      remedy: "give ids that records can have",
      details: { position: i },
    });
  }
  return ids;
}

export function checkedTarget(
  target: unknown,
): { readonly ids: readonly string[] } | { readonly filter: CompiledFilter } {
  if (Array.isArray(target)) return { ids: checkedIds(target) };
  if (typeof target === "object" && target !== null && Object.hasOwn(target, "filter")) {
    return { filter: compileFilter(Reflect.get(target, "filter")) };
  }
  throw invalidOption("what to delete", target, "an array of ids, or { filter }", "say which records");
}

export function checkedKeep(options: CompactOptions): number {
  checkObject("compact options", options);
  const { keepVersions } = options;
  if (keepVersions === undefined) return STORAGE_LIMITS.keptVersions;
  if (Number.isSafeInteger(keepVersions) && keepVersions >= 1) return keepVersions;
  throw invalidOption("keepVersions", keepVersions, "an integer from 1 on", "leave it out for 10");
}

export function checkedBatch(batch: unknown): number {
  if (batch === undefined) return STORAGE_LIMITS.scanBatch;
  if (typeof batch === "number" && Number.isInteger(batch) && batch >= 1) return batch;
  throw invalidOption("batch", batch, "an integer from 1 on", "leave it out for 1,000");
}

/** More than one vector where one is wanted. */
export function notOneVector(count: number): NearfieldError {
  return new NearfieldError("INVALID_OPTION", {
    got: `${describe(count)} vectors for query`,
    expected: "one",
    remedy: "use queryBatch for many",
  });
}
