/**
 * What passes between a reader and its decoder's process. Both sides are this package's own, so
 * messages are trusted for their shape; what they hold comes from a file and is as trusted as that.
 */
import { type ErrorCode, NearfieldError } from "../core/errors.ts";
import type { FieldNames, VectorBatch } from "./vector-source.ts";

export type DecodedFormat = "parquet" | "arrow";

export type DecoderRequest =
  /** Answered by SourceFacts. What was open before is closed. */
  | { readonly kind: "open"; readonly path: string; readonly format: DecodedFormat; readonly fields: FieldNames }
  /** Answered by a VectorBatch, or undefined at the end. The first of a reading begins it at row `from`. */
  | { readonly kind: "next"; readonly reading: number; readonly from: number; readonly size: number }
  /** Ends a reading. Answered by undefined. */
  | { readonly kind: "leave"; readonly reading: number };

/** Of an open file. */
export interface SourceFacts {
  readonly dimensions: number;
  readonly rowCount: number | undefined;
  readonly sizeBytes: number;
}

export type DecoderReply =
  /** The process runs; first of all. */
  | { readonly kind: "ready" }
  /** Something of a request was done, however long the rest will take. */
  | { readonly kind: "progress" }
  | { readonly kind: "done"; readonly id: number; readonly value: SourceFacts | VectorBatch | undefined }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };

/** An error on its way. Serialising keeps an Error's message and loses its code. */
export interface Failure {
  readonly message: string;
  /** Undefined: no NearfieldError, so a bug. */
  readonly code: ErrorCode | undefined;
  readonly details: unknown;
  /** What the cause, an error, said. */
  readonly cause: string | undefined;
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof NearfieldError)) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { message, code: undefined, details: undefined, cause: undefined };
  }
  const { message, code, details, cause } = error;
  return { message, code, details, cause: cause instanceof Error ? String(cause) : undefined };
}

export function errorOf({ message, code, details, cause }: Failure): Error {
  if (code === undefined) return new Error(`in the decoder's process: ${message}`);
  const error = new NearfieldError(code, {
    got: "",
    expected: "",
    remedy: "",
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
    details,
  });
  // Its three parts are in the message already.
  return Object.assign(error, { message });
}
