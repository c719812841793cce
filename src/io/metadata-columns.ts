/** What the metadata of many records looks like as columns: noted before the first row is written, for formats that must know. */
import { describe, NearfieldError } from "../core/errors.ts";

/** What a column holds: one kind of value, or anything, as JSON. */
export type ColumnKind = "text" | "number" | "boolean" | "json";

/**
 * The column of Parquet and Arrow that names, row by row, the keys whose value is null: an empty
 * cell of theirs is a key that the record does not have.
 */
export const NULLS_COLUMN = "nearfield:nulls";

export class MetadataColumns {
  readonly #kinds = new Map<string, ColumnKind | undefined>();
  #hasNulls = false;

  /** Takes the metadata of another record into account. */
  note(metadata: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(metadata)) {
      const known = this.#kinds.get(name);
      if (value === null) {
        this.#hasNulls = true;
        this.#kinds.set(name, known);
      } else {
        const kind = kindOf(value);
        this.#kinds.set(name, known === undefined || known === kind ? kind : "json");
      }
    }
  }

  /** In the order in which keys first appeared; one of nulls alone counts as text. */
  get kinds(): readonly (readonly [name: string, kind: ColumnKind])[] {
    return [...this.#kinds].map(([name, kind = "text"]) => [name, kind]);
  }

  /** Whether a record has null for a key. */
  get hasNulls(): boolean {
    return this.#hasNulls;
  }

  /** Throws INVALID_OPTION where a key cannot name a column of its own, as another has the name or the format would change it: nothing is left out silently. */
  checkNames(path: string, isTaken: (name: string) => boolean): void {
    const taken = [...this.#kinds.keys()].find((name) => isTaken(name));
    if (taken === undefined) return;
    throw new NearfieldError("INVALID_OPTION", {
      got: `metadata with the key ${describe(taken)}, which cannot name a column of its own in ${path}`,
      expected: "keys beside the names of id and vector",
      remedy: "name these otherwise (--id-field, --vector-field), or write another format, such as JSON lines",
    });
  }
}

/** What a record has for a key, of its own: valueOf may be one. */
export function valueOf(metadata: Readonly<Record<string, unknown>> | undefined, name: string): unknown {
  return metadata !== undefined && Object.hasOwn(metadata, name) ? metadata[name] : undefined;
}

/** The keys of a record that are null; undefined where none is. */
export function nullsOf(metadata: Readonly<Record<string, unknown>> | undefined): readonly string[] | undefined {
  const names = Object.entries(metadata ?? {}).flatMap(([name, value]) => (value === null ? [name] : []));
  return names.length === 0 ? undefined : names;
}

/** UTF-8 has no place for half a surrogate pair, and readers drop a byte order mark at the front; of both JSON makes an ordinary text. */
const UNUSUAL = /\p{Surrogate}|^\uFEFF/u;

/** Whether a text does not come back from UTF-8 as it was. */
export function isUnusual(text: string): boolean {
  return UNUSUAL.test(text);
}

function kindOf(value: unknown): ColumnKind {
  if (typeof value === "string") return isUnusual(value) ? "json" : "text";
  if (typeof value === "number") return "number";
  return typeof value === "boolean" ? "boolean" : "json";
}
