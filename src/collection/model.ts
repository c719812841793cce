/** Fingerprints of models: which vectors may meet. */
import { describe, NearfieldError } from "../core/errors.ts";
import { STORAGE_LIMITS } from "../core/limits.ts";
import { invalidOption } from "../engine/options.ts";
import type { ModelFingerprint } from "./contract.ts";

/** A copy of what a caller gave. Throws INVALID_OPTION. */
export function checkedModel(model: unknown): ModelFingerprint | undefined {
  if (model === undefined) return undefined;
  if (typeof model !== "object" || model === null) {
    throw invalidOption("model", model, "an object such as { name, revision }", "leave it out, or name the model");
  }
  const name = textOf(model, "name");
  if (name === undefined) throw invalidOption("model.name", undefined, "a string", "name the model");
  const revision = textOf(model, "revision");
  return revision === undefined ? { name } : { name, revision };
}

function textOf(model: object, key: string): string | undefined {
  const value: unknown = Reflect.get(model, key);
  if (value === undefined) return undefined;
  if (typeof value === "string" && value !== "" && value.length <= STORAGE_LIMITS.modelTextLength) return value;
  throw invalidOption(
    `model.${key}`,
    value,
    `a string of 1 to ${STORAGE_LIMITS.modelTextLength} characters`,
    "name the model shortly",
  );
}

/** Throws MODEL_MISMATCH unless what was declared is what the collection keeps. */
export function requireModel(kept: ModelFingerprint | undefined, declared: ModelFingerprint | undefined): void {
  if (declared === undefined || (kept !== undefined && agree(kept, declared))) return;
  throw new NearfieldError("MODEL_MISMATCH", {
    got: `vectors of ${nameOf(declared)}`,
    expected: kept === undefined ? "none declared: the collection has no model" : `vectors of ${nameOf(kept)}`,
    remedy: "embed them with the collection's model, or make a collection for this one",
    details: { kept, declared },
  });
}

function agree(a: ModelFingerprint, b: ModelFingerprint): boolean {
  return a.name === b.name && (a.revision === undefined || b.revision === undefined || a.revision === b.revision);
}

function nameOf({ name, revision }: ModelFingerprint): string {
  return `the model ${describe(name)}${revision === undefined ? "" : `, revision ${describe(revision)}`}`;
}
