/**
 * What is said of bytes that are not what was written (CORRUPT), or that a newer nearfield wrote
 * (UNSUPPORTED_FORMAT). Damage is found by whoever reads; what to fall back to is decided above.
 */
import { NearfieldError } from "../core/errors.ts";

/** Where a file is damaged. */
export interface Damage {
  readonly file: string;
  /** As FORMAT.md calls it, with its position among its kind. */
  readonly block?: string;
  /** First record that is concerned. */
  readonly record?: number;
  /** Byte of the file. */
  readonly offset: number;
  readonly reason: string;
}

/** CORRUPT, with the damage as its details. */
export class DamageError extends NearfieldError {
  declare readonly details: Damage;

  constructor(damage: Damage, cause?: unknown) {
    const { file, block, record, offset, reason } = damage;
    const where = [block, record === undefined ? undefined : `record ${record}`, `byte ${offset}`].filter(
      (part) => part !== undefined,
    );
    super("CORRUPT", {
      got: `damage in ${file} (${where.join(", ")}): ${reason}`,
      expected: "the bytes that were written",
      remedy: "restore the file from a copy, or go back to a version that does not need it",
      details: damage,
      cause,
    });
  }
}

/** Tells what is wrong at a byte of a file; as a callback, so that decoders need not know which file it is. */
export type Fail = (reason: string, offset?: number) => never;

export function unsupportedFormat(file: string, got: string, expected: string): NearfieldError {
  return new NearfieldError("UNSUPPORTED_FORMAT", {
    got: `${got} in ${file}`,
    expected,
    remedy: "open the collection with the version of nearfield that wrote it, or a newer one",
    details: { file },
  });
}
