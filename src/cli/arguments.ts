/** Values of options, as text, checked. What is wrong is commander's to tell, with exit code 2. */
import { InvalidArgumentError } from "commander";
import type { ModelFingerprint } from "../collection/contract.ts";
import type { Filter } from "../collection/filter.ts";
import { LIMITS } from "../core/limits.ts";

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError("It must be a whole number.");
  return value;
}

export function atLeastOne(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("It must be 1 or more.");
  return value;
}

/** `1,16,256`: whole numbers from 1 to the queries an index queues, none twice. */
export function batchSizes(text: string): number[] {
  const most = LIMITS.queuedQueries;
  const sizes = text.split(",").map((part) => (/^ *\d+ *$/.test(part) ? Number(part) : 0));
  if (sizes.some((size) => size < 1 || size > most) || new Set(sizes).size < sizes.length) {
    throw new InvalidArgumentError(`It must be different whole numbers from 1 to ${most}, such as 1,16,256.`);
  }
  return sizes;
}

/** What it means is checked by the collection. */
export function filterJson(text: string): Filter {
  try {
    return JSON.parse(text) as Filter;
  } catch (error) {
    throw new InvalidArgumentError(
      `It must be JSON, such as '{"year":{"$gte":2000}}' (${error instanceof Error ? error.message : String(error)}).`,
    );
  }
}

/** `name` or `name@revision`. */
export function modelName(text: string): ModelFingerprint {
  const [, name = "", revision] = /^(.+?)(?:@([^@]+))?$/.exec(text) ?? [];
  if (name === "") throw new InvalidArgumentError("It must be a name, or name@revision.");
  return revision === undefined ? { name } : { name, revision };
}

/** 0 … 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError("It must be a number from 0 to 1.");
  return value;
}

export function finiteNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It must be a number.");
  return value;
}
