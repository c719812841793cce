/** Values of columns as metadata has them: 64-bit integers as numbers where they are exact and as texts where not, dates as ISO texts, and nothing where a column has nothing for a row, unless NULLS_COLUMN says that it is null. */
import { NULLS_COLUMN } from "./metadata-columns.ts";
import { type Fields, isObject } from "./record-batch.ts";

export function plainValues(fields: Fields): Fields {
  const plain: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(fields))
    if (value !== null && value !== undefined) plain[name] = plainValue(value);
  const nulls = plain[NULLS_COLUMN];
  if (!Array.isArray(nulls)) return plain;
  delete plain[NULLS_COLUMN];
  for (const name of nulls) if (typeof name === "string") plain[name] ??= null;
  return plain;
}

/** Whether an integer is written with digits that a number cannot keep. */
export function isLostAsNumber(text: string): boolean {
  return /^[+-]?\d+$/.test(text) && String(Number(text)) !== text.replace(/^\+/, "").replace(/^-0$/, "0");
}

function plainValue(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.some((element) => typeof element !== "number") ? value.map(plainValue) : value;
  return isObject(value) ? { ...plainValues(value) } : value;
}
