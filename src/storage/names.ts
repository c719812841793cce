/**
 * The names of a collection's files. Numbers are decimal without leading zeros, so that each file
 * has one name; a name that is none of these belongs to somebody else and is left alone.
 */

export const LOCK_NAME = "LOCK";

export type FileName =
  | { readonly kind: "root"; readonly slot: 0 | 1 }
  | { readonly kind: "manifest"; readonly generation: number }
  | { readonly kind: "journal"; readonly generation: number }
  | { readonly kind: "segment"; readonly id: number }
  | { readonly kind: "lock" };

export function rootName(slot: 0 | 1): string {
  return `root-${slot}`;
}

export function manifestName(generation: number): string {
  return `manifest-${generation}`;
}

export function journalName(generation: number): string {
  return `journal-${generation}`;
}

export function segmentName(id: number): string {
  return `segment-${id}`;
}

/** What a file is, or undefined where the name is none of ours. */
export function parseFileName(name: string): FileName | undefined {
  if (name === LOCK_NAME) return { kind: "lock" };
  const [, kind, digits] = /^(root|manifest|journal|segment)-(0|[1-9]\d{0,15})$/.exec(name) ?? [];
  const number = Number(digits);
  if (!Number.isSafeInteger(number)) return undefined;
  switch (kind) {
    case "root":
      return number === 0 || number === 1 ? { kind, slot: number } : undefined;
    case "manifest":
    case "journal":
      return { kind, generation: number };
    case "segment":
      return { kind, id: number };
    case undefined:
    default:
      return undefined;
  }
}
