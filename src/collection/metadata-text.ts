/** Stored metadata, the JSON text of a record, as the object that it stands for. */
import { NearfieldError } from "../core/errors.ts";
import { isPlainObject, type Metadata } from "./metadata.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The metadata that a record's text stands for; undefined for an empty text. Throws CORRUPT. */
export function parseMetadata(bytes: Uint8Array, row: number): Metadata | undefined {
  if (bytes.length === 0) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw corruptMetadata(row, error);
  }
  if (!isPlainObject(value) || !Object.values(value).every(isMetadataValue)) throw corruptMetadata(row, undefined);
  // Checked on the line above.
  return value as Metadata;
}

function isMetadataValue(value: unknown): boolean {
  if (value === null || typeof value !== "object") return true;
  return Array.isArray(value) && value.every((item) => typeof item === "string" || typeof item === "number");
}

/** The error of a text that is no metadata. */
export function corruptMetadata(row: number, cause: unknown): NearfieldError {
  return new NearfieldError("CORRUPT", {
    got: `metadata of row ${row} that is not a flat JSON object`,
    expected: "the JSON that was stored with the record",
    remedy: "run verify() to see what is damaged, and restore an older version or write the record again",
    cause,
    details: { row },
  });
}
