/** What the system says of a file, in our words. */
import { NearfieldError } from "../core/errors.ts";

/**
 * NOT_FOUND for what is not there, UNSUPPORTED for what is not allowed, QUOTA_EXCEEDED for a full disk;
 * what is no failure of the system stays as it is.
 */
export function fileFailure(path: string, what: "read" | "written", cause: unknown): unknown {
  const code: unknown = typeof cause === "object" && cause !== null ? Reflect.get(cause, "code") : undefined;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new NearfieldError("NOT_FOUND", {
        got: `${path}, which cannot be ${what} (${code})`,
        expected: what === "read" ? "a file that is there" : "a file in a folder that is there",
        remedy: what === "read" ? "check the path" : "make the folder, or give another name",
        cause,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "EISDIR":
      return new NearfieldError("UNSUPPORTED", {
        got: `${path}, which cannot be ${what} (${code})`,
        expected:
          what === "read" ? "a file that may be read" : "a file that may be written, in a folder that allows it",
        remedy: "check who may do that, or give another path",
        cause,
      });
    case "ENOSPC":
    case "EDQUOT":
      return new NearfieldError("QUOTA_EXCEEDED", {
        got: `no room to write ${path} (${code})`,
        expected: "room on the disk",
        remedy: "make room, or write elsewhere",
        cause,
      });
    default:
      return cause;
  }
}
