/**
 * What a record may carry beside its vector, and how it is checked and written: one flat JSON
 * object. Checking reads each property once and copies, so a getter or proxy cannot show one value
 * to the check and another to the file.
 */
import { describe } from "../core/errors.ts";
import { TABLE_LIMITS } from "../core/limits.ts";
import { utf8Length } from "./id-table.ts";

/**
 * Metadata of a record: a plain object of strings, finite numbers, booleans, null, and arrays of
 * strings and numbers. At most 65,536 bytes as JSON; the keys `__proto__`, `constructor` and
 * `prototype` are refused. −0 is stored as 0.
 */
export interface Metadata {
  [key: string]: string | number | boolean | null | readonly (string | number)[];
}

export type CheckedMetadata =
  | { readonly isValid: true /** As it is stored. */; readonly json: string }
  | { readonly isValid: false /** A clause that names the key: `metadata.year is NaN, …`. */; readonly reason: string };

const REFUSED_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** An object that is nobody's instance: of this realm or another, or without prototype. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether `metadata` can be stored, and as what. Runs no code of the caller's but getters, whose exceptions are a reason too. */
export function checkMetadata(metadata: unknown): CheckedMetadata {
  try {
    return checked(metadata);
  } catch (error) {
    return refused(`metadata cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function checked(metadata: unknown): CheckedMetadata {
  if (!isPlainObject(metadata)) return refused(`metadata is ${describe(metadata)}, not a plain object`);
  const symbol = Object.getOwnPropertySymbols(metadata).find((key) =>
    Object.prototype.propertyIsEnumerable.call(metadata, key),
  );
  if (symbol !== undefined) return refused(`metadata has the symbol ${String(symbol)} as a key; use a string`);
  const copy: Metadata = {};
  // UTF-16 code units of keys and texts, each at least a byte of JSON: what is far too large is never written.
  let units = 0;
  for (const key of Object.keys(metadata)) {
    if (REFUSED_KEYS.has(key)) return refused(`metadata has the key ${key}, which is reserved; rename it`);
    const value = copied(metadata[key]);
    if ("reason" in value) return refused(`metadata${keyPath(key)}${value.reason}`);
    copy[key] = value.value;
    units += key.length + unitsOf(value.value);
    if (units > TABLE_LIMITS.metadataBytes) return refused(tooLarge());
  }
  const json = JSON.stringify(copy);
  // JSON.stringify escapes lone surrogates, so the length is never undefined.
  const size =
    json.length * 3 <= TABLE_LIMITS.metadataBytes ? 0 : (utf8Length(json, TABLE_LIMITS.metadataBytes) ?? Infinity);
  return size > TABLE_LIMITS.metadataBytes ? refused(tooLarge()) : { isValid: true, json };
}

function tooLarge(): string {
  return `metadata is larger than ${TABLE_LIMITS.metadataBytes} bytes of JSON; keep long texts elsewhere, under the record's id`;
}

function copied(value: unknown): { readonly value: Metadata[string] } | { readonly reason: string } {
  if (value === null || typeof value === "string" || typeof value === "boolean") return { value };
  if (typeof value === "number")
    return Number.isFinite(value) ? { value } : { reason: ` is ${value}, not a finite number` };
  if (value === undefined) return { reason: " is undefined; leave the key out, or use null" };
  if (value instanceof Date) return { reason: " is a Date; store toISOString() or getTime()" };
  if (!Array.isArray(value)) return { reason: ` is ${describe(value)}, not a string, number, boolean, null or array` };
  if (value.length > TABLE_LIMITS.metadataBytes) return { reason: ` is ${describe(value)}, more than fits` };
  const items: (string | number)[] = [];
  for (let i = 0; i < value.length; i++) {
    const item: unknown = value[i];
    if (typeof item === "string" || (typeof item === "number" && Number.isFinite(item))) items.push(item);
    else if (!Object.hasOwn(value, i)) return { reason: `[${i}] is missing: the array has holes` };
    else return { reason: `[${i}] is ${describe(item)}, not a string or finite number` };
  }
  return { value: items };
}

function unitsOf(value: Metadata[string]): number {
  if (typeof value === "string") return value.length;
  if (!Array.isArray(value)) return 1;
  return value.reduce<number>((sum, item) => sum + (typeof item === "string" ? item.length : 1), 0);
}

/** How the key is written after "metadata", short enough to read. */
export function keyPath(key: string): string {
  if (/^[A-Za-z_$][\w$]{0,63}$/.test(key)) return `.${key}`;
  return `[${JSON.stringify(key.length > 64 ? `${key.slice(0, 64)}…` : key)}]`;
}

function refused(reason: string): CheckedMetadata {
  return { isValid: false, reason };
}
