/**
 * What a filter means, record by record, as slow and obvious as can be: the oracle of the compiled
 * filters. Reads the caller's filter itself, so that it shares nothing with the compiler.
 */
import type { Filter, FilterOperators, FilterValue } from "../../src/collection/filter.ts";
import type { Metadata } from "../../src/collection/metadata.ts";

export function matchesRecord(filter: Filter, record: Metadata | undefined): boolean {
  return Object.entries(filter).every(([key, condition]) => {
    if (key === "$and") return (condition as readonly Filter[]).every((part) => matchesRecord(part, record));
    if (key === "$or") return (condition as readonly Filter[]).some((part) => matchesRecord(part, record));
    if (key === "$not") return !matchesRecord(condition as Filter, record);
    if (typeof condition !== "object" || condition === null) return isAny(record, key, (value) => value === condition);
    return matchesOperators(condition as FilterOperators, record, key);
  });
}

function matchesOperators(operators: FilterOperators, record: Metadata | undefined, key: string): boolean {
  return Object.entries(operators).every(([name, wanted]: [string, unknown]) => {
    const list = wanted as readonly FilterValue[];
    const bound = wanted as string | number;
    const compares = (test: (value: string | number) => boolean): boolean =>
      isAny(record, key, (value) => typeof value === typeof bound && test(value as string | number));
    switch (name) {
      case "$eq":
        return isAny(record, key, (value) => value === wanted);
      case "$ne":
        return !isAny(record, key, (value) => value === wanted);
      case "$in":
        return isAny(record, key, (value) => list.includes(value));
      case "$nin":
        return !isAny(record, key, (value) => list.includes(value));
      case "$gt":
        return compares((value) => value > bound);
      case "$gte":
        return compares((value) => value >= bound);
      case "$lt":
        return compares((value) => value < bound);
      case "$lte":
        return compares((value) => value <= bound);
      case "$exists":
        return (record !== undefined && Object.hasOwn(record, key)) === wanted;
      case "$not":
        return !matchesOperators(wanted as FilterOperators, record, key);
      default:
        throw new Error(name);
    }
  });
}

function isAny(record: Metadata | undefined, key: string, test: (value: FilterValue) => boolean): boolean {
  if (record === undefined || !Object.hasOwn(record, key)) return false;
  const value = record[key];
  if (Array.isArray(value)) return value.some((item: string | number) => test(item));
  return test(value as FilterValue);
}
