/**
 * The one error class of the library. Every failure that a caller can cause or meet carries a
 * code from a closed union, and a message of three parts: what was got, what was expected, what
 * to do. Assertions about our own code are plain `Error`s: they are bugs, not results.
 */

export type ErrorCode =
  | "INVALID_OPTION"
  | "INVALID_DIMENSIONS"
  | "INVALID_VECTOR"
  | "INVALID_K"
  | "INVALID_ROW"
  | "INVALID_FILTER"
  | "INVALID_FILTER_SIZE"
  | "TOO_LARGE"
  | "CLOSED"
  | "ABORTED"
  | "BUSY"
  | "BACKEND_UNAVAILABLE"
  | "WORKER_FAILED"
  | "OUT_OF_MEMORY"
  | "UNSUPPORTED"
  | "LOCKED"
  | "MODEL_MISMATCH"
  | "QUOTA_EXCEEDED"
  | "NOT_FOUND"
  | "ID_EXISTS"
  | "CORRUPT"
  | "UNSUPPORTED_FORMAT"
  | "READ_ONLY";

export interface ErrorParts {
  /** What the caller gave, or what happened. */
  readonly got: string;
  /** What would have been right. */
  readonly expected: string;
  /** What the caller can do about it. */
  readonly remedy: string;
  readonly cause?: unknown;
  readonly details?: unknown;
}

/**
 * Thrown, or rejected with, for everything that goes wrong in nearfield.
 *
 * `code` is stable and meant for programs; `message` is meant for people and may be reworded;
 * `cause` keeps the original error where there is one; `details` holds figures that belong to
 * the code (for `INVALID_VECTOR`: `{ position }`, the first offending input position).
 */
export class NearfieldError extends Error {
  override readonly name: string = "NearfieldError";
  readonly code: ErrorCode;
  readonly details?: unknown;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(
      `got ${parts.got}; expected ${parts.expected}; ${parts.remedy}`,
      parts.cause === undefined ? undefined : { cause: parts.cause },
    );
    this.code = code;
    if (parts.details !== undefined) this.details = parts.details;
  }
}

/** Names a value of unknown type for an error message, short enough to read. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return value.length > 40 ? `"${value.slice(0, 40)}…"` : `"${value}"`;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return `${value}`;
  if (typeof value === "undefined") return "undefined";
  if (typeof value === "function") return "a function";
  if (typeof value === "symbol") return "a symbol";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  const length: unknown = Reflect.get(value, "length");
  const kind = typeof name === "string" && name !== "" ? name : "object";
  return typeof length === "number" ? `a ${kind} of ${length}` : `a ${kind}`;
}

export function abortedError(signal: AbortSignal): NearfieldError {
  return new NearfieldError("ABORTED", {
    got: "an aborted signal",
    expected: "a signal that lets the call finish",
    remedy: "the index is unchanged by this call; call again when the work is wanted",
    cause: signal.reason,
  });
}

export function closedError(action: string): NearfieldError {
  return new NearfieldError("CLOSED", {
    got: `${action} on a closed index`,
    expected: "an open index",
    remedy: "create a new index, or close this one later",
  });
}
