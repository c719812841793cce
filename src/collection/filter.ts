/**
 * The filter dialect: what callers write, checked and turned into an immutable tree of predicates
 * with few kinds, which filter-run.ts runs over columns. Nothing of the caller's object is kept,
 * and each property is read once, so later changes, getters and prototypes cannot matter.
 *
 * A record's key has a set of values: none when the key is missing or an empty array, one when it
 * is a scalar, the elements when it is an array. What a condition matches:
 *
 * | condition                | matches when                                                                |
 * |--------------------------|-----------------------------------------------------------------------------|
 * | `{ k: v }`, `$eq: v`     | some value is v, of the same type; `null` is a value: missing is not `null`  |
 * | `$in: [v, …]`            | some value is one of them; `[]` matches nothing                              |
 * | `$gt $gte $lt $lte: v`   | some value is of v's type (number, string) and compares so                   |
 * | `$exists: true`          | the key is there, be it `null` or `[]`                                       |
 * | `$ne $nin $not`, `$exists: false` | what `$eq`, `$in`, the inside, `$exists: true` does not: missing keys too |
 * | several on one key       | each of them, on its own: `{ $gt: 1, $lt: 3 }` matches `[0, 5]`              |
 * | several keys, `$and`     | all                                                                         |
 * | `$or`                    | at least one                                                                |
 * | `{}`                     | everything                                                                  |
 *
 * As in MongoDB, but: `null` does not match missing keys; arrays cannot be compared as a whole; and
 * what would be ambiguous is refused: empty `$and`, `$or` and operator objects (MongoDB refuses the
 * first two as well), and `undefined`, which is more often a bug than "match all".
 */
import { describe, type ErrorParts, NearfieldError } from "../core/errors.ts";
import { TABLE_LIMITS } from "../core/limits.ts";
import type { Predicate } from "./filter-predicate.ts";
import { isPlainObject, keyPath } from "./metadata.ts";

/** A value that a filter can ask for. */
export type FilterValue = string | number | boolean | null;

/** Conditions on one key, all of which must hold, each on its own. */
export interface FilterOperators {
  /** Some value is this one, of the same type. */
  readonly $eq?: FilterValue;
  /** No value is this one; records without the key match. */
  readonly $ne?: FilterValue;
  /** Some value of the same type (number or string) is greater. Strings compare as JavaScript's `<` does, so ISO dates work. */
  readonly $gt?: string | number;
  readonly $gte?: string | number;
  readonly $lt?: string | number;
  readonly $lte?: string | number;
  /** Some value is one of these; none of an empty list. */
  readonly $in?: readonly FilterValue[];
  /** No value is one of these; records without the key match. */
  readonly $nin?: readonly FilterValue[];
  /** Whether the record has the key at all; `null` and `[]` count as having it. */
  readonly $exists?: boolean;
  /** These do not all hold; records without the key may match. */
  readonly $not?: FilterOperators;
}

/**
 * Which records are meant: `{ year: { $gte: 2000 }, $or: [{ lang: "en" }, { tags: { $in: ["a", "b"] } }] }`.
 * All keys of an object must match. A record's key has the values of its array, or the one that it
 * is; conditions match when some value does. A missing key matches only `$exists: false`, `$ne`,
 * `$nin` and `$not`; it is not `null`. `{}` matches every record.
 *
 * | condition                   | matches when                                                           |
 * |-----------------------------|------------------------------------------------------------------------|
 * | `{ k: v }`, `$eq: v`        | some value is v, of the same type                                      |
 * | `$in: [v, …]`               | some value is one of them; `[]` matches nothing                        |
 * | `$gt $gte $lt $lte: v`      | some value is of v's type, number or string, and compares so           |
 * | `$exists: true`             | the key is there, be it `null` or `[]`                                 |
 * | `$ne $nin $exists: false`   | `$eq`, `$in`, `$exists: true` do not match                             |
 * | `$not`                      | what is inside does not match: operators of a key, or a whole filter   |
 * | `$and`, `$or`               | all, or at least one, of a list of filters that is not empty           |
 *
 * At most 16 levels, 1,000 conditions and 100,000 values in `$in` and `$nin`. Anything else, such as
 * an unknown operator, a Date, a regular expression, NaN or `undefined`, is INVALID_FILTER.
 */
export interface Filter {
  readonly $and?: readonly Filter[];
  readonly $or?: readonly Filter[];
  readonly $not?: Filter;
  /** `undefined` only because the three keys above may be absent: given, it is INVALID_FILTER. */
  readonly [key: string]: FilterValue | FilterOperators | Filter | readonly Filter[] | undefined;
}

/** A filter that was checked. Immutable; may be used with any table, any number of times. */
export interface CompiledFilter {
  readonly predicate: Predicate;
  /** Metadata keys that it looks at, each once. */
  readonly keys: readonly string[];
}

const REFUSED_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);
const OPERATORS = "$eq $ne $gt $gte $lt $lte $in $nin $exists $not";

/** Checks a filter. Throws INVALID_FILTER, with the place of the fault in the message: `$or[1].year.$gte`. */
export function compileFilter(filter: unknown): CompiledFilter {
  const compiler = new Compiler();
  const predicate = compiler.filter(filter, "", 1);
  return { predicate, keys: [...compiler.keys] };
}

class Compiler {
  readonly keys = new Set<string>();
  #conditions = 0;
  #values = 0;

  filter(filter: unknown, at: string, depth: number): Predicate {
    const entries = this.#entriesOf(filter, at, depth);
    if (entries.length === 0) this.#count(at);
    return allOf(
      entries.map(([key, value]) => {
        const here = at === "" && !key.startsWith("$") ? keyPath(key).replace(/^\./, "") : `${at}${keyPath(key)}`;
        const place = here.replace(/^\./, "");
        if (key === "$and") return allOf(this.#filters(value, place, depth));
        if (key === "$or") return { kind: "or", of: this.#filters(value, place, depth) };
        if (key === "$not") return { kind: "not", of: this.filter(value, place, depth + 1) };
        if (key.startsWith("$")) throw unknownOperator(key, place, "$and, $or, $not or a metadata key");
        return this.#key(key, value, place, depth);
      }),
    );
  }

  #filters(list: unknown, at: string, depth: number): Predicate[] {
    const length = this.#lengthOf(list, at, "a list of filters");
    if (length === 0) {
      throw invalid(at, {
        got: "an empty list",
        expected: "at least one filter",
        remedy: "leave the operator out to match everything, or use { key: { $in: [] } } to match nothing",
      });
    }
    if (length > TABLE_LIMITS.filterConditions) throw tooManyConditions(at);
    return Array.from({ length }, (_, i) => this.filter(read(list, i, at), `${at}[${i}]`, depth + 1));
  }

  #key(key: string, value: unknown, at: string, depth: number): Predicate {
    this.keys.add(key);
    if (isPlainObject(value)) return this.#operators(key, value, at, depth);
    if (Array.isArray(value)) {
      throw invalid(at, {
        got: describe(value),
        expected: "a value or an object of operators",
        remedy: "use $in for any of the values, or $and with one condition each for all of them",
      });
    }
    this.#count(at);
    return { kind: "in", key, values: [this.#scalar(value, at)] };
  }

  #operators(key: string, operators: unknown, at: string, depth: number): Predicate {
    const entries = this.#entriesOf(operators, at, depth);
    if (entries.length === 0) {
      throw invalid(at, {
        got: "an empty object",
        expected: `at least one of ${OPERATORS}`,
        remedy: "leave the key out to match everything, or use { $exists: true }",
      });
    }
    return allOf(entries.map(([name, value]) => this.#operator(key, name, value, `${at}${keyPath(name)}`, depth)));
  }

  #operator(key: string, name: string, value: unknown, at: string, depth: number): Predicate {
    if (name === "$not") {
      if (isPlainObject(value)) return { kind: "not", of: this.#operators(key, value, at, depth + 1) };
      throw invalid(at, {
        got: describe(value),
        expected: "an object of operators",
        remedy: "use $ne for what a value must not be",
      });
    }
    this.#count(at);
    switch (name) {
      case "$eq":
        return { kind: "in", key, values: [this.#scalar(value, at)] };
      case "$ne":
        return { kind: "not", of: { kind: "in", key, values: [this.#scalar(value, at)] } };
      case "$in":
        return { kind: "in", key, values: this.#scalars(value, at) };
      case "$nin":
        return { kind: "not", of: { kind: "in", key, values: this.#scalars(value, at) } };
      case "$gt":
        return { kind: "range", key, bound: this.#bound(value, at), isAbove: true, isEqual: false };
      case "$gte":
        return { kind: "range", key, bound: this.#bound(value, at), isAbove: true, isEqual: true };
      case "$lt":
        return { kind: "range", key, bound: this.#bound(value, at), isAbove: false, isEqual: false };
      case "$lte":
        return { kind: "range", key, bound: this.#bound(value, at), isAbove: false, isEqual: true };
      case "$exists":
        if (value === true) return { kind: "exists", key };
        if (value === false) return { kind: "not", of: { kind: "exists", key } };
        throw invalid(at, { got: describe(value), expected: "true or false", remedy: "say whether the key is there" });
      default:
        throw unknownOperator(name, at, OPERATORS);
    }
  }

  #bound(value: unknown, at: string): string | number {
    const scalar = this.#scalar(value, at);
    if (typeof scalar === "string" || typeof scalar === "number") return scalar;
    throw invalid(at, {
      got: describe(value),
      expected: "a number or a string",
      remedy: "use $eq, $ne or $in with booleans and null, which have no order",
    });
  }

  #scalars(list: unknown, at: string): (string | number | boolean | null)[] {
    const length = this.#lengthOf(list, at, "a list of values");
    this.#values += length;
    if (this.#values > TABLE_LIMITS.filterValues) {
      throw invalid(at, {
        got: `${this.#values} values in $in and $nin`,
        expected: `at most ${TABLE_LIMITS.filterValues} in all of the filter`,
        remedy: "store what these records have in common under a key, and filter on that",
      });
    }
    const values = Array.from({ length }, (_, i) => {
      const item = read(list, i, at);
      // The common case first: the place is worth writing only when it is wrong.
      return typeof item === "string" ? item : this.#scalar(item, `${at}[${i}]`);
    });
    return values;
  }

  #scalar(value: unknown, at: string): FilterValue {
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && !Number.isNaN(value)) return value;
    throw invalid(at, {
      got: describe(value),
      expected: "a string, number, boolean or null",
      remedy: remedyFor(value),
    });
  }

  /** Own enumerable properties, each read once. */
  #entriesOf(value: unknown, at: string, depth: number): [string, unknown][] {
    if (!isPlainObject(value)) {
      throw invalid(at, { got: describe(value), expected: "a plain object", remedy: remedyFor(value) });
    }
    if (depth > TABLE_LIMITS.filterDepth) {
      throw invalid(at, {
        got: `more than ${TABLE_LIMITS.filterDepth} levels`,
        expected: `at most ${TABLE_LIMITS.filterDepth}`,
        remedy: "flatten nested $and, $or and $not; a filter must not contain itself",
      });
    }
    const symbol = Object.getOwnPropertySymbols(value)[0];
    if (symbol !== undefined) {
      throw invalid(at, { got: "a symbol as a key", expected: "strings", remedy: `remove ${String(symbol)}` });
    }
    const keys = Object.keys(value);
    if (keys.length > TABLE_LIMITS.filterConditions) throw tooManyConditions(at);
    return keys.map((key) => {
      if (REFUSED_KEYS.has(key)) {
        throw invalid(at, { got: `the key ${key}`, expected: "a metadata key", remedy: "metadata never has this key" });
      }
      return [key, read(value, key, at)];
    });
  }

  #lengthOf(list: unknown, at: string, expected: string): number {
    if (Array.isArray(list)) return list.length;
    throw invalid(at, { got: describe(list), expected, remedy: "write the values in an array" });
  }

  #count(at: string): void {
    if (++this.#conditions > TABLE_LIMITS.filterConditions) throw tooManyConditions(at);
  }
}

function allOf(of: readonly Predicate[]): Predicate {
  return of.length === 1 && of[0] !== undefined ? of[0] : { kind: "and", of };
}

/** A getter or proxy may throw; that is the filter's fault, not ours. */
function read(from: unknown, key: string | number, at: string): unknown {
  try {
    // Only called with objects and arrays that were checked to be such.
    return (from as Readonly<Record<string | number, unknown>>)[key];
  } catch (cause) {
    throw invalid(at, { got: `${key}, which cannot be read`, expected: "plain values", remedy: "copy them", cause });
  }
}

function invalid(at: string, parts: ErrorParts): NearfieldError {
  const place = at === "" ? "as the filter" : `at ${at.length > 200 ? `${at.slice(0, 200)}…` : at}`;
  return new NearfieldError("INVALID_FILTER", { ...parts, got: `${parts.got} ${place}`, details: { path: at } });
}

function unknownOperator(name: string, at: string, known: string): NearfieldError {
  const isOperator = name.startsWith("$");
  return invalid(at, {
    got: isOperator ? `the unknown operator ${describe(name)}` : `${describe(name)} within a key`,
    expected: known,
    remedy: isOperator
      ? "operators of a key stand inside it, $and and $or around keys"
      : "metadata is flat: store nested values under keys of their own",
  });
}

function tooManyConditions(at: string): NearfieldError {
  return invalid(at, {
    got: `more than ${TABLE_LIMITS.filterConditions} conditions`,
    expected: `at most ${TABLE_LIMITS.filterConditions}`,
    remedy: "use $in for many values of one key",
  });
}

function remedyFor(value: unknown): string {
  if (value instanceof Date) return "use toISOString() or getTime(), as the metadata does";
  if (value instanceof RegExp) return "there are no regular expressions: store what they would find under a key";
  if (value === undefined) return "leave the key out, or use { $exists: false } for records without it";
  if (typeof value === "bigint") return "use a number or a string, as the metadata does";
  if (typeof value === "function") return "filters hold no code: use the operators";
  if (typeof value === "number") return "check where the number comes from";
  if (Array.isArray(value)) return "lists stand in $in, $nin, $and and $or only";
  return 'write conditions like { year: { $gte: 2000 }, lang: "en" }';
}
